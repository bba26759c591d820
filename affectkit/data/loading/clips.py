"""Batches of clips: a frame and a spectrogram each, from a store or from video files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from affectkit.core.libraries import load_library
from affectkit.core.randomness import numpy_generator
from affectkit.core.spec import InputSpec
from affectkit.data.layouts.clip_store import drawn_frames
from affectkit.data.loading.loaders import EVALUATION, Key
from affectkit.data.loading.presets import Augmentation
from affectkit.data.loading.read_failures import ReadFailure
from affectkit.data.loading.transforms import RANGES, apply_change, draw_change
from affectkit.data.media.spectrograms import mel_decibels, to_store
from affectkit.data.media.video_clip import read_clip
from affectkit.data.split import Split
from affectkit.errors import DataError

NOTES = "notes"
"""Key of what reading clips noted, which is no input."""


class SplitClips(Dataset):
    """Clips of a split's store, a batch at a time, by (epoch, index).

    A training epoch takes a frame of each clip addressed by (seed, clip, epoch), an evaluation the middle one. Models
    of images alone get the frames, resized where their input has another size.

    Args:
        augment: a preset of ``data.loading.presets`` that does not crop, for the frames of training epochs.
    """

    def __init__(self, split: Split, spec: InputSpec, *, augment: str | Augmentation = "none", seed: int = 0) -> None:
        self.split, self.store, self.spec, self.seed = split, split.store, spec, seed
        self.augment = Augmentation.of(augment)
        self.needs = "image" if spec.clip is None else spec.clip.needs

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[Key]) -> dict[str, Any]:
        """Read the batch of ``keys``, all of one epoch; a clip that comes again in it shows another frame.

        Returns:
            ``index`` (B,), ``failures``, and as the model needs them ``image`` uint8 (B, C, H, W) and ``audio`` int16
            (B, 1, height, width); of a store of features, ``image`` and ``audio`` as they are stored.
        """
        index = np.array([key[1] for key in keys], dtype=np.int64)
        names = [self.split.ids[number] for number in index]
        found: dict[str, Any] = {"index": torch.from_numpy(index), "failures": []}
        if self.needs != "audio":
            found["image"] = torch.from_numpy(self._images(names, keys))
        if self.needs != "image":
            sounds = torch.from_numpy(self.store.sounds(names))
            found["audio"] = sounds if self._features else sounds[:, None]
        if "image" in found and not self._features:
            found["image"] = found["image"].permute(0, 3, 1, 2)
        return found

    def plain(self, index: int) -> np.ndarray:
        """Return the middle frame of an item at the input size, uint8 (H, W, C)."""
        return self._images([self.split.ids[index]], [(EVALUATION, index)])[0]

    @property
    def _features(self) -> bool:
        return self.store.spec.features is not None

    def _images(self, names: list[str], keys: Sequence[Key]) -> np.ndarray:
        epoch = keys[0][0] if keys else EVALUATION
        before, asked = [key[2:] for key in keys], None if epoch == EVALUATION else epoch
        frames = drawn_frames(names, self.store.frames, seed=self.seed, epoch=asked, before=before)
        images = self.store.images(names, frames)
        if self._features:
            return images
        height, width, channels = self.spec.height, self.spec.width, self.spec.channels
        if images.shape[1:3] != (height, width):
            smaller = height * width < images.shape[1] * images.shape[2]
            way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
            images = np.stack([cv2.resize(image, (width, height), interpolation=way) for image in images])
        if channels == 1:
            images = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] for image in images])
        preset = None if epoch == EVALUATION else RANGES[self.augment.at(epoch)]
        if preset is None:
            return images
        changes = [
            draw_change(preset, numpy_generator(self.seed, "augment", name, epoch, *again))
            for name, again in zip(names, before, strict=True)
        ]
        return np.stack([apply_change(image, change) for image, change in zip(images, changes, strict=True)])


class PathClips(Dataset):
    """Video files by path, for inference: the key is (position, path); the middle frame and the sound of each."""

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec
        if spec.clip is not None and spec.clip.needs != "image":
            load_library("torchaudio")  # what does not load is reported here, and not by each of the loader's processes

    def __getitem__(self, key: tuple[int, str]) -> tuple[int, dict[str, Any]] | ReadFailure:
        position, path = key
        notes: list[str] = []
        try:
            return position, {**read_inputs(Path(path), self.spec, notes=notes), NOTES: notes}
        except DataError as error:
            return ReadFailure(position, path, error.message)


def read_inputs(path: Path, spec: InputSpec, *, notes: list[str] | None = None) -> dict[str, torch.Tensor]:
    """Return the inputs of a model of ``spec`` from the clip ``path``: ``image`` uint8 (C, H, W), ``audio`` int16 (1,
    h, w).

    It is rounded as in a store, so that a clip is predicted as it was tested.

    Args:
        path: of the clip.
        spec: of the model's input.
        notes: what ``Clip.notes`` says is appended.

    Raises:
        DataError: the clip cannot be read, or lacks what the model needs.
    """
    clip = replace(spec.clip, reach=0)
    needs = clip.needs
    found = read_clip(path, clip, size=spec.height, reach=0, frames=needs != "audio", sound=needs != "image")
    if notes is not None:
        notes += found.notes
    inputs = {}
    if needs != "audio":
        frame = found.frames[0]
        if spec.channels == 1:
            frame = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None]
        inputs["image"] = torch.from_numpy(frame).permute(2, 0, 1)
    if needs != "image":
        inputs["audio"] = torch.from_numpy(to_store(mel_decibels(found.sound, clip.sound)))[None]
    return inputs


def collate_clips(items: Sequence[tuple[int, dict[str, Any]] | ReadFailure]) -> dict[str, Any]:
    """Return a batch as of ``SplitClips``; clips that could not be read are set apart."""
    good = [item for item in items if not isinstance(item, ReadFailure)]
    names = [name for name in good[0][1] if name != NOTES] if good else ()
    return {
        "index": torch.tensor([index for index, _ in good], dtype=torch.long),
        **{name: torch.stack([values[name] for _, values in good]) for name in names},
        NOTES: [text for _, values in good for text in values[NOTES]],
        "failures": [item for item in items if isinstance(item, ReadFailure)],
    }


def identity_collate(batch: dict[str, Any]) -> dict[str, Any]:
    """Return ``batch``, which was put together when it was read."""
    return batch

"""Preparing clips beside reading them with moviepy and librosa, and an epoch from the store beside reading them afresh.

pytest -m benchmark tests/benchmarks/test_clips.py -s
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from torchvision.transforms import functional as vision

sys.path.insert(0, str(Path(__file__).parents[1]))
from clips import make_cremad, pictures, tone, write_clip

from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.data.layouts.discovery import find_dataset
from affectkit.data.loading.clips import SplitClips
from affectkit.prep.clips.cremad import prepare_cremad

pytestmark = pytest.mark.benchmark
ACTORS, SLOW = 22, 24
"""Actors of six clips each, and how many clips are read the published way."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """132 clips of 2.5 s: as many names, eight different pictures with the grain of a camera."""
    root = make_cremad(tmp_path_factory.mktemp("clone") / "CREMA-D", actors=ACTORS, seconds=0.1, size=(48, 48))
    rng, made = np.random.default_rng(0), []
    for number in range(8):
        images = pictures(number % 6, 75, seed=number).astype(np.int16)
        grain = rng.normal(0, 6, images.shape[1:]).astype(np.int16)
        images = np.clip(images + np.stack([np.roll(grain, 7 * k, 1) for k in range(75)]), 0, 255).astype(np.uint8)
        path = root / f"{number}.flv"
        made.append(write_clip(path, seconds=2.5, images=images, samples=tone(number % 6, 2.5, seed=number)))
    for number, path in enumerate(sorted((root / "VideoFlash").iterdir())):
        shutil.copy(made[number % 8], path)
    return root


def as_published(path: Path) -> tuple[torch.Tensor, np.ndarray]:
    """A random frame near the middle and the spectrogram of one clip, with moviepy and librosa."""
    from moviepy import VideoFileClip

    clip = VideoFileClip(str(path))
    frame = clip.get_frame(clip.duration / 2 + np.random.default_rng().integers(-15, 16) / clip.fps)
    sound = clip.audio.to_soundarray(fps=44100).mean(1)
    clip.close()
    square = torch.from_numpy(frame[:280, 100:380].copy()).permute(2, 0, 1).float() / 255
    power = librosa.feature.melspectrogram(
        y=sound, sr=44100, n_fft=2048, win_length=512, hop_length=353, n_mels=256, pad_mode="constant"
    )
    return vision.resize(square, [128, 128], antialias=True), librosa.power_to_db(power)


def test_prep_and_epochs(clone, tmp_path, capsys):
    paths = sorted((clone / "VideoFlash").iterdir())
    as_published(paths[0])  # imports
    began = time.perf_counter()
    for path in paths[:SLOW]:
        as_published(path)
    published = (time.perf_counter() - began) / SLOW
    rounds = []
    for number in range(3):
        began = time.perf_counter()
        report = prepare_cremad(clone, tmp_path / str(number), reporter=Silent())
        rounds.append((time.perf_counter() - began) / len(paths))
    prepared = min(rounds)
    source = find_dataset(tmp_path / "0")
    spec = InputSpec("audiovisual", 128, 128, clip=source.splits["train"].store.spec)
    epochs = []
    for epoch in range(4):
        count = 0
        began = time.perf_counter()
        for split in source.splits.values():
            items = SplitClips(split, spec)
            order = np.random.default_rng(epoch).permutation(len(split))
            for first in range(0, len(split), 128):
                batch = items.__getitems__([(epoch, int(index)) for index in order[first : first + 128]])
                count += len(batch["image"].contiguous()) if batch["audio"].float().mean() else 0
        epochs.append((time.perf_counter() - began) / count)
    assert count == len(paths)
    ratios = published / prepared, published / min(epochs[1:])
    with capsys.disabled():
        print(f"\n{len(paths)} clips of 2.5 s, 480x360 at 30 frames/s, {paths[0].stat().st_size / 1e3:.0f} kB each")
        print(f"{'':<34}{'ms a clip':>10}{'clips/s':>10}{'ratio':>8}")
        for name, seconds, ratio in (
            ("moviepy and librosa, one at a time", published, 1.0),
            ("prep cremad, whole", prepared, ratios[0]),
            ("an epoch from the store", min(epochs[1:]), ratios[1]),
        ):
            print(f"{name:<34}{1000 * seconds:>10.3f}{1 / seconds:>10.1f}{ratio:>8.1f}")
        print(f"store: {report.bytes_per_clip / 1e6:.2f} MB a clip")
    assert ratios[0] >= 6
    assert ratios[1] >= 100

"""Real inputs to compare an ONNX file on: pictures or clips of a dataset, of a folder, or those that a table names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.data.layouts.discovery import Labels, find_dataset
from affectkit.data.loading.image_or_clip import collate_function, item_files, item_name, make_dataset
from affectkit.data.loading.loaders import EVALUATION
from affectkit.data.loading.read_failures import refuse_failures
from affectkit.data.media.file_kinds import IMAGE_FILE, VIDEO_FILE, file_kind
from affectkit.data.split import Split
from affectkit.errors import DataError

Read = Callable[[Sequence[Any]], dict[str, Any]]


class RealInputs:
    """Read up to ``samples`` items of ``data``, evenly from first to last.

    Args:
        data: a dataset in any layout that ``find_dataset`` finds, a folder of pictures or clips, looked through to the
            bottom, or a table of labels, which names pictures in its folder.
        spec: how they are read.
        samples: how many at most.
        reporter: hears of long reading.

    Attributes:
        data: as given.
        count: how many there are, of all.
        taken: how many are read.

    Raises:
        DataError: there is none.
    """

    def __init__(self, data: Path, spec: InputSpec, *, samples: int, reporter: Reporter) -> None:
        self.data = data
        groups = self._groups(data, spec, reporter)
        self.noun = item_name(spec)
        self.count = sum(len(keys) for _, keys in groups)
        if not self.count:
            raise DataError(f"{data} holds no {self.noun} to compare on.", "Name a dataset, a folder or a table.")
        self.taken = min(samples, self.count)
        chosen = np.linspace(0, self.count - 1, self.taken).round().astype(int)
        self.groups, begin = [], 0
        for read, keys in groups:
            inside = chosen[(chosen >= begin) & (chosen < begin + len(keys))] - begin
            self.groups.append((read, [keys[number] for number in inside]))
            begin += len(keys)

    def batches(self, size: int) -> Iterator[dict[str, Any]]:
        """Yield what the loaders of ``test`` give, ``size`` items at a time; pictures as tensors (B, C, H, W).

        Raises:
            DataError: items cannot be read; they are named.
        """
        for read, keys in self.groups:
            for begin in range(0, len(keys), size):
                batch = read(keys[begin : begin + size])
                refuse_failures(batch["failures"], "fail", hint="Fix or remove them.")
                yield batch | {name: _tensor(batch[name]) for name in ("image", "audio") if name in batch}

    def _groups(self, data: Path, spec: InputSpec, reporter: Reporter) -> list[tuple[Read, list[Any]]]:
        """Return parts that are read alike: how, and the keys of their items."""
        table = data if data.is_file() else None
        if table is None and not data.is_dir():
            raise DataError(f"--data {data} does not exist.")
        try:
            labels = Labels(table, whole=table is not None)
            source = find_dataset(data.parent if table else data, labels=labels, reporter=reporter)
        except DataError:
            if table is not None:
                raise
            return [_files(data, spec)]
        return [_split(split, spec) for split in source.splits.values()]


def _tensor(values: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Return pictures that were read by path, (B, H, W, C), as those of datasets are: a tensor (B, C, H, W)."""
    return torch.from_numpy(values).permute(0, 3, 1, 2) if isinstance(values, np.ndarray) else values


def _files(folder: Path, spec: InputSpec) -> tuple[Read, list[Any]]:
    """Return the files below ``folder`` that are of the kind that ``spec`` takes."""
    kind = IMAGE_FILE if spec.clip is None else VIDEO_FILE
    found = sorted(path for path in folder.rglob("*") if path.is_file() and file_kind(path.parent, path.name) == kind)
    items, collate = item_files(spec)
    return lambda keys: collate([items[key] for key in keys]), list(enumerate(map(str, found)))


def _split(split: Split, spec: InputSpec) -> tuple[Read, list[Any]]:
    """Return the items of ``split``."""
    if spec.clip is not None and split.store is None:
        raise DataError(
            f"the {split.name} split holds pictures, and this model takes clips.", "Name clips that prep has prepared."
        )
    items, collate = make_dataset(split, spec), collate_function(split)
    keys = [(EVALUATION, number) for number in range(len(split))]
    if split.store is not None:
        return lambda some: collate(items.__getitems__(some)), keys
    return lambda some: collate([items[key] for key in some]), keys


def graph_inputs(raw: dict[str, Any], names: Sequence[tuple[str, str]]) -> tuple[np.ndarray, ...]:
    """Return a batch of ``RealInputs`` as a graph takes it.

    Args:
        raw: ``image`` uint8 (B, C, H, W) or features, ``audio`` int16 (B, 1, h, w) or features.
        names: name and layout of each input.
    """
    from affectkit.data.loading.transforms import to_float32

    found = []
    for name, layout in names:
        value: torch.Tensor = raw[name]
        if layout == "NHWC":
            pixels = value.permute(0, 2, 3, 1).numpy()
            found.append(np.ascontiguousarray(np.repeat(pixels, 3, 3) if pixels.shape[3] == 1 else pixels))
        else:
            found.append(to_float32(value).float().numpy())
    return tuple(found)

"""Corrupt the images of an evaluation on the way from the loader to the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from affectkit.core.spec import InputSpec
from affectkit.corruptions import base
from affectkit.corruptions.vca_study import luma
from affectkit.runtime.context import RunContext


@dataclass
class Corruptor:
    """Corrupt images by name and severity.

    Attributes:
        scale: the benchmark whose parameters are taken.
        seed: everything random follows from it.
        textures: folder with photographs of frost; None for computed ones.
        contents: of the images seen so far, by sample number: hashing them once is enough for all rows.
    """

    scale: str
    seed: int
    textures: Path | None = None
    contents: dict[int, str] = field(default_factory=dict)

    def corrupt(self, images: torch.Tensor, index: Sequence[int], name: str, severity: int) -> torch.Tensor:
        """Corrupt uint8 images (B, 3, H, W); rounded to uint8, as the published sets are files of 8 bits."""
        values = (images.float() / 255).contiguous()
        fresh = [position for position, number in enumerate(index) if number not in self.contents]
        hashes = base.map_in_threads(
            lambda position: base.content_hash(values[position]), fresh, numbers=values[0].numel()
        )
        self.contents |= {index[position]: found for position, found in zip(fresh, hashes, strict=True)}
        made = base.corrupt(
            values,
            name,
            severity=severity,
            scale=self.scale,
            seed=self.seed,
            contents=[self.contents[number] for number in index],
            textures=self.textures,
        )
        return made.mul_(255).round_().to(torch.uint8)


class CorruptedLoader:
    """Corrupt the images of a loader's batches, on the device.

    Args:
        loader: gives batches of clean images.
        corruptor: corrupts them.
        name: of the corruption.
        severity: from 1 to 5.
        context: where it is computed.
        spec: of the model; for one with gray input the loader gives colours, of which the luma is taken afterwards.
        save: called with each batch's sample numbers and corrupted colour images, on the CPU.
    """

    def __init__(
        self,
        loader: Any,
        corruptor: Corruptor,
        *,
        name: str,
        severity: int,
        context: RunContext,
        spec: InputSpec,
        save: Callable[[list[int], torch.Tensor], None] | None = None,
    ) -> None:
        self.loader, self.corruptor, self.context, self.spec, self.save = loader, corruptor, context, spec, save
        self.name, self.severity = name, severity

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for raw in self.loader:
            if not len(raw["index"]):
                yield raw
                continue
            numbers = raw["index"].tolist()
            images = self.context.to_device({"image": raw["image"]})["image"]
            made = self.corruptor.corrupt(images, numbers, self.name, self.severity)
            if self.save is not None:
                self.save(numbers, made.cpu())
            if self.spec.channels == 1:
                made = luma(made.float()).round().to(torch.uint8)
            # Kernels differ by the order in memory, and with them the last digits: as clean images come.
            yield {**raw, "image": made.contiguous(memory_format=torch.channels_last)}

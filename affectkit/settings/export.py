"""Settings of ``affectkit export``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.config import setting
from affectkit.settings.audiovisual import published_mask, published_mode
from affectkit.settings.common import clip_file, verified

COMPARED = "Comparison with torch"
OPTIONS = "Options"


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Settings of ``affectkit export``."""

    checkpoint: Path | None = setting(
        None, "Checkpoint file, a run folder (its best model), or builtin.", argument=True, also="checkpoint"
    )
    output: Path | None = setting(None, "File to write, OUT.onnx.", argument=True, also="output")
    half: bool = setting(
        False, "Round weights to half precision: half the bytes; computing stays in single.", renamed="fp16"
    )
    int8: bool = setting(False, "Quantise to 8 bits (dynamic): a quarter of the bytes. Needs --data.")
    head_only: bool = setting(False, "Of a model on a frozen CLIP, the head alone: features in, ratings out.")
    data: Path | None = setting(
        None,
        "Compare on pictures or clips too: a dataset, a folder of them, or a table that names them.",
        group=COMPARED,
        metavar="FOLDER|TABLE",
    )
    samples: int = setting(500, "Items of --data that are compared, evenly from first to last.", low=1, group=COMPARED)
    tolerance: float | None = setting(
        None,
        "Greatest difference of an output, in shares of the greatest output (at least 1); above it nothing is written.",
        above=0,
        group=COMPARED,
        default_text="1e-5; with --fp16 0.02; with --int8 none",
    )
    clip_weights: str | None = clip_file()
    mode: str | None = published_mode()
    mask: str | None = published_mask()
    verify: bool = verified(OPTIONS)
    force: bool = setting(False, "Replace OUTPUT.")

    def of_file(self) -> dict[str, Any]:
        """Return how the checkpoint is read, for ``load_model``."""
        return {name: getattr(self, name) for name in ("clip_weights", "mode", "mask", "verify")}

    @property
    def precision(self) -> str:
        """Return the precision of the weights."""
        return "int8" if self.int8 else "fp16" if self.half else "fp32"

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        named = {"CHECKPOINT, the file to read": self.checkpoint, "OUTPUT, the file to write": self.output}
        faults = [f"{name}, is needed." for name, value in named.items() if value is None]
        if self.half and self.int8:
            faults.append("--fp16 and --int8 exclude each other.")
        if self.int8 and self.data is None:
            faults.append("--int8 needs --data: what it costs is measured on inputs of the kind that the model sees.")
        if self.data is None and self.samples != type(self).samples:
            faults.append("--samples needs --data.")
        return faults

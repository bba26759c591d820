"""Draw a preview of corruptions: one image under each, at all severities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from affectkit.core.missing_paths import instead_of
from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.corruptions import GROUPS, SEVERITIES, corrupt
from affectkit.corruptions.base import severity_scale
from affectkit.data.media.images import load_for_spec
from affectkit.errors import DataError, UsageError


def draw_preview(
    image: Path,
    output: Path,
    *,
    corruptions: Sequence[str] = GROUPS["all"],
    scale: str = "auto",
    seed: int = 0,
    size: int = 224,
    textures: Path | None = None,
    force: bool = False,
    reporter: Reporter,
) -> str:
    """Write a contact sheet of ``corruptions`` at all severities; returns the scale whose parameters were taken.

    Args:
        image: the file, whose centre is brought to ``size`` pixels.
        output: a PNG file.
        corruptions: names of them.

    Raises:
        UsageError: ``output`` is there already, or is no PNG.
        DataError: the image cannot be read.
    """
    if output.suffix.lower() != ".png":
        raise UsageError(f"--preview {output} must end in .png.", f"For example {output.with_suffix('.png')}.")
    if output.exists() and not force:
        raise UsageError(f"--preview {output} is there already.", "Name another file, or add --force to replace it.")
    if not image.exists():
        raise DataError(f"image {image} does not exist.", instead_of(image))
    names = list(corruptions)
    pixels = load_for_spec(image, InputSpec("", size, size))
    batch = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    chosen = severity_scale((size, size)) if scale == "auto" else scale
    rows: dict[str, list[np.ndarray]] = {}
    reporter.start("corrupting", len(names), "corruptions")
    for name in names:
        made = [corrupt(batch, name, severity, chosen, seed, textures=textures) for severity in SEVERITIES]
        rows[name] = [one[0].mul(255).round().byte().permute(1, 2, 0).numpy() for one in made]
        reporter.advance()
    reporter.finish()
    from affectkit.reports.corruption_sheet import contact_sheet

    contact_sheet(output, pixels, rows, f"{image.name}, {size} x {size} pixels, parameters for {chosen}, seed {seed}")
    return chosen

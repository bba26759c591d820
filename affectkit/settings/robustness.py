"""Settings of ``affectkit eval-corruptions``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affectkit.config import setting
from affectkit.corruptions import SCALES, SEVERITIES, parse_corruptions
from affectkit.errors import UsageError
from affectkit.settings.evaluation import Tested
from affectkit.settings.training import DATA, RUN, fitting

CORRUPTION = "Corruptions"


def parse_severities(text: str) -> tuple[int, ...]:
    """``"1-5"``, ``"3"`` or ``"1,3-5"`` as whole numbers in order.

    Raises:
        UsageError: something else, or outside 1 to 5.
    """
    found: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise UsageError(f"must be severities in [1, 5], as 1-5, 3 or 1,3,5; got {text!r}.")
        ends = int(low), int(high or low)
        if not SEVERITIES[0] <= ends[0] <= ends[1] <= SEVERITIES[-1]:
            raise UsageError(f"must be severities in [1, 5], as 1-5, 3 or 1,3,5; got {text!r}.")
        found |= set(range(ends[0], ends[1] + 1))
    return tuple(sorted(found))


@dataclass(frozen=True, kw_only=True)
class RobustnessSettings(Tested):
    """Settings of ``affectkit eval-corruptions``."""

    cache: str = setting(
        "auto",
        "Hold decoded images in memory; auto: where they fit in a quarter of what is free.",
        choices=("auto", "ram", "none"),
        group=DATA,
    )
    fit: str | None = fitting()
    corruptions: str = setting(
        "benchmark",
        "benchmark (the fifteen), validation (the four held out), all (both), alterations (VCA's), or names.",
        check=parse_corruptions,
        group=CORRUPTION,
        metavar="GROUP|NAME,...",
    )
    severities: str = setting(
        "1-5", "Severities, as 1-5 or 1,3,5.", check=parse_severities, group=CORRUPTION, metavar="1-5"
    )
    scale: str = setting(
        "auto",
        "Benchmark whose parameters are taken; auto: by the shorter side of the model's input (48, 128 pixels).",
        choices=SCALES,
        group=CORRUPTION,
    )
    corrupted_root: Path | None = setting(
        None, "Read images already corrupted: CORRUPTION/SEVERITY/CLASS/*, as Tiny-ImageNet-C.", group=CORRUPTION
    )
    frost_textures: Path | None = setting(
        None, "Folder with photographs of frost.", group=CORRUPTION, default_text="textures that are computed"
    )
    save_images: Path | None = setting(
        None, "Also write the corrupted images there, as --corrupted-root reads them (PNG).", group=CORRUPTION
    )
    seed: int = setting(0, "Everything random follows from it.", low=0, group=CORRUPTION)
    baseline: Path | None = setting(
        None, "Results of another model, for mCE: its corruptions.csv, or a tinyimagenetc_results.csv.", group=RUN
    )
    results: Path | None = setting(
        None, "Folder for tables and pictures; run again, the command goes on there.", group=RUN
    )
    force: bool = setting(False, "Compute rows anew that are in --results, whatever is there.", group=RUN)
    fail_under: str | None = setting(
        None,
        "Exit 3 where a mean over the corruptions is worse, or mce, relative_mce: metric=value,metric=value.",
        group=RUN,
        metavar="METRIC=VALUE",
    )

    def rules(self) -> list[str]:
        """Faults between settings."""
        faults = super().rules()
        if self.force and self.results is None:
            faults.append("--force needs --results.")
        if self.corrupted_root is not None:
            made = {"save-images": self.save_images is not None, "frost-textures": self.frost_textures is not None}
            faults += [f"--{name} has no effect with --corrupted-root: nothing is made." for name in made if made[name]]
        return faults

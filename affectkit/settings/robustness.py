"""Settings of ``affectkit eval-corruptions``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affectkit.config import Parsed, setting
from affectkit.corruptions import SCALES, parse_corruptions
from affectkit.settings.common import DATA, RUN, chosen_engine, fail_under, fitting
from affectkit.settings.evaluation import Tested
from affectkit.settings.values import parse_severities

CORRUPTION = "Corruptions"


@dataclass(frozen=True, kw_only=True)
class RobustnessSettings(Tested):
    """Settings of ``affectkit eval-corruptions``."""

    cache: str = setting(
        "auto",
        "Hold decoded images in memory; auto: where they fit in a quarter of what is free.",
        choices=("auto", "ram", "none"),
        group=DATA,
    )
    engine: str = chosen_engine()
    fit: str | None = fitting()
    corruptions: Parsed[tuple[str, ...]] = setting(
        "benchmark",
        "benchmark (the fifteen), validation (the four held out), all (both), alterations (VCA's), or names.",
        parse=parse_corruptions,
        group=CORRUPTION,
        metavar="GROUP|NAME,...",
    )
    severities: Parsed[tuple[int, ...]] = setting(
        "1-5", "Severities, as 1-5 or 1,3,5.", parse=parse_severities, group=CORRUPTION, metavar="1-5"
    )
    scale: str = setting(
        "auto",
        "Benchmark whose parameters are taken; auto: by the shorter side of the model's input (48, 128 pixels).",
        choices=SCALES,
        group=CORRUPTION,
    )
    corrupted_root: Path | None = setting(
        None,
        "Read images already corrupted: CORRUPTION/SEVERITY/CLASS/*, as Tiny-ImageNet-C.",
        group=CORRUPTION,
        metavar="FOLDER",
    )
    frost_textures: Path | None = setting(
        None,
        "Folder with photographs of frost.",
        group=CORRUPTION,
        default_text="textures that are computed",
        metavar="FOLDER",
    )
    save_images: Path | None = setting(
        None,
        "Also write the corrupted images there, as --corrupted-root reads them (PNG).",
        group=CORRUPTION,
        metavar="FOLDER",
    )
    seed: int = setting(0, "Everything random follows from it.", low=0, group=CORRUPTION)
    baseline: Path | None = setting(
        None,
        "Results of another model, for mCE: its corruptions.csv, or a tinyimagenetc_results.csv.",
        group=RUN,
        metavar="TABLE",
    )
    results: Path | None = setting(
        None, "Folder for tables and pictures; run again, the command resumes there.", group=RUN, metavar="FOLDER"
    )
    force: bool = setting(False, "Compute rows anew that are in --results, whatever is there.", group=RUN)
    fail_under: Parsed[dict[str, float]] | None = fail_under(
        "Exit 3 where a mean over the corruptions is worse, or mce, relative_mce: metric=value,metric=value.", group=RUN
    )

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        faults = super().rules()
        if self.force and self.results is None:
            faults.append("--force needs --results.")
        if self.corrupted_root is not None:
            made = {"save-images": self.save_images is not None, "frost-textures": self.frost_textures is not None}
            faults += [f"--{name} has no effect with --corrupted-root: nothing is made." for name in made if made[name]]
        return faults

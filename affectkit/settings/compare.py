"""Settings of ``affectkit compare``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affectkit.config import Parsed, setting
from affectkit.core.missing_paths import several_paths
from affectkit.errors import UsageError
from affectkit.settings.by import By, parse_groups
from affectkit.settings.common import DATA, chosen_engine, fitting, label_map_file
from affectkit.settings.evaluation import TestedData
from affectkit.settings.values import parse_thresholds

COMPARING = "Comparison"
DIFFERENCE = "difference:"


def parse_differences(text: str) -> dict[str, float]:
    """Read ``"difference:accuracy=-0.01"`` as bounds of differences by metric.

    Raises:
        UsageError: names what is not of that form.
    """
    example = f"{DIFFERENCE}accuracy=-0.01"
    found = {}
    for name, bound in parse_thresholds(text, example=example).items():
        if not name.startswith(DIFFERENCE):
            raise UsageError(
                f'{name}={bound:g} bounds a value, and a comparison has differences: write {example} for "no more than '
                f'0.01 worse than the first model". affectkit test --fail-under {name}={bound:g} bounds the value.'
            )
        found[name.removeprefix(DIFFERENCE)] = bound
    if not found:
        raise UsageError(f"{text!r} bounds nothing; write {example}.")
    return found


@dataclass(frozen=True, kw_only=True)
class CompareSettings(TestedData):
    """Settings of ``affectkit compare``."""

    models: tuple[str, ...] = setting(
        (),
        "Two or more: folders of test --results or of train (also with repeats), or, with --data, checkpoints. The "
        "first is the baseline.",
        argument=True,
        metavar="MODEL...",
    )
    engine: str = chosen_engine()
    fit: str | None = fitting()
    label_map: Path | None = label_map_file()
    drop_copies: bool = setting(
        False, "Leave images out that are exact copies of images in an earlier split of --data.", group=DATA
    )
    names: tuple[str, ...] = setting(
        (), "Short names of the models.", group=COMPARING, metavar="NAME,...", default_text="those of their folders"
    )
    metrics: tuple[str, ...] = setting(
        (), "Metrics, or all.", group=COMPARING, metavar="NAME,...", default_text="the most important of the task"
    )
    common: bool = setting(
        False, "Compare the items that all models have in common, and count the others.", group=COMPARING
    )
    cluster: str | None = setting(
        None,
        "What alike items belong to (clips to an actor): a column of the data set's tables or of --groups, "
        r"or file:REGEX with one group, read off the items' names.",
        group=COMPARING,
        metavar="COLUMN|file:REGEX",
        default_text="actors of prepared clips; else items are independent, as with none",
    )
    by: Parsed[tuple[By, ...]] | None = setting(
        None,
        "Also every difference by group, and whether it differs between groups: columns of the data set's tables or "
        "of --groups, as sex,age=20-30-40; image:brightness, image:contrast, image:sharpness, image:size.",
        parse=parse_groups,
        group=COMPARING,
        metavar="COLUMN,...",
    )
    min_group: int = setting(30, "Groups of fewer items are in no gap and no test.", low=2, group=COMPARING)
    groups: Path | None = setting(
        None,
        "CSV table with columns for --by and --cluster, joined to the items by name or subject.",
        group=COMPARING,
        metavar="TABLE",
    )
    all_pairs: bool = setting(False, "Compare every two models, not each with the first alone.", group=COMPARING)
    draws: int = setting(10_000, "Swaps of permutation tests.", low=100, high=10_000_000, group=COMPARING)
    seed: int = setting(0, "Everything random follows from it.", low=0, group=COMPARING)
    results: Path | None = setting(
        None, "Folder for comparison.csv, comparison.json and comparison.png.", group=COMPARING, metavar="FOLDER"
    )
    force: bool = setting(False, "Write into a --results that is not empty.", group=COMPARING)
    fail_under: Parsed[dict[str, float]] | None = setting(
        None,
        "Exit 3 unless no model is worse than the first by more than a margin: difference:accuracy=-0.01 holds where "
        "the whole 95% interval of the difference, counted so that more is better, lies above -0.01.",
        parse=parse_differences,
        group=COMPARING,
        metavar="difference:METRIC=MARGIN,...",
    )
    fail_if_worse: tuple[str, ...] = setting(
        (),
        "Exit 3 where a model is shown to be worse than the first in one of these metrics: Holm's p is at most 0.05. A "
        "difference that is not shown passes, however few the items are.",
        group=COMPARING,
        metavar="METRIC,...",
    )

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        faults = []
        if len(self.models) < 2:
            joined = several_paths(self.models[0]) if self.models else []
            got = f" Write blanks between them: {' '.join(joined)}" if joined else ""
            faults.append(f"MODELS are needed, two or more: folders of results, or checkpoints with --data.{got}")
        if self.force and self.results is None:
            faults.append("--force needs --results.")
        if self.groups is not None and self.cluster is None and self.by is None:
            faults.append("--groups: a table of columns; --by COLUMN,... or --cluster COLUMN names them.")
        if self.min_group != 30 and self.by is None:
            faults.append("--min-group: of groups; --by COLUMN,... names them.")
        return faults

"""Read what was tested: result folders of ``affectkit test`` and ``train``, and the repeats of a training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from affectkit.comparison.older_tables import read_older
from affectkit.comparison.tested_models import TestedRun
from affectkit.core.files import read_json
from affectkit.core.missing_paths import instead_of
from affectkit.core.text import count_text
from affectkit.errors import DataError, UsageError
from affectkit.evaluation.recorded_outputs import FILE, read_outputs

TABLES = ("test_results.csv", "valid_results.csv")
OUT_OF_FOLD = "out_of_fold"
"""The folder of a cross-validation that holds every item once; its split has that name, too."""
REPEAT = re.compile(r"repeat-(\d+)")
NUMBERS = dict[str, float | None]
FORM = {
    "metrics?": NUMBERS, "test?": NUMBERS, "task?": str, "classes?": list[str], "temperature?": float | None,
    "data?": str, "split?": str, "data_fingerprint?": str, "altered?": str,
    "prior?": dict[str, float],
}  # fmt: skip
"""What is taken from the record of a test."""
HINT = "Name what --results of affectkit test named, a run folder of train, or a checkpoint with --data."


def is_tested(folder: Path) -> bool:
    """Return whether ``folder`` holds the items of a test."""
    return any((folder / name).is_file() for name in (FILE, *TABLES))


def repeat_folders(folder: Path) -> list[Path]:
    """Return the folders of the repeats of a training in ``folder``, in their order; none where it has none."""
    found = [(int(match[1]), path) for path in folder.glob("repeat-*") if (match := REPEAT.fullmatch(path.name))]
    return [path for _, path in sorted(found) if path.is_dir()]


def read_folder(folder: Path) -> tuple[tuple[TestedRun, ...], list[str]]:
    """Return what was tested in ``folder``, and notes on what was taken.

    Raises:
        DataError: it holds no items with targets, is damaged, or its files do not go together.
        UsageError: it is no folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} does not exist.", instead_of(folder, advice=HINT))
    if is_tested(folder):
        return (read_run(folder),), []
    if repeats := repeat_folders(folder):
        return _read_repeats(folder, repeats)
    if is_tested(folder / OUT_OF_FOLD):
        return (read_run(folder / OUT_OF_FOLD),), [f"{folder} is a cross-validation: what is out of fold is compared"]
    found = tested_part(folder)
    if found is not None:
        return (read_run(found),), [f"{folder} is a run folder: its {found.name} split is compared"]
    raise _nothing(folder)


def tested_part(folder: Path) -> Path | None:
    """Return the folder with the items of a run's test, else of its validation; None where there is neither."""
    return next((folder / name for name in ("test", "valid") if is_tested(folder / name)), None)


def _read_repeats(folder: Path, repeats: list[Path]) -> tuple[tuple[TestedRun, ...], list[str]]:
    parts = {path: tested_part(path) for path in repeats}
    done = {path: part for path, part in parts.items() if part is not None}
    if not done:
        raise _nothing(folder)
    kinds = {part.name for part in done.values()}
    if len(kinds) > 1:
        raise DataError(
            f"{folder}: some repeats were tested, and others validated alone: "
            f"{', '.join(f'{path.name} ({part.name})' for path, part in done.items())}.",
            f"Finish them first: affectkit train --resume {folder}",
        )
    notes = [f"{folder}: {count_text(len(done), 'repeat')} of a training, their {kinds.pop()} split"]
    if len(done) < len(parts):
        lacking = [path.name for path in parts if path not in done]
        notes.append(f"{folder}: {', '.join(lacking)} left out: not evaluated yet")
    return tuple(read_run(part) for part in done.values()), notes


def read_run(folder: Path) -> TestedRun:
    """Return what was tested in a folder of items.

    Raises:
        DataError: it is damaged, or its files do not go together.
    """
    record = _record(folder)
    metrics = record.get("metrics") or record.get("test") or {}
    more = {"fingerprint": record.get("data_fingerprint", ""), "condition": _condition(record)}
    recorded = read_outputs(folder)
    if recorded is not None:
        return TestedRun(str(folder), recorded.task, recorded.results, recorded.content, metrics, **more)
    table = next(folder / name for name in TABLES if (folder / name).is_file())
    task, results = read_older(table, record)
    return TestedRun(str(folder), task, results, None, metrics, exact=False, **more)


def _condition(record: dict[str, Any]) -> str:
    """Describe what a test was made under, of ``test --corrupt`` and ``--prior``."""
    parts = [f"images corrupted by {record['altered']}"] if record.get("altered") else []
    if record.get("prior"):
        shares = ", ".join(f"{name} {share:g}" for name, share in record["prior"].items())
        parts.append(f"predictions re-weighted to a class prior ({shares})")
    return " and ".join(parts)


def _record(folder: Path) -> dict[str, Any]:
    """Return the record of the test; of a run's validation, that of the run."""
    own, above = folder / "results.json", folder.parent / "metrics.json"
    if own.is_file():
        found = read_json(own, FORM)
        if "metrics" in found or not above.is_file():
            return found
        # The test folder of a run has its metrics alone; what else is known stands in the run's record.
        run = read_json(above, {"classes?": list[str], "temperature?": float | None})
        return {**{key: run[key] for key in ("classes", "temperature") if key in run}, **found}
    if above.is_file():
        run = read_json(
            above, {"valid?": NUMBERS, "out_of_fold?": NUMBERS, "classes?": list[str], "temperature?": float | None}
        )
        known = {key: run[key] for key in ("classes", "temperature") if key in run}
        part = folder.name if folder.name == OUT_OF_FOLD else "valid"
        return {**known, "metrics": run.get(part, {}), "split": part}
    return {}


def _nothing(folder: Path) -> DataError:
    if any(folder.glob("inference*.json*")) or any(folder.glob("inference_results.*")):
        return DataError(
            f"{folder} holds predictions of infer without targets: there is nothing to be right about.",
            "Predict with labels: affectkit infer --labels TABLE --results DIR; or affectkit test.",
        )
    if (folder / "results.json").is_file():
        return DataError(
            f"{folder} has a results.json and no table of items ({', '.join(TABLES)}): metrics alone cannot be "
            "compared item by item.",
            "Test the model again with --results.",
        )
    below = sorted(path.parent for name in TABLES for path in folder.glob(f"*/{name}"))
    hint = f"Did you mean {below[0]}?" if below else HINT
    return DataError(f"{folder} holds no results of a test.", hint)

"""The commands that come after a training: with the names of its run and data, quoted for the shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectkit.config import plain
from affectkit.errors import AffectkitError
from affectkit.settings.training import TrainSettings

ALIKE = ("labels", "classes", "ignore_columns", "follow_links", "rating_range", "clip_weights")
"""Settings by which a test reads the data as the training did."""
PLACES = ("data", "labels")


def next_steps(result: Mapping[str, Any], settings: TrainSettings) -> list[str]:
    """Return the commands that a user would give next: a test of the model, and its use.

    Args:
        result: of the training.
        settings: as the user gave them, paths as they were typed; with ``--resume`` those of the run count.
    """
    top = settings.resume or settings.output
    run = top / next((f"{one}-1" for one in ("fold", "repeat") if f"{one}s" in result), "")
    try:
        record = _record(run)
    except (AffectkitError, OSError):  # what comes next must not hide what has been done
        return []
    given, data = record["settings"], record.get("data")
    data = data if isinstance(data, dict) else {}
    if given.get("fold") is not None and "folds" not in result:  # one of several, which says what they wait for
        return []
    typed = {name: getattr(settings, name) or _from_here(given.get(name)) for name in PLACES}
    unset = plain(TrainSettings())
    options = {name: typed.get(name, given.get(name)) for name in ALIKE if given.get(name) != unset[name]}
    steps = [] if "folds" in result else [_test(run, typed["data"], options, data, result)]
    inputs = "clips" if data.get("task") == "audiovisual" else "photos"
    results = _quoted(_beside(top, inputs))
    return [*steps, f"affectkit infer {inputs.upper()} --checkpoint {_quoted(run)} --results {results}"]


def _test(run: Path, data: Any, options: Mapping[str, Any], known: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Return the test on what the training has not tested on: the test split, else the validation split, else a
    folder of the user's.
    """
    splits = known.get("splits", ())
    words = ["affectkit", "test", "--checkpoint", _quoted(run), "--data"]
    if not data or "test" in result or not ("test" in splits or "valid" in splits):
        return " ".join([*words, "TEST-DATA"])
    words.append(_quoted(data))
    for name, value in options.items():
        words.append(f"--{name.replace('_', '-')}")
        words += [] if value is True else [_quoted(",".join(value) if isinstance(value, list) else value)]
    if "test" not in splits:
        words += ["--split", "valid"]
    return " ".join([*words, "--results", _quoted(_beside(run, "test"))])


def _from_here(path: Any) -> str | None:
    """Return a path of the record, which is absolute, as one would type it here."""
    if not isinstance(path, str):
        return None
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if here in Path(path).parents else path


def _record(run: Path) -> dict[str, Any]:
    from affectkit.training.run_folder import RunFolder

    return RunFolder(run).read_config()


def _beside(run: Path, what: str) -> Path:
    """Return a folder beside the run, named after it."""
    run = run if run.name else run.absolute()
    return run.with_name(f"{run.name}-{what}")


def _quoted(value: Any) -> str:
    return shlex.quote(str(value))

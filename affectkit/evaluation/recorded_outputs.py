"""Outputs of a tested model as ``outputs.safetensors``: what its metrics can be computed from again, to the last bit.

Tables are for people and hold six decimals; with these a loss of confident predictions, or what a temperature changes,
is another number. The file stands beside the table of samples and holds, for each item of it in its order, the arrays
of ``tasks.result_arrays``, and ``content`` (N, 16) uint8: a hash of the item's content
(``data.layouts.duplicates.item_contents``), zeros where it is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.files import digest_of, to_json, whole_file
from affectkit.core.forms import Hash, parse_json
from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.data.layouts.duplicates import KEY_BYTES, item_contents
from affectkit.errors import AffectkitError, DataError
from affectkit.tasks import TASKS, make_task
from affectkit.tasks.base import Results, Task
from affectkit.tasks.result_arrays import SplitFacts, result_arrays, results_of_arrays

FILE = "outputs.safetensors"
FORM = {
    "format": int, "spec": dict[str, Any], "options": dict[str, Any], "split": str, "data": str,
    "table": {"name": str, "digest": Hash}, "scale?": list[float] | None,
}  # fmt: skip
FORMAT = 1
AGAIN = "Test the model again: affectkit test --results DIR."


@dataclass(frozen=True, eq=False)
class Recorded:
    """The outputs of a tested model, read back.

    Attributes:
        task: with the specification and the options that it was tested with.
        results: its outputs and targets.
        content: uint8 (N, 16), a hash of each item's content; zeros where it is not known.
    """

    task: Task
    results: Results
    content: np.ndarray


def write_outputs(folder: Path, task: Task, results: Results, *, samples: str, reporter: Reporter) -> None:
    """Write ``outputs.safetensors`` into ``folder``, where the table ``samples`` of the same results stands already.

    Of a task of another package, whose targets are neither ratings nor of classes, nothing is written.
    """
    from safetensors.numpy import save_file

    split, arrays = results.split, result_arrays(task, results)
    if arrays is None:
        return
    arrays["content"] = item_contents(split, reporter=reporter)
    record = {
        "format": FORMAT,
        "spec": task.spec.to_dict(),
        "options": task.recorded_options(),
        "split": split.name,
        "data": str(split.root),
        "table": {"name": samples, "digest": digest_of(folder / samples)},
        "scale": None if split.scale is None else list(split.scale),
    }
    with whole_file(folder / FILE) as part:
        # One entry: the order of several is not always the same.
        save_file(
            {name: np.ascontiguousarray(values) for name, values in arrays.items()},
            part,
            metadata={"affectkit": to_json(record, indent=None)},
        )


def read_outputs(folder: Path) -> Recorded | None:
    """Return what ``write_outputs`` wrote into ``folder``; None where it wrote nothing.

    Raises:
        DataError: the file is damaged, or the table of samples beside it has changed since.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    arrays, record = _read(path)
    table = folder / Path(record["table"]["name"]).name
    if not table.is_file() or digest_of(table) != record["table"]["digest"]:
        what = "has changed since it was written" if table.is_file() else "is gone"
        raise DataError(f"{table} {what}: it is not the table that {FILE} beside it goes with.", AGAIN)
    try:
        spec = InputSpec.from_dict(record["spec"])
        if spec.task not in TASKS:
            raise DataError(f"its task {spec.task!r} is not known here")
        task = make_task(spec, record["options"])
        part = SplitFacts(record["split"], Path(record["data"]), record.get("scale"))
        results = results_of_arrays(task, arrays, part)
    except (AffectkitError, ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged: {getattr(error, 'message', error)}", AGAIN) from error
    content = arrays.get("content")
    if content is None or content.shape != (len(results.split), KEY_BYTES) or content.dtype != np.uint8:
        raise DataError(f"{path} is damaged: content is not a hash an item.", AGAIN)
    return Recorded(task, results, content)


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as opened:
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no dict
            text = (opened.metadata() or {}).get("affectkit")
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"cannot read {path}: {error}.", AGAIN) from error
    if text is None:
        raise DataError(f"{path} is damaged: it says not what it is of.", AGAIN)
    record = parse_json(text, f"{path} is damaged", form=FORM, hint=AGAIN)
    if record["format"] != FORMAT:
        raise DataError(
            f"{path} has format {record['format']}; this affectkit reads format {FORMAT}.",
            "Upgrade with pip install -U affectkit.",
        )
    return arrays, record

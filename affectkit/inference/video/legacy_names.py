"""Give results that were written when videos were called films the names of today, so that they resume.

Until then the summary was ``films.csv`` (columns ``Looks``, ``Looks Without Face``), its journal ``films.jsonl``, the
folder beside a table of images ``films``, and records had the entries of ``KEYS``. Each file is written whole under its
new name before the old one goes: whoever is stopped in between does it again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from affectkit.core.contained_paths import refuse_link
from affectkit.core.files import open_record, to_json, whole_file, write_json
from affectkit.core.forms import check_form
from affectkit.core.json_lines import JsonLines, LineFault, bounded_lines
from affectkit.errors import DataError
from affectkit.inference.result_files import OutputOptions
from affectkit.inference.run_record import HINT, RECORD_FORM, read_run_record
from affectkit.inference.table_layout import RECORD, VIDEOS_FOLDER
from affectkit.inference.table_reader import CsvRows
from affectkit.inference.table_writer import csv_line, open_text

FOLDER = "films"
FILES = {"films.csv": "videos.csv", "films.jsonl": "videos.jsonl", "films.jsonl.part": "videos.jsonl.part"}
COLUMNS = {"Looks": "Sampled Frames", "Looks Without Face": "Frames Without Face"}
KEYS = {
    "film": "video",
    "films": "videos",
    "films_first": "videos_first",
    "films_table": "videos_table",
    "film_results": "video_results",
    "looks": "sampled_frames",
    "looks_without_face": "frames_without_face",
}


def rename_results(output: OutputOptions) -> None:
    """Rename what stands in the results of images and videos, where these are resumed or replaced."""
    results = output.results
    if results is None or output.shard is not None or not output.may_replace:  # shards have no videos
        return
    old, new = results / FOLDER, results / VIDEOS_FOLDER
    if (old / RECORD).exists() and not new.exists():
        old.rename(new)
    # What is replaced need not be read.
    with contextlib.suppress(DataError) if output.force and not output.resume else contextlib.nullcontext():
        _rename_record(results / RECORD)
        _rename_record(new / RECORD, moved=True)


def rename_files(folder: Path) -> None:
    """Rename the files of videos in ``folder``, and what stands in them."""
    _rename_record(folder / RECORD)
    for old, new in FILES.items():
        refuse_link(folder / old, "the file")
        if (folder / old).exists():
            with whole_file(folder / new) as part, open_text(part, "w") as stream:
                stream.writelines(_table(folder / old) if old.endswith(".csv") else _journal(folder / old))
            (folder / old).unlink()


def _rename_record(path: Path, *, moved: bool = False) -> None:
    """Rename the entries of a record; the results of videos in it, or it itself, have ``moved`` into another folder."""
    record = read_run_record(path)
    if not KEYS.keys() & record.keys():
        return
    record = _renamed(record)
    check_form(record, RECORD_FORM, f"cannot read {path}", hint=HINT)
    _rename_paths(record, moved=moved)
    _rename_paths(record.get("video_results", {}), moved=True)
    write_json(path, record)


def _rename_paths(record: dict[str, Any], *, moved: bool) -> None:
    for name in ("results", "skipped_list", "timelines", "videos_table"):
        if isinstance(record.get(name), str):
            path = Path(record[name])
            parent = path.parent.with_name(VIDEOS_FOLDER) if moved else path.parent
            record[name] = str(parent / FILES.get(path.name, path.name))


def _renamed(value: Any) -> Any:
    """Return a value of JSON with ``KEYS`` renamed in the entries that affectkit names; ``mean`` and ``time`` are
    named by columns."""
    if isinstance(value, dict):
        return {
            KEYS.get(name, name): part if name in ("mean", "time") else _renamed(part) for name, part in value.items()
        }
    return [_renamed(part) for part in value] if isinstance(value, list) else value


def _journal(path: Path) -> Iterator[str]:
    """Yield the lines of a journal, up to where a killed run has torn one."""
    lines = JsonLines(dict[str, Any], hint=HINT)
    with open_record(path, HINT) as stream:
        for number, line in enumerate(bounded_lines(stream), start=1):
            if not line.endswith(b"\n") or b"\0" in line:
                return
            try:
                yield to_json(_renamed(lines.value(line)), indent=None) + "\n"
            except LineFault as fault:
                raise lines.damage(f"the journal {path}", number, fault) from None


def _table(path: Path) -> Iterator[str]:
    for number, row in enumerate(CsvRows(path)):
        yield csv_line(row if number else [COLUMNS.get(name, name) for name in row])

"""The part of a page on videos: what was predicted of each face track over the time, and frames to look at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectkit.core.json_lines import LineFault, bounded_lines, parse_line
from affectkit.core.text import ordinal
from affectkit.data.media.animation_stream import open_stream
from affectkit.data.media.file_identity import Mark
from affectkit.errors import DataError
from affectkit.inference.table_layout import FRAME_COLUMNS, NAME, ROWS, SKIPPED, VIDEO_NAME
from affectkit.inference.video import legacy_names
from affectkit.pages.originals import Originals
from affectkit.pages.page import Source
from affectkit.pages.photographs import Columns, Part
from affectkit.pages.pictures import FRAME, data_address
from affectkit.pages.tables import Table, find_table, read_table, to_float, to_int

MOST_FRAMES = 20_000
"""Sampled frames of all videos that a page holds; of more every second, third, ... one."""
MOST_STILLS = 240
"""Frames shown as pictures, over all videos."""
BUDGET = 2_000_000
"""Bytes that they take at most."""
SUMMARY, FINISHED = "videos.csv", ("videos.jsonl", "videos.jsonl.part")
EARLIER = {new: old for old, new in legacy_names.FILES.items()}
"""Files under the names that they had when videos were called films."""


@dataclass
class Film:
    """What a page shows of one video.

    Attributes:
        frames: number and time of each sampled frame that is kept; the time is NaN of pages.
        faces: a face track's number, and of each frame in which it was seen: the frame's place, box, and predictions.
        sampled: frames in the table, kept or not.
        summary: of ``videos.jsonl``.
        stills: data addresses by the place of their frame.
        size: width and height of the picture that boxes are in; None without stills.
    """

    name: str
    frames: list[tuple[int, float]] = field(default_factory=list)
    faces: dict[str, list[tuple[int, list[float], list[float]]]] = field(default_factory=dict)
    sampled: int = 0
    summary: dict[str, Any] = field(default_factory=dict)
    stills: dict[int, str] = field(default_factory=dict)
    size: tuple[int, int] | None = None

    @property
    def end(self) -> float:
        """Return the seconds at which it ends: what the record says, or the last frame and as long as one lasts."""
        seconds = self.summary.get("seconds")
        if isinstance(seconds, int | float):
            return float(seconds)
        times = [time for _, time in self.frames if not math.isnan(time)]
        step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 1.0
        return times[-1] + step if times else float(len(self.frames))

    @property
    def timed(self) -> bool:
        """Return whether its frames have times, which the pages of an image have not."""
        return not any(math.isnan(time) for _, time in self.frames)

    def cuts(self) -> tuple[list[float], bool]:
        """Return the times of cuts, and whether the run has recorded them.

        Without a record they are where every track ends and others begin from one sampled frame to the next, which a
        cut does and little else.
        """
        if not self.timed:
            return [], True
        recorded = self.summary.get("cuts")
        if isinstance(recorded, list):
            return [float(time) for time in recorded if isinstance(time, int | float)], True
        seen: list[set[str]] = [set() for _ in self.frames]
        for number, places in self.faces.items():
            for place, _, _ in places:
                seen[place].add(number)
        found = [
            self.frames[place][1]
            for place in range(1, len(seen))
            if seen[place] and seen[place - 1] and not seen[place] & seen[place - 1]
        ]
        return found, False


def read_videos(source: Source, record: dict[str, Any], folder: Path) -> Part:
    """Return the part on the videos whose table stands in ``folder``."""
    table = find_table(folder, ROWS)
    own = record.get("video_results") if isinstance(record.get("video_results"), dict) else {}
    record = {**record, **own}
    films, every, columns = _read_films(table, record.get("classes", []))
    marks = _read_summaries(folder, films)
    paths = [str(path) for path in record.get("paths", [])]
    originals = Originals(paths, results=folder, marks=marks, images=source.images)
    notes = ["The frames of a camera are not kept: there are no pictures of them."]
    if "camera" not in record:
        notes = _draw_stills(source, films, originals)
    if every > 1:
        notes.append(
            f"Of the sampled frames every {ordinal(every)} is in this page; the tables of tracks are over all."
        )
    if not table.finished:
        notes.insert(0, "The run was stopped: the rows so far are shown. The same command with --resume continues it.")
    for note in notes:
        source.reporter.note(note)
    skipped = [(row.get(NAME, ""), row.get("Reason", "")) for row in read_table(folder / SKIPPED)]
    names = [table.columns[place] for place in columns.classes or columns.ratings]
    summaries = _summary_rows(folder)
    stills = sum(len(film.stills) for film in films)
    values = {
        "count": len(films), "frames": sum(film.sampled for film in films),
        "tracks": sum(len(film.faces) for film in films), "notes": notes, "names": names, "skipped": skipped,
        "shares": bool(columns.classes), "tables": _tables(films, summaries), "table": table.path.name,
        "derived": [table.columns[place] for place in columns.derived],
        "several": len(films) > 1, "recorded_cuts": all(film.cuts()[1] for film in films),
    }  # fmt: skip
    data = {
        "names": names, "shares": bool(columns.classes), "columns": [*FRAME_COLUMNS],
        "videos": [_film_data(film) for film in films],
    }  # fmt: skip
    return Part("videos", values, data, ("timeline.js",), stills, sum(len(film.frames) for film in films) - stills)


def _read_films(table: Table, classes: Sequence[str]) -> tuple[list[Film], int, Columns]:
    """Return the videos of a table, and of how many sampled frames one is kept; its columns."""
    columns = Columns.of(table, classes, VIDEO_NAME)
    frame, time = (table.place(name) for name in FRAME_COLUMNS)
    wanted = columns.classes or columns.ratings

    def key(row: Sequence[str]) -> tuple[str, str]:
        return row[columns.name], row[frame] if frame is not None else row[time]

    total, last = 0, None
    for row in table.rows():
        total += key(row) != last
        last = key(row)
    every = max(math.ceil(total / MOST_FRAMES), 1)
    films: dict[str, Film] = {}
    last, kept = None, False
    for row in table.rows():
        film = films.setdefault(row[columns.name], Film(row[columns.name]))
        if key(row) != last:
            last, kept = key(row), film.sampled % every == 0
            film.sampled += 1
            if kept:
                number = film.sampled - 1 if frame is None else to_int(row[frame], film.sampled - 1)
                film.frames.append((number, to_float(row[time]) if time is not None else math.nan))
        if kept and not columns.is_empty(row):
            number = row[columns.face] if columns.face is not None else "1"
            box = [to_float(row[place]) for place in columns.box]
            values = [to_float(row[place]) for place in wanted]
            film.faces.setdefault(number, []).append((len(film.frames) - 1, box, values))
    return list(films.values()), every, columns


def _read_summaries(folder: Path, films: Sequence[Film]) -> dict[str, Mark]:
    """Read what a run has kept of each video; return what marked their files. Older folders have none of it."""
    by_name, marks = {film.name: film for film in films}, {}
    names = [*FINISHED, *(EARLIER[name] for name in FINISHED)]
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        return {}
    with path.open("rb") as stream:
        for line in bounded_lines(stream):
            try:
                entry = parse_line(line)
            except LineFault:
                continue
            if not isinstance(entry, dict) or entry.get("name") not in by_name:
                continue
            video = entry.get("video", entry.get("film"))
            if isinstance(video, dict):
                by_name[entry["name"]].summary = {legacy_names.KEYS.get(key, key): one for key, one in video.items()}
            if isinstance(entry.get("mark"), list) and len(entry["mark"]) == 4:
                marks[entry["name"]] = tuple(entry["mark"])
    return marks


def _summary_rows(folder: Path) -> list[dict[str, str]]:
    """Return the rows of ``videos.csv``, with the columns that it has today."""
    found = read_table(folder / SUMMARY) or read_table(folder / EARLIER[SUMMARY])
    return [{legacy_names.COLUMNS.get(name, name): cell for name, cell in row.items()} for row in found]


def _draw_stills(source: Source, films: Sequence[Film], originals: Originals) -> list[str]:
    """Give the films pictures of their frames; return what is to be said of those without."""
    notes, budget = [], BUDGET
    total = sum(len(film.frames) for film in films)
    source.reporter.start("frames", min(total, MOST_STILLS), "frames")
    for film in films:
        path = originals.find(film.name)
        if path is None:
            continue
        share = max(round(MOST_STILLS * len(film.frames) / max(total, 1)), 1)
        step = max(math.ceil(len(film.frames) / share), 1)
        wanted = {number: place for place, (number, _) in enumerate(film.frames) if place % step == 0}
        try:
            for place, address, film.size in _stills(path, wanted):
                budget -= len(address)
                if budget < 0:
                    break
                film.stills[place] = address
                source.reporter.advance()
        except DataError as error:
            notes.append(f"{film.name}: frames are shown as far as they can be read: {error.message}")
    source.reporter.finish()
    if budget < 0:
        notes.append("Frames are shown as far as they fit into the page.")
    return originals.described() + notes


def _stills(path: Path, wanted: dict[int, int]) -> Iterator[tuple[int, str, tuple[int, int]]]:
    """Yield place, data address, width and height of the frames whose numbers are ``wanted``."""
    numbers = sorted(wanted)
    step = math.gcd(*numbers) if len(numbers) > 1 else 0
    stream, last = open_stream(path, every=(0.0, step or 1)), numbers[-1] if numbers else -1
    for frame in stream:
        if frame.number in wanted:
            height, width = frame.pixels.shape[:2]
            yield wanted[frame.number], data_address(frame.pixels, FRAME, quality=60), (width, height)
        if frame.number >= last:
            return


def _film_data(film: Film) -> dict[str, Any]:
    cuts, recorded = film.cuts()
    timed = film.timed
    return {
        "name": film.name,
        "timed": timed,
        "frames": [number for number, _ in film.frames],
        "times": [time for _, time in film.frames] if timed else list(range(len(film.frames))),
        "end": film.end,
        "size": film.size,
        "cuts": cuts,
        "recorded": recorded,
        "stills": film.stills,
        "tracks": [
            {
                "face": number,
                "at": [place for place, _, _ in places],
                "boxes": [box for _, box, _ in places],
                "values": [values for _, _, values in places],
            }
            for number, places in film.faces.items()
        ],
    }


def _tables(films: Sequence[Film], summaries: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """Return the rows of ``videos.csv``, a video each: of the video, and of its tracks; none where it is not there."""
    by_name: dict[str, list[dict[str, str]]] = {}
    for row in summaries:
        by_name.setdefault(row.get(VIDEO_NAME, ""), []).append(row)
    cuts = {film.name: film.cuts() for film in films}
    return [
        {
            "cuts": [f"{time:.2f} s" for time in cuts[film.name][0]], "recorded": cuts[film.name][1],
            "timed": film.timed, "name": film.name, "sampled": film.sampled, "end": film.end, "tracks": len(film.faces),
            "reason": film.summary.get("reason", ""), "notes": film.summary.get("notes", []),
            "rows": [_shown(row) for row in by_name.get(film.name, [])],
        }
        for film in films
    ]  # fmt: skip


def _shown(row: dict[str, str]) -> dict[str, Any]:
    return {
        "face": row.get("Face", ""),
        "from": to_float(row.get("From")),
        "to": to_float(row.get("To")),
        "seen": to_float(row.get("Seconds Seen")),
        "frames": row.get("Sampled Frames", ""),
        "without": row.get("Frames Without Face", ""),
        "mean": {name[5:]: to_float(value) for name, value in row.items() if name.startswith("mean ")},
        "time": {name[5:]: to_float(value) for name, value in row.items() if name.startswith("time ")},
    }

"""The prediction table of videos: rows as they are made, and a journal of videos, from which a rerun resumes."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from affectkit.core.contained_paths import ContainedPaths, refuse_link
from affectkit.core.csv_tables import number
from affectkit.core.files import inner_path, to_json, whole_file, write_json
from affectkit.core.text import count_text, readable
from affectkit.data.faces.selection import sum_left_out
from affectkit.data.media.file_identity import Mark
from affectkit.inference.inputs import Item
from affectkit.inference.journal import ENTRY, is_of, read_entries, reason_to_restart
from affectkit.inference.result_files import NO_RESULTS, OutputOptions, ResultFiles
from affectkit.inference.resume_check import check_columns, check_videos, describe_settled, settled_columns
from affectkit.inference.resume_plan import ResumePlan, plan_resume
from affectkit.inference.run_record import VIDEO_FORM, VIDEOS_FORM, read_run_record
from affectkit.inference.table_layout import FIRST, VIDEO_COLUMNS, VIDEO_NAME, has_limits
from affectkit.inference.table_reader import finished_items
from affectkit.inference.table_writer import TableWriter, csv_line, growing_form, open_text, rows_text
from affectkit.inference.video import legacy_names
from affectkit.inference.video.statistics import Columns, longest
from affectkit.tasks.decision import ABSTAINED

VIDEOS = "videos.csv"
FINISHED = "videos.jsonl"
"""What is known of each video: its counts, means and shares, and what marks its file."""
JOURNAL = "videos.jsonl.part"
TIMELINES = "timelines"
TOTALS = ("videos", "sampled_frames", "frames_without_face", "faces", "rows", "skipped")
"""What a record sums up over all videos."""
VIDEO_ENTRY = {**ENTRY, "video": VIDEO_FORM}
"""What the journal says of a video, beside its ``end``."""


class VideoTable:
    """Write the rows of videos, and keep what is known of these.

    Args:
        options: where all of it goes.
        summary: what the record says from the start.
        columns: the task's.
        stdout: where rows go without results.
        videos: all of them, in order.
        writer: where rows go without results, after those of images; None: a table of their own on ``stdout``.

    Attributes:
        plan: what an earlier run has done and what is left, after entering; None where nothing is, and ``before`` is
            its record then.
        notes: what a user should know, after entering.
    """

    def __init__(
        self,
        options: OutputOptions,
        summary: dict[str, Any],
        columns: Columns,
        stdout: IO[str],
        *,
        videos: Sequence[Item] = (),
        writer: TableWriter | None = None,
    ) -> None:
        self.options, self.summary, self.columns, self.videos = options, summary, columns, videos
        self.header = [*VIDEO_COLUMNS, *columns.names]
        self.with_limits = has_limits(summary)
        self.form = growing_form(options.format)
        self._clear_counts()
        self.plan: ResumePlan | None = ResumePlan()
        self.before: dict[str, Any] = {}
        self.notes: list[str] = []
        self.writer = writer or TableWriter(stdout, self.header, self.form, begun=False)
        self.files: ResultFiles | None = None
        self._places: list[int] | None = None
        if options.results is not None:
            self.files = self._result_files()

    def _result_files(self) -> ResultFiles:
        named = {"format": self.options.format, "header": self.header, "journal": JOURNAL, "entry": VIDEO_ENTRY}
        return ResultFiles(self.options.results, **named)

    @property
    def final(self) -> Path | None:
        """Return the path of the finished table; None without results."""
        return self.files.final if self.files else None

    def __enter__(self) -> VideoTable:
        if self.files is None:
            return self
        self.files.folder.mkdir(parents=True, exist_ok=True)
        refuse_link(self.files.folder / TIMELINES, "the folder")
        if self.options.resume:
            legacy_names.rename_files(self.files.folder)
        if not self.options.resume or not self._find_earlier_run():
            self._clear()
            write_json(self.files.record, {**self.summary, "format": self.options.format})
            self.files.journal.begin()
        if self.plan is not None:
            self.files.journal.open()
        return self

    def __exit__(self, *error: object) -> None:
        if self.files is not None and self.plan is not None:
            self.files.journal.close()

    def remaining(self) -> Iterator[Item]:
        """Yield the videos whose rows do not stand yet."""
        return (video for video in self.videos if video.name not in self.plan.kept)

    def add(self, rows: list[list[Any]]) -> None:
        """Append rows of a video."""
        if self._places is not None:
            rows = [[row[place] for place in self._places] for row in rows]
        if self.files is None:
            self.writer.add(rows)
        else:
            self.files.journal.write(rows_text(rows, self.header, self.form))
            self.files.journal.rows.flush()

    def end_video(self, video: Item, summary: dict[str, Any], rows: int, mark: Mark | None = None) -> None:
        """End a video.

        Args:
            video: whose rows were added since the last call.
            summary: of it; it has a ``reason`` where the video broke.
            rows: how many it has.
            mark: what marked its file before it was read.
        """
        if "reason" in summary:
            summary = {**summary, "reason": readable(summary["reason"])}
        if self.files is not None:
            self.files.journal.end(video.name, {"rows": rows, "mark": mark, "video": summary})
            self.files.journal.flush()
        self._count(summary, rows)

    def timeline(self, name: str) -> Path | None:
        """Return the path of the timeline of the video ``name``; None without results."""
        return None if self.files is None else self.files.folder / TIMELINES / inner_path(name, (".png",), ".png")

    def conclude(self) -> dict[str, Any]:
        """Write the summary of videos and the record, give the table its final name; return the record."""
        if self.files is None:
            return self._record()
        files, folder = self.files, self.files.folder
        files.journal.close()
        self._clear_counts()
        for entry in self._entries():
            self._count(entry["video"], entry["rows"])
        with whole_file(folder / VIDEOS) as part, open_text(part, "w") as stream:
            stream.writelines(csv_line([number(value) for value in row]) for row in self._summary_rows())
        with whole_file(folder / FINISHED) as part, open_text(part, "w") as stream:
            kept = ({key: value for key, value in entry.items() if key != "end"} for entry in self._entries())
            stream.writelines(to_json(entry, indent=None) + "\n" for entry in kept)
        record = self._record() | {"format": self.options.format, "results": str(files.final)}
        record |= {"videos_table": str(folder / VIDEOS)}
        record |= {"timelines": str(folder / TIMELINES)} if (folder / TIMELINES).is_dir() else {}
        if self.totals["skipped"]:
            self._write_skipped()
            record["skipped_list"] = str(files.skipped)
        else:
            files.skipped.unlink(missing_ok=True)
        # The record first: a table under its final name is never without it.
        write_json(files.record, record)
        files.journal.finish(self._names(), files.final)
        return record | self.plan.summary()

    def how_to_resume(self) -> str:
        """Return the next step after a stop."""
        return NO_RESULTS if self.files is None else self.files.how_to_resume()

    def _names(self) -> Iterator[str]:
        return (video.name for video in self.videos)

    def _entries(self) -> Iterator[dict[str, Any]]:
        return self.files.journal.read(self._names())

    def _record(self) -> dict[str, Any]:
        left_out = {"faces_left_out": sum_left_out([self.left_out])} if self.with_limits else {}
        if self.columns.abstained is not None:
            left_out["abstained"] = self.abstained
        return {**self.summary, **self.totals, **left_out, "skipped_first": self.reasons, "videos_first": self.first}

    def _clear_counts(self) -> None:
        self.totals = dict.fromkeys(TOTALS, 0)
        self.left_out: Counter[str] = Counter()
        self.abstained = 0
        self.first: list[dict[str, Any]] = []
        self.reasons: list[dict[str, str]] = []

    def _count(self, summary: dict[str, Any], rows: int) -> None:
        found = {"videos": 1, "rows": rows, **{name: summary[name] for name in TOTALS if name in summary}}
        self.left_out.update(summary.get("faces_left_out", {}))
        self.abstained += summary.get("abstained", 0)
        for name, value in {**found, "skipped": "reason" in summary}.items():
            self.totals[name] += int(value)
        if len(self.first) < FIRST:
            self.first.append({**summary, "by_face": longest(summary["by_face"])})
        if "reason" in summary and len(self.reasons) < FIRST:
            self.reasons.append({"image": summary["video"], "reason": summary["reason"]})

    def _settle_columns(self, table: Path) -> None:
        """Take the columns of a ``table`` of an earlier version that lacks nothing but what can be left out; refuse one
        that lacks more."""
        settled = settled_columns(table, self.header, searched="face_detector" in self.summary)
        if settled != self.header:
            self.notes += describe_settled(table, self.header, settled)
            self._places = [self.header.index(name) for name in settled]
            self.header = settled
            self.files = self._result_files()
        check_columns(table, self.header)

    def _find_earlier_run(self) -> bool:
        """Read what an earlier run has done; return False where there is none."""
        files, form = self.files, self.options.format
        own = is_of(files.record, form)
        if is_of(files.record, form, growing=True) and files.is_growing:
            self._settle_columns(files.part)
            files = self.files
            check_videos(files.record, self.summary)
            files.journal.recover()
            with contextlib.closing(files.journal.known()) as known:
                self.plan = plan_resume(self.videos, known, finished=False)
            changes = f"; since then: {self.plan.described}" if self.plan.described else ""
            self.notes.append(f"resuming after {count_text(len(self.plan.kept), 'video')}{changes}")
        elif own and files.final.exists() and (files.folder / FINISHED).exists():
            self._settle_columns(files.final)
            files = self.files
            check_videos(files.record, self.summary)
            known = {entry["name"]: entry for entry in read_entries(files.folder / FINISHED, VIDEO_ENTRY)}
            self.plan = plan_resume(self.videos, known, finished=True)
            if self.plan.is_idle:
                files.journal.clear()
                self.plan, self.before = None, read_run_record(files.record, VIDEOS_FORM)
                return True
            self.notes.append(f"since {files.final} was written: {self.plan.described}")
            items = finished_items(files.final, self.header, known.values(), 0)
            files.journal.rebuild((entry, raw) for entry, _, raw in items if entry["name"] in self.plan.kept)
            inside = ContainedPaths(files.folder)
            for name in self.plan.gone:
                inside.path(self.timeline(name).relative_to(files.folder).as_posix()).unlink(missing_ok=True)
        else:
            if files.final.exists() or files.part.exists() or not own:
                check_videos(files.record, self.summary)
                self.notes.append(reason_to_restart(files.record, form, str(files.folder)))
            return False
        return True

    def _clear(self) -> None:
        for path in self.files.existing([FINISHED, VIDEOS, *legacy_names.FILES], self.options):
            path.unlink()
        for path in (self.files.folder / TIMELINES).rglob("*.png"):
            path.unlink()

    def _summary_rows(self) -> Iterator[list[Any]]:
        """Yield the header and rows of ``videos.csv``: one a video, then one for each of its faces."""
        names: dict[str, None] = {}
        for entry in self._entries():
            names |= dict.fromkeys(entry["video"]["mean"])
        labels = [self.columns.names[column] for column in self.columns.shares]
        yield [
            *(VIDEO_NAME, "Face", "From", "To", "Seconds Seen"),
            *("Sampled Frames", "Frames Without Face", "Faces", "Reason", "Picture Start", "Sound Start"),
            *(f"mean {name}" for name in names),
            *(f"time {name}" for name in labels),
            *([ABSTAINED] if self.columns.abstained is not None else []),
        ]
        for entry in self._entries():
            video = entry["video"]
            for one in (video, *video["by_face"]):
                whole = one is video
                starts = [video.get("picture_start"), video.get("sound_start")]  # results of older versions lack them
                begin = one.get("from")
                if whole:
                    begin = None if video["seconds"] is None else min(starts[0] or 0.0, video["seconds"])
                time = one.get("time", {})
                yield [
                    video["video"],
                    *(None if whole else one["face"], begin),
                    *(video["seconds"] if whole else one["to"], one["seconds_seen"], one["sampled_frames"]),
                    *([video["frames_without_face"], video["faces"], video.get("reason")] if whole else [None] * 3),
                    *(starts if whole else [None] * 2),
                    *(one["mean"].get(name) for name in names),
                    *(time.get(label, 0.0) if time else None for label in labels),
                    *([one.get("abstained", 0)] if self.columns.abstained is not None else []),
                ]

    def _write_skipped(self) -> None:
        with whole_file(self.files.skipped) as part, open_text(part, "w") as stream:
            stream.write(csv_line([VIDEO_NAME, "Reason"]))
            for entry in self._entries():
                if "reason" in entry["video"]:
                    stream.write(csv_line([entry["video"]["video"], entry["video"]["reason"]]))

"""Class folders split into train and test, balanced by augmentation, without ever losing an image.

What is done in which order: every file is read and judged, the split is planned, the plan goes into a journal on the
disk, augmented files are made of the originals where they are, then the originals are copied or moved, then come the
tables and last the manifest. Each step may be done again on top of itself; until the originals move, a fault takes
everything back.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from affectkit.core.contained_paths import digest_inside
from affectkit.core.files import digest_bytes, fsync_path, write_text
from affectkit.core.progress import Reporter, Silent
from affectkit.core.stopping import Never, Stopping
from affectkit.core.text import count_text
from affectkit.errors import DataError, UsageError
from affectkit.prep.datasplit import file_moves
from affectkit.prep.datasplit.chunks import AugmentJob, augment_chunk, interleave_chunks, place_chunk
from affectkit.prep.datasplit.class_folders import no_folder
from affectkit.prep.datasplit.journal import Journal, Lock, Made, remove_unbegun
from affectkit.prep.datasplit.journal_reader import find_journal
from affectkit.prep.datasplit.plan import SIDES, SplitRules, make_plan
from affectkit.prep.datasplit.report import (
    MANIFEST,
    SplitReport,
    class_rows,
    copies_across_sides,
    manifest_text,
    same_names,
    some,
    table_texts,
)
from affectkit.prep.datasplit.scan import COMMAND, SplitOptions, SplitScan, check_output_place
from affectkit.prep.datasplit.undo import UndoResult, undo_journal

if TYPE_CHECKING:
    from affectkit.prep.augmentation.pipeline import Pipeline

_AGAIN = "Run the same command again: it resumes where it was. --undo puts everything back."
_SAFE = "No image is lost."
_NOTED_EVERY = 2.0  # seconds between lines of the journal on what was made
_FEW = 300  # images that are made before processes have started


def split_folder(
    path: Path,
    *,
    rules: SplitRules,
    options: SplitOptions,
    pipeline: Pipeline,
    reporter: Reporter,
    stopping: Stopping | None = None,
) -> SplitReport:
    """Split ``path``; an earlier run of the same split is finished, or found done.

    Raises:
        UsageError: the folder holds another split, or ``options.output`` something else.
        DataError: files cannot be taken (unless ``options.skip``), or the disk refuses; nothing is lost.
        Stopped: by a signal, at a safe place.
    """
    run = _SplitRun(path, rules, options, pipeline, reporter, stopping or Never())
    if options.output is not None:
        check_output_place(path, options.output)
    if not path.is_dir():
        raise no_folder(path)
    with run.pool:
        if options.dry_run:
            report = run.dry()
        else:
            with file_moves.explaining_disk_errors(run.root, _SAFE), Lock(run.root, COMMAND):
                report = run.real()
                if options.preview is not None:
                    run.draw_preview()
    return report


def undo_split(root: Path, *, force: bool, dry_run: bool = False, reporter: Reporter, stopping: Stopping) -> UndoResult:
    """Put every original of the split in ``root`` back, and remove what was made.

    Raises:
        UsageError: there is no split.
        DataError: files have changed since; nothing was touched.
    """
    if find_journal(root, COMMAND) is None:
        if not dry_run:
            remove_unbegun(root, COMMAND)
        raise UsageError(f"{root} holds no split of affectkit datasplit: there is nothing to undo.")
    if dry_run:
        journal = _found(root)
        moved = sum(item.source != item.target for item in journal.originals) if _source(journal) is None else 0
        copied = len(journal.originals) if _source(journal) else 0
        return UndoResult(moved, copied + len(journal.made) + len(journal.tables))
    with file_moves.explaining_disk_errors(root, _SAFE), Lock(root, COMMAND):
        return _undo(_found(root), force, reporter, stopping)


def _found(root: Path) -> Journal:
    journal = find_journal(root, COMMAND)
    if journal is None:
        raise UsageError(f"{root} holds no split any more.")
    return journal


def _undo(journal: Journal, force: bool, reporter: Reporter, stopping: Stopping) -> UndoResult:
    source = _source(journal)
    hint = "Run the same command with --undo again: it resumes."
    return undo_journal(journal, copied=source, force=force, reporter=reporter, stopping=stopping, hint=hint)


def _source(journal: Journal) -> Path | None:
    return Path(journal.header["source"]) if journal.header["source"] else None


@dataclass
class _SplitRun(SplitScan):
    """Carry out one call of ``split_folder``."""

    # --- the two ways --------------------------------------------------------------------------------------------

    def dry(self) -> SplitReport:
        earlier = find_journal(self.root, COMMAND)
        if earlier is not None and self.agrees(earlier):
            return self._report(earlier, already_done="done" in earlier.stages, dry_run=True)
        if earlier is not None:
            raise self.another(earlier, "undo it first, with --undo.")
        self.check_output_empty()
        return self._report(self.planned(), dry_run=True)

    def real(self) -> SplitReport:
        journal = find_journal(self.root, COMMAND)
        if journal is not None and "undoing" in journal.stages:
            raise UsageError(f"an undo of the split in {self.root} was interrupted.", "Finish it with --undo.")
        if journal is not None and not self.agrees(journal):
            if not self.options.force:
                raise self.another(journal, "Undo it with --undo, or add --force to undo it and split anew.")
            _undo(journal, False, self.reporter, self.stopping)
            journal = None
            self.root.mkdir(parents=True, exist_ok=True)
        if journal is None:
            self.check_output_empty()
            journal = self.planned()
            self.check_room(journal)
            with self.clock("journal"):
                journal.folder.mkdir(parents=True, exist_ok=True)
                journal.write()
        else:
            with self.clock("reading"):
                self.check_unchanged(journal)
                if "done" in journal.stages and self.complete(journal):
                    return self._report(journal, already_done=True)
            self.reporter.note(f"resuming the split begun in {self.root}")
            journal.note_age(self.reporter)
            file_moves.remove_partial_files(journal)
            self._forget_damaged(journal)
        return self._carry_out(journal)

    def _forget_damaged(self, journal: Journal) -> None:
        """Forget files that a power failure, before the one flush of all, may have damaged: they are made again."""
        if "done" in journal.stages:
            return
        for name, digest in list(journal.digests.items()):
            if os.path.lexists(self.root / name) and digest_inside(self.root / name) != digest:
                del journal.digests[name]

    def _carry_out(self, journal: Journal) -> SplitReport:
        file_moves.make_folders(self.root, journal.header["folders"])
        journal = self._augment_all(journal)
        with self.clock("moving" if self.in_place else "copying"):
            self._place(journal)
        with self.clock("tables"):
            self._write_tables(journal)
        return self._report(journal)

    # --- carrying out --------------------------------------------------------------------------------------------

    def _augment_all(self, journal: Journal) -> Journal:
        """Make all augmented files; images that cannot be augmented are left out and the rest planned again.

        Returns:
            The journal, or that of the new plan.
        """
        while True:
            with self.clock("augmenting"):
                bad = self._augment(journal)
            if not bad:
                return journal
            if "made all" in journal.stages:
                raise DataError(f"cannot make again what is missing: {bad[0][0]}: {bad[0][1]}.", "Undo with --undo.")
            try:
                self.judge(bad)
                journal = self._replan(journal, bad)
            except (DataError, UsageError):
                _undo(journal, True, Silent(), Never())
                raise

    def _augment(self, journal: Journal) -> list[tuple[str, str]]:
        """Make what is not there yet; (original, why) of those that cannot be augmented."""
        waiting: dict[str, list[Made]] = {}
        root = str(self.root)
        for row in journal.made:
            if row.target not in journal.digests or not os.path.lexists(os.path.join(root, row.target)):
                waiting.setdefault(row.source, []).append(row)
        bad = self._make(journal, waiting) if waiting else []
        if self.stopping.requested:
            raise self.stopping.error("no original was moved yet.", _AGAIN)
        if not bad and "made all" not in journal.stages:
            journal.add("made all")
        return sorted(bad)

    def _make(self, journal: Journal, waiting: dict[str, list[Made]]) -> list[tuple[str, str]]:
        """Make the rows of each original, and note them in the journal every few seconds."""
        count = sum(map(len, waiting.values()))
        tasks, back, parts = self._tasks(journal, waiting)
        size = max(1, min(32, len(tasks) // (8 * self.pool.workers)))
        work = (
            (part, self.pipeline, self.rules.seed, self.options.quality)
            for part in interleave_chunks(tasks, size, self.pool.workers)
        )
        bad: list[tuple[str, str]] = []
        lost: dict[str, list[str]] = {}
        fresh: list[tuple[str, str]] = []
        noted = time.monotonic()
        self.reporter.start("augmenting", count, "images")
        try:
            few = count < _FEW and self.options.scheduler is None
            for results in self.pool.run(augment_chunk, work, ahead=True, alone=few):
                for place, outcome in results:
                    source = back[place]
                    if isinstance(outcome, str):
                        bad.append((source, outcome))
                        continue
                    digests, notes = outcome
                    for text in notes:
                        lost.setdefault(text, []).append(source)
                    fresh += [(row.target, digest) for row, digest in zip(waiting[source], digests, strict=True)]
                    self.written += len(digests)
                    self.reporter.advance(len(digests))
                if time.monotonic() - noted > _NOTED_EVERY:
                    self._install(journal, fresh, parts)
                    fresh, noted = [], time.monotonic()
        finally:
            self._install(journal, fresh, parts)
        self.reporter.finish()
        for text, sources in sorted(lost.items()):
            what = f"{text} ({count_text(len(sources), 'original')}, such as {min(sources)})"
            self.reporter.warn(f"augmented copies are not of their originals' kind: {what}")
        return bad

    def _install(self, journal: Journal, fresh: Sequence[tuple[str, str]], parts: dict[str, str]) -> None:
        """Note the files ``fresh`` (path, hash) in the journal, then give them their names.

        So no file ever has a name of the plan before its hash is on the disk, by which alone an undo removes it.
        """
        if fresh:
            journal.add("made", fresh)
        for name, digest in fresh:
            file_moves.install_made(parts[name], os.path.join(self.root, name), digest)

    def _tasks(
        self, journal: Journal, waiting: dict[str, list[Made]]
    ) -> tuple[list[AugmentJob], dict[str, str], dict[str, str]]:
        """List the jobs, the original of each by the path it is read from now, and where each file is made."""
        now = {item.source: item.target for item in journal.originals}
        tasks, back, parts = [], {}, {}
        # As text: pathlib takes 10 us to join two paths, and there may be a million.
        base, root = str(self.path.resolve()), str(self.root.resolve())
        for source, rows in waiting.items():
            place = os.path.join(base, source)
            if self.in_place and not os.path.lexists(place):
                place = os.path.join(root, now[source])
            name = source.removeprefix(journal.header["base"])
            for row in rows:
                parts[row.target] = file_moves.temporary_path(os.path.join(root, os.path.dirname(row.target)))
            tasks.append(AugmentJob(place, name, tuple((parts[row.target], row.draw) for row in rows)))
            back[place] = source
        return tasks, back, parts

    def _replan(self, journal: Journal, bad: Sequence[tuple[str, str]]) -> Journal:
        """Plan again as if the ``bad`` originals were not there; what was made for the old plan alone is removed."""
        out = {source for source, _ in bad}
        facts = {item.source: (item.size, item.digest) for item in journal.originals if item.source not in out}
        base = journal.header["base"]
        classes: dict[str, list[str]] = {item.label: [] for item in journal.originals}
        for source in facts:
            label, name = source.removeprefix(base).split("/", 1)
            classes[label].append(name)
        plan = make_plan(classes, self.rules, tag=self.tag())
        old = {row.target for row in journal.made}
        fresh = self.journal_of(plan, base, facts, sorted([*journal.left, *bad]))
        wanted = {row.target for row in fresh.made}
        file_moves.remove_partial_files(journal)
        for name in sorted((old - wanted) & journal.digests.keys()):
            if digest_inside(self.root / name) == journal.digests[name]:
                (self.root / name).unlink()
        # Folders that the first plan made are still to be removed by an undo.
        fresh.header["folders"] = sorted({*journal.header["folders"], *fresh.header["folders"]})
        fresh.digests = {name: digest for name, digest in journal.digests.items() if name in wanted}
        fresh.write()
        file_moves.make_folders(self.root, fresh.header["folders"])
        return fresh

    def _place(self, journal: Journal) -> None:
        if self.in_place:
            self.written += file_moves.move_all(journal, self.reporter, self.stopping, _AGAIN)
            for folder in {os.path.dirname(item.source) for item in journal.originals}:
                with contextlib.suppress(OSError):  # emptied, and no folder of the split
                    if journal.header["base"] == "":
                        (self.root / folder).rmdir()
        else:
            base, root = str(self.path.resolve()), str(self.root.resolve())
            items = [
                (os.path.join(base, item.source), os.path.join(root, item.target), item.digest)
                for item in journal.originals
                if "moved" not in journal.stages or not os.path.lexists(os.path.join(root, item.target))
            ]
            self.reporter.start("copying", len(items), "images")
            work = ((part, self.options.link) for part in interleave_chunks(items, 200, self.pool.workers))
            few = len(items) < 2000 or self.options.link == "symlink"
            for count in self.pool.run(place_chunk, work, ahead=True, alone=few):
                self.written += count
                self.reporter.advance(count)
            self.reporter.finish()
            if self.stopping.requested:
                raise self.stopping.error("the copies made so far are whole.", _AGAIN)
        if "moved" not in journal.stages:
            journal.add("moved")

    def _write_tables(self, journal: Journal) -> None:
        texts = table_texts(journal)
        hashes = {name: digest_bytes(text.encode()) for name, text in texts.items()}
        texts[MANIFEST] = manifest_text(journal, hashes)
        journal.add("tables", hashes | {MANIFEST: digest_bytes(texts[MANIFEST].encode())})
        if hasattr(os, "sync"):
            os.sync()  # one flush for all images instead of one each, before the manifest vouches for them
        for name, text in texts.items():
            if not (self.root / name).is_file() or (self.root / name).read_bytes() != text.encode():
                write_text(self.root / name, text)
        fsync_path(self.root)
        if "done" not in journal.stages:
            journal.add("done")

    # --- reporting -----------------------------------------------------------------------------------------------

    def _report(self, journal: Journal, *, already_done: bool = False, dry_run: bool = False) -> SplitReport:
        copies = not self.in_place and self.options.link == "copy"
        duplicates = copies_across_sides(journal)
        if duplicates:
            files = sum(map(len, duplicates))
            pair = " = ".join(next(name for name in duplicates[0] if name.startswith(f"{side}/")) for side in SIDES)
            self.reporter.warn(
                f"{count_text(len(duplicates), 'image stands', 'images stand')} on both sides with the same bytes (in "
                f"{count_text(files, 'file')}), such as "
                f"{pair}. The test side then measures what was trained on; the manifest lists them. Remove one of each "
                "before the split, or leave them out with train --drop-copies and test --drop-copies."
            )
        same = same_names(journal) if journal.header["identity"]["plain_csv"] else {}
        if same:
            name, files = next(iter(same.items()))
            self.reporter.warn(
                f"{len(same):,} bare file names in train.csv or test.csv stand for several files each, such as {name} "
                f"for {some(files)}; the label beside it says which. Without --plain-csv each has its path."
            )
        return SplitReport(
            self.root,
            self.in_place,
            class_rows(journal, copies=copies, block=file_moves.block_size(self.root)),
            skipped=tuple(journal.left),
            duplicates=duplicates,
            same_names=len(same),
            notes=tuple(journal.header["notes"]),
            images_written=self.written,
            already_done=already_done,
            dry_run=dry_run,
            seconds={stage: round(value, 3) for stage, value in self.seconds.items()},
        )

    def draw_preview(self) -> None:
        """Draw a row for each of up to twelve classes: the original of which most copies were made, and six of them."""
        from affectkit.prep.augmentation.lossless_images import read_lossless
        from affectkit.reports.contact_sheet import preview_sheet

        journal = _found(self.root)
        now = {item.source: item.target for item in journal.originals}
        by_source: dict[tuple[str, str], list[Made]] = {}
        for row in journal.made:
            by_source.setdefault((row.label, row.source), []).append(row)
        best: dict[str, list[Made]] = {}
        for (label, _), rows in by_source.items():
            if len(rows) > len(best.get(label, ())):
                best[label] = rows
        if not best:
            self.reporter.warn(f"nothing was augmented, so there is no preview to draw in {self.options.preview}")
            return
        rows = [
            (self.root / now[own[0].source], [(self.root / row.target, f"draw {row.draw}") for row in own[:6]])
            for own in list(best.values())[:12]
        ]
        preview_sheet(self.options.preview, rows, read=lambda path: read_lossless(path).pixels)
        self.reporter.note(f"preview: {self.options.preview}")

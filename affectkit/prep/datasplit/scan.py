"""The start of a split: the files read and judged, the plan made a journal, an earlier run recognised."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectkit.core.files import digest_bytes
from affectkit.core.folder_lock import is_lock_name
from affectkit.core.progress import Reporter
from affectkit.core.record_identity import differences
from affectkit.core.stopping import Stopping
from affectkit.core.text import count_text
from affectkit.core.version import VERSION
from affectkit.errors import DataError, UsageError
from affectkit.prep.datasplit import file_moves
from affectkit.prep.datasplit.chunks import import_albumentations, split_chunks
from affectkit.prep.datasplit.class_folders import (
    ClassFolders,
    case_collisions,
    hash_and_check,
    ignores_case,
    list_classes,
)
from affectkit.prep.datasplit.journal import Journal, Made, Original
from affectkit.prep.datasplit.plan import SIDES, SplitPlan, SplitRules, make_plan
from affectkit.prep.datasplit.report import MANIFEST, class_rows, some
from affectkit.prep.worker_pool import WorkerPool

if TYPE_CHECKING:
    from affectkit.prep.augmentation.pipeline import Pipeline

COMMAND = "datasplit"
_MANY = 4000  # images that are read faster by several processes


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """Choose how a split is carried out.

    Args:
        output: folder to make; None changes the folder itself.
        link: how originals get into ``output``, one of ``file_moves.LINKS``.
        label_col, filename_col: columns of the tables.
        plain_csv: no columns source and draw.
        quality: of JPEGs that are made, 1 to 100; None: the original's own.
        skip: leave files alone that cannot be read, instead of stopping before anything is changed.
        workers: processes; None takes one a processor.
        scheduler: address of a Dask cluster instead.
        force: undo another split that the folder holds.
        preview: image to draw, of originals beside what was made of them.
    """

    output: Path | None = None
    link: str = "copy"
    label_col: str = "label"
    filename_col: str = "filename"
    plain_csv: bool = False
    quality: int | None = 95
    skip: bool = False
    workers: int | None = None
    scheduler: str | None = None
    dry_run: bool = False
    force: bool = False
    preview: Path | None = None


def check_output_place(path: Path, output: Path) -> None:
    """Raise a UsageError where ``output`` is ``path``, lies in it, or is a file."""
    here, there = path.resolve(), output.resolve()
    if there == here:
        raise UsageError(f"--output is DATA itself, {path}.", "Leave it out to split the folder in place.")
    if there.is_relative_to(here):
        raise UsageError(f"--output {output} lies in DATA {path}.", "Name a folder outside of it.")
    if output.exists() and not output.is_dir():
        raise UsageError(f"--output {output} is a file; a folder is needed.")


@dataclass
class SplitScan:
    """Carry out one call of ``split_folder``, up to where the first file is touched."""

    path: Path
    rules: SplitRules
    options: SplitOptions
    pipeline: Pipeline
    reporter: Reporter
    stopping: Stopping
    seconds: dict[str, float] = field(default_factory=dict)
    written: int = 0

    def __post_init__(self) -> None:
        self.in_place = self.options.output is None
        self.root = self.options.output or self.path
        self.pool = WorkerPool(self.options.workers, self.stopping, scheduler=self.options.scheduler)

    @contextlib.contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Add the time inside to that of ``stage``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0) + time.perf_counter() - began

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on, besides the images."""
        rules, options = self.rules, self.options
        balance = [side for side in SIDES if rules.balances(side)]
        return {
            "source": None if self.in_place else str(self.path.resolve()),
            "train_split": rules.train_split,
            "seed": rules.seed,
            "balance": " and ".join(balance) or None,
            "global_multiplier": rules.multiplier if balance else None,
            "group_by": rules.group_by,
            "pipeline": self.pipeline.identity if balance else None,
            "quality": options.quality if balance else None,
            "label_col": options.label_col,
            "filename_col": options.filename_col,
            "plain_csv": options.plain_csv,
            "link": None if self.in_place else options.link,
        }

    # --- planning ------------------------------------------------------------------------------------------------

    def planned(self) -> Journal:
        """Plan a split of what is there, as a journal that is not yet written; a DataError where that cannot be."""
        with self.clock("listing"):
            listing = list_classes(self.path, in_place=self.in_place)
        many = sum(map(len, listing.classes.values())) > _MANY
        if many and (self.rules.balance_train or self.rules.balance_test) and not self.options.dry_run:
            self.pool.warm(import_albumentations)
        with self.clock("reading"):
            digests = self._examined(listing)
        empty = [label for label, files in listing.classes.items() if not files]
        listing.faults += [(listing.base + label, "a class without an image") for label in empty]
        self.judge(listing.faults)
        classes = {label: list(files) for label, files in listing.classes.items() if files}
        if not classes:
            raise DataError(f"no image in {self.path} can be taken: {listing.faults[0][0]} {listing.faults[0][1]}.")
        with self.clock("planning"):
            plan = make_plan(classes, self.rules, tag=self.tag())
            facts = {
                f"{listing.base}{label}/{name}": (size, digests[f"{listing.base}{label}/{name}"])
                for label, files in listing.classes.items()
                for name, size in files.items()
            }
            journal = self.journal_of(plan, listing.base, facts, listing.faults)
        there = [row.target for row in journal.made if os.path.lexists(self.root / row.target)] if self.in_place else []
        if there:
            raise DataError(f"{some(there)} would be made, and are there already.", "Move them out of the folder.")
        self._report_on(listing, plan)
        return journal

    def _examined(self, listing: ClassFolders) -> dict[str, str]:
        """Hash all images; what cannot be read goes from the classes to the faults."""
        names = [f"{listing.base}{label}/{name}" for label, files in listing.classes.items() for name in files]
        digests: dict[str, str] = {}
        self.reporter.start("reading", len(names), "images")
        numbered = [(number, part) for number, part in enumerate(split_chunks(names, 400))]
        # Results come in any order: each chunk says which one it is.
        work = ((number, [os.path.join(self.path, name) for name in part]) for number, part in numbered)
        few = len(names) < _MANY and self.options.scheduler is None
        for number, results in self._read(work, alone=few):
            for name, (digest, why) in zip(numbered[number][1], results, strict=True):
                digests[name] = digest
                if why:
                    listing.faults.append((name, why))
            self.reporter.advance(len(results))
        self.reporter.finish()
        if self.stopping.requested:
            raise self.stopping.error("nothing was changed yet.", "Run the same command again.")
        listing.faults.sort()
        bad = {name for name, _ in listing.faults}
        for label, files in listing.classes.items():
            listing.classes[label] = {n: s for n, s in files.items() if f"{listing.base}{label}/{n}" not in bad}
        return digests

    def _read(self, work: Iterator[tuple[Any, ...]], *, alone: bool) -> Iterator[tuple[int, list[tuple[str, str]]]]:
        """Call ``_examine_numbered`` for all chunks: here while the processes import, then there."""
        for chunk in work:
            if not self.pool.warming:
                yield from self.pool.run(_examine_numbered, itertools.chain([chunk], work), ahead=True, alone=alone)
                return
            if self.stopping.requested:
                return
            yield _examine_numbered(*chunk)

    def judge(self, faults: Sequence[tuple[str, str]]) -> None:
        """Refuse files that cannot be taken, or report that they are left alone."""
        if not faults:
            return
        listed = "".join(f"\n  - {name}: {why}" for name, why in faults[:5])
        more = f"\n  - and {len(faults) - 5:,} more" if len(faults) > 5 else ""
        if not self.options.skip:
            raise DataError(
                f"{len(faults):,} {'entry' if len(faults) == 1 else 'entries'} of {self.path} cannot be taken; "
                f"nothing was changed:{listed}{more}",
                "Fix or remove them, or add --on-error skip to leave them where they are.",
            )
        self.reporter.warn(f"left alone, since they cannot be taken:{listed}{more}")

    def journal_of(
        self, plan: SplitPlan, base: str, facts: dict[str, tuple[int, str]], left: Sequence[tuple[str, str]]
    ) -> Journal:
        """Make the journal of ``plan``; ``facts``: bytes and content hash of each original by its path."""
        originals, made = [], []
        for own in plan.classes:
            for side in SIDES:
                for name in own.originals[side]:
                    source = f"{base}{own.label}/{name}"
                    originals.append(Original(own.label, side, source, f"{side}/{own.label}/{name}", *facts[source]))
                for item in own.augmented[side]:
                    source, target = f"{base}{own.label}/{item.source}", f"{side}/{own.label}/{item.name}"
                    made.append(Made(own.label, side, target, source, item.draw))
        balanced = bool(plan.targets)
        header = {
            "affectkit": VERSION,
            "identity": self.identity(),
            "source": None if self.in_place else str(self.path.resolve()),
            "base": base,
            "link": None if self.in_place else self.options.link,
            "pipeline": {"identity": self.pipeline.identity, "specification": self.pipeline.spec} if balanced else None,
            "notes": list(plan.notes),
            "tables": [*(f"{side}.csv" for side in SIDES), MANIFEST],
            "folders": file_moves.new_folders(self.root, [row.target for row in (*originals, *made)]),
        }
        return Journal(self.root, COMMAND, header, originals, made, list(left))

    def tag(self) -> str:
        """Return what the bytes of augmented files depend on besides seed, original and draw."""
        return f"{self.pipeline.identity}/{self.options.quality}"

    def _report_on(self, listing: ClassFolders, plan: SplitPlan) -> None:
        for text in plan.notes:
            self.reporter.note(text)
        if listing.passed:
            self.reporter.note(f"{len(listing.passed):,} entries are no images and stay: {some(listing.passed)}")
        pairs = case_collisions(listing.classes)
        if pairs:
            what = f"names that differ in case alone: {some([f'{one} and {other}' for one, other in pairs])}"
            if not self.in_place and not self.options.dry_run and ignores_case(self.root):
                raise DataError(
                    f"{what}; the file system of {self.root} takes them for one.", "Rename one of each pair."
                )
            self.reporter.warn(f"{what}. On a file system without case one would replace the other.")

    # --- an earlier run ------------------------------------------------------------------------------------------

    def agrees(self, journal: Journal) -> bool:
        """Return whether an earlier run was of the same split."""
        return journal.header["identity"] == self.identity()

    def another(self, journal: Journal, hint: str) -> UsageError:
        """Make the error that it was not."""
        changed = differences(journal.header["identity"], self.identity())
        return UsageError(f"{self.root} holds another split: {changed}.", hint)

    def check_output_empty(self) -> None:
        """Refuse an output folder that holds more than an empty folder train."""
        if self.in_place or not self.root.is_dir():
            return
        own = Journal(self.root, COMMAND, {}).folder.name
        names = sorted(name for name in os.listdir(self.root) if name != own and not is_lock_name(name))
        train = self.root / "train"
        if names == ["train"] and train.is_dir() and not any(train.iterdir()):
            return
        if names:
            raise UsageError(
                f"--output {self.root} is not empty: it holds {some(names)}, and no split of this kind.",
                "Name another folder, or empty this one. It may hold an empty folder train.",
            )

    def check_unchanged(self, journal: Journal) -> None:
        """Refuse to resume where images have come since that the plan does not know."""
        known = {item.source for item in journal.originals} | {name for name, _ in journal.left}
        folders = {os.path.dirname(item.source) for item in journal.originals}
        if self.in_place:
            known |= {row.target for row in (*journal.originals, *journal.made)}
            folders |= {os.path.dirname(row.target) for row in journal.originals}
        from affectkit.core.folders import is_hidden
        from affectkit.data.media.images import is_image_name

        new = []
        for folder in sorted(folders):
            with contextlib.suppress(FileNotFoundError), os.scandir(self.path / folder) as entries:
                names = [entry.name for entry in entries if is_image_name(entry.name) and not is_hidden(entry.name)]
                new += [f"{folder}/{name}" for name in sorted(names) if f"{folder}/{name}" not in known]
        if new:
            raise UsageError(
                f"{self.path} holds {count_text(len(new), 'image')} that the split in {self.root} "
                f"does not know: {some(new)}.",
                "Undo the split with --undo, then split anew; or move them out.",
            )

    def complete(self, journal: Journal) -> bool:
        """Return whether everything that the journal lists is in its place."""
        there: set[str] = set()
        for folder in {os.path.dirname(row.target) for row in (*journal.originals, *journal.made)}:
            with contextlib.suppress(FileNotFoundError):
                there |= {f"{folder}/{name}" for name in os.listdir(self.root / folder)}
        if not all(row.target in there for row in (*journal.originals, *journal.made)):
            return False
        return all(
            (self.root / name).is_file() and digest_bytes((self.root / name).read_bytes()) == digest
            for name, digest in journal.tables.items()
        )

    def check_room(self, journal: Journal) -> None:
        """Refuse what the disk cannot hold, and links that it cannot make."""
        copies = not self.in_place and self.options.link == "copy"
        need = sum(row.bytes for row in class_rows(journal, copies=copies, block=file_moves.block_size(self.root)))
        free = shutil.disk_usage(self.root).free
        if need > free:
            raise DataError(
                f"about {need / 1e6:,.0f} MB are needed in {self.root}, and {free / 1e6:,.0f} MB are free. "
                "Nothing was changed.",
                "Free some space, name another --output, or use --link hardlink.",
            )
        if not self.in_place and journal.originals:
            self.root.mkdir(parents=True, exist_ok=True)
            file_moves.check_link(self.options.link, self.path.resolve() / journal.originals[0].source, self.root)


def _examine_numbered(number: int, paths: Sequence[str]) -> tuple[int, list[tuple[str, str]]]:
    return number, hash_and_check(paths)

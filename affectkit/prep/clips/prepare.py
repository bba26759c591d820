"""The steps of every preparation of clips: check files, decode what is not stored yet, assign splits, write tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from affectkit.core.files import fresh_folder
from affectkit.core.progress import Reporter
from affectkit.core.stopping import Stopping
from affectkit.core.text import list_some
from affectkit.data.layouts.clip_store import is_prepared
from affectkit.data.media.media_file import ClipError
from affectkit.errors import DataError
from affectkit.prep.clips.dataset import ClipDataset, PrepareOptions, Row, SplitAssignment
from affectkit.prep.clips.manifest import ClipReport, write_results
from affectkit.prep.clips.store_writer import ClipRecipe, ClipSource, refuse_skipped, write_store


def prepare_clips(
    dataset: ClipDataset,
    output: Path,
    recipe: ClipRecipe,
    *,
    assign: Callable[[Mapping[str, Row]], SplitAssignment],
    options: PrepareOptions,
    reporter: Reporter,
    stopping: Stopping | None = None,
) -> ClipReport:
    """Prepare ``dataset`` into ``output``.

    Args:
        dataset: the clips and their labels.
        output: the folder to make, or to complete.
        recipe: how a clip is read.
        assign: assigns the clips that could be read to splits, given their rows.
        options: processes, faulty clips, copies.
        reporter: gets progress and notes.
        stopping: a request to end early.

    Raises:
        DataError: clips cannot be used and ``options.on_error`` is ``fail``, none can, or ``output`` holds something
            else.
        Stopped: ``stopping`` was requested; the same call resumes.
    """
    refused = {clip.name for clip in dataset.left_out}
    sources = [
        None if name in refused else ClipSource(name, dataset.files[name], dataset.sounds.get(name))
        for name in dataset.rows
    ]
    _check_files([source for source in sources if source is not None], dataset, options.on_error)
    if not is_prepared(output):
        fresh_folder(output, name="--output", hint="Name another folder, or one that was prepared before.")
    output.mkdir(parents=True, exist_ok=True)
    store = write_store(sources, output, recipe, workers=options.workers, reporter=reporter, stopping=stopping)
    refuse_skipped(store.skipped if options.on_error == "fail" else [], output)
    rows = {name: dataset.rows[name] for names in store.shards.values() for name in names}
    if not rows:
        listed = "\n".join(f"  - {clip.message}" for clip in store.skipped[:5])
        raise DataError(f"none of the {len(dataset.rows):,} clips can be used:\n{listed}")
    assignment = assign(rows)
    if dataset.write_more is not None:  # which may change where no clip does
        dataset.write_more(output, list(rows))
    stored = replace(dataset, rows=rows)
    return write_results(output, stored, assignment, recipe, store, drop_copies=options.drop_copies)


def _check_files(sources: Sequence[ClipSource], dataset: ClipDataset, on_error: str) -> None:
    """Find what needs no decoding, before anything is decoded: missing and empty files, and pointers of git-lfs.

    Raises:
        DataError: there are such and ``on_error`` is ``fail``, or there is nothing else.
    """
    faults: dict[str, list[ClipError]] = {}
    names: dict[str, list[str]] = {}
    for source in sources:
        try:
            dataset.check(source.path)
        except ClipError as error:
            faults.setdefault(error.reason, []).append(error)
            names.setdefault(error.reason, []).append(source.name)
    count = sum(map(len, faults.values()))
    if not count or (on_error == "skip" and count < len(sources)):
        return
    what = {"pointer": "git-lfs pointers", "missing": "missing", "empty": "empty"}
    listed = "\n".join(
        f"  - {what.get(reason, reason)}: {len(found):,} ({list_some(names[reason], 3)}), as {found[0].message}"
        for reason, found in faults.items()
    )
    hints = [text for reason, text in dataset.next_steps.items() if reason in faults] or ["Restore these files."]
    more = "" if 2 * count > len(sources) else " Or leave them out: --on-error skip."
    raise DataError(f"{count:,} of {len(sources):,} clips cannot be used:\n{listed}", hints[-1] + more)

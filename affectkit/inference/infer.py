"""``infer``: what the paths name, to rows that stream out; memory does not grow with the number of images."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from affectkit.checkpoints.description import checkpoint_notes, fit_record
from affectkit.checkpoints.onnx_file import is_onnx
from affectkit.config import Parsed, value_of
from affectkit.core.assets import called
from affectkit.core.contained_paths import refuse_link
from affectkit.core.missing_paths import at_home
from affectkit.core.pixels import pixels_up_to
from affectkit.core.progress import Reporter
from affectkit.core.text import count_text, readable
from affectkit.core.version import VERSION
from affectkit.data.faces import LEFT_OUT
from affectkit.data.faces.weights import weights_faults
from affectkit.data.loading.image_or_clip import item_name
from affectkit.data.loading.read_failures import refuse_failures
from affectkit.data.media.file_kinds import IMAGE_FILE, VIDEO_EXTENSIONS
from affectkit.engines.choice import Choice, choose_engine
from affectkit.engines.load import load_engine
from affectkit.errors import UsageError
from affectkit.inference.decisions import decide, estimate, is_estimate, report_decision, report_estimate
from affectkit.inference.image_video_record import combine_records
from affectkit.inference.images import Batch, gather_batches, predict_images, split_over_processes
from affectkit.inference.inputs import InputSelection
from affectkit.inference.prediction_table import PredictionTable
from affectkit.inference.predictor import Predictor
from affectkit.inference.result_files import OutputOptions
from affectkit.inference.resume_check import TORCH, engine_of_rows
from affectkit.inference.run_record import IMAGES_FORM, read_run_record
from affectkit.inference.table_layout import RECORD, VIDEOS_FOLDER
from affectkit.inference.video import legacy_names
from affectkit.inference.whole_pictures import note_on_whole_pictures
from affectkit.runtime.distributed import ProcessGroup, current_group, init_process_group
from affectkit.runtime.shutdown import StopFlag
from affectkit.settings.abstention import held_back
from affectkit.settings.inference import VIDEO_OPTIONS, InferSettings
from affectkit.settings.values import Every

if TYPE_CHECKING:
    from affectkit.data.faces.detection import FaceDetector
    from affectkit.inference.annotated_images import ImageAnnotator
    from affectkit.inference.video.annotated_video import AnnotationTargets

EVERY = Parsed("0.5s", Every(0.5, 0))
"""How often a video is sampled unless set otherwise."""


def infer(settings: InferSettings, *, reporter: Reporter, listed: IO[str], stdout: IO[str]) -> dict[str, Any]:
    """Predict the images and videos that ``settings`` name; return a summary with counts and what was skipped.

    Rows go to ``stdout``, or to ``results/inference_results.<format>``, which carries ``.part`` until it is complete;
    those of a shard, with their positions, to a part of its own in ``results`` (see ``core.shards``). The results of
    videos that come with images stand in ``results/videos``.

    Args:
        settings: of ``affectkit infer``.
        reporter: hears of the progress.
        listed: where ``-`` reads paths from.
        stdout: where rows go without results.

    Raises:
        Stopped: a signal came; ``--resume`` resumes.
        DataError: nothing could be read, or with ``on_error="fail"`` one image could not.
    """
    with init_process_group(settings.device), pixels_up_to(value_of(settings.max_pixels)):
        return _infer(settings, reporter=reporter, listed=listed, stdout=stdout)


def _infer(settings: InferSettings, *, reporter: Reporter, listed: IO[str], stdout: IO[str]) -> dict[str, Any]:
    """Run the pipeline, from the paths to the summary."""
    output, group = _output_options(settings), current_group()
    choice = _choose(settings, output)
    checkpoint = choice.path
    inputs = _list_inputs(settings, output, listed, group, reporter)
    group.run_on_main(lambda: _refuse_outputs(output, inputs))
    predictor = _load(settings, choice)
    context = predictor.context
    inputs.settle(takes_clips=predictor.spec.clip is not None)
    decided = _decide(settings, predictor, inputs)
    summary = {**_summary(settings, checkpoint, predictor), **decided}
    _report(choice, predictor, inputs, reporter)
    report_decision(decided, predictor, reporter, drawn=output.annotate is not None)
    if is_estimate(value_of(settings.prior)):
        summary |= _estimate_prior(settings, predictor, inputs, reporter)
    videos = partial(_infer_videos, settings, predictor, inputs, output, summary, stdout=stdout, reporter=reporter)
    if settings.camera is not None or inputs.are_videos:
        return videos()
    annotator = _annotator(settings, predictor, inputs, output, reporter)
    targets = _video_targets(inputs, output)
    # What is left: the images whose rows do not stand in the table yet, here or in another process.
    table = PredictionTable(
        output,
        summary,
        predictor.image_columns,
        stdout,
        items=inputs.images,
        listing=inputs.listing,
        precision=context.precision.name,
        passed=inputs.passed,
        with_videos=inputs.has_videos and output.results is None,
    )
    noun = item_name(predictor.spec)
    has_videos = inputs.has_videos or (not inputs.images_alone and _had_videos(output))
    workers, why = predictor.engine.choose_workers(settings.workers)
    reporter.note(context.describe(settings.batch_size, f"{workers} ({why})"))
    with contextlib.ExitStack() as stack:
        stack.enter_context(predictor.engine.computing())
        stopping = stack.enter_context(StopFlag(reporter))
        complete = _open(table, stack, group, reporter)
        if not complete:
            items, count = split_over_processes(table.remaining(), group)
            items = annotator.remember(items) if annotator else items
            # Loader, faces, forward pass, rows: a batch at a time, as it is written.
            ready = predictor.with_network(settings.compile, reporter)
            size = context.batch_per_process(settings.batch_size)
            given = {"batch_size": size, "workers": workers, "marks": table.files is not None, "reporter": reporter}
            batches = predict_images(ready, items, **given)
            batches = annotator.annotate(batches) if annotator else batches
            batches = gather_batches(batches, count, size, group)
            reporter.start("predicting", count if group.is_distributed else inputs.count - len(table.plan.kept), noun)
            _write(batches, table, on_error=settings.on_error, stopping=stopping, group=group, reporter=reporter)
    record = group.run_on_main(
        lambda: read_run_record(table.files.record, IMAGES_FORM) if complete else table.conclude()
    )
    if complete or table.is_as_it_was:
        reporter.note(f"{table.final} is complete; nothing to do.")
    if annotator is not None:
        group.run_on_main(lambda: annotator.warn_of_missing(inputs.images(), record["skipped"], reporter))
    return combine_records(record, videos(beside=table, targets=targets), table) if has_videos else record


def _decide(settings: InferSettings, predictor: Predictor, inputs: InputSelection) -> dict[str, Any]:
    """Set what ``--abstain``, ``--min-confidence``, ``--prior`` and others make of outputs; return what a record says.

    Raises:
        UsageError: the model has no classes, no threshold or no norms, or the prior of videos is to be estimated.
    """
    prior = value_of(settings.prior)
    if is_estimate(prior) and (inputs.are_videos or inputs.has_videos):
        raise UsageError(
            "--prior estimate is for images: the frames of a film are not independent of each other.",
            "State the shares, --prior NAME=SHARE,...; or leave the videos out.",
        )
    return decide(
        predictor,
        held_back=held_back(settings.abstain, settings.min_confidence),
        prior=prior,
        training=value_of(settings.training_prior),
        valence_arousal=settings.valence_arousal,
        question_margin=settings.question_margin,
    )


def _estimate_prior(
    settings: InferSettings, predictor: Predictor, inputs: InputSelection, reporter: Reporter
) -> dict[str, Any]:
    """Go through all images once for the class prior that the rows will be re-weighted to; return its record."""
    context, group = predictor.context, predictor.context.group
    workers = predictor.engine.choose_workers(settings.workers)[0]
    with predictor.engine.computing(), StopFlag(reporter) as stopping:
        items, count = split_over_processes(inputs.images(), group)
        ready = predictor.with_network(settings.compile, reporter)
        size = context.batch_per_process(settings.batch_size)
        batches = predict_images(ready, items, batch_size=size, workers=workers, reporter=reporter)
        batches = gather_batches(batches, count, size, group)
        reporter.start("estimating the prior", inputs.count, item_name(predictor.spec))
        record = estimate(predictor, _counted(batches, stopping, group, reporter), value_of(settings.training_prior))
    report_estimate(record, reporter)
    return record


def _counted(batches: Iterable[Batch], stopping: StopFlag, group: ProcessGroup, reporter: Reporter) -> Iterator[Batch]:
    """Yield ``batches``, reported, until the last one or a signal."""
    for batch in batches:
        yield batch
        reporter.advance(len({row[0] for row in batch.rows}) + len(batch.failures))
        if stopping.requested_anywhere(group):
            reporter.finish()
            raise stopping.error("nothing was written.", "Run the same command again.", resumable=False)
    reporter.finish()


def _choose(settings: InferSettings, output: OutputOptions) -> Choice:
    """Choose the engine; where rows are continued, the one that computed them, unless another is asked for."""
    continues = output.results is not None and not output.force and (output.resume or output.shard is not None)
    if settings.engine == "auto" and continues and not is_onnx(settings.checkpoint):
        folder = output.results / (output.shard.folder if output.shard is not None else "")
        before = engine_of_rows(folder)
        if before == TORCH:
            found = choose_engine(settings.checkpoint, before, **settings.computing())
            return replace(found, reason=f"auto: the rows in {folder} are torch's")
    return choose_engine(settings.checkpoint, settings.engine, **settings.computing())


def _output_options(settings: InferSettings) -> OutputOptions:
    return OutputOptions(
        results=settings.results,
        format=settings.format,
        shard=value_of(settings.shard),
        resume=settings.resume,
        force=settings.force,
        annotate=settings.annotate,
    )


def _refuse_outputs(output: OutputOptions, inputs: InputSelection) -> None:
    """Refuse outputs that are there and may not be replaced, before the model is loaded, which may take seconds."""
    legacy_names.rename_results(output)
    output.refuse_table()
    if output.annotate is not None and (output.annotate.is_dir() or not inputs.counts[IMAGE_FILE]):
        output.refuse_annotated()  # what a file is in the way of depends on the model


def _list_inputs(
    settings: InferSettings, output: OutputOptions, listed: IO[str], group: ProcessGroup, reporter: Reporter
) -> InputSelection:
    """List what the paths name, and report how much it is: before the model is loaded, which may take seconds."""
    if "-" in settings.paths and listed is not None and listed.isatty():
        reporter.note("paths are read from the keyboard, one a line; Ctrl-D at the beginning of one ends the list")
    found = InputSelection(
        settings.paths,
        recursive=settings.recursive,
        listed=listed,
        with_frames=settings.every is not None,
        shard=output.shard,
        group=group,
        reporter=reporter,
    )
    if found.described:
        reporter.note(f"inputs: {found.described}")
    return found


def _recorded_paths(paths: Sequence[str]) -> list[str]:
    """Return the paths for the record: one folder alone in one spelling, for the names of its rows are within it."""
    if len(paths) == 1 and at_home(paths[0]).is_dir():
        paths = [str(Path(paths[0]))]
    return [readable(text) for text in paths]


def _load(settings: InferSettings, choice: Choice) -> Predictor:
    engine = load_engine(choice, fit=settings.fit, **settings.of_file())
    predictor = Predictor.of(engine, faces=value_of(settings.faces), selection=settings.selection())
    predictor.check(choice.path)
    return predictor


def _summary(settings: InferSettings, checkpoint: Path, predictor: Predictor) -> dict[str, Any]:
    """Return the summary as far as it is known at the start."""
    detector = predictor.face_detector
    return {
        "checkpoint": str(checkpoint),
        **describe_model(predictor),
        "paths": _recorded_paths(settings.paths),
        "recursive": settings.recursive,
        **(describe_faces(detector) if detector is not None else {}),
    }


def describe_model(predictor: Predictor) -> dict[str, Any]:
    """Return what a record says of the model and of affectkit."""
    return {
        "checkpoint_sha256": predictor.engine.checkpoint_hash,
        "affectkit": VERSION,
        "engine": predictor.engine.name,
        "task": predictor.task.name,
        "classes": list(predictor.spec.classes),
        **fit_record(predictor.engine),
    }


def describe_faces(detector: FaceDetector) -> dict[str, Any]:
    """Return how faces are found, and which are taken: rows depend on it."""
    return {
        "faces_by": detector.described,
        "face_detector": detector.name,
        "face_detector_sha256": detector.weights_sha256,
        **detector.selection.summary(),
    }


def _report(choice: Choice, predictor: Predictor, inputs: InputSelection, reporter: Reporter) -> None:
    """Report the model, what finds faces, and files that are no inputs."""
    task, spec = predictor.task, predictor.spec
    size = f"{spec.height}x{spec.width}x{spec.channels}"
    reporter.note(
        f"{called(choice.path)}: {predictor.engine.header.model}, task {task.name}, {task.description()}, {size}"
    )
    reporter.note(f"engine {predictor.engine.name}: {predictor.engine.described} ({choice.reason})")
    predictor.context.warn_if_slow(reporter)
    for text in checkpoint_notes(predictor.engine):
        reporter.note(text)
    if predictor.face_detector is not None:
        why = "; a face crop is taken whole" if predictor.face_detector.how == "auto" else ""
        reporter.note(f"faces: {faces_text(predictor.face_detector)}{why}")
        for text in LEFT_OUT if predictor.face_detector.how != "auto" else weights_faults():
            reporter.warn(text)
    elif text := note_on_whole_pictures(predictor.engine, inputs.inputs):
        reporter.note(text)
    if passed := inputs.passed.described:
        reporter.note(f"passed over, neither images nor videos: {passed}")


def faces_text(detector: FaceDetector) -> str:
    """Return how faces are found, of ``auto`` with the detector that it stands for, and their limits."""
    stands_for = f", which is {detector.name} here" if detector.how != detector.name else ""
    limits = [
        f"--{name.replace('_', '-')} {value:g}"
        for name, value in detector.selection.summary().items()
        if value is not None
    ]
    return f"{detector.described}{stands_for}{''.join(f', {text}' for text in limits)}"


def _annotator(
    settings: InferSettings, predictor: Predictor, inputs: InputSelection, output: OutputOptions, reporter: Reporter
) -> ImageAnnotator | None:
    """Make the annotator of images, where one is asked for; warn of options without effect."""
    given = [name for name in VIDEO_OPTIONS if getattr(settings, name) != getattr(InferSettings, name)]
    given = [f"--{name.replace('_', '-')}" for name in given]
    if given and not inputs.has_videos:
        reporter.warn(f"{', '.join(given)} has no effect here: it is for videos and cameras.")
    if output.annotate is None:
        return None
    if predictor.spec.clip is not None:
        raise UsageError("--annotate draws on images, and this model takes clips whole.", "Leave it out.")
    if not inputs.has_videos and output.annotate.suffix.lower() in VIDEO_EXTENSIONS and not output.annotate.exists():
        raise UsageError(
            f"--annotate {output.annotate} is called like a film; images are annotated into a folder.",
            f"Name it {output.annotate.with_suffix('')}.",
        )
    from affectkit.inference.annotated_images import ImageAnnotator

    with_faces = predictor.face_detector is not None
    return ImageAnnotator(
        output, predictor.task, with_faces=with_faces, paths=settings.paths, recursive=settings.recursive
    )


def _open(table: PredictionTable, stack: contextlib.ExitStack, group: ProcessGroup, reporter: Reporter) -> bool:
    """Open the table until ``stack`` is closed; return whether an earlier run did all."""

    def enter() -> tuple[bool, list[str]]:
        stack.enter_context(table)
        return table.plan is None, table.notes

    complete, notes = group.run_on_main(enter)
    for text in notes:
        reporter.note(text)
    return complete


def _write(
    batches: Iterable[Batch],
    table: PredictionTable,
    *,
    on_error: str,
    stopping: StopFlag,
    group: ProcessGroup,
    reporter: Reporter,
) -> None:
    """Write rows and failures, batch by batch, until the last one or a signal."""
    noted: Counter[str] = Counter()
    for rows, failures, marks, notes, left_out in batches:
        refuse_failures(failures, on_error)
        noted.update(notes)
        if group.is_main:
            table.add(rows, failures, marks, left_out)
        reporter.advance(len({row[0] for row in rows}) + len(failures))
        if stopping.requested_anywhere(group):
            reporter.finish()
            done = count_text(table.count, "image is", "images are")
            raise stopping.error(f"{done} done.", table.how_to_resume(), resumable=table.files is not None)
    reporter.finish()
    for text, count in noted.items():
        reporter.note(f"{count_text(count, 'clip')}: {text}")


# --- videos ----------------------------------------------------------------------------------------------------------


def _video_targets(inputs: InputSelection, output: OutputOptions) -> AnnotationTargets | None:
    """Return where annotated videos go that come with images; settled before images are there."""
    if output.annotate is None or not inputs.has_videos:
        return None
    from affectkit.inference.video.annotated_video import AnnotationTargets

    targets = AnnotationTargets(output, inputs.videos())
    if targets.is_file:
        raise UsageError(f"--annotate {output.annotate} is a file, and there are images and videos.", "Name a folder.")
    return targets


def _had_videos(output: OutputOptions) -> bool:
    """Return whether the results of images have those of videos beside them, which may have gone since."""
    return output.results is not None and (output.results / VIDEOS_FOLDER / RECORD).exists()


def _infer_videos(
    settings: InferSettings,
    predictor: Predictor,
    inputs: InputSelection,
    output: OutputOptions,
    summary: dict[str, Any],
    *,
    stdout: IO[str],
    reporter: Reporter,
    beside: PredictionTable | None = None,
    targets: AnnotationTargets | None = None,
) -> dict[str, Any]:
    """Predict videos alone, a camera, or the videos that come with the images of the table ``beside``."""
    from affectkit.inference.video.infer import infer_camera, infer_videos
    from affectkit.inference.video.options import VideoOptions

    options = VideoOptions(
        every=value_of(settings.every, EVERY.value),
        smooth=settings.smooth,
        seconds=settings.seconds,
        batch_size=settings.batch_size,
        search_side=settings.search_side,
        track_gap=settings.track_gap,
        on_error=settings.on_error,
        compiled=settings.compile,
    )
    asked = {"every": str(settings.every or EVERY), "smooth": settings.smooth, "seconds": settings.seconds}
    if predictor.face_detector is not None:
        asked |= {"search_side": settings.search_side, "track_gap": settings.track_gap}
    given = {"options": options, "stdout": stdout, "reporter": reporter}
    if beside is not None:
        if output.results is not None:
            refuse_link(output.results / VIDEOS_FOLDER, "the folder")
            output = replace(output, results=output.results / VIDEOS_FOLDER)
        given |= {"output": output, "writer": beside.writer, "targets": targets}
        return infer_videos(predictor, inputs.videos(), summary={**summary, **asked}, **given)
    reporter.note(predictor.context.describe(settings.batch_size, "0 (videos are decoded in a thread)"))
    if settings.camera is not None:
        summary = {**summary, "camera": settings.camera, **asked}
        return infer_camera(predictor, settings.camera, output=output, summary=summary, **given)
    passed_over = {"passed_over": dict(inputs.passed.endings)} if inputs.passed.count else {}
    return infer_videos(predictor, inputs.videos(), output=output, summary={**summary, **passed_over, **asked}, **given)

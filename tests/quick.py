"""Which tests are quick: every room of the package, in under a minute on two cores.

``pytest -m quick`` runs the tests of the files listed here, without those that start a process, train or decode video:
these are found by what a test and its fixtures name, and a guard fails a quick test that does one of them all the same.
"""

from __future__ import annotations

import contextlib
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
QUICK = (
    "checkpoints/test_checkpoint", "checkpoints/test_onnx_file", "cli/test_help", "cli/test_pipeline_command",
    "cli/test_progress",
    "comparison/test_matching", "comparison/test_words",
    "core/test_core", "core/test_entry_points", "core/test_expressions", "core/test_libraries", "core/test_onnx_edit",
    "core/test_shards", "corruptions/test_framing", "corruptions/test_glass",
    "data/faces/test_alignment", "data/faces/test_checked_detector", "data/faces/test_face_judge",
    "data/faces/test_face_photographs", "data/faces/test_face_scenes", "data/faces/test_motion",
    "data/faces/test_selection", "data/faces/test_squares", "data/faces/test_tracking",
    "data/faces/test_tracking_metrics", "data/faces/test_weights", "data/faces/test_yunet",
    "data/layouts/test_affectnet", "data/layouts/test_affectnet_fused", "data/layouts/test_clip_downloads",
    "data/layouts/test_clip_store",
    "data/layouts/test_discovery", "data/layouts/test_group_table", "data/layouts/test_label_map",
    "data/layouts/test_rafdb", "data/layouts/test_ratings_tables", "data/layouts/test_tables",
    "data/layouts/test_tinyimagenet",
    "data/loading/test_thread_loader", "data/loading/test_transforms", "data/media/test_images",
    "data/media/test_key_frames",
    "data/media/test_packet_times",
    "data/test_folds", "data/test_split", "doctor/test_environment", "doctor/test_face_detectors",
    "download/test_face_detector", "download/test_zenodo",
    "engines/test_onnx_model",
    "evaluation/test_class_names", "evaluation/test_evaluate", "evaluation/test_group_bands",
    "exploration/test_copies", "exploration/test_facts_and_targets", "exploration/test_near_copies",
    "features/test_extractor", "guides/test_guide_texts", "inference/test_path_lists", "losses/test_rating_losses",
    "metrics/test_ambiguity",
    "metrics/test_classification_metrics", "metrics/test_distribution_metrics", "metrics/test_emotion_norms",
    "metrics/test_raters",
    "metrics/test_prior_shift", "metrics/test_ratings_metrics", "metrics/test_reliability",
    "metrics/test_robustness_metrics", "metrics/test_selective", "models/external/test_hub",
    "models/external/test_restricted_pickle", "models/test_cmvqvae_modules", "models/test_v1_components",
    "pages/test_labelled_kinds", "pages/test_photographs", "pages/test_videos",
    "prep/augmentation/test_albumentations_v1", "prep/augmentation/test_lossless_images",
    "prep/clips/test_meld", "prep/clips/test_ravdess", "reports/test_contact_sheet", "reports/test_exploration_figures",
    "reports/test_face_overlay", "reports/test_label_layout", "robustness/test_sweep", "runtime/test_device",
    "runtime/test_shutdown",
    "schedules/test_curves", "serve/test_access", "serve/test_uploads", "settings/test_values", "slurm/test_submit",
    "statistics/test_abstention", "statistics/test_cross_validation", "statistics/test_exact", "statistics/test_gaps",
    "statistics/test_measures",
    "tasks/test_audiovisual_task", "tasks/test_baselines",
    "tasks/test_ratings_task", "test_config", "test_quick", "training/test_class_sampling",
    "training/test_mixing", "training/test_resume_state", "training/test_sharpness", "training/test_time_left",
    "training/test_training_step",
)  # fmt: skip
SLOW_NAMES = {
    "subprocess", "multiprocessing", "in_ranks", "av", "train", "Trainer",
    "Job", "examine", "run_checks", "_ffmpeg", "_nvidia_smi", "locked_elsewhere",
}  # fmt: skip
"""Names in the code of a test that start processes, decode video or train."""
PROCESS_EVENTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec"}
_guarded: list[str] = []


def is_listed(path: Path) -> bool:
    """Whether ``QUICK`` lists the file."""
    return path.suffix == ".py" and path.is_relative_to(TESTS) and str(path.relative_to(TESTS))[:-3] in QUICK


def is_quick(item: pytest.Function) -> bool:
    """Whether the file of a test is listed, and the test and its fixtures name nothing that takes long."""
    if not is_listed(item.path) or any(map(item.get_closest_marker, ("slow", "benchmark", "cuda"))):
        return False
    fixtures = [one[-1].func for one in item._fixtureinfo.name2fixturedefs.values()]
    return not slow_names(item.function, *(one for one in fixtures if defined_here(one)))


def defined_here(function: object) -> bool:
    """Whether a function is written in the tests."""
    code = getattr(function, "__code__", None)
    return isinstance(code, types.CodeType) and Path(code.co_filename).is_relative_to(TESTS)


def slow_names(*functions: types.FunctionType) -> set[str]:
    """What functions, and the functions of the tests that they name, name of ``SLOW_NAMES``."""
    waiting, seen, found = list(functions), set(), set()
    while waiting:
        function = waiting.pop()
        if function.__code__ in seen:
            continue
        seen.add(function.__code__)
        for name in names_in(function.__code__):
            value = function.__globals__.get(name)
            named = {name, getattr(value, "__name__", name).rpartition(".")[2]}
            found |= named & SLOW_NAMES
            waiting += [value] if defined_here(value) else []
        if "invoke" in function.__code__.co_names:  # `invoke("train", ...)` trains in this process
            found |= {"train"} & texts_in(function.__code__)
    return found


def names_in(code: types.CodeType) -> set[str]:
    """Names of a code object and of the functions within it."""
    names = {*code.co_names, *code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]}
    inner = [one for one in code.co_consts if isinstance(one, types.CodeType)]
    return names.union(*(names_in(one) for one in inner))


def texts_in(code: types.CodeType) -> set[str]:
    """Texts of a code object, alone or in tuples."""
    constants = [one for each in code.co_consts for one in (each if isinstance(each, tuple) else (each,))]
    return {one for one in constants if isinstance(one, str)}


@contextlib.contextmanager
def guarded(name: str) -> Iterator[None]:
    """Fail what starts a process, trains or opens a video within a quick test of this ``name``."""
    with warnings.catch_warnings(action="ignore"):  # of libraries, where a test makes warnings errors
        import av

        from affectkit.training.trainer import Trainer

    def refuse(*_, **__) -> None:
        raise AssertionError(f"{name} is a quick test and trains or opens a video")

    _guarded.append(name)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trainer, "fit", refuse)
            patch.setattr(av, "open", refuse)
            yield
    finally:
        _guarded.pop()


def _watch(event: str, _: tuple) -> None:
    if _guarded and event in PROCESS_EVENTS:
        raise AssertionError(f"{_guarded[-1]} is a quick test and starts a process")


sys.addaudithook(_watch)

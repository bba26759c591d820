"""Files that take longest begin first: two processes share out files, and end together where the last are short."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LONG = (
    "cli/test_audiovisual_commands", "cli/test_torchrun", "data/media/test_video_matrix",
    "models/external/test_published_fresh", "training/test_train", "training/test_train_vca",
    "checkpoints/test_onnx_export", "cli/test_without_torchaudio", "cli/test_stop_signals", "models/test_v1_networks",
    "robustness/test_sweep", "training/test_tiny_imagenet", "data/faces/test_tracked_films",
    "training/resume_check/test_verify", "cli/test_demo_and_prep", "runtime/test_distributed", "test_compatibility",
    "reports/test_plots", "runtime/test_torch_backends", "cli/test_two_at_once", "cli/test_abstaining",
    "data/faces/test_shots", "metrics/test_calibration", "training/test_folds",
)  # fmt: skip
"""Those that take more than a hundredth of the whole."""


def is_long(path: Path) -> bool:
    """Whether ``LONG`` lists the file."""
    return path.suffix == ".py" and path.is_relative_to(TESTS) and path.relative_to(TESTS).as_posix()[:-3] in LONG


def long_first(items: list[pytest.Item]) -> None:
    """Move the tests of long files to the front; else the order stays, which is drawn anew each time."""
    items.sort(key=lambda item: not is_long(item.path))

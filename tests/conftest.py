"""Datasets and runs that the tests share, made small enough for two processors."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import make_folders, make_votes, settings


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> Path:
    return make_folders(tmp_path_factory.mktemp("folders"))


@pytest.fixture(scope="session")
def votes(tmp_path_factory) -> Path:
    return make_votes(tmp_path_factory.mktemp("votes"), train=48, valid=36)  # enough for a temperature


@pytest.fixture(scope="session")
def trained(votes, tmp_path_factory) -> Path:
    """A run folder of the distribution task."""
    from affectkit.core.progress import Silent
    from affectkit.runners.runs import train

    root = tmp_path_factory.mktemp("trained") / "run"
    train(settings(votes, root, task="distribution", epochs=8, lr=5e-3, seed=1, schedule="cosine"), reporter=Silent())
    return root

"""A clone of CREMA-D that the tests of a process share: drawing it takes longer than most of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from clips import make_cremad


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """36 clips of six actors; no test changes it."""
    return make_cremad(tmp_path_factory.mktemp("clone") / "CREMA-D", actors=6, seconds=0.25)


@pytest.fixture
def own(clone, tmp_path):
    """A clone that a test may damage."""
    return Path(shutil.copytree(clone, tmp_path / "clone"))

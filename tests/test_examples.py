"""The examples in docstrings hold, in every module that has some."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import affectkit

PACKAGE = Path(affectkit.__file__).parent
WITH_EXAMPLES = sorted(
    found.name
    for found in pkgutil.walk_packages(affectkit.__path__, "affectkit.")
    if ">>>" in Path(found.module_finder.find_spec(found.name).origin).read_text()
)


def test_modules_with_examples_are_found():
    assert len(WITH_EXAMPLES) > 15


@pytest.mark.parametrize("name", ["affectkit", *WITH_EXAMPLES])
def test_examples_hold(name):
    done = doctest.testmod(importlib.import_module(name))
    assert done.failed == 0 and done.attempted > 0

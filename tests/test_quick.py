"""The quick tests are what they are said to be: of every room, without processes, trainings and films."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from conftest import QUICK

TESTS = Path(__file__).parent
STARTS = {
    "subprocess",
    "multiprocessing",
    "in_ranks",
    "affectkit",
    "films",
    "write_film",
    "write_clip",
    "train",
    "trained",
}


@pytest.mark.xfail(reason="being rebuilt")
def test_every_room_has_some():
    folders = {path.name for path in TESTS.iterdir() if any(path.rglob("test_*.py"))} - {"benchmarks"}
    assert {name.partition("/")[0] for name in QUICK if "/" in name} == folders
    assert len(folders) > 15


@pytest.mark.parametrize("name", QUICK)
def test_they_start_no_process_and_no_training(name):
    """Neither by what a file imports, nor by a fixture."""
    tree = ast.parse((TESTS / f"{name}.py").read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("affectkit"):
            names |= {node.module, *(one.name for one in node.names)}
        elif isinstance(node, ast.Import):
            names |= {one.name for one in node.names if one.name != "affectkit"}
        elif isinstance(node, ast.FunctionDef):
            names |= {argument.arg for argument in node.args.args}
    assert names & STARTS == set()

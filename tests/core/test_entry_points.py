"""Entry points of installed packages, read as importlib.metadata reads them."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from affectkit.core.entry_points import entry_points

GROUP = "affectkit.tests"


def install(folder: Path, name: str, text: str) -> None:
    place = folder / name
    place.mkdir(parents=True)
    (place / "entry_points.txt").write_text(text)


def test_they_are_those_of_the_standard_library():
    """The scripts of all packages of this environment, by another reader."""
    wanted = {
        (one.name, one.value.split("[")[0].strip()) for one in importlib.metadata.entry_points(group="console_scripts")
    }
    found = {(one.name, one.target) for one in entry_points("console_scripts")}
    assert found == wanted and len(found) > 5


def test_a_group_is_read_alone(tmp_path):
    text = "[console_scripts]\nrun = a:main\n\n[affectkit.tests]\nZebra = z.y : make \nape=a:Ape [extra]\n"
    install(tmp_path, "My_Tool-1.2.dist-info", text)
    (first, second) = entry_points(GROUP, folders=[str(tmp_path)])
    assert (first.name, first.target, first.package) == ("Zebra", "z.y : make", "My_Tool 1.2")
    assert (second.name, second.target) == ("ape", "a:Ape")


def test_the_first_of_two_installations_counts(tmp_path):
    install(tmp_path / "a", "tool-2.0.dist-info", "[affectkit.tests]\nx = new:x\n")
    install(tmp_path / "b", "tool-1.0.egg-info", "[affectkit.tests]\nx = old:x\ny = old:y\n")
    found = entry_points(GROUP, folders=[str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "a")])
    assert [(one.name, one.target, one.package) for one in found] == [("x", "new:x", "tool 2.0")]


@pytest.mark.parametrize("text", ["[affectkit.tests\nx = a:b", "[affectkit.tests]\nx", "[affectkit.tests]\n\x00", ""])
def test_damaged_files_are_passed_over(text, tmp_path):
    install(tmp_path, "torn-1.dist-info", text)
    (tmp_path / "odd-1.dist-info").mkdir()
    (tmp_path / "binary-1.dist-info").mkdir()
    (tmp_path / "binary-1.dist-info" / "entry_points.txt").write_bytes(b"[affectkit.tests]\nx = \xff:b\n")
    assert entry_points(GROUP, folders=[str(tmp_path), str(tmp_path / "missing"), ""]) == []


def test_nothing_is_imported(tmp_path):
    install(tmp_path, "tool-1.dist-info", "[affectkit.tests]\nx = no_such_module_of_ours:x\n")
    assert len(entry_points(GROUP, folders=[str(tmp_path)])) == 1
    assert "no_such_module_of_ours" not in sys.modules

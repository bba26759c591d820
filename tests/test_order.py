"""Files that take long begin first, and pytest-xdist leaves them there."""

from __future__ import annotations

from types import SimpleNamespace

from order import LONG, TESTS, long_first


def test_every_long_file_is_there():
    assert [name for name in LONG if not (TESTS / f"{name}.py").is_file()] == []
    assert len(set(LONG)) == len(LONG) > 20


def test_long_files_come_first_and_all_else_stays(pytestconfig):
    names = ("core/test_core", LONG[3], "test_order", LONG[0], "serve/test_app")
    items = [SimpleNamespace(path=TESTS / f"{name}.py", number=number) for number, name in enumerate(names)]
    long_first(items)
    assert [item.number for item in items] == [1, 3, 0, 2, 4]
    assert "--no-loadscope-reorder" in pytestconfig.getini("addopts"), "else files with many tests would begin"

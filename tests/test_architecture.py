"""The walls of the house: imports run down, nothing heavy on the way to --help."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "affectkit"
LEVELS = [
    {"cli"},
    {"prep", "runners"},
    {"tasks"},
    {"models", "data", "corruptions", "metrics", "losses", "schedules", "reports"},
    {"core", "errors", "config"},
]
LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
HEAVY = ("torch", "numpy", "PIL", "cv2", "pandas", "pydantic", "matplotlib", "timm")


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    """Modules of affectkit that a file imports, with names imported from packages counted as modules of them."""
    tree = ast.parse(path.read_text())
    nodes = ast.iter_child_nodes(tree) if top_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module or "", *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found if name.split(".")[0] == "affectkit"}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_imports_run_down_the_list_and_never_up():
    known = modules()
    arrows, faults = 0, []
    for name, path in known.items():
        if room(name) not in LEVEL:
            continue
        for target in imports(path):
            if target not in known or room(target) not in LEVEL or room(target) == room(name):
                continue
            arrows += 1
            here, there = LEVEL[room(name)], LEVEL[room(target)]
            if there < here or (there == here and room(name) not in {"config", "errors", "core"}):
                faults.append(f"{name} -> {target}")
    assert faults == []
    assert arrows > 100, f"only {arrows} arrows were walked"


def test_every_module_stands_in_a_room():
    outside = [name for name in modules() if room(name) not in LEVEL]
    assert outside == ["affectkit", "affectkit.__main__"]


def test_no_import_cycle():
    known = modules()
    graph = {name: imports(path, top_only=True) & set(known) for name, path in known.items()}
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail, name])
        if name in done:
            return
        for target in sorted(graph[name]):
            # A package's __init__ is imported on the way to its modules; that alone is no cycle.
            if not name.startswith(target + ".") and target != "affectkit":
                walk(target, (*trail, name))
        done.add(name)

    for name in graph:
        walk(name, ())
    assert len(done) > 40, f"only {len(done)} modules were walked"


def commands() -> list[list[str]]:
    import typer

    from affectkit.cli.app import app

    found: list[list[str]] = [[]]

    def walk(command, path):
        for name, inner in getattr(command, "commands", {}).items():
            found.append([*path, name])
            walk(inner, [*path, name])

    walk(typer.main.get_command(app), [])
    return found


def test_help_of_every_command_loads_nothing_heavy():
    script = """
import contextlib, io, sys
from affectkit.cli.app import app
for arguments in {commands!r}:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        app([*arguments, "--help"], prog_name="affectkit")
    assert "Usage" in out.getvalue(), arguments
    print(" ".join(arguments) or "affectkit", *sorted({heavy!r} & sys.modules.keys()), sep="|")
"""
    text = script.format(commands=commands(), heavy=set(HEAVY))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(commands()) >= 12
    assert [line for line in lines if "|" in line] == []


@pytest.mark.parametrize("statement", ["import affectkit", "import affectkit; affectkit.__version__"])
def test_importing_affectkit_loads_nothing_heavy(statement):
    text = f"{statement}; import sys; print(sorted({set(HEAVY)!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_only_cli_prints_and_colours():
    faults, checked = [], 0
    for name, path in modules().items():
        if room(name) == "cli":
            continue
        checked += 1
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                faults.append(name)
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [n.name for n in node.names]
                faults += [f"{name} imports {n}" for n in names if n.split(".")[0] in ("rich", "typer")]
    assert faults == []
    assert checked > 30

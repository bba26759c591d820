"""The walls of the house: imports run one way and in no circle; nothing heavy loads on the way to --help."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "affectkit"
EXAMPLES = PACKAGE / "guides" / "examples"
"""Programs of a user, which no module imports."""
ORDER = (
    "cli", "serve", "doctor", "slurm", "pages", "training", "robustness", "comparison", "evaluation", "inference",
    "prep", "exploration", "features", "download", "engines", "checkpoints", "settings", "runtime", "tasks", "models",
    "data", "corruptions", "statistics", "metrics", "losses", "schedules", "reports", "config", "guides", "core",
    "errors",
)  # fmt: skip
"""The rooms, each of which may import those that stand after it."""

LEVEL = {room: number for number, room in enumerate(ORDER)}
APART = {
    "inference": {"training", "evaluation"},
    "evaluation": {"inference", "training"},
    "robustness": {"inference", "training"},
    "comparison": {"inference", "training", "robustness"},
    "prep": {"inference", "training", "evaluation", "models", "tasks"},
    "exploration": {"features", "runtime", "settings", "tasks", "models"},  # it predicts nothing
    "runtime": {"settings", "tasks", "models"},
    "pages": {"training", "robustness", "comparison", "evaluation", "engines", "checkpoints", "tasks", "models"},
    "serve": {"training", "evaluation", "robustness", "prep"},  # it hands requests to inference, and puts rows together
    "inference.video": {"inference.annotated_images", "inference.prediction_table", "inference.infer"},
}
"""Rooms, and what they do not import although the order would allow it."""

HEAVY = ("torch", "numpy", "PIL", "cv2", "pandas", "pydantic", "matplotlib", "timm")


@functools.cache
def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent == EXAMPLES:
            continue
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> set[str]:
    """Modules of affectkit that a file imports, inside functions and for types too."""
    known, found = modules(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for name in node.names:
                full = f"{node.module}.{name.name}"
                found.add(full if full in known else node.module or "")
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found & set(known)


@functools.cache
def graph() -> dict[str, set[str]]:
    return {name: imports(path) - {name} for name, path in modules().items()}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_imports_run_down_the_list_and_never_up():
    arrows, faults = 0, []
    for name, targets in graph().items():
        for target in targets:
            if not {room(name), room(target)} <= set(ORDER) or room(target) == room(name):
                continue
            arrows += 1
            if LEVEL[room(target)] < LEVEL[room(name)]:
                faults.append(f"{name} -> {target}")
    assert faults == []
    assert arrows > 600, f"only {arrows} arrows were walked"


def test_rooms_that_stand_apart():
    checked = 0
    for here, others in APART.items():
        inside = [name for name in graph() if name.startswith(f"affectkit.{here}.") or name == f"affectkit.{here}"]
        assert len(inside) > 3, here
        for other in others:
            wall = f"affectkit.{other}"
            assert wall in graph(), f"there is no {wall}"
            faults = [
                f"{name} -> {target}"
                for name in inside
                for target in graph()[name]
                if target == wall or target.startswith(wall + ".")
            ]
            assert faults == []
            checked += 1
    assert checked >= 15


def test_every_module_stands_in_a_room():
    outside = {name for name in modules() if room(name) not in LEVEL}
    # runners: the one name under which jobs wait in queues since before the rooms were made.
    assert outside == {"affectkit", "affectkit.__main__", "affectkit.runners", "affectkit.runners._slurm_job"}


def test_every_room_says_what_lives_there():
    packages = [path for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE]
    for path in packages:
        said = ast.get_docstring(ast.parse(path.read_text()))
        assert len(re.findall(r"[.](?=\s|$)", said or "")) >= 2, f"{path}: what lives here, and what does not?"
    assert len(packages) > 25


def test_no_import_circle():
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail, name])
        if name in done:
            return
        for target in sorted(graph()[name]):
            if target != "affectkit":
                walk(target, (*trail, name))
        done.add(name)

    for name in graph():
        walk(name, ())
    assert done == set(graph())
    assert len(done) > 250


def test_no_private_name_of_another_file():
    faults, seen = [], 0
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("affectkit"):
                seen += 1
                own = name.startswith("affectkit.cli") and node.module == "affectkit.cli"
                faults += [
                    f"{name}: {node.module}.{one.name}" for one in node.names if one.name.startswith("_") and not own
                ]
    assert faults == []
    assert seen > 800


def test_no_command_imports_another():
    commands = {name for name, path in modules().items() if "\ndef register(app" in path.read_text()}
    faults = [f"{name} -> {target}" for name in commands for target in graph()[name] & commands]
    assert faults == []
    assert len(commands) > 15


RUNNERS = (
    "training", "evaluation", "inference", "robustness", "comparison", "features", "runtime", "checkpoints", "engines",
)  # fmt: skip
"""Rooms that ask tasks and models what they need, and know none by name."""


def strings(path: Path) -> list[tuple[int, str]]:
    """The string constants of a file with their lines, those in f-strings and ``match`` too, docstrings left out."""
    tree = ast.parse(path.read_text())
    parts = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    apart = {id(node.value) for node in parts}
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart
    ]


def test_no_runner_knows_a_task_or_a_model_by_name():
    from affectkit.models.registry import MODELS
    from affectkit.tasks import TASKS

    names, faults, seen = {*TASKS, *MODELS}, [], 0
    for name, path in modules().items():
        if room(name) in RUNNERS:
            found = strings(path)
            seen += len(found)
            faults += [f"{name}:{line}: {text!r}" for line, text in found if text in names]
    assert faults == []
    assert len(names) > 30 and seen > 2000, f"only {seen} strings were read"


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
import contextlib, io, sys, typer
from affectkit.cli.app import app
program = typer.main.get_command(app)
for arguments in {pages!r}:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        program(arguments, prog_name="affectkit")
    assert "Usage" in out.getvalue(), arguments
    print(" ".join(arguments) or "affectkit", *sorted({heavy!r} & sys.modules.keys()), sep="|")
"""
    pages = [[*words, page] for words in commands() for page in ("--help", "--help-all")]
    pages += [["train", "--help-model", name] for name in ("vca", "resnet50_v1", "cmvqvae", "convnext_base")]
    text = script.format(pages=pages, heavy={*HEAVY, "rich"})
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(pages) >= 80
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


NO_VERBS = (
    "What", "Where", "Whether", "How", "Why", "Which", "When", "Who", "The", "A", "An", "All", "Any", "Both", "Each",
    "Every", "One", "Two", "Mean", "Number", "Logits", "Shares", "Counts", "Features", "Frames", "Images", "This",
    "That", "It", "Its", "Those", "These", "There", "Of", "In", "On", "At", "As", "By", "For", "From", "Up", "About",
    "Beside", "While", "Plain", "Nothing", "Names", "True", "False",
)  # fmt: skip
"""Openings that are no verb in the imperative."""


def public_docstrings(module: str) -> dict[str, str]:
    """Docstrings of functions and methods without a leading underscore; functions inside functions left out."""
    found: dict[str, str] = {}

    def walk(node: ast.Module | ast.ClassDef, front: str) -> None:
        for child in node.body:
            if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
                walk(child, f"{front}{child.name}.")
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
                text = ast.get_docstring(child)
                if text is not None:
                    found[f"{front}{child.name}"] = text

    walk(ast.parse(modules()[module].read_text()), f"{module}.")
    return found


def opens_with_a_verb(docstring: str) -> bool:
    first = re.match(r"[A-Z][a-z]+(?:-[a-z]+)?(?=[\s,.:;])", docstring)
    return first is not None and first.group() not in NO_VERBS


@pytest.mark.parametrize(
    "docstring",
    [
        "The width.", "Whether it is.", "What is kept.", "``values`` as floats.", "(B, C) of it.", "1 above it.",
        "mCE: the mean.", "log q.", "KL(q || p).", "--labels: the tables.",
    ],
)  # fmt: skip
def test_what_is_no_verb_is_known(docstring):
    assert not opens_with_a_verb(docstring)
    assert opens_with_a_verb(f"Return {docstring}")


def test_docstrings_of_public_functions_open_with_a_verb():
    found = {name: text for module in modules() for name, text in public_docstrings(module).items()}
    assert [f"{name}: {text.splitlines()[0]}" for name, text in found.items() if not opens_with_a_verb(text)] == []
    assert len(found) > 800, f"only {len(found)} docstrings were read"


def packed_entries(docstring: str, names: set[str]) -> list[str]:
    """Lines of ``Args``, ``Attributes`` and ``Raises`` in which a second entry begins, of ``names`` or of an error."""
    section = re.compile(r"^(Args|Attributes|Raises):\n((?:[ ]{4}.*(?:\n|$))+)", re.MULTILINE)
    second = re.compile(rf"[.;] ({'|'.join([*map(re.escape, sorted(names)), '[A-Z][A-Za-z]*Error'])})(, \w+)*: ")
    return [line for match in section.finditer(docstring) for line in match[2].splitlines() if second.search(line)]


@pytest.mark.parametrize(
    ("line", "packed"),
    [
        ("size: D. book: (K, D).", True),
        ("size: D. book, code: (K, D).", True),
        ("size: D; None: as long as the book.", False),
        ("size, book: D.", False),
        ("DataError: no book. UsageError: no size.", True),
        ("DataError: the book is empty. Its size: 0.", False),
    ],
)
def test_two_entries_in_a_line_are_found(line, packed):
    section = "Raises" if line.startswith("DataError") else "Args"
    found = packed_entries(f"Read it.\n\n{section}:\n    {line}\n    code: 1.", {"size", "book", "code"})
    assert found == ([f"    {line}"] if packed else [])


def test_docstrings_name_one_parameter_a_line():
    faults, sections = [], 0
    for module, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            text = ast.get_docstring(node) or ""
            sections += len(re.findall(r"^(?:Args|Attributes|Raises):$", text, re.MULTILINE))
            names = {arg.arg for arg in ast.walk(node) if isinstance(arg, ast.arg)}
            fields = node.body if isinstance(node, ast.ClassDef) else []
            names |= {
                field.target.id
                for field in fields
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            }
            faults += [f"{module}.{node.name}: {line.strip()}" for line in packed_entries(text, names)]
    assert faults == []
    assert sections > 300, f"only {sections} sections were read"

"""Files called like modules, in the folder where a user stands, are not run by affectkit or what it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

import affectkit
from affectkit.core.children import SAFE, leave_current_folder, protect_children, python_command

DECOYS = (
    "typer",
    "joblib",
    "submitit",
    "numpy",
    "random",
    "signal",
    "rich",
    "yaml",
    "torch",
    "multiprocessing",
    "json",
)
ROOT = Path(affectkit.__file__).parents[1]


@pytest.fixture
def decoys(tmp_path) -> Path:
    """A folder of modules each of which ends its process with 77."""
    for name in DECOYS:
        (tmp_path / f"{name}.py").write_text(f"import os\nos.write(2, b'decoy {name}\\n')\nos._exit(77)\n")
    return tmp_path


def run(folder: Path, *command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    around = {key: value for key, value in os.environ.items() if key != SAFE} | {"HF_HUB_OFFLINE": "1", **environment}
    return subprocess.run(
        [*map(str, command)], cwd=folder, env=around, capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


SCRIPT = """
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import multiprocessing
from affectkit.core import children
if {protected}:
    children.protect_children()
worker = multiprocessing.get_context({start!r}).Process(target=abs, args=(1,))
worker.start()
worker.join()
import subprocess
print(worker.exitcode, subprocess.run(children.python_command("-c", "import typer")).returncode)
"""


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_processes_that_multiprocessing_starts(decoys, start):
    bare = run(decoys, sys.executable, "-c", SCRIPT.format(protected=False, start=start))
    assert "77" in bare.stdout or bare.returncode, "the decoys bite"
    done = run(decoys, sys.executable, "-c", SCRIPT.format(protected=True, start=start))
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 0\n", "")


@pytest.mark.parametrize("how", ["module", "script"])
def test_the_command_line(decoys, how):
    program = [sys.executable, "-m", "affectkit"]
    if how == "script":
        program = [Path(sysconfig.get_path("scripts")) / "affectkit"]
        if not program[0].exists():
            pytest.skip("the console script is not installed")
    done = run(decoys, *program, "train", "--help")
    assert done.returncode == 0 and "decoy" not in done.stderr and "--epochs" in done.stdout
    done = run(decoys, *program, "corruptions", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["corruptions"]


def test_a_job_of_submitit_and_its_child(decoys, tmp_path_factory):
    pytest.importorskip("submitit")
    logs = tmp_path_factory.mktemp("logs")
    command = ["prep", "schematic", "faces", "--train", "8", "--valid", "8", "--test", "8", "--json"]
    done = run(decoys, sys.executable, "-m", "affectkit", *command, "--slurm", f"cluster=local,time=5,logs={logs}")
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    end = time.monotonic() + 90
    while not list(logs.glob("*_result.pkl")) and time.monotonic() < end:
        time.sleep(0.1)
    told = Path(job["stderr"]).read_text() + Path(job["stdout"]).read_text()
    assert list(logs.glob("*_result.pkl")) and "decoy" not in told, told
    assert (decoys / "faces" / "train.csv").is_file(), told


def test_the_current_folder_leaves_the_path_and_comes_last_where_affectkit_is_there_alone(monkeypatch):
    finder = type("Finder", (), {"find_spec": staticmethod(lambda name, path: "spec" if "/site" in sys.path else None)})
    monkeypatch.setattr(sys, "meta_path", [finder])
    if sys.flags.safe_path:
        pytest.skip("this Python runs with -P")
    monkeypatch.setattr(sys, "path", ["/here", "/stdlib", "/site"])
    assert leave_current_folder() and sys.path == ["/stdlib", "/site"]
    monkeypatch.setattr(sys, "path", ["/here", "/stdlib"])
    assert not leave_current_folder() and sys.path == ["/stdlib", "/here"]


def test_commands_of_children(monkeypatch):
    monkeypatch.setenv(SAFE, "1")  # so that what is set below is taken back
    monkeypatch.delenv(SAFE)
    if not sys.flags.safe_path:
        assert python_command("-m", "x") == [sys.executable, "-m", "x"]
    protect_children()
    assert python_command("-m", "x") == [sys.executable, "-P", "-m", "x"]


def test_a_source_tree_that_is_not_installed_runs_with_its_children_unprotected(tmp_path):
    """-S leaves out what is installed; what the command line needs is named by PYTHONPATH, without affectkit."""
    (tmp_path / "affectkit").symlink_to(ROOT / "affectkit")
    code = "import os; from affectkit import __main__ as m; m._run = print; m.main(installed=False)"
    done = run(tmp_path, sys.executable, "-S", "-c", code)
    assert done.returncode == 0 and done.stdout == "False\n", done.stderr


BREAKS = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "affectkit.cli.app":
            {what}
sys.meta_path.insert(0, Finder())
from affectkit.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("what", "code", "says"),
    [
        ("raise KeyboardInterrupt", 130, "Interrupted.\n"),
        ("raise RuntimeError('__set_name__') from KeyboardInterrupt()", 130, "Interrupted.\n"),
        ("raise MemoryError", 1, "Error: there is not enough memory.\n"),
        ("raise ImportError('x.so: failed to map segment')", 1, "Error: there is not enough memory (x.so"),
        ("raise ValueError('a fault of ours')", 1, "Traceback"),
    ],
)  # fmt: skip
def test_what_ends_the_start(tmp_path, what, code, says):
    done = run(tmp_path, sys.executable, "-c", BREAKS.format(what=what))
    assert done.returncode == code and done.stderr.startswith(says), done.stderr
    assert ("Traceback" in done.stderr) == (says == "Traceback") and done.stdout == ""


SWALLOWED = """try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(1)
            except BaseException:
                print("swallowed")
"""
AT_THE_END = "import atexit, os, signal\natexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"


def test_a_ctrl_c_among_the_first_imports_ends_at_once(tmp_path):
    """Also where what it raises is lost, as in a callback of Python's own import."""
    code = "import os, signal, time\n" + BREAKS.format(what=SWALLOWED)
    done = run(tmp_path, sys.executable, "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


def test_a_ctrl_c_when_all_is_done_shows_nothing_of_packages(tmp_path):
    code = AT_THE_END + "import sys\nfrom affectkit.__main__ import main\nsys.argv = ['affectkit', '--version']\nmain()"
    done = run(tmp_path, sys.executable, "-c", code)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "") and done.stdout.startswith("affectkit ")

"""A signal that comes while a package is imported that swallows it, or raises an error of its own in its place."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

SWALLOWED = "try:\n    print('in', flush=True)\n    time.sleep(60)\nexcept BaseException:\n    pass\n"
REPLACED = SWALLOWED.replace("    pass", "    raise ImportError('cannot load module twice') from None")
GOES_ON = "    import greedy\n    time.sleep(60)\n    raise DataError('the work went on')\n"
PROGRAM = """
import time
from affectkit.cli.console import Console
from affectkit.core.import_signals import watch_interrupts
from affectkit.errors import DataError

watch_interrupts()
with Console().guard():
"""


@pytest.mark.parametrize("module", [SWALLOWED, REPLACED])
@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "Interrupted."), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_it_ends_the_command(tmp_path, module, number, code, said):
    (tmp_path / "greedy.py").write_text("import time\n" + module)
    program = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n" + PROGRAM + GOES_ON
    runner = (
        f"import typer\ntry:\n    exec({program!r})\nexcept typer.Exit as end:\n    raise SystemExit(end.exit_code)"
    )
    child = subprocess.Popen([sys.executable, "-c", runner], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "in\n"
    begun = time.monotonic()
    child.send_signal(number)
    _, told = child.communicate(timeout=50)
    assert child.returncode == code and said in told and len(told.splitlines()) == 1, told
    assert time.monotonic() - begun < 40  # not at the end of its work


def test_a_shell_that_has_ctrl_c_ignored_is_heeded():
    program = (
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from affectkit.core.import_signals import watch_interrupts\nwatch_interrupts()\n"
        "assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_error_that_a_package_makes_of_a_ctrl_c_is_one():
    """As torch does, which takes any error in a buffer's length for one of its shape."""
    work = "    try:\n        signal.raise_signal(signal.SIGINT)\n    except BaseException:\n        pass\n"
    program = "import signal\n" + PROGRAM + work + "    raise ValueError('could not determine the shape')\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "Interrupted." in done.stderr and "fault of affectkit" not in done.stderr


def test_a_ctrl_c_amid_the_making_of_a_class_ends_with_our_exit_code(tmp_path):
    """Dataclasses run a text, after which Python itself would end with the signal, though it was answered."""
    (tmp_path / "interrupted.py").write_text(
        "import os, signal, time\n"
        "import affectkit.__main__ as entry\n"
        'text = "os.kill(os.getpid(), signal.SIGINT); time.sleep(10)"\n'
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "entry._run = lambda installed: exec(text)\n"
        "entry.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")

"""Datasets and runs that the tests share, made small enough for two processors; which tests are quick."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Any

if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):  # else each process that a test starts compiles the package
    sys.dont_write_bytecode = False
if "PYTEST_XDIST_WORKER" in os.environ:  # one core each: more threads would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from allowed_skips import is_allowed
from order import long_first
from quick import guarded, is_listed, is_quick
from support import make_folders, make_votes, settings, without_figures


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--only-allowed-skips``, which ``.ci/run`` gives, and the options of ``-m fuzz``."""
    parser.addoption("--only-allowed-skips", action="store_true", help="fail on skips that allowed_skips.py lacks")
    parser.addoption("--fuzz-seed", type=int, help="from which all cases of -m fuzz are drawn; default: one of its own")
    parser.addoption("--fuzz-scale", type=float, default=1.0, help="0.1: a tenth of the cases of -m fuzz")
    parser.addoption("--fuzz-only", default="", metavar="KIND[:NUMBER]", help="one kind of input, or one case of it")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run in one process where output is to be seen (``-s``), which pytest-xdist keeps to itself."""
    if config.option.capture == "no" and hasattr(config.option, "numprocesses"):
        config.option.numprocesses = 0


def pytest_configure(config: pytest.Config) -> None:
    """Keep what was skipped and what was tried, in the process that reports."""
    if config.option.fuzz_seed is None:
        config.option.fuzz_seed = random.SystemRandom().randrange(10**6)  # workers of pytest get it with the options
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Skips(only_allowed=config.getoption("only_allowed_skips")))
        config.pluginmanager.register(Tried())


class Skips:
    """What was skipped and why; with ``only_allowed`` a skip that is not listed fails the session."""

    def __init__(self, *, only_allowed: bool) -> None:
        self.only_allowed = only_allowed
        self.unlisted: dict[str, list[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the reason of a skip that is not listed."""
        if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            if not is_allowed(reason):
                self.unlisted.setdefault(reason, []).append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail where something was skipped that is not listed."""
        if self.only_allowed and self.unlisted and not session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter, config: pytest.Config) -> None:
        """Report the seed of the order, which -q leaves out, and the skips that are not listed."""
        seed = config.getoption("randomly_seed", None)
        if isinstance(seed, int) and config.pluginmanager.hasplugin("randomly"):
            terminalreporter.write_line(f"order of the tests: --randomly-seed={seed}")
        for reason, tests in self.unlisted.items():
            terminalreporter.write_line(
                f"skipped, and not listed in allowed_skips.py: {reason} ({', '.join(tests[:3])})"
            )


class Tried:
    """What became of the cases of ``-m fuzz``, a row for each kind of input, printed at the end."""

    HEADER = ("input", "tried", "refused", "accepted", "unexpected", "over time", "over memory", "escaped", "lost", "s")

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the counts that a test reports."""
        if report.when == "call":
            self.rows += [value for name, value in report.user_properties if name == "fuzz"]

    def pytest_terminal_summary(self, terminalreporter, config: pytest.Config) -> None:
        """Print the table."""
        if not self.rows:
            return
        total = ["all", *(sum(column) for column in list(zip(*self.rows, strict=True))[1:])]
        terminalreporter.write_line(f"cases drawn by --fuzz-seed {config.option.fuzz_seed}")
        for row in (self.HEADER, *self.rows, total):
            cells = [str(round(cell) if isinstance(cell, float) else cell) for cell in row]
            terminalreporter.write_line(cells[0].ljust(18) + "".join(cell.rjust(12) for cell in cells[1:]))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import for ``-m quick`` no file that has no quick test."""
    if config.option.markexpr == "quick" and collection_path.suffix == ".py" and not is_listed(collection_path):
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the quick tests, and begin with what takes longest."""
    for item in items:
        if is_quick(item):
            item.add_marker("quick")
    long_first(items)


@pytest.fixture(autouse=True)
def _quick_stays_quick(request: pytest.FixtureRequest):
    """Fail a quick test that starts a process, trains or opens a video."""
    if request.node.get_closest_marker("quick") is None:
        yield
        return
    with guarded(request.node.nodeid):
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Nothing is remembered in the user's cache, nor taken from it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFFECTKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk(request: pytest.FixtureRequest):
    """Flush nothing in the processes of tests, which waited for that about as long as they computed.

    A test of what is flushed, or of a disk that fails, has a function of its own there. Benchmarks flush: they time it.
    """

    def checked(descriptor: int) -> None:
        os.fstat(descriptor)  # fails, as the real one does, where no file is open

    with pytest.MonkeyPatch.context() as patch:
        if request.config.option.markexpr != "benchmark":
            patch.setattr(os, "fsync", checked)
        yield


@pytest.fixture
def no_figures():
    """Draw no figures in a test that does not look at them; those of a training are looked at where the demo runs."""
    with without_figures():
        yield


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> Path:
    return make_folders(tmp_path_factory.mktemp("folders"))


@pytest.fixture(scope="session")
def votes(tmp_path_factory) -> Path:
    return make_votes(tmp_path_factory.mktemp("votes"), train=48, valid=36)  # enough for a temperature


@pytest.fixture(scope="session")
def guide_scene(tmp_path_factory) -> Path:
    """What the guides speak of; not to be changed."""
    from guide_scene import make_scene

    return make_scene(tmp_path_factory.mktemp("guides"))


@pytest.fixture(scope="session")
def trained(votes, tmp_path_factory) -> Path:
    """A run folder of the distribution task, without figures."""
    from affectkit.core.progress import Silent
    from affectkit.training.run import train

    root = tmp_path_factory.mktemp("trained") / "run"
    chosen = settings(votes, root, task="distribution", epochs=8, lr=5e-3, seed=1, schedule="cosine")
    with without_figures():
        train(chosen, reporter=Silent())
    return root

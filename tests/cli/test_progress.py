"""What a console shows of a stretch of work: how much is done, of how much, how fast, and how long the rest takes."""

from __future__ import annotations

import io
import re
import time

import pytest

from affectkit.cli import console as module
from affectkit.cli.console import Console

SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Clock:
    """A clock that stands still until it is set."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_plain_lines_have_the_total_and_the_time_left(capsys, clock):
    console = Console()
    console.start("predicting", 1_000, "images")
    for now, count in ((101.9, 10), (102.0, 10), (106.9, 80), (107.0, 100)):
        clock.now = now
        console.advance(count)
    console.finish()
    # The first line after 2 seconds, others after 5 more: 20 of 1,000 in 2 s leave 98 s, 200 in 7 s leave 28 s.
    assert capsys.readouterr().err.splitlines() == [
        "predicting: 20/1,000 images, 10/s, 2 min left",
        "predicting: 200/1,000 images, 29/s, 28 s left",
    ]


def test_what_was_done_before_does_not_count_as_fast(capsys, clock):
    console = Console()
    console.start("epoch 2/3", 1_000, "images", done=600)
    clock.now += 4
    console.advance(100)
    assert capsys.readouterr().err == "epoch 2/3: 700/1,000 images, 25/s, 12 s left\n"


def test_where_the_total_is_not_known_nothing_stands_for_it(capsys, clock):
    console = Console()
    console.start("listing", None)
    clock.now += 4
    console.advance(32)
    assert capsys.readouterr().err == "listing: 32, 8/s\n"


def test_more_than_the_total_was_an_estimate(capsys, clock):
    console = Console()
    console.start("talk.mp4", 10, "frames")
    clock.now += 2
    console.advance(12, "note")
    assert capsys.readouterr().err == "talk.mp4: 12/12 frames, 6/s, note\n"


def test_quiet_shows_neither_lines_nor_bars(capsys, clock):
    console = Console(quiet=True)
    console.start("predicting", 10, "images")
    clock.now += 60
    console.advance(5)
    console.finish()
    assert capsys.readouterr().err == ""


def heard(capsys) -> str:
    """Wait for a line on standard error, for a minute at most."""
    found, end = "", time.monotonic() + 60
    while not found.endswith("\n") and time.monotonic() < end:
        time.sleep(0.01)
        found += capsys.readouterr().err
    return found


def test_a_first_line_comes_before_the_first_batch_is_done(capsys, monkeypatch):
    """The first batch of a large model takes long, and nothing had been heard of it."""
    monkeypatch.setattr(module, "SECONDS_TO_FIRST_LINE", 0.05)
    console = Console()
    console.start("predicting", 12, "images")
    assert heard(capsys) == "predicting: 0/12 images\n"
    console.start("epoch 2/3", 60, "images", done=20)
    assert heard(capsys) == "epoch 2/3: 20/60 images\n"
    console.finish()


def test_no_first_line_comes_of_what_is_done_or_has_ended(capsys, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_TO_FIRST_LINE", 0.2)
    console, quiet = Console(), Console(quiet=True)
    console.start("listing", 12, "files")
    console.finish()
    console.start("predicting", 12, "images")
    console.advance(2)
    quiet.start("predicting", 12, "images")
    time.sleep(0.5)
    console.finish()
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return [line for line in re.split(r"[\r\n]+", SEQUENCE.sub("", self.getvalue())) if line.strip()]


@pytest.mark.parametrize(
    ("label", "text", "shown"),
    [
        ("interview-of-a-very-long-monday-morning.mp4 (2 of 12)", "", "interview-of-a-…ng.mp4 (2 of 12)"),
        ("epoch 12/100", "loss 1.2345, run: 12 min left", "epoch 12/100"),
    ],
)
def test_a_bar_gives_way_to_the_words_beside_it(monkeypatch, clock, label, text, shown):
    """On 80 columns nothing wraps and nothing is cut but the middle of a long name."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    console = Console()
    console.start(label, 40_000, "frames")
    clock.now += 10
    console.advance(10_000, text)
    console._bar.refresh()
    console.finish()
    assert max(map(len, terminal.lines())) <= 80
    (last,) = [line.split("━") for line in terminal.lines() if "10,000" in line][-1:]
    assert last[0].strip() == shown and last[-1].strip() == f"10,000/40,000 1000/s 30 s left {text}".strip()


def test_a_bar_without_a_total_has_no_question_mark(monkeypatch, clock):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    console = Console()
    console.start("predicting", None, "images")
    console.advance(32)
    console._bar.refresh()
    console.finish()
    assert any(re.search(r" 32 ", line) for line in terminal.lines()) and "?" not in terminal.getvalue().replace(
        "[?", ""
    )


def test_a_bar_shows_how_long_the_first_batch_has_taken(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    console = Console()
    console.start("predicting", 12, "images")
    console._bar.tasks[0].start_time -= 3
    console._bar.refresh()
    console.advance(4)
    console._bar.refresh()
    console.finish()
    waiting, moving = terminal.lines()[-2:] if len(terminal.lines()) > 1 else ("", "")
    assert any(re.search(r"0/12 +3 s *$", line) for line in terminal.lines())
    assert not re.search(r"4/12 +3 s", terminal.getvalue()) and "4/12" in moving, (waiting, moving)

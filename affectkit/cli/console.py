"""Output that a user sees: results on stdout, everything else on stderr; errors as text and exit codes.

Every text passes ``printable``: a name of a file, a class or a record must not command a terminal. Rows of data alone
leave as they are, where a pipe or a file takes them (``Console.rows``). rich is imported where a terminal is drawn on,
so that pipes and jobs do not wait for it.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType
from typing import Any, NoReturn

import typer

from affectkit import errors
from affectkit.core.import_signals import answer, is_replaced, raise_lasting
from affectkit.core.memory_errors import MORE_MEMORY, interrupted, want_of_memory
from affectkit.core.os_errors import describe_os_error
from affectkit.core.streams import EscapedStream, unescaped
from affectkit.core.text import duration_text, printable, printable_json, shortened
from affectkit.errors import AffectkitError, RunError
from affectkit.runtime import distributed

SECONDS_BETWEEN_LINES = 5.0
SECONDS_TO_FIRST_LINE = 2.0
WIDEST_LABEL = 32
"""Characters of a label before a bar; of a longer one, such as the name of a video, the middle is left out."""


class Terminated(BaseException):
    """SIGTERM, or Slurm's warning SIGUSR1, came where nothing was there to be saved."""


class Console:
    """Draws progress, tables and errors; a Reporter for the libraries.

    Args:
        json: stdout carries one JSON object and nothing else.
        quiet: no progress, no notes.
        debug: tracebacks.
        extra: options of the command that are not settings.

    Of several processes the first alone prints, but for errors: each is printed once, by the first that meets it.
    """

    def __init__(
        self, *, json: bool = False, quiet: bool = False, debug: bool = False, extra: dict[str, Any] | None = None
    ) -> None:
        self.mute = distributed.launched_rank() > 0
        self.json, self.quiet, self.debug = json, quiet or self.mute, debug
        self.extra = extra or {}
        self._bar: Any = None
        self._streams = (sys.stdout, sys.stderr)
        self._label, self._unit = "", ""
        self._done, self._before, self._total = 0, 0, None
        self._began = self._due = 0.0
        self._first: threading.Timer | None = None

    # --- what libraries call -------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Write a line on stderr."""
        if not self.quiet:
            self._say(text)

    def warn(self, text: str) -> None:
        """Write a line on stderr that ``--quiet`` does not hide."""
        if not self.mute:
            self._say(f"Warning: {text}", "yellow")

    def start(self, label: str, total: int | None, unit: str = "", *, done: int = 0) -> None:
        """Begin a bar on a terminal, or plain lines elsewhere; what was ``done`` before does not count as fast."""
        self.finish()
        self._label, self._unit, self._total = label, unit, total
        self._done = self._before = done
        self._began = time.monotonic()
        self._due = self._began + min(SECONDS_TO_FIRST_LINE, SECONDS_BETWEEN_LINES)
        if self.quiet:
            return
        if sys.stderr.isatty():
            self._bar = _progress_bar()
            self._streams = (sys.stdout, sys.stderr)
            self._bar.start()
            # What packages print now goes through rich, which lets most control characters pass.
            sys.stdout, sys.stderr = EscapedStream(sys.stdout), EscapedStream(sys.stderr)
            shown = shortened(printable(label), WIDEST_LABEL)
            fields = {"text": "", "rate": "", "count": self._count(), "left": "", "before": done}
            self._bar.add_task(shown, total=total, completed=done, **fields)
        else:
            self._first = threading.Timer(self._due - self._began, self._report_start, [self._began])
            self._first.daemon = True
            self._first.start()

    def advance(self, count: int = 1, text: str = "") -> None:
        """Move the bar, or print a line when some seconds have passed."""
        self._done += count
        now, text = time.monotonic(), printable(text)
        if self._total is not None and self._done > self._total:  # it was an estimate
            self._total = self._done
        if self._bar is not None:
            values = {"rate": self._rate(now), "count": self._count(), "left": self._left(now)}
            values |= {"text": text} if text else {}
            self._bar.update(0, completed=self._done, total=self._total, **values)
        elif not self.quiet and now >= self._due:
            self._due = now + SECONDS_BETWEEN_LINES
            parts = (f"{self._count()} {self._unit}".rstrip(), self._rate(now), self._left(now), text)
            self._say(f"{self._label}: {', '.join(filter(None, parts))}")

    def _report_start(self, began: float) -> None:
        """Report that nothing is done yet, where the first of what began then takes long; in a thread of its own."""
        if began == self._began and self._done == self._before and self._first is not None:
            self._due = time.monotonic() + SECONDS_BETWEEN_LINES
            self._say(f"{self._label}: {self._count()} {self._unit}".rstrip())

    def finish(self) -> None:
        """Remove the bar."""
        if self._first is not None:
            self._first.cancel()
            self._first = None
        if self._bar is not None:
            self._bar.stop()
            sys.stdout, sys.stderr = self._streams
            self._bar = None

    def _rate(self, now: float) -> str:
        rate = (self._done - self._before) / max(now - self._began, 1e-9)
        return f"{rate:.0f}/s" if rate >= 10 else f"{rate:.2g}/s" if rate else ""

    def _count(self) -> str:
        return f"{self._done:,}" + (f"/{self._total:,}" if self._total is not None else "")

    def _left(self, now: float) -> str:
        """Return how long the rest takes at the speed so far; empty where that is not known."""
        if self._total is None or not self._before < self._done < self._total:
            return ""
        each = (now - self._began) / (self._done - self._before)
        return f"{duration_text(each * (self._total - self._done))} left"

    # --- results -------------------------------------------------------------------------------------------------

    def result(self, value: dict[str, Any]) -> None:
        """Print the JSON object of ``--json``; nothing without it."""
        if self.json:
            from affectkit.core.files import to_json

            self.line(printable_json(to_json(value)))

    def result_with_rows(self, value: dict[str, Any], name: str, rows: Iterable[str]) -> None:
        """Print the JSON object of ``--json`` with a list of ``rows`` as one more entry; nothing without it.

        Args:
            value: the other entries.
            name: of the list.
            rows: JSON of each, without a line end.
        """
        if self.json and not self.mute:
            from affectkit.core.files import to_json

            head = to_json(value).removesuffix("\n}")
            sys.stdout.write(f'{printable_json(head)},\n  "{name}": [')
            for number, row in enumerate(rows):
                sys.stdout.write((",\n    " if number else "\n    ") + printable_json(row))
            sys.stdout.write("\n  ]\n}\n")

    def line(self, text: str = "") -> None:
        """Print a line of the result: no wrapping, no markup."""
        if not self.mute:
            sys.stdout.write(printable(text) + "\n")

    def rows(self) -> Any:
        """Return stdout for rows of data: escaped on a terminal; in a pipe names must stay those of the files."""
        return EscapedStream(sys.stdout) if sys.stdout.isatty() else unescaped(sys.stdout)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
        """Print a table on stdout: drawn on a terminal, aligned text elsewhere; nothing with ``--json``."""
        if self.json or self.mute:
            return
        title, columns = printable(title), [printable(name) for name in columns]
        rows = [[printable(cell).replace("\n", r"\n") for cell in row] for row in rows]  # a name must not make rows
        numeric = [all(_is_number(row[k]) for row in rows) for k in range(len(columns))]
        if sys.stdout.isatty():
            from rich.table import Table
            from rich.text import Text

            table = Table(title=Text(title) if title else None, title_justify="left")
            for name, right in zip(columns, numeric, strict=True):
                table.add_column(Text(name), justify="right" if right else "left")
            for row in rows:
                table.add_row(*(Text(cell) for cell in row))
            _rich(sys.stdout).print(table)
            return
        if title:
            self.line(title)
        widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        for row in (columns, *rows):
            cells = [
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, numeric, strict=True)
            ]
            self.line("  ".join(cells).rstrip())

    def document(self, text: str) -> None:
        """Print Markdown on stdout: drawn on a terminal, as it stands elsewhere; nothing with ``--json``."""
        if self.json or self.mute:
            return
        if sys.stdout.isatty():
            from affectkit.cli.markdown import draw_markdown

            draw_markdown(printable(text), _rich(sys.stdout))
        else:
            self.line(text.rstrip())

    # --- errors --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Turn what happens inside into text on stderr and an exit code."""
        numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)]
        before = {number: signal.signal(number, _terminate) for number in numbers}
        try:
            with _signals_first():
                yield
            sys.stdout.flush()
        except AffectkitError as error:
            self._fail(*_known(error))
        except BrokenPipeError:
            # The reader of a pipe has gone: what is still buffered must not raise again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(errors.EXIT_PIPE) from None
        except KeyboardInterrupt:
            self._fail("Interrupted.", "", errors.EXIT_INTERRUPTED, prefix="")
        except Terminated as stopped:
            self._fail(f"stopped by {stopped} before anything could be saved.", "", errors.EXIT_TERMINATED)
        except typer.Exit:
            raise
        except Exception as error:
            if interrupted(error) or is_replaced():
                self._fail("Interrupted.", "", errors.EXIT_INTERRUPTED, prefix="")
            self._fail(*_meaning(error), errors.EXIT_FAILED)
        finally:
            self.finish()
            for number, handler in before.items():
                signal.signal(number, handler)

    def fail(self, error: AffectkitError) -> NoReturn:
        """Report ``error`` and exit with its code."""
        self._fail(*_known(error))

    def _fail(self, message: str, hint: str, code: int, *, prefix: str = "Error: ") -> NoReturn:
        self.finish()
        if self.debug:
            self._say(traceback.format_exc().rstrip("\n"))
        text = printable(prefix + message)  # torchrun prints it too, as it is
        distributed.write_torchrun_error(text)
        if distributed.is_first_report(text):
            self._say(text, "red", hint)
        raise typer.Exit(code) from None

    def _say(self, text: str, colour: str = "", below: str = "") -> None:
        text, below = printable(text), printable(below)
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text(text, style=colour), soft_wrap=True)
            return
        if colour and sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
            text = typer.style(text, fg=colour)
        # A closed stderr must not hide the exit code.
        with contextlib.suppress(BrokenPipeError):
            # In one piece, so that lines of several processes do not mix.
            stream = unescaped(sys.stderr)  # of sequences there is the colour alone
            stream.write(f"{text}\n{below}\n" if below else f"{text}\n")
            stream.flush()


def _rich(stream: Any) -> Any:
    """Return what draws on ``stream``; the texts that it gets are escaped already."""
    from rich.console import Console as RichConsole

    # FORCE_COLOR would otherwise win over NO_COLOR.
    no_color = bool(os.environ.get("NO_COLOR")) or None
    return RichConsole(file=unescaped(stream), no_color=no_color, markup=False, emoji=False, highlight=False)


def _progress_bar() -> Any:
    """Return a bar on standard error with what is done, how fast, how much longer; it takes what room is left."""
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
    from rich.table import Column
    from rich.text import Text

    class Rate(ProgressColumn):
        """How fast it is, or how long the first of a stretch has been worked on: what stands still says nothing."""

        def render(self, task: Any) -> Text:
            waited = task.elapsed if task.completed == task.fields["before"] else None
            return Text(task.fields["rate"] or (f"{waited:.0f} s" if waited else ""))

    count, left, text = (TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in ("count", "left", "text"))
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None, table_column=Column(max_width=40)),
        count,
        Rate(),
        left,
        text,
        console=_rich(sys.stderr),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # else it would take what goes into a pipe
    )


def _known(error: AffectkitError) -> tuple[str, str, int]:
    """Return message, hint and exit code of an error raised on purpose; what reads or builds may take want of memory
    for a fault of its file or setting. A RunError knows what the memory was for.
    """
    want = None if error.__cause__ is None or isinstance(error, RunError) else want_of_memory(error.__cause__)
    if want is None:
        return error.message, error.hint, error.exit_code
    return f"{error.message}\nBehind it: {want}", MORE_MEMORY, errors.EXIT_FAILED


def _meaning(error: Exception) -> tuple[str, str]:
    """Describe what an error that nobody foresaw means, and the next step."""
    from affectkit.core.libraries import library_error

    if (want := want_of_memory(error)) is not None:
        return want, MORE_MEMORY
    if (fault := library_error(error)) is not None:
        return fault.message, fault.hint
    if isinstance(error, OSError):
        return describe_os_error(error)
    text = f"{type(error).__name__}: {error}".strip()
    return f"unexpected {text}", "This is a fault of affectkit; --debug shows where."


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "").rstrip("%") or "0")
    except ValueError:
        return False
    return True


def _terminate(number: int, frame: FrameType | None) -> None:
    raise_lasting(Terminated(signal.Signals(number).name), frame)


@contextlib.contextmanager
def _signals_first() -> Iterator[None]:
    """Raise, in place of an error, the signal amid an import that is behind it."""
    try:
        yield
    except BaseException as error:
        stop = answer()
        if stop is None or stop is error:
            raise
        raise stop from error
    else:
        if (stop := answer()) is not None:
            raise stop


def shown(value: Any, note: str = "") -> str:
    """Write a metric for a table: four decimals, a dash for what is not a number; a ``note`` behind it in brackets."""
    if note:
        return f"{shown(value)} ({note})"
    if value is None:  # what was not a number, read back from JSON
        return "-"
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4f}"
    return str(value)


def span(pair: Sequence[Any]) -> str:
    """Write an interval for a table; a dash for one that is not defined."""
    ends = [shown(end) for end in pair]
    return "-" if ends == ["-", "-"] else " to ".join(ends)

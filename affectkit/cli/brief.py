"""What ``--help`` says of a command: its docstring, taken apart, and which of its options most people need."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field

EXAMPLES = "Examples:"
NO_BREAK = "\xa0"


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What ``--help`` shows of a command; ``--help-all`` shows the rest.

    Attributes:
        options: the options and arguments that most people need, the names of their parameters with blanks between
            them, by heading, in order; None: all of the command's own.
        required: names of those without which it does not run.
        unless: the option beside which one of these is not required, by name.
        paragraphs: how many of the docstring's are shown.
    """

    options: Mapping[str, str] | None = None
    required: tuple[str, ...] = ()
    unless: Mapping[str, str] = field(default_factory=dict)
    paragraphs: int = 1

    def mark(self, name: str) -> str:
        """Return the words behind a required option, in one piece to a line break; empty for another."""
        if name not in self.required:
            return ""
        words = f"[required unless {self.unless[name]}]" if name in self.unless else "[required]"
        return words.replace(" ", NO_BREAK)


@dataclass(frozen=True)
class Description:
    """The parts of a command's docstring.

    Attributes:
        paragraphs: each on one line.
        examples: command lines, one each.
    """

    paragraphs: tuple[str, ...] = ()
    examples: tuple[str, ...] = field(default=())

    @classmethod
    def read(cls, docstring: str | None) -> Description:
        """Take a docstring apart: examples are the lines below ``Examples:``, its last paragraph."""
        parts = [part.splitlines() for part in inspect.cleandoc(docstring or "").split("\n\n") if part.strip()]
        examples: list[str] = []
        if parts and parts[-1][0].strip() == EXAMPLES:
            examples = [line.strip() for line in parts.pop()[1:]]
        return cls(tuple(" ".join(" ".join(part).split()) for part in parts), tuple(examples))

    @property
    def text(self) -> str:
        """Return the paragraphs with a blank line between them."""
        return "\n\n".join(self.paragraphs)

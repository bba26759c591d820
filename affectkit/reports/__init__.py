"""Draw figures of results from arrays and lists: curves, calibration, confusion, distributions. Import is light.

``FIGURES`` holds figures that ``test`` draws of a task's results beside the task's own, by file name.
"""

from __future__ import annotations

from dataclasses import dataclass

from affectkit.core.registry import Entry, Registry


@dataclass(frozen=True)
class FigureEntry(Entry):
    """A figure of results: a function of a path and of ``tasks.base.Results``, which writes the file.

    Attributes:
        tasks: whose results it shows.
    """

    tasks: tuple[str, ...] = ()


FIGURES = Registry("figure", entry=FigureEntry)

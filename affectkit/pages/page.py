"""What the makers of pages share: where they read, what they give back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectkit.core.progress import Reporter


@dataclass(frozen=True)
class Source:
    """What a page is made of.

    Attributes:
        folder: of results.
        images: folder in which originals are looked for first; None: where the records say alone.
        reporter: hears of the progress and of what is missing.
    """

    folder: Path
    images: Path | None
    reporter: Reporter


@dataclass(frozen=True)
class Page:
    """A page before it is written.

    Attributes:
        template: file in ``templates``.
        title: of the document.
        values: what the template shows.
        data: what the scripts read, as JSON.
        scripts: files in ``templates`` that the page needs, in order.
        counts: numbers for the command's summary.
    """

    template: str
    title: str
    values: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=dict)
    scripts: tuple[str, ...] = ()
    counts: Mapping[str, Any] = field(default_factory=dict)

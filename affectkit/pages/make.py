"""Make the HTML report of a result folder: the call behind ``affectkit report`` and ``--report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affectkit.core.files import write_text
from affectkit.core.progress import Reporter, Silent
from affectkit.errors import UsageError
from affectkit.pages.kinds import KINDS, kind_of
from affectkit.pages.page import Page, Source

ENDINGS = (".html", ".htm")


def make_report(
    folder: Path, file: Path, *, images: Path | None = None, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Write one self-contained HTML page of the results in ``folder``, whole or not at all.

    The page is made of the folder alone, and of the originals that its records name, where they are still what they
    were: of these it holds small pictures. It loads nothing, from the network or from the disk.

    Args:
        folder: of results: of ``infer``, ``train``, ``test``, ``compare``, ``matrix``, ``eval-corruptions``,
            ``describe`` or ``quantiles``; also of a run that was stopped, and of earlier versions.
        file: the page.
        images: folder in which originals are looked for first, where they have moved.
        reporter: of progress; None: silent.

    Returns:
        ``report`` (the file), ``kind`` (a name of ``KINDS``), ``bytes``, and what the kind counts: ``pictures`` shown
        and ``without_picture``.

    Raises:
        UsageError: ``folder`` or ``images`` is no folder, or ``file`` no name of a page.
        DataError: the folder holds no results, or they are damaged.
    """
    folder, file = Path(folder), Path(file)
    check_report_file(file)
    if images is not None and not Path(images).is_dir():
        raise UsageError(f"--images {images} is not a folder.")
    source = Source(folder, None if images is None else Path(images), reporter or Silent())
    kind = kind_of(folder)
    page: Page = KINDS.resolve(kind)(source)
    from affectkit.pages.rendering import render

    text = render(page)
    write_text(file, text)
    return {"report": str(file), "kind": kind, "bytes": len(text.encode()), **page.counts}


def check_report_file(file: Path, name: str = "the report") -> None:
    """Refuse a name of a report that no browser would open, or that is a folder, before hours are spent on results.

    Raises:
        UsageError: it is one of these.
    """
    if file.suffix.lower() not in ENDINGS:
        raise UsageError(f"{name} must end in .html, got {file}.")
    if file.is_dir():
        raise UsageError(f"{name} {file} is a folder; name a file in it.")

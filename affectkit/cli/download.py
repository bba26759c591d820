"""``affectkit download``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import nothing
from affectkit.config import Resolved, setting

NAME = "face-detector"
"""The source that stands for the file of the face detector."""


@dataclass(frozen=True, kw_only=True)
class DownloadSettings:
    """Settings of ``affectkit download``."""

    source: str | None = setting(
        None,
        "zenodo:ID, the page or DOI of a Zenodo record, https://... of one file, or face-detector: YuNet, for --faces.",
        argument=True,
    )
    output: Path | None = setting(
        None,
        "Folder for the files.",
        default_text="zenodo-ID of a record; of one file, the current folder",
        metavar="FOLDER",
    )
    file: tuple[str, ...] = setting((), "Download these files of the record alone.", metavar="NAME,...")
    show: bool = setting(False, "List the files and download none.", flag="--list")
    checksum: str | None = setting(
        None, "What the file at https://... must have; a record brings its own.", metavar="sha256:HEX"
    )
    force: bool = setting(False, "Replace files of other content.")

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        if not self.source:
            return ["SOURCE is needed: zenodo:ID, https://... of a file, or face-detector."]
        if self.source != NAME:
            return []
        given = [name for name in ("output", "file", "checksum", "force") if getattr(self, name)]
        return [f"--{name} and {NAME} exclude each other: its place and checksum are known." for name in given]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "download", DownloadSettings, writes=nothing, older="pull", brief=Brief(required=("source",)))
    def download(resolved: Resolved[DownloadSettings], console: Console) -> None:
        """Download the files of a Zenodo record, or one file, with checksum and resume.

        A file has its name only when it is whole and its checksum fits; what was cut off stands beside it as .part, and
        the same command resumes it. Files that are there already are not downloaded again.

        face-detector is YuNet's file of OpenCV's model zoo (233 kB, MIT licence), which --faces auto then finds in
        affectkit's cache; affectkit pull face-detector does the same.

        Examples:
            affectkit download face-detector
            affectkit download zenodo:18736264 --list
            affectkit download zenodo:18736264 --output weights
        """
        if resolved.settings.source == NAME:
            _face_detector(console, show=resolved.settings.show)
            return
        from affectkit.download.transfer import size_text
        from affectkit.download.zenodo import download as run
        from affectkit.download.zenodo import resolve_source, select_files

        s = resolved.settings
        if s.show:
            found = resolve_source(s.source, checksum=s.checksum, reporter=console)
            files = select_files(found, s.file)
            rows = [{"name": one.name, "size": one.size, "checksum": one.checksum or None, "url": one.url}
                    for one in files]  # fmt: skip
            console.result({"source": found.source, "title": found.title, "page": found.page, "files": rows})
            cells = [[one.name, size_text(one.size), one.checksum or "none known"] for one in files]
            console.table(["file", "size", "checksum"], cells, title=f"{found.source}: {found.title or found.page}")
            return
        summary = run(s.source, s.output, names=s.file, checksum=s.checksum, force=s.force, reporter=console)
        console.result(summary)
        cells = [[row["path"], size_text(row["size"]), row["checksum"], row["status"]] for row in summary["files"]]
        console.table(["file", "size", "checksum", ""], cells)


def _face_detector(console: Console, *, show: bool) -> None:
    """Download the file of the face detector, or describe it."""
    from affectkit.download.face_detector import describe, pull
    from affectkit.download.transfer import size_text

    found = describe() if show else pull(reporter=console)
    console.result(found)
    rows = [
        ["file", found["path"] if not show else f"{found['name']}, kept as {found['path']}"],
        ["size", size_text(found["size"])],
        ["checksum", found["checksum"]],
        *([["from", url] for url in found["urls"]] if show else [["status", found["status"]]]),
        ["origin", found["page"]],
        ["licence", f"{found['licence']}, {found['licence_page']}"],
    ]
    console.table(["face detector", "YuNet"], rows)

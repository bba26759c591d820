"""``affectkit download``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import nothing
from affectkit.config import Resolved, setting


@dataclass(frozen=True, kw_only=True)
class DownloadSettings:
    """Settings of ``affectkit download``."""

    source: str | None = setting(
        None,
        "zenodo:ID, the page or DOI of a Zenodo record, or https://... of one file.",
        argument=True,
    )
    output: Path | None = setting(
        None, "Folder for the files.", default_text="zenodo-ID of a record; of one file, the current folder"
    )
    file: tuple[str, ...] = setting((), "Download these files of the record alone.", metavar="NAME,...")
    show: bool = setting(False, "List the files and download none.", flag="--list")
    checksum: str | None = setting(
        None, "What the file at https://... must have; a record brings its own.", metavar="sha256:HEX"
    )
    force: bool = setting(False, "Replace files of other content.")

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        return [] if self.source else ["SOURCE is needed: zenodo:ID or https://... of a file."]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "download", DownloadSettings, writes=nothing, older="pull")
    def download(resolved: Resolved[DownloadSettings], console: Console) -> None:
        """Download the files of a Zenodo record, or one file, with checksum and resume.

        A file has its name only when it is whole and its checksum fits; what was cut off stands beside it as .part, and
        the same command resumes it. Files that are there already are not downloaded again.

        Example: affectkit download zenodo:18736264 --output weights
        """
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

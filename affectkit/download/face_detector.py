"""``affectkit pull face-detector``: download YuNet's file to where ``--faces auto`` finds it, checked beforehand.

The environment variable ``AFFECTKIT_FACE_DETECTOR`` names another address of the file, for a mirror and for tests; its
checksum decides in any case.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from affectkit.core.files import write_text
from affectkit.core.progress import Reporter, Silent
from affectkit.data.faces.weights import YUNET, is_published, pulled_path
from affectkit.download.transfer import RemoteFile, download_file, host, size_text
from affectkit.errors import DownloadError, UsageError

NAME = "face-detector"
"""What users type for it in place of a source."""
MIRROR = "AFFECTKIT_FACE_DETECTOR"


def addresses() -> tuple[str, ...]:
    """Return where the file is looked for, in turn.

    Raises:
        UsageError: the environment names an address that is none.
    """
    mirror = os.environ.get(MIRROR, "").strip()
    if mirror and not mirror.startswith(("https://", "http://")):
        raise UsageError(
            f"{MIRROR} must be the address of a file, https://...; got {mirror!r}.", "Correct or unset it."
        )
    return (mirror,) if mirror else YUNET.urls


def describe() -> dict[str, Any]:
    """Return what is known of the file: name, size, checksum, addresses, page, licence, and its path here."""
    return {
        "source": NAME,
        "name": YUNET.name,
        "size": YUNET.size,
        "checksum": f"sha256:{YUNET.sha256}",
        "urls": list(addresses()),
        "page": YUNET.page,
        "licence": YUNET.licence,
        "licence_page": YUNET.licence_page,
        "path": str(pulled_path()),
    }


def pull(*, reporter: Reporter | None = None) -> dict[str, Any]:
    """Download the file where it is missing, or replace one of other content; its origin is written beside it.

    Args:
        reporter: gets what is downloaded, from where and under which licence.

    Returns:
        ``describe()`` with ``"url"``, the address it came from (None where it was there), and ``"status"``:
        ``"fetched"``, ``"continued"`` or ``"present"``.

    Raises:
        DownloadError: no address gave the file whole; each is named with its fault.
        UsageError: its path is a folder.
        LockedError: another process downloads it.
    """
    reporter, path = reporter or Silent(), pulled_path()
    found = describe()
    if path.is_dir():
        raise UsageError(f"{path} is a folder, and the file of the face detector is to be there.", "Remove it.")
    if is_published(path, YUNET):
        reporter.note(f"{path} is there already, with the right checksum: nothing to do.")
        _write_origin(path, None)
        return {**found, "url": None, "status": "present"}
    if path.exists():
        reporter.warn(f"{path} is not the published file; it will be replaced.")
    reporter.note(f"{YUNET.name}, {size_text(YUNET.size)}, licence {YUNET.licence} ({YUNET.licence_page})")
    url, status = _download(path, reporter)
    _write_origin(path, url)
    reporter.note(f"{path}: checksum as published. --faces auto and --faces yunet find it there.")
    return {**found, "url": url, "status": status}


def _download(path: Path, reporter: Reporter) -> tuple[str, str]:
    """Download the file from the first address that gives it; return that and how it came."""
    offline = f"Without a network: download one of these addresses elsewhere and put the file at {path}."
    faults = []
    for url in addresses():
        remote = RemoteFile(YUNET.name, url, YUNET.size, f"sha256:{YUNET.sha256}")
        try:
            return url, download_file(remote, path, offline=offline, reporter=reporter)
        except DownloadError as error:
            faults.append(f"{url}\n    {error.message}")
            if url != addresses()[-1]:
                reporter.warn(f"{error.message} Trying {host(addresses()[len(faults)])}.")
    listed = "\n".join(f"  - {fault}" for fault in faults)
    hint = f"{offline} {MIRROR} names another address. A proxy is taken from HTTPS_PROXY."
    raise DownloadError(f"{YUNET.name} could not be downloaded:\n{listed}", hint)


def _write_origin(path: Path, url: str | None) -> None:
    """Write beside the file what it is, where it came from and its licence, unless that stands there already."""
    beside = path.with_suffix(".txt")
    if url is None and beside.exists():
        return
    lines = [
        f"{YUNET.name}: the face detector YuNet, {YUNET.size:,} bytes",
        f"sha256:   {YUNET.sha256}",
        f"from:     {url or 'put here by hand'}",
        f"origin:   {YUNET.page}",
        f"licence:  {YUNET.licence}",
        f"          {YUNET.licence_page}",
    ]
    write_text(beside, "\n".join(lines) + "\n")

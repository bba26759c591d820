"""Download one file over HTTP: continued where it was cut, checked whole, and only then under its name.

What has arrived stands in a ``.part`` file whose name follows from the checksum, so that a run after a kill finds it
and continues.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import requests
from requests.exceptions import RequestException

from affectkit.core.files import checksum as file_checksum
from affectkit.core.files import fsync_path
from affectkit.core.folder_lock import Output, locked
from affectkit.core.progress import Reporter
from affectkit.core.version import VERSION
from affectkit.errors import DownloadError

TIMEOUT = (10.0, 30.0)
"""Seconds to wait for a connection, and for the next bytes."""
CHUNK = 1 << 16
TRIES = 5
"""How often in a row a transfer that was cut is resumed without a byte gained."""
PAUSE = 1.0
"""Seconds before a transfer is resumed, times the number of the try."""
HEADERS = {"User-Agent": f"affectkit/{VERSION}", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class RemoteFile:
    """Describe a file to download.

    Attributes:
        name: under which it is kept, relative to the output folder.
        size: bytes; None where only the transfer shows it.
        checksum: ``"md5:..."`` or of another algorithm of hashlib; empty where none is known.
    """

    name: str
    url: str
    size: int | None = None
    checksum: str = ""


class _ConnectionLost(Exception):
    """The connection ended before the file did."""


def size_text(count: int | None) -> str:
    """Format a number of bytes for reading."""
    if count is None:
        return "size unknown"
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"


def host(url: str) -> str:
    """Return the host of a URL, with its port."""
    return urlsplit(url).netloc


def matches_checksum(path: Path, checksum: str) -> bool:
    """Return whether the file's content has the checksum ``"algorithm:hexadecimal"``."""
    algorithm, _, digest = checksum.partition(":")
    return file_checksum(path, algorithm) == digest.lower()


def part_path(final: Path, remote: RemoteFile) -> Path:
    """Return the path of what has arrived of ``final``: beside it, named after the checksum, so that neither another
    version of the file nor a browser's ``.part`` is ever continued."""
    mark = remote.checksum.partition(":")[2] or hashlib.sha256(remote.url.encode()).hexdigest()
    return final.with_name(f"{final.name}.{mark[:8].lower()}.part")


class _Session(requests.Session):
    """A session that a server cannot lead from https to http, where anybody on the way can change what comes.

    Args:
        checked: whether a checksum will show that; then it is followed, and ``on_downgrade`` gets both addresses.
    """

    def __init__(self, checked: bool, on_downgrade: Callable[[str, str], None]) -> None:
        super().__init__()
        self.checked, self.on_downgrade = checked, on_downgrade

    def get_redirect_target(self, resp: Any) -> str | None:
        """Return where a response leads, as ``requests`` asks before each step; None where nowhere."""
        target = super().get_redirect_target(resp)
        if target is None or urlsplit(resp.url).scheme != "https":
            return target
        whole = urljoin(resp.url, target)
        if urlsplit(whole).scheme != "https":
            if not self.checked:
                raise DownloadError(
                    f"{host(resp.url)} leads from https to {whole}: what comes that way can be changed, and no "
                    "checksum would show it; it was not followed.",
                    "If you know the file's checksum, give its own address with --checksum sha256:....",
                )
            self.on_downgrade(resp.url, whole)
        return target


def http_get(
    url: str,
    *,
    offline: str,
    headers: dict[str, str] | None = None,
    stream: bool = False,
    checked: bool,
    reporter: Reporter | None = None,
) -> Any:
    """Return the response to a GET request, whatever its status.

    Args:
        checked: whether what comes is compared with a checksum; without one no redirection from https to http is
            followed.
        reporter: gets a note where one is.

    Raises:
        DownloadError: the host cannot be reached; its hint is ``offline``. It leads from https to http, unchecked.
    """

    def note(before: str, after: str) -> None:
        if reporter is not None:
            reporter.note(f"{host(before)} leads to {host(after)} without https; the checksum decides.")

    try:
        with _Session(checked, note) as session:
            return session.get(url, headers={**HEADERS, **(headers or {})}, stream=stream, timeout=TIMEOUT)
    except (RequestException, ValueError) as error:
        raise DownloadError(f"{host(url) or url} cannot be reached: {failure_reason(error)}.", offline) from error


def download_file(remote: RemoteFile, final: Path, *, offline: str, reporter: Reporter) -> str:
    """Download ``remote`` to ``final``; returns ``"fetched"``, or ``"continued"`` where an earlier run left a part.

    A file without a checksum is never continued: nothing shows whether its end belongs to that beginning.

    Raises:
        DownloadError: it did not arrive whole; what did arrive is kept, unless it is known to be wrong.
        LockedError: another process downloads the same file.
    """
    with locked(Output(final, "file"), reporter=reporter):
        return _download_alone(remote, final, offline=offline, reporter=reporter)


def _download_alone(remote: RemoteFile, final: Path, *, offline: str, reporter: Reporter) -> str:
    """Download ``remote``, which no other process does now."""
    final.parent.mkdir(parents=True, exist_ok=True)
    part = part_path(final, remote)
    keep = bool(remote.checksum)
    try:
        with open(part, "a+b", buffering=0) as stream:  # unbuffered, so that a kill loses nothing
            if not keep:
                stream.truncate(0)
            before = stream.seek(0, os.SEEK_END)
            _download_rest(remote, stream, offline=offline, reporter=reporter)
            reporter.finish()
            os.fsync(stream.fileno())
            _verify(remote, part)
    except BaseException as error:
        reporter.finish()
        _keep_or_remove(part, keep, error, reporter)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DownloadError(
                f"the disk of {final.parent} is full after {size_text(_size(part))} of {remote.name}.",
                "Make room and run the same command: it resumes there." if keep else "Make room and run it again.",
            ) from error
        raise
    os.replace(part, final)
    fsync_path(final.parent)
    return "continued" if before else "fetched"


def _keep_or_remove(part: Path, keep: bool, error: BaseException, reporter: Reporter) -> None:
    """Remove a part that cannot be continued, and report one that can."""
    if not part.exists():
        return
    if not keep or not _size(part):
        part.unlink()
    elif isinstance(error, DownloadError):
        reporter.note(f"{size_text(_size(part))} are kept in {part}; the same command resumes there.")


def _verify(remote: RemoteFile, part: Path) -> None:
    """Remove ``part`` and raise a DownloadError where it is not what was announced."""
    if not remote.checksum or matches_checksum(part, remote.checksum):
        return
    algorithm = remote.checksum.partition(":")[0]
    found = f"{algorithm}:{file_checksum(part, algorithm)}"
    part.unlink()
    raise DownloadError(
        f"{remote.name} arrived from {host(remote.url)} with the checksum {found}, not {remote.checksum}; what had "
        "arrived was removed.",
        "Run the command again. If that ends the same, the file there is another one, or something on the way changes "
        "it: a proxy, or a network that wants a login.",
    )


def _download_rest(remote: RemoteFile, stream: BinaryIO, *, offline: str, reporter: Reporter) -> None:
    """Fill ``stream`` up to the end of the file, resuming the transfer where it is cut."""
    tries, gained = 0, stream.seek(0, os.SEEK_END)
    if remote.size is not None and gained > remote.size:
        stream.truncate(0)
    while True:
        have = stream.seek(0, os.SEEK_END)
        if remote.size is not None and have == remote.size:
            return
        try:
            _request(remote, stream, have, offline=offline, reporter=reporter)
            return
        except _ConnectionLost as cut:
            reporter.finish()
            have = stream.seek(0, os.SEEK_END)
            tries, gained = (1, have) if have > gained else (tries + 1, gained)
            if tries >= TRIES or not remote.checksum:
                again = "Run the same command: it resumes there." if remote.checksum else "Run the command again."
                of = f" of {size_text(remote.size)}" if remote.size is not None else ""
                raise DownloadError(
                    f"{host(remote.url)} was cut off at {size_text(have)}{of} of {remote.name}: {cut}.", again
                ) from cut
            reporter.note(f"{host(remote.url)} was cut off at {size_text(have)} of {remote.name}; resuming.")
            time.sleep(PAUSE * tries)


def _request(remote: RemoteFile, stream: BinaryIO, have: int, *, offline: str, reporter: Reporter) -> None:
    """Send one request; its content is written behind the ``have`` bytes that are there."""
    wanted = {"Range": f"bytes={have}-"} if have else {}
    checked = bool(remote.checksum)
    with http_get(
        remote.url, offline=offline, headers=wanted, stream=True, checked=checked, reporter=reporter
    ) as response:
        begin, total = _response_range(response, remote, have)
        if begin is None and total == have and remote.size is None:  # all was there, which only the server could say
            return
        if begin != have:
            reporter.note(f"{host(remote.url)} does not continue {remote.name} at {size_text(have)}: it begins again.")
            stream.truncate(0)
        if begin not in (have, 0):
            response.close()
            _request(remote, stream, 0, offline=offline, reporter=reporter)
            return
        left = None if total is None else max((total - begin + 999_999) // 1_000_000, 1)
        reporter.start(f"{remote.name} (from {size_text(begin)})" if begin else remote.name, left, "MB")
        end, reported = begin, 0
        try:
            for chunk in response.iter_content(CHUNK):
                end += len(chunk)
                if total is not None and end > total:
                    stream.truncate(0)  # what came before is not of that file either
                    raise _wrong_size(remote, f"more than {total:,}", total)
                stream.write(chunk)
                if (end - begin) // 1_000_000 > reported:
                    reporter.advance((end - begin) // 1_000_000 - reported)
                    reported = (end - begin) // 1_000_000
        except RequestException as error:
            raise _ConnectionLost(_why_cut(error)) from error
        if total is not None and end < total:
            raise _ConnectionLost("the connection was closed")
        reporter.finish()


def _response_range(response: Any, remote: RemoteFile, have: int) -> tuple[int | None, int | None]:
    """Return where the bytes of a response begin (None: none behind ``have``), and the file's size if known."""
    span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    begin = int(span[1]) if span and span[1] else None
    whole = int(span[2]) if span and span[2] != "*" else None
    if response.status_code == 416 and have:
        begin = None
    elif response.status_code == 206 and have:
        begin = -1 if begin is None else begin
    elif response.status_code == 200:
        begin = 0
        length = response.headers.get("Content-Length", "")
        whole = int(length) if length.isdigit() and "Content-Encoding" not in response.headers else None
    else:
        raise status_error(response, f"fetch {remote.name}")
    if remote.size is not None and whole is not None and whole != remote.size:
        raise _wrong_size(remote, f"{whole:,}", remote.size)
    return begin, remote.size if remote.size is not None else whole


def _wrong_size(remote: RemoteFile, found: str, expected: int) -> DownloadError:
    return DownloadError(
        f"{host(remote.url)} sends {found} bytes for {remote.name}, which was announced with {expected:,}; none of "
        "them was taken.",
        "The file there has changed, or something on the way answers in its place: a proxy, or a network that wants a "
        "login.",
    )


def status_error(response: Any, what: str) -> DownloadError:
    """Return the error for a status that is no success; ``what`` was asked (``"fetch vca.pth"``)."""
    code, where = response.status_code, host(response.url)
    meaning = {
        401: "it wants a login",
        403: "access is restricted",
        404: "it is not there",
        410: "it was withdrawn",
        429: "too many requests",
    }.get(code, response.reason or "no reason given")
    after = response.headers.get("Retry-After", "")
    hint = ""
    if code in (401, 403):
        hint = "Ask its authors for access, and download it in a browser where you are logged in."
    elif code in (404, 410):
        hint = "Check the number or the address in a browser."
    elif code == 429 or code >= 500:
        hint = f"Try again {f'in {after} seconds' if after.isdigit() else 'later'}."
    return DownloadError(f"{where} refuses to {what}: {code}, {meaning}.", hint)


def failure_reason(error: BaseException) -> str:
    """Return why a request failed, in a few words: those of the operating system where it gave any."""
    seen: list[BaseException] = []
    inner: Any = error
    while isinstance(inner, BaseException) and inner not in seen:
        seen.append(inner)
        if isinstance(inner, OSError) and inner.strerror and not isinstance(inner, RequestException):
            return inner.strerror
        inner = getattr(inner, "reason", None) or next(
            (item for item in (*inner.args, inner.__cause__, inner.__context__) if isinstance(item, BaseException)),
            None,
        )
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    return " ".join(str(seen[-1]).split())[:160].rstrip(".") or type(error).__name__


def _why_cut(error: RequestException) -> str:
    if "timed out" in str(error).lower():
        return f"nothing came for {TIMEOUT[1]:g} s"
    text = failure_reason(error)
    return "the connection was closed" if "IncompleteRead" in text or "Broken" in text else text


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0

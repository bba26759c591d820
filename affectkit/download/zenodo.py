"""Download files of a Zenodo record, or one file by its address, with checksum and resume.

The environment variable ``AFFECTKIT_ZENODO`` names another server with Zenodo's interface (``http://127.0.0.1:8000``),
for a mirror and for tests.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from affectkit.core.contained_paths import path_inside
from affectkit.core.files import fresh_folder, sha256
from affectkit.core.forms import check_form, parse_json
from affectkit.core.progress import Reporter, Silent
from affectkit.core.registry import unknown_name
from affectkit.download import transfer
from affectkit.download.file_names import check_name
from affectkit.download.transfer import RemoteFile, size_text
from affectkit.errors import DataError, DownloadError, Stopped, UsageError

RECORD = re.compile(
    r"(?:zenodo:|https?://(?:www\.)?zenodo\.org/(?:api/)?records?/|(?:https?://(?:dx\.)?doi\.org/|doi:)?10\.5281/zenodo\.)"
    r"(?P<id>\d+)(?:/files/(?P<file>[^/?#]+)(?:/content)?)?/?(?:[?#].*)?"
)
"""``zenodo:ID``, a record's page or DOI, or the address of one of its files as a browser copies it."""

_LINK = {"content?": str | None, "download?": str | None, "self?": str | None}
FILE = {
    "key?": str | None, "filename?": str | None, "size?": int | None, "filesize?": int | None, "checksum?": str | None,
    "links?": _LINK,
}  # fmt: skip
"""The form of a file in a record; see ``core.forms``."""


@dataclass(frozen=True)
class ResolvedSource:
    """Hold the files that a source stands for.

    Attributes:
        source: ``zenodo:ID`` or the address.
        title: of the record.
        page: where a browser shows it.
        files: what can be downloaded.
        chosen: names that the source itself chose; empty for all.
    """

    source: str
    title: str
    page: str
    files: tuple[RemoteFile, ...]
    chosen: tuple[str, ...] = ()


def check_checksum(text: str) -> str:
    """Return ``text`` as ``"algorithm:hexadecimal"`` in lower case; a UsageError where it is not that."""
    algorithm, _, digest = text.strip().lower().partition(":")
    known = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
    if len(digest) != known.get(algorithm) or not re.fullmatch("[0-9a-f]+", digest):
        shapes = ", ".join(f"{name} with {length}" for name, length in known.items())
        raise UsageError(
            f"a checksum is ALGORITHM:HEX, as sha256:9f86d0..., with all hexadecimal digits ({shapes}); got {text!r}."
        )
    return f"{algorithm}:{digest}"


def resolve_source(source: str, *, checksum: str | None = None, reporter: Reporter | None = None) -> ResolvedSource:
    """Return the files of ``source``, with sizes and checksums; only the record's description is downloaded.

    Args:
        source: ``zenodo:ID``, a record's page or DOI, or ``https://...`` of one file.
        checksum: of that one file, ``"sha256:..."``; a record brings its own.

    Raises:
        UsageError: ``source`` or ``checksum`` is not of that form.
        DownloadError: the server cannot be reached, or has no such record, or none with open files.
    """
    record = RECORD.fullmatch(source.strip())
    if record is None:
        return _resolve_url(source.strip(), checksum)
    if checksum is not None:
        raise UsageError("--checksum is for a file named by its address; a record brings its own checksums.")
    chosen = (unquote(record["file"]),) if record["file"] else ()
    return _resolve_record(record["id"], chosen, reporter or Silent())


def download(
    source: str,
    output: Path | None = None,
    *,
    names: Sequence[str] = (),
    checksum: str | None = None,
    force: bool = False,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Download the files of ``source`` into ``output``; what is there with the right checksum is left as it is.

    A file has its name only when it is whole and its checksum fits. What was cut off stands beside it as ``.part``
    and is continued by the same call.

    Args:
        source: as for ``resolve_source``.
        output: folder, made where it is missing; None: ``own_folder``.
        names: files of the record to download; all by default.
        checksum: as for ``resolve_source``.
        force: replace files of other content.
        reporter: gets what will be downloaded, and progress in MB.

    Returns:
        ``source``, ``title``, ``page``, ``output``, ``bytes_fetched`` and ``files``: for each its name, path, size,
        checksum and status, ``"fetched"``, ``"continued"`` or ``"present"``.

    Raises:
        UsageError: a name is not in the record, or a file of other content is in the way.
        DataError: a name in the record leads out of ``output``, or is none that is taken from others.
        DownloadError: something could not be downloaded; the message names it, and what is kept.
        Stopped: Ctrl-C or a signal; what has arrived is kept.
    """
    reporter = reporter or Silent()
    if output is not None:
        fresh_folder(output, force=True)
    found = resolve_source(source, checksum=checksum, reporter=reporter)
    output = own_folder(found) if output is None else output
    fresh_folder(output, force=True)
    wanted = select_files(found, names)
    paths = {remote.name: _path_inside(output, remote.name) for remote in wanted}
    present = _already_downloaded(wanted, paths, force=force)
    missing = [remote for remote in wanted if remote.name not in present]
    kept = {remote.name: _bytes_kept(transfer.part_path(paths[remote.name], remote)) for remote in missing}
    _announce(found, wanted, missing=missing, kept=kept, output=output, reporter=reporter)
    _check_free_space(missing, kept, output)
    offline = _offline_hint(found)
    rows = []
    for remote in wanted:
        path, status = paths[remote.name], "present"
        if remote.name not in present:
            try:
                status = transfer.download_file(remote, path, offline=offline, reporter=reporter)
            except BaseException as stop:  # Ctrl-C, and SIGTERM as the command line raises it
                if isinstance(stop, Exception | SystemExit):
                    raise
                raise _stopped(remote, path, f"{len(rows)} of {len(wanted)} files are whole", stop) from stop
        rows.append(_summary_row(remote, path, status, reporter))
    return {
        "source": found.source, "title": found.title, "page": found.page, "output": str(output),
        "bytes_fetched": sum(row["size"] for row in rows if row["status"] != "present"), "files": rows,
    }  # fmt: skip


def own_folder(found: ResolvedSource) -> Path:
    """Return the folder of a source where none is named: of a record ``zenodo-ID`` in the current folder, so that
    nothing that others named stands among a user's files; for one file, whose address was typed, the current folder.
    """
    record = RECORD.fullmatch(found.source)
    return Path(f"zenodo-{record['id']}") if record else Path(".")


def _summary_row(remote: RemoteFile, path: Path, status: str, reporter: Reporter) -> dict[str, Any]:
    checksum = remote.checksum
    if status != "present" and not checksum:
        checksum = f"sha256:{sha256(path)}"
        reporter.warn(
            f"{path}: no checksum was known, so nothing shows that this is the file meant. To have the same one "
            f"again: --checksum {checksum}"
        )
    size = path.stat().st_size
    return {"name": remote.name, "path": str(path), "size": size, "checksum": checksum, "status": status}


def _stopped(remote: RemoteFile, path: Path, whole: str, stop: BaseException) -> Stopped:
    part = transfer.part_path(path, remote)
    kept = f", and {size_text(part.stat().st_size)} of {remote.name} are in {part}" if part.exists() else ""
    pressed = isinstance(stop, KeyboardInterrupt)
    by = "Ctrl-C" if pressed else str(stop) or "a signal"
    return Stopped(f"stopped by {by}; {whole}{kept}.", "The same command resumes it.", interrupted=pressed)


def select_files(found: ResolvedSource, names: Iterable[str] = ()) -> list[RemoteFile]:
    """Return the files called ``names``, in the record's order; all where none is named, by caller or source."""
    names = list(dict.fromkeys(names)) or list(found.chosen)
    known = [remote.name for remote in found.files]
    faults = [unknown_name("file", name, known) for name in names if name not in known]
    if faults:
        raise UsageError.from_faults(faults, f"affectkit download {found.source} --list shows its files.")
    return [remote for remote in found.files if not names or remote.name in names]


def _resolve_url(url: str, checksum: str | None) -> ResolvedSource:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.netloc:
        raise UsageError(
            f"{url!r} is neither a Zenodo record nor the address of a file.",
            "Write zenodo:ID (the number in the record's address or DOI), https://..., or face-detector.",
        )
    if parts.scheme == "http" and checksum is None:
        raise UsageError(f"{url}: what comes over http can be changed on the way.", "Use https, or add --checksum.")
    name = unquote(parts.path.rsplit("/", 1)[-1])
    if not name:
        raise UsageError(f"{url} names no file: its path ends with '/'.")
    check_name(name)
    remote = RemoteFile(name, url, checksum=check_checksum(checksum) if checksum is not None else "")
    return ResolvedSource(url, "", url, (remote,))


def _resolve_record(number: str, chosen: tuple[str, ...], reporter: Reporter) -> ResolvedSource:
    base = os.environ.get("AFFECTKIT_ZENODO", "https://zenodo.org").rstrip("/")
    page = f"{base}/records/{number}"
    offline = _offline_hint(ResolvedSource("", "", page, ()))
    response = transfer.http_get(
        f"{base}/api/records/{number}", offline=offline, headers={"Accept": "application/json"}, checked=False
    )
    if response.status_code != 200:
        raise transfer.status_error(response, f"describe record {number}")
    try:
        record = parse_json(response.content, "the record", error=DownloadError)
    except DownloadError:
        record = None
    if not isinstance(record, dict):
        raise DownloadError(
            f"{transfer.host(base)} did not answer with a record for {number}, but with "
            f"{response.headers.get('Content-Type', 'something else')}.",
            "A proxy, or a network that wants a login, may have answered in its place: try a browser.",
        )
    actual = str(record.get("id") or number)
    if actual != number and actual.isdigit():
        reporter.note(f"zenodo:{number} stands for all versions of a record; the newest is zenodo:{actual}.")
        number, page = actual, f"{base}/records/{actual}"
    files = tuple(_remote_file(entry, base, number) for entry in _entries(record, number))
    title = _metadata(record).get("title") or record.get("title") or ""
    if not files:
        raise DownloadError(
            f"zenodo:{number} has no files that can be fetched{_access(record)}.",
            f"Look at {page}: its authors may give access, or its files are in another version.",
        )
    twice = sorted({remote.name for remote in files if [other.name for other in files].count(remote.name) > 1})
    if twice:
        raise DownloadError(f"zenodo:{number} lists {', '.join(map(repr, twice))} twice.", f"Look at {page}.")
    return ResolvedSource(f"zenodo:{number}", " ".join(str(title).split()), page, files, chosen)


def _metadata(record: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = record.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _access(record: Mapping[str, Any]) -> str:
    """Return what a record states about access, as old and new servers write it."""
    new = record.get("access")
    word = _metadata(record).get("access_right") or (new.get("files") if isinstance(new, dict) else None)
    return f" (access: {word})" if word and word not in ("open", "public") else ""


def _entries(record: Mapping[str, Any], number: str) -> list[Mapping[str, Any]]:
    """Return the list of files: a list of its own, or the values of ``files.entries`` as InvenioRDM writes it."""
    title, files = f"zenodo:{number} describes its files in a form that is not known here", record.get("files") or []
    if isinstance(files, dict):
        files = files.get("entries") or []
        if isinstance(files, dict):
            check_form(files, dict[str, FILE], title, error=DownloadError)
            files = [{"key": key, **entry} for key, entry in files.items()]
    check_form(files, list[FILE], title, error=DownloadError)
    return files


def _remote_file(entry: Mapping[str, Any], base: str, number: str) -> RemoteFile:
    """Read one file of a record. Names and size have had two spellings, a checksum comes with or without ``md5:``."""
    name = entry.get("key") or entry.get("filename")
    size = entry.get("size", entry.get("filesize"))
    if not name or (size is not None and size < 0):
        raise DownloadError(f"zenodo:{number} describes a file in a form that is not known here: {str(entry)[:200]}")
    checksum = entry.get("checksum") or ""
    checksum = checksum if ":" in checksum or not checksum else f"md5:{checksum}"
    if checksum and not _is_checksum(checksum):
        raise DownloadError(f"zenodo:{number} gives {name!r} a checksum of an unknown kind, {checksum[:200]}.")
    links = entry.get("links") or {}
    # Where there are several links, "self" is the file's description; where it stands alone, its content.
    url = links.get("content") or links.get("download") or links.get("self")
    url = url or f"{base}/api/records/{number}/files/{quote(name)}/content"
    if not checksum and urlsplit(url).scheme == "http" != urlsplit(base).scheme:
        raise DownloadError(f"zenodo:{number} gives {name!r} an address without https, and no checksum: {url}")
    return RemoteFile(name, url, size, checksum)


def _is_checksum(text: str) -> bool:
    """Return whether ``text`` is a checksum that can be computed here, with all its digits: it names a part too."""
    algorithm, _, digest = text.partition(":")
    if algorithm not in hashlib.algorithms_available or not re.fullmatch("[0-9a-fA-F]+", digest):
        return False
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size  # 0: of any length, as shake_128
    return len(digest) == 2 * size


def _offline_hint(found: ResolvedSource) -> str:
    if not found.source.startswith("http"):
        return f"Without a network: download from {found.page} in a browser elsewhere, and use the files as they are."
    return "Without a network: download that address in a browser elsewhere, and use the file as it is."


def _path_inside(output: Path, name: str) -> Path:
    """Return the path of a file in ``output``; a DataError where its name leads out of it, or is refused."""
    path = path_inside(output, name)
    if path == output:
        raise DataError(f"{name!r} is not a file name.")
    check_name(name, folders=True)
    return path


def _already_downloaded(wanted: Sequence[RemoteFile], paths: Mapping[str, Path], *, force: bool) -> set[str]:
    """Return names of files that are there as they should be; a UsageError names all that have other content."""
    present, faults = set(), []
    for remote in wanted:
        path = paths[remote.name]
        if path.is_dir():
            faults.append(f"{path} is a folder, and a file of that name is to be fetched.")
        elif not path.exists():
            continue
        elif (
            remote.checksum
            and remote.size in (None, path.stat().st_size)
            and transfer.matches_checksum(path, remote.checksum)
        ):
            present.add(remote.name)
        elif not force:
            known = "has other content than the file to be fetched" if remote.checksum else "is there, and no checksum"
            faults.append(f"{path} {known}{'' if remote.checksum else ' shows whether it is the same file'}.")
    if faults:
        raise UsageError("\n".join(faults), "Name another folder with --output, or add --force to replace files.")
    return present


def _bytes_kept(part: Path) -> int:
    """Return how many bytes of a file an earlier run downloaded."""
    return part.stat().st_size if part.is_file() else 0


def _announce(
    found: ResolvedSource,
    wanted: Sequence[RemoteFile],
    *,
    missing: Sequence[RemoteFile],
    kept: Mapping[str, int],
    output: Path,
    reporter: Reporter,
) -> None:
    if not missing:
        what = f"{wanted[0].name} is" if len(wanted) == 1 else f"all {len(wanted)} files are"
        reporter.note(f"{found.source}: {what} in {output} already, with the right checksum: nothing to do.")
        return
    title = f" ({found.title})" if found.title else ""
    hosts = ", ".join(dict.fromkeys(transfer.host(remote.url) for remote in missing))
    count = f"{len(missing)} file{'s' if len(missing) > 1 else ''}"
    rest = f"; {len(wanted) - len(missing)} already there" if len(missing) < len(wanted) else ""
    sizes = [remote.size for remote in missing]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    reporter.note(f"{found.source}{title}: {count}, {size_text(total)}, from {hosts} into {output}{rest}")
    for remote in missing:
        part = f", {size_text(kept[remote.name])} of it from an earlier run" if kept[remote.name] else ""
        if len(missing) > 1 or part:
            reporter.note(f"  {remote.name}, {size_text(remote.size)}{part}")


def _check_free_space(missing: Sequence[RemoteFile], kept: Mapping[str, int], output: Path) -> None:
    """Raise a DownloadError before the first byte where the disk cannot hold what is still to come."""
    needed = sum(max((remote.size or 0) - kept[remote.name], 0) for remote in missing)
    folder = next(parent for parent in (output, *output.absolute().parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(
            f"{size_text(needed)} are still to be fetched, and the disk of {output} has {size_text(free)} free.",
            "Make room, name another folder with --output, or choose files with --file.",
        )

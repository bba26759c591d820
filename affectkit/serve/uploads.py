"""Files of a request onto the disk, as they come: counted, of a bounded size, under names of our own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from affectkit.core.text import count_text, printable
from affectkit.data.media.file_kinds import VIDEO_EXTENSIONS, file_suffix
from affectkit.data.media.image_formats import IMAGE_EXTENSIONS, RAW_EXTENSIONS
from affectkit.serve.refusal import Refusal

FILE = "file"
"""Name of the form's parts that are files."""
MAX_NAME = 200
MAX_HEADER = 4096
MAX_FIELD = 1000
MAX_FIELDS = 20
FORM = "Send the files as multipart/form-data, as curl -F file=@face.jpg does."
PATIENCE = 2.0
"""Seconds for which the rest of a refused request is read, so that its sender gets to read the answer."""
STALLED = 30.0
"""Seconds without a byte after which a request is given up: it holds a place in the queue."""
FRAME = 1_000_000
"""Bytes of a form beside its files."""


@dataclass(frozen=True)
class Upload:
    """Name a file that was sent.

    Attributes:
        name: as its sender calls it, made safe to show; no two of a request are equal.
        path: where it stands, under a name that is not the sender's.
    """

    name: str
    path: Path

    def told(self, text: str) -> str:
        """Return a message of the library, with the name of the file in place of the path."""
        return text.replace(str(self.path), self.name)


@dataclass
class Form:
    """Hold what a request brought: files, and fields by name."""

    files: list[Upload] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


class RequestFiles:
    """The files of one request among those of others, gone when the block ends; a folder of its own would take longer.

    Args:
        folder: of all.
    """

    _count = itertools.count()

    def __init__(self, folder: Path) -> None:
        self._folder, self._made = folder, list[Path]()

    def new(self, name: str) -> Path:
        """Return the path of a new file that ends in ``name``, one of ours."""
        self._made.append(self._folder / f"{next(self._count)}-{name}")
        return self._made[-1]

    def remove(self) -> None:
        """Remove all of them."""
        for path in self._made:
            path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


class RequestFolder(RequestFiles):
    """A folder for the files of one request or job."""

    def __init__(self, parent: Path) -> None:
        super().__init__(parent)
        self.path = Path(tempfile.mkdtemp(dir=parent))

    def new(self, name: str) -> Path:
        """Return the path of the new file ``name``, one of ours."""
        return self.path / name

    def remove(self) -> None:
        """Remove the folder and all files in it."""
        shutil.rmtree(self.path, ignore_errors=True)


async def receive_form(
    headers: Mapping[str, str], body: AsyncIterator[bytes], place: RequestFiles, *, max_size: int, max_files: int
) -> Form:
    """Write the files of a multipart request to ``place``; return them with the fields.

    Args:
        headers: of the request.
        body: its bytes, in pieces.
        place: where they go.
        max_size: bytes of the request.
        max_files: files in it.

    Raises:
        Refusal: it is no form with files (400, 415), too large or of too many files (413), or does not go on (408).
    """
    kind, options = parse_options_header(headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        await _read_on(body)
        raise Refusal(415, "the request is no form with files.", FORM)
    try:
        parts = _Parts(place, max_files)
        return await _receive(headers, body, parts, boundary=options[b"boundary"], max_size=max_size)
    except Refusal:
        await _read_on(body)
        raise
    except FormParserError as error:
        await _read_on(body)
        raise Refusal(400, f"the form is damaged: {printable(str(error))}", FORM) from error


async def _receive(
    headers: Mapping[str, str], body: AsyncIterator[bytes], parts: _Parts, *, boundary: bytes, max_size: int
) -> Form:
    stated = headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > max_size + FRAME:
        raise _too_large(f"{int(stated):,}", max_size)
    size = 0
    parser = MultipartParser(boundary, parts.callbacks())
    with contextlib.closing(parts):
        while (piece := await _next(body)) is not None:
            size += len(piece)
            if size > max_size + FRAME:
                raise _too_large(f"more than {max_size:,}", max_size)
            parser.write(piece)
        parser.finalize()
    if not parts.ended:
        raise Refusal(400, "the form is cut short.", FORM)
    if not parts.form.files:
        raise Refusal(400, f"the form has no part {FILE!r} with a file.", FORM)
    return parts.form


def _too_large(size: str, limit: int) -> Refusal:
    return Refusal(413, f"the request has {size} bytes; at most {limit:,} are taken (--max-size).", "Send less of it.")


async def _next(body: AsyncIterator[bytes]) -> bytes | None:
    """Return the next piece; None at the end."""
    try:
        async with asyncio.timeout(STALLED):
            return await anext(body, None)
    except TimeoutError:
        raise Refusal(
            408, f"nothing of the request has come for {STALLED:g} s; it is given up.", "Send it again."
        ) from None


async def _read_on(body: AsyncIterator[bytes]) -> None:
    """Read what is left of a request, for a moment."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            async for _ in body:
                pass


class _Parts:
    """Take what the parser finds in a form."""

    def __init__(self, place: RequestFiles, max_files: int) -> None:
        self.place, self.max_files = place, max_files
        self.form, self.ended = Form(), False
        self._headers: dict[str, bytes] = {}
        self._name = self._value = self._text = b""
        self._field = ""
        self._file: BinaryIO | None = None

    def callbacks(self) -> dict[str, Any]:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": self.close_part,
            "on_end": self._end,
        }

    def close(self) -> None:
        """Close a file that is open still."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def close_part(self) -> None:
        """End a part."""
        if self._file is None:
            self.form.fields[self._field] = self._text.decode(errors="replace")
        self.close()

    def _begin(self) -> None:
        self._headers, self._name, self._value, self._text = {}, b"", b"", b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._check_header(self._name)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._check_header(self._value)

    def _check_header(self, text: bytes) -> None:
        if len(text) > MAX_HEADER:
            raise Refusal(400, f"the form has a header of more than {MAX_HEADER:,} bytes.", FORM)

    def _header_end(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value
        self._name = self._value = b""

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        self._field = printable(options.get(b"name", b"").decode(errors="replace"))[:MAX_NAME]
        if b"filename" not in options:
            if len(self.form.fields) >= MAX_FIELDS:
                raise Refusal(413, f"the form has more than {MAX_FIELDS} fields.", FORM)
            return
        if self._field != FILE:
            raise Refusal(400, f"a file stands in the part {self._field!r}; the part must be called {FILE!r}.", FORM)
        if len(self.form.files) >= self.max_files:
            raise Refusal(
                413,
                f"the request has more than {count_text(self.max_files, 'file')}, which is the most (--max-files).",
                "Send them in several requests.",
            )
        sent = unescaped(options[b"filename"]).decode(errors="surrogateescape")
        name = unique_name(shown_name(sent), self.form.files)
        path = self.place.new(f"{len(self.form.files)}{_ending(name, self._headers.get('content-type', b''))}")
        self._file = path.open("xb")
        self.form.files.append(Upload(name, path))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
        else:
            self._text += data[start:end]
            if len(self._text) > MAX_FIELD:
                raise Refusal(413, f"the field {self._field!r} has more than {MAX_FIELD:,} characters.", FORM)

    def _end(self) -> None:
        self.ended = True


def unescaped(sent: bytes) -> bytes:
    """Return the name of a file as it was before it was put between quotes.

    Browsers and curl write a quote, a line feed and a carriage return as ``%22``, ``%0A`` and ``%0D`` (HTML standard,
    "multipart/form-data encoding algorithm"), and leave a percent sign as it is: a name that holds ``%22`` itself
    cannot be told from one with a quote, which is the likelier.

    >>> unescaped(b"a%22b%0Ac%41.jpg")
    b'a"b\\nc%41.jpg'
    """
    return sent.replace(b"%22", b'"').replace(b"%0A", b"\n").replace(b"%0D", b"\r")


def shown_name(sent: str) -> str:
    r"""Return the name of a file as it was sent, without folders and control characters, and of a bounded length.

    >>> shown_name("C:\\photos\\a.jpg"), shown_name("../../etc/passwd"), shown_name("a\x00b.png"), shown_name("..")
    ('a.jpg', 'passwd', 'a\\x00b.png', 'file')
    """
    name = printable(sent.replace("\\", "/").rsplit("/", 1)[-1]).replace("\n", " ").replace("\t", " ").strip()
    if len(name) > MAX_NAME:
        stem, ending = os.path.splitext(name)
        name = stem[: MAX_NAME - len(ending[:20])] + ending[:20]
    return name if name.strip(".") else "file"


def unique_name(name: str, before: list[Upload]) -> str:
    """Return ``name``, with a number where one ``before`` has it."""
    taken, (stem, ending), number = {one.name for one in before}, os.path.splitext(name), 2
    found = name
    while found in taken:
        found, number = f"{stem} ({number}){ending}", number + 1
    return found


def _ending(name: str, content_type: bytes) -> str:
    """Return the ending by which the library knows the kind of a file: one of those known, or none."""
    ending = file_suffix(name)
    if ending in (*VIDEO_EXTENSIONS, *IMAGE_EXTENSIONS, *RAW_EXTENSIONS):
        return ending
    return ".mp4" if content_type.startswith(b"video/") else ""

"""The bytes of an ONNX file (onnx/onnx.proto, protocol buffers), walked without the package onnx: the metadata, a
checksum of all else, and whether anything in it names other files. Importing this loads nothing heavy.
"""

from __future__ import annotations

import contextlib
import mmap
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from affectkit.core.limits import MAX_DEPTH, MAX_ONNX_BYTES, MAX_ONNX_FIELDS, MAX_TENSOR_TABLE, over
from affectkit.errors import CheckpointError

VARINT, EIGHT, SIZED, FOUR = 0, 1, 2, 5
"""Wire types of protocol buffers."""
MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR, SPARSE, FUNCTION = range(7)
INNER = {
    MODEL: {7: GRAPH, 25: FUNCTION},
    GRAPH: {1: NODE, 5: TENSOR, 15: SPARSE},
    NODE: {5: ATTRIBUTE},
    ATTRIBUTE: {5: TENSOR, 6: GRAPH, 10: TENSOR, 11: GRAPH, 22: SPARSE, 23: SPARSE},
    SPARSE: {1: TENSOR, 2: TENSOR},
    FUNCTION: {7: NODE, 11: ATTRIBUTE},
    TENSOR: {},
}
"""Messages that hold tensors, by field number."""
METADATA, GRAPH_FIELD, GRAPH_INPUT = 14, 7, 11
UINT8, FLOAT = 2, 1
"""Types of elements."""
EXTERNAL_DATA, DATA_LOCATION = 13, 14
"""Of a tensor: where its values lie in other files, and that they do (1)."""
NEXT = "Was it copied to its end? Copy it again from where it is whole, or export it again."


class Field(NamedTuple):
    """One field of a message: its number, where it begins and ends with its tag, where its value begins, and what a
    number is.
    """

    number: int
    begin: int
    value: int
    end: int
    amount: int


class Damaged(Exception):
    """The bytes are no protocol buffers."""


def fields(data: mmap.mmap | bytes, begin: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message in ``data[begin:end]``.

    Raises:
        Damaged: it ends inside a field, or has a wire type that ONNX files do not.
    """
    at = begin
    while at < end:
        tag, value = _varint(data, at, end)
        kind, amount = tag & 7, 0
        if kind == VARINT:
            amount, stop = _varint(data, value, end)
        elif kind == SIZED:
            amount, value = _varint(data, value, end)
            stop = value + amount
        elif kind in (EIGHT, FOUR):
            stop = value + (8 if kind == EIGHT else 4)
        else:
            raise Damaged
        if stop > end:
            raise Damaged
        yield Field(tag >> 3, at, value, stop, amount)
        at = stop


def _varint(data: mmap.mmap | bytes, at: int, end: int) -> tuple[int, int]:
    """Return the number at ``at``, and where the next thing begins."""
    found = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise Damaged
        byte = data[at]
        at += 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, at
    raise Damaged


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of an ONNX file, by key.

    Raises:
        CheckpointError: it is no ONNX file, is damaged, or has more metadata than is read, or a key twice.
    """
    with _opened(path) as data:
        found: dict[str, str] = {}
        total, graphs = 0, 0
        for field in _top(data, path):
            graphs += field.number == GRAPH_FIELD
            if field.number != METADATA:
                continue
            total += field.amount
            if total > MAX_TENSOR_TABLE:
                raise CheckpointError(over(f"{path}: its metadata", total, MAX_TENSOR_TABLE, "bytes"))
            pair = {one.number: data[one.value : one.end] for one in fields(data, field.value, field.end)}
            key = pair.get(1, b"").decode("utf-8", "replace")
            if key in found:
                raise CheckpointError(f"{path} is damaged: its metadata has {key!r} twice.", NEXT)
            found[key] = pair.get(2, b"").decode("utf-8", "replace")
        if graphs != 1:
            raise CheckpointError(f"{path} is not an ONNX model: it holds {graphs} graphs.", NEXT)
        return found


def content_checksum(path: Path) -> str:
    """Compute CRC-32 (ISO 3309) over the fields of an ONNX file that are no metadata, in their order, as 8 digits.

    Raises:
        CheckpointError: it is no ONNX file, or is damaged.
    """
    found = 0
    with _opened(path) as data, memoryview(data) as view:
        for field in _top(data, path):
            if field.number != METADATA:
                with view[field.begin : field.end] as part:
                    found = zlib.crc32(part, found)
    return f"{found:08x}"


def refuse_external_data(path: Path) -> None:
    """Refuse an ONNX file of which a tensor, in whatever graph, lies in another file.

    Raises:
        CheckpointError: one does, or the file is damaged, or nested deeper than is read.
    """
    with _opened(path) as data:
        count = 0
        waiting = [(MODEL, 0, len(data), 0)]
        while waiting:
            kind, begin, end, depth = waiting.pop()
            if depth > MAX_DEPTH:
                raise CheckpointError(f"{path}: nested deeper than the {MAX_DEPTH} levels that are read.")
            for field in fields(data, begin, end):
                count += 1
                if count > MAX_ONNX_FIELDS:
                    raise CheckpointError(over(f"{path}: it", count, MAX_ONNX_FIELDS, "fields"))
                if kind == TENSOR and (
                    field.number == EXTERNAL_DATA or (field.number == DATA_LOCATION and field.amount)
                ):
                    raise CheckpointError(
                        f"{path}: the values of a tensor lie in another file, and are not read from there.",
                        "Files of affectkit export hold all of theirs.",
                    )
                inner = INNER[kind].get(field.number)
                if inner is not None:
                    waiting.append((inner, field.value, field.end, depth + 1))


def with_float_pixels(data: bytes, name: str = "image") -> bytes:
    """Return an ONNX file whose input ``name`` takes float32 in place of uint8, for pixels between the 256 values.

    Graphs of ``affectkit export`` convert pixels to single precision first, which then changes nothing; one number in
    the file says which type the input has.

    Raises:
        CheckpointError: there is no such input of type uint8.
    """
    at = _element_type(data, name)
    if at is None or data[at] != UINT8:
        raise CheckpointError(f"the ONNX model has no input {name!r} of type uint8.", "Is it one of affectkit export?")
    return data[:at] + bytes([FLOAT]) + data[at + 1 :]


def _element_type(data: bytes, name: str) -> int | None:
    """Return where the element type of a graph's input stands, one byte: GraphProto.input, .type, .tensor_type,
    .elem_type.
    """
    for graph in (one for one in fields(data, 0, len(data)) if one.number == GRAPH_FIELD):
        for given in (one for one in fields(data, graph.value, graph.end) if one.number == GRAPH_INPUT):
            parts = {one.number: one for one in fields(data, given.value, given.end)}
            if data[parts[1].value : parts[1].end] != name.encode():
                continue
            for number in (2, 1):
                inner = parts[number]
                parts = {one.number: one for one in fields(data, inner.value, inner.end)}
            return parts[1].value
    return None


def metadata_bytes(values: dict[str, str]) -> bytes:
    """Return ``values`` as metadata fields, which are appended to an ONNX file: repeated fields add up."""
    found = b""
    for key, value in values.items():
        pair = b"".join(sized(number, text.encode()) for number, text in ((1, key), (2, value)))
        found += sized(METADATA, pair)
    return found


def sized(number: int, value: bytes) -> bytes:
    """Return the field ``number`` that holds ``value``."""
    return as_varint(number << 3 | SIZED) + as_varint(len(value)) + value


def as_varint(value: int) -> bytes:
    """Return a number as protocol buffers write it, 7 bits a byte, the lowest first."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[mmap.mmap]:
    """Yield the bytes of ``path``; what is no protocol buffer in it becomes a CheckpointError."""
    try:
        size = path.stat().st_size
        if not 0 < size <= MAX_ONNX_BYTES:
            raise CheckpointError(over(str(path), size, MAX_ONNX_BYTES, "bytes") if size else f"{path} is empty.", NEXT)
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except Damaged:
        raise CheckpointError(f"{path} is not an ONNX model, or is damaged.", NEXT) from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error}.") from error


def _top(data: mmap.mmap, path: Path) -> Iterator[Field]:
    """Yield the fields of the model itself."""
    for count, field in enumerate(fields(data, 0, len(data)), 1):
        if count > MAX_ONNX_FIELDS:
            raise CheckpointError(over(f"{path}: it", count, MAX_ONNX_FIELDS, "fields"))
        yield field

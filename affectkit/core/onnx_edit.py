"""An ONNX graph (onnx/onnx.proto, protocol buffers) rewritten without the package onnx: sizes of its input that are
fixed in the file are left open, and weights of 8 bits become float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from affectkit.core.onnx_bytes import GRAPH_FIELD, GRAPH_INPUT, SIZED, VARINT, Damaged, as_varint, fields, sized

NODE, INITIALIZER, OUTPUT, VALUE_INFO = 1, 5, 12, 13
"""Fields of a graph."""
INPUTS, OUTPUTS, OPERATOR, ATTRIBUTES = 1, 2, 4, 5
"""Fields of a node."""
DIMS, TYPE, NAME, RAW = 1, 2, 8, 9
"""Fields of a tensor."""
ELEMENTS = {1: np.dtype("<f4"), 2: np.dtype("u1"), 3: np.dtype("i1")}
"""Types of a tensor's elements: float32, uint8 and int8."""

Message = list[tuple[int, int | bytes]]
"""Fields of a message in their order: number and value."""


def with_open_sizes(data: bytes, name: str, sizes: Iterable[int | str]) -> bytes:
    """Return an ONNX model whose input ``name`` has ``sizes``, numbers or names of open ones; outputs' sizes are open.

    ONNX Runtime takes inputs of the sizes in the file alone, also where the graph can be computed at others.

    Raises:
        Damaged: it is no model with a graph.
    """
    dims = [encode([(1, size) if isinstance(size, int) else (2, size.encode())]) for size in sizes]

    def change(graph: Message) -> Message:
        changed: Message = []
        for number, value in graph:
            if number == VALUE_INFO:
                continue  # sizes of what lies between, which follow from the input's
            if number == GRAPH_INPUT and _text(_field(value, 1)) == name:
                changed.append((number, _value_info(value, dims)))
            elif number == OUTPUT:
                changed.append((number, _value_info(value, [b""] * len(_dims(value)))))
            else:
                changed.append((number, value))
        return changed

    return _with_graph(data, change)


def with_float_weights(data: bytes) -> bytes:
    """Return an ONNX model whose constants that ``DequantizeLinear`` makes floating-point are so in the file.

    Some files of OpenCV's model zoo, made by its ``block_quantize.py``, state a block size beside a single scale. ONNX
    has no such thing (DequantizeLinear, version 21) and ONNX Runtime refuses it; OpenCV takes it as one block.

    Raises:
        Damaged: it is no model with a graph, or constants have other types than int8, uint8 and float32.
    """

    def change(graph: Message) -> Message:
        constants = {_text(_field(value, NAME)): _bytes(value) for number, value in graph if number == INITIALIZER}
        kept, made, used = [], [], set()
        for number, value in graph:
            node = decode(_bytes(value)) if number == NODE else []
            inputs = [_text(one) for field, one in node if field == INPUTS]
            if (OPERATOR, b"DequantizeLinear") in node and all(one in constants for one in inputs):
                options = dict(_integer(_bytes(one)) for field, one in node if field == ATTRIBUTES)
                values = dequantize(*(_array(constants[one]) for one in inputs), **options)
                made += [(INITIALIZER, _tensor(_text(one), values)) for field, one in node if field == OUTPUTS]
            else:
                kept.append((number, value))
                used |= set(inputs)
        unused = constants.keys() - used
        return [
            (number, value)
            for number, value in kept
            if number != INITIALIZER or _text(_field(value, NAME)) not in unused
        ] + made

    return _with_graph(data, change)


def dequantize(
    values: np.ndarray, scale: np.ndarray, zero: np.ndarray | None = None, *, axis: int = 1, block_size: int = 0
) -> np.ndarray:
    """Return ``(values - zero) * scale`` as float32, as ONNX defines DequantizeLinear.

    Args:
        values: integers of any shape.
        scale, zero: one number; or one for each place along ``axis``; or with ``block_size`` an array like ``values``
            that has one number in place of each so many along ``axis``.

    Raises:
        Damaged: the shapes do not fit.
    """

    def spread(given: np.ndarray) -> np.ndarray:
        given = given.astype(np.float32)
        if given.size == 1:
            return given.reshape(())
        if block_size:
            return np.repeat(given, block_size, axis).take(range(values.shape[axis]), axis)
        return given.reshape([-1 if at == axis % values.ndim else 1 for at in range(values.ndim)])

    try:
        found = (values.astype(np.float32) - (0 if zero is None else spread(zero))) * spread(scale)
    except (ValueError, IndexError) as error:
        raise Damaged(str(error)) from error
    if found.shape != values.shape:
        raise Damaged
    return found


def decode(data: bytes) -> Message:
    """Return the fields of a message of numbers, texts and messages.

    Raises:
        Damaged: ``data`` is none.
    """
    found: Message = []
    for one in fields(data, 0, len(data)):
        kind = data[one.begin] & 7
        if kind not in (VARINT, SIZED):
            raise Damaged
        found.append((one.number, one.amount if kind == VARINT else data[one.value : one.end]))
    return found


def encode(message: Iterable[tuple[int, int | bytes]]) -> bytes:
    """Return the bytes of a message."""
    parts = (
        as_varint(number << 3 | VARINT) + as_varint(value) if isinstance(value, int) else sized(number, value)
        for number, value in message
    )
    return b"".join(parts)


def _with_graph(data: bytes, change: Callable[[Message], Message]) -> bytes:
    """Return the model ``data`` with what ``change`` makes of its graph."""
    model = decode(data)
    if [number for number, _ in model].count(GRAPH_FIELD) != 1:
        raise Damaged
    return encode(
        (number, encode(change(decode(_bytes(value)))) if number == GRAPH_FIELD else value) for number, value in model
    )


def _value_info(given: int | bytes, dims: Iterable[bytes]) -> bytes:
    """Return ``ValueInfoProto`` of the same name and type of elements with other sizes."""
    shape = encode((1, dim) for dim in dims)
    tensor = encode([(1, _field(_tensor_type(given), 1)), (2, shape)])
    return encode([(1, _bytes(_field(given, 1))), (2, encode([(1, tensor)]))])


def _dims(value_info: int | bytes) -> Message:
    """Return ``type.tensor_type.shape.dim`` of ``ValueInfoProto``."""
    return decode(_bytes(_field(_tensor_type(value_info), 2)))


def _tensor_type(value_info: int | bytes) -> int | bytes:
    return _field(_field(value_info, 2), 1)


def _array(tensor: bytes) -> np.ndarray:
    """Return the values of ``TensorProto``."""
    dims = [value for number, value in decode(tensor) if number == DIMS]
    dtype, raw = ELEMENTS.get(_field(tensor, TYPE)), _bytes(_field(tensor, RAW))
    if dtype is None or not all(isinstance(size, int) for size in dims):
        raise Damaged
    try:
        return np.frombuffer(raw, dtype).reshape(dims)
    except ValueError as error:
        raise Damaged(str(error)) from error


def _tensor(name: str, values: np.ndarray) -> bytes:
    """Return ``TensorProto`` of float32."""
    dims = [(DIMS, size) for size in values.shape]
    return encode([*dims, (TYPE, 1), (NAME, name.encode()), (RAW, values.astype("<f4").tobytes())])


def _integer(attribute: bytes) -> tuple[str, int]:
    """Return the name and the value of ``AttributeProto`` with an integer."""
    value = _field(attribute, 3)
    if not isinstance(value, int):
        raise Damaged
    return _text(_field(attribute, 1)), value - 2**64 if value >= 2**63 else value


def _field(message: int | bytes, number: int) -> int | bytes:
    """Return the last field ``number`` of a message: it counts."""
    for found, value in reversed(decode(_bytes(message))):
        if found == number:
            return value
    raise Damaged


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise Damaged
    return value


def _text(value: int | bytes) -> str:
    return _bytes(value).decode("utf-8", "replace")

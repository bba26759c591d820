"""A YuNet of a few weights, written as an ONNX file without the onnx package: it finds bright squares on black.

An ONNX file is a protobuf message: fields as (number, wire type) and value; see onnx.proto3 of the ONNX project for the
numbers. The network has YuNet's twelve outputs. At each of the strides 8, 16 and 32 a cell's score is that of its mean
brightness, its box lies on the cell with the side of two cells, and its five points stand where a face has them.
"""

from __future__ import annotations

import struct
from pathlib import Path

FLOAT, INT64 = 1, 7
POINTS = ((-0.5, -0.5), (0.5, -0.5), (0.0, 0.0), (-0.4, 0.5), (0.4, 0.5))
"""Right eye, left eye, nose, corners of the mouth; in cells, from the cell's corner."""


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        out.append(value & 127 | (128 if value > 127 else 0))
        value >>= 7
        if not value:
            return bytes(out)


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name: str, shape: tuple[int, ...], values: list[float]) -> bytes:
    kind, form = (INT64, "q") if name.startswith("shape") else (FLOAT, "f")
    raw = struct.pack(f"<{len(values)}{form}", *values)
    return b"".join(field(1, size) for size in shape) + field(2, kind) + field(8, name) + field(9, raw)


def node(kind: str, inputs: list[str], output: str, **ints: list[int]) -> bytes:
    attributes = b"".join(
        field(5, field(1, name) + b"".join(field(8, value) for value in values) + field(20, 7))
        for name, values in ints.items()
    )
    return b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind) + attributes


def value(name: str, shape: list[int]) -> bytes:
    sizes = b"".join(field(1, field(1, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, sizes)))


def write_yunet(path: Path, side: int = 640) -> Path:
    """The network for inputs (1, 3, side, side), which OpenCV makes fit any other."""
    import math

    nodes, weights, outputs = [], [], []
    for stride in (8, 16, 32):
        cells = (side // stride) ** 2
        bright = [1 / (stride * stride * 3 * 255)] * (3 * stride * stride)
        heads = {  # per output channel: weight on the cell's brightness, and bias
            "cls": [(40.0, -30.0)],
            "obj": [(40.0, -30.0)],
            # Centre at the cell's corner plus the offset; width and height are exponents. A half centres it.
            "bbox": [(0.0, 0.5), (0.0, 0.5), (0.0, math.log(2)), (0.0, math.log(2))],
            "kps": [(0.0, 0.5 + share) for point in POINTS for share in point],
        }
        for name, rows in heads.items():
            key = f"{name}_{stride}"
            weights.append(
                tensor(
                    f"w_{key}",
                    (len(rows), 3, stride, stride),
                    [weight * unit for weight, _ in rows for unit in bright],
                )
            )
            weights.append(tensor(f"b_{key}", (len(rows),), [bias for _, bias in rows]))
            weights.append(tensor(f"shape_{key}", (3,), [1, -1, len(rows)]))
            nodes.append(
                node(
                    "Conv",
                    ["input", f"w_{key}", f"b_{key}"],
                    f"conv_{key}",
                    kernel_shape=[stride, stride],
                    strides=[stride, stride],
                )
            )
            last = f"conv_{key}"
            if name in ("cls", "obj"):
                nodes.append(node("Sigmoid", [last], f"sig_{key}"))
                last = f"sig_{key}"
            nodes.append(node("Transpose", [last], f"turned_{key}", perm=[0, 2, 3, 1]))
            nodes.append(node("Reshape", [f"turned_{key}", f"shape_{key}"], key))
            outputs.append((name, stride, value(key, [1, cells, len(rows)])))
    order = ("cls", "obj", "bbox", "kps")
    outputs.sort(key=lambda item: (order.index(item[0]), item[1]))
    graph = (
        b"".join(field(1, item) for item in nodes)
        + field(2, "bright squares")
        + b"".join(field(5, item) for item in weights)
        + field(11, value("input", [1, 3, side, side]))
        + b"".join(field(12, item) for _, _, item in outputs)
    )
    opset = field(1, "") + field(2, 11)
    path.write_bytes(field(1, 6) + field(2, "affectkit tests") + field(7, graph) + field(8, opset))
    return path

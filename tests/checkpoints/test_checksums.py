"""Weights that changed on the disk are refused in words; what is small asks for nothing large."""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from dataclasses import fields

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support import CLASSES, TINY, invoke

import affectkit
from affectkit.checkpoints.checkpoint import (
    KEY,
    Header,
    checksum_state,
    load_model,
    read_header,
    save_checkpoint,
    save_tensors,
    weights_digest,
)
from affectkit.checkpoints.half_precision import halve
from affectkit.core import assets
from affectkit.core.assets import model_file
from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError
from affectkit.models import checksums
from affectkit.models.build_limit import BuildLimit
from affectkit.models.external.weights import read_weights
from affectkit.models.registry import build, family
from affectkit.runtime.device import resolve_device
from affectkit.settings.training import TrainSettings
from affectkit.training.distillation import load_teacher
from affectkit.training.model_setup import initial_model

SPEC = InputSpec("distribution", 24, 24, classes=CLASSES, temperature=1.7)
OPTIONS = {"dropout": 0.1, "top": "linear"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("checksums") / "m.safetensors"
    save_checkpoint(path, build(TINY, SPEC, **OPTIONS), Header(TINY, OPTIONS, SPEC, {"epoch": 3}))
    return path


@pytest.fixture
def saved(written, tmp_path):
    return shutil.copy(written, tmp_path / "m.safetensors")


def flip(path, byte, bit):
    data = bytearray(path.read_bytes())
    data[byte] ^= 1 << bit
    path.write_bytes(data)


def table_end(path):
    return 8 + int.from_bytes(path.read_bytes()[:8], "little")


def metadata(path):
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata())


def predictions(path):
    images = torch.linspace(-1, 1, 2 * 3 * 24 * 24).reshape(2, 3, 24, 24)
    model = load_model(path)
    with torch.no_grad():
        return model(images), model.spec


def test_the_checksum_is_crc32_of_each_tensor(saved):
    entry = json.loads(metadata(saved)[KEY])["checksum"]
    tensors = load_file(saved)
    kinds = {torch.float32: "float32", torch.int64: "int64"}
    wanted = ""
    for name in sorted(tensors):
        value = tensors[name].numpy()
        text = f"{name} {kinds[tensors[name].dtype]} [{', '.join(map(str, value.shape))}]\n"
        wanted += f"{zlib.crc32(text.encode() + value.tobytes()):08x}"
    assert entry["algorithm"] == "crc32" and entry["tensors"] == wanted
    assert checksum_state(saved) == "crc32 of each tensor; all match"


def test_the_digest_is_of_the_weights_and_of_nothing_else(saved, tmp_path):
    tensors, other = load_file(saved), tmp_path / "other.safetensors"
    save_file(dict(reversed(tensors.items())), other, {"note": "another header"})
    first = weights_digest(saved)
    assert (
        first
        == weights_digest(other)
        == hashlib.sha256(json.loads(metadata(saved)[KEY])["checksum"]["tensors"].encode()).hexdigest()[:16]
    )
    told = json.loads(invoke("models", "--checkpoint", saved, "--json").stdout)
    assert told["weights"] == first
    name = next(name for name, value in tensors.items() if value.dtype == torch.float32)
    tensors[name] = torch.nextafter(tensors[name], torch.tensor(torch.inf))
    save_file(tensors, other)
    assert weights_digest(other) != first


def places(path):
    """Thirty places of a file by a seed: ten in the table's JSON and its padding, ten in the header of ours, ten in
    tensors."""
    rng, end = np.random.default_rng(21), table_end(path)
    data = path.read_bytes()
    ours = data.index(b'"affectkit"')
    spaces = [at for at in range(8, end) if data[at : at + 1] == b" " and not data[at:end].strip()]
    spans = [range(end), range(ours, data.index(b"checksum")), range(end, len(data))]
    chosen = [int(rng.choice(span)) for span in spans for _ in range(10)] + spaces[-2:]
    return [(at, int(rng.integers(8))) for at in chosen]


def test_no_flipped_bit_changes_predictions_in_silence(saved, written):
    wanted, spec = predictions(written)
    refused = harmless = 0
    for byte, bit in places(written):
        shutil.copy(written, saved)
        flip(saved, byte, bit)
        try:
            found, found_spec = predictions(saved)
        except CheckpointError as error:
            assert str(saved) in error.message
            refused += 1
        else:
            assert torch.equal(found, wanted) and found_spec == spec, (byte, bit)
            harmless += 1
    assert refused + harmless >= 30 and refused >= 28


def test_a_changed_tensor_is_named_and_loads_unverified(saved):
    end = table_end(saved)
    name = min(load_file(saved))
    with safe_open(saved, framework="pt"):
        offsets = json.loads(saved.read_bytes()[8:end])[name]["data_offsets"]
    flip(saved, end + offsets[0], 0)
    with pytest.raises(CheckpointError, match=rf"{name} of \d+ tensors do not match.*crc32.*\n.*--no-verify"):
        affectkit.load(saved)
    with pytest.raises(CheckpointError, match=name):
        read_weights(saved)
    with pytest.raises(CheckpointError, match=name):
        halve(saved, saved.with_name("half.safetensors"))
    assert affectkit.load(saved, verify=False).spec == SPEC
    assert "does not match" in checksum_state(saved)
    assert halve(saved, saved.with_name("half.safetensors"), verify=False)["source_checksum"] == "none"


def test_a_changed_header_is_refused_though_it_is_valid(saved):
    text = metadata(saved)[KEY].replace('"temperature": 1.7', '"temperature": 1.3')
    save_file(load_file(saved), saved, metadata={KEY: text})
    for read in (load_model, read_header, read_weights):
        with pytest.raises(CheckpointError, match="header does not match its own checksum"):
            read(saved)
    assert load_model(saved, verify=False).spec.temperature == 1.3


def test_equivalent_json_is_no_change(saved):
    values = json.loads(metadata(saved)[KEY])
    text = json.dumps(dict(reversed(values.items())), indent=1)
    save_file(load_file(saved), saved, metadata={KEY: text})
    assert load_model(saved).spec == SPEC


def test_a_swapped_or_missing_tensor_is_noticed(saved):
    tensors = load_file(saved)
    one, two = next(
        (a, b) for a in tensors for b in tensors if a < b and tensors[a].shape == tensors[b].shape and a != b
        and not torch.equal(tensors[a], tensors[b])
    )  # fmt: skip
    text = metadata(saved)[KEY]
    save_file({**tensors, one: tensors[two], two: tensors[one]}, saved, metadata={KEY: text})
    with pytest.raises(CheckpointError, match="do not match their checksums"):
        load_model(saved)
    save_file({name: value for name, value in tensors.items() if name != one}, saved, metadata={KEY: text})
    with pytest.raises(CheckpointError, match="holds .* tensors, and checksums of"):
        load_model(saved)


def test_older_files_load_and_their_lack_is_shown(saved):
    save_file(load_file(saved), saved, metadata={KEY: read_header(saved).to_text()})
    assert load_model(saved).spec == SPEC
    assert checksum_state(saved).startswith("none")
    summary = halve(saved, saved.with_name("half.safetensors"))
    assert (summary["source_checksum"], summary["checksum"]) == ("none", "crc32")
    assert load_model(summary["output"]).header.checksum["algorithm"] == "crc32"
    done = invoke("models", "--checkpoint", saved, "--json")
    assert json.loads(done.stdout)["checksum"].startswith("none")


def test_the_command_line_passes_on_no_verify(saved, tmp_path):
    images = tmp_path / "a.png"
    Image.new("RGB", (24, 24), (90, 80, 70)).save(images)
    flip(saved, saved.stat().st_size - 2, 3)
    done = invoke("infer", images, "--checkpoint", saved)
    assert done.returncode == 1 and "do not match their checksums" in done.stderr
    done = invoke("infer", images, "--checkpoint", saved, "--no-verify")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.float64])
@pytest.mark.parametrize("shape", [(), (0,), (3, 5)])
def test_every_single_bit_of_every_number_format_counts(kind, shape):
    value = torch.ones(shape).to(kind)
    first = checksums.tensor_checksum("a", value)
    assert first != checksums.tensor_checksum("b", value)
    assert first != checksums.tensor_checksum("a", value.reshape(*shape, 1))
    if value.numel() and kind != torch.bool:
        raw = value.reshape(-1).view(torch.uint8)
        seen = {first}
        for byte in range(len(raw)):
            for bit in range(8):
                raw[byte] ^= 1 << bit
                seen.add(checksums.tensor_checksum("a", value))
                raw[byte] ^= 1 << bit
        assert len(seen) == 1 + 8 * len(raw)


def test_the_file_of_the_package_is_known(tmp_path, monkeypatch):
    source = model_file("builtin")
    monkeypatch.setattr(assets, "FOLDER", tmp_path)
    file = shutil.copy(source, tmp_path / source.name)
    assert "it matches" in checksum_state("builtin")
    flip(file, file.stat().st_size - 5, 2)
    with pytest.raises(CheckpointError, match=r"changed on the disk since affectkit was installed.*\n.*reinstall"):
        load_model("builtin")
    assert "does not match" in checksum_state("builtin")
    assert load_model("builtin", verify=False).spec.height == 48


def small(path, model, options=None, **spec):
    """Write a file of a few kilobytes that asks for much."""
    given = {**SPEC.to_dict(), **spec}
    values = {
        "format": 1, "version": "1", "model": {"name": model, "options": options or {}}, "spec": given, "training": {},
    }  # fmt: skip
    save_file({"a": torch.zeros(9)}, path, metadata={KEY: json.dumps(values)})
    return path


@pytest.mark.parametrize(
    ("model", "options", "spec", "message"),
    [
        (TINY, {"top": "mlp", "top_width": 2**34}, {}, "asks for a model of .* bytes or more"),
        (TINY, {"top": "mlp", "top_width": 10**25}, {}, "cannot be built"),
        (TINY, {}, {"height": 20_000, "width": 20_000}, "at most 4096x4096, got 20000x20000"),
        (TINY, {}, {"height": 10**25}, "height must be a whole number, got 1"),
        (TINY, {}, {"classes": list(map(str, range(100_001)))}, "classes must be at most 100,000, got 100,001"),
        ("vit_gigantic_patch14_clip_224", {}, {"height": 224, "width": 224}, "asks for a model of .* bytes or more"),
        (TINY, {}, {"height": 24, "mean": [1e308, 0, 0]}, "in size"),
        (TINY, {}, {"mean": [float("nan"), 0, 0]}, r"mean\[0\] must be a finite number, got NaN"),
        (TINY, {}, {"std": None}, "std must be a list, got null"),
        (TINY, {}, {"task": ["distribution"]}, "task must be text, got a list of 1"),
        (TINY, {}, {"clip": [1]}, "clip must be an object"),
        (TINY, {}, {"clip": {"sound": []}}, "sound must be an object"),
        (TINY, {}, {"clip": {"sound": {"rate": "x"}}}, "rate must be a whole number"),
        (TINY, {}, {"clip": {"sound": {"n_fft": 2**40}}}, "at most 1,048,576"),
        ("cmvqvae", {"hidden": [1]}, {"clip": {}}, "cannot be built"),
    ],
)  # fmt: skip
def test_a_small_file_cannot_ask_for_much(tmp_path, model, options, spec, message):
    path = small(tmp_path / "small.safetensors", model, options, **spec)
    with pytest.raises(CheckpointError, match=message) as error:
        load_model(path)
    assert str(path) in error.value.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("null", "must be an object, got null"),
        ("[]", "must be an object, got a list of 0"),
        ("{}", "format is missing"),
        ('{"format": 1}', "version is missing"),
        ('{"format": 1, "version": 1, "model": 1, "spec": 1, "training": 1}', "model must be an object, got 1"),
        ("[" * 60_000, "nested deeper than the 100 levels"),
        ('{"format": ' + "[" * 200 + "]" * 200 + "}", "nested deeper than the 100 levels"),
        ('{"format": ' + "9" * 5000 + "}", "not JSON"),
        ('{"format": ' + "9" * 25 + "}", "has format 9999999999999999999999999;"),
        ('{"checksum": null}', "format is missing"),
    ],
)
def test_wrong_typed_headers(saved, change, message):
    save_file(load_file(saved), saved, metadata={KEY: change})
    with pytest.raises(CheckpointError, match=message):
        load_model(saved)


@pytest.mark.parametrize("checksum", [None, [], {"algorithm": 1}, {"algorithm": "md9", "tensors": "", "header": ""}])
def test_wrong_typed_checksums(saved, checksum):
    values = {**json.loads(metadata(saved)[KEY]), "checksum": checksum}
    save_file(load_file(saved), saved, metadata={KEY: json.dumps(values)})
    with pytest.raises(CheckpointError, match="checksum"):
        load_model(saved)


def test_an_algorithm_of_a_later_version_is_named(saved):
    values = json.loads(metadata(saved)[KEY])
    values["checksum"] |= {"algorithm": "later"}
    del values["checksum"]["header"]
    digest = checksums.header_digest(values)
    values["checksum"]["header"] = digest
    save_file(load_file(saved), saved, metadata={KEY: json.dumps(values)})
    with pytest.raises(CheckpointError, match=r"checksums by later.*\n.*Upgrade"):
        load_model(saved)


@pytest.mark.parametrize(
    ("stated", "message"), [(2**63, "states a table of"), (50_000_000, "states a table of"), (0, "not a checkpoint")]
)
def test_a_table_longer_than_its_file(saved, stated, message):
    data = saved.read_bytes()
    saved.write_bytes(stated.to_bytes(8, "little") + data[8:])
    with pytest.raises(CheckpointError, match=message):
        load_model(saved)


def test_a_table_of_absurd_size(tmp_path):
    path = tmp_path / "t.safetensors"
    with path.open("wb") as stream:
        stream.write((50_000_000).to_bytes(8, "little") + b"{")
        stream.truncate(60_000_000)
    for read in (load_model, read_weights):
        with pytest.raises(CheckpointError, match="has 50,000,000 bytes; at most 16,000,000 are read"):
            read(path)


def test_the_limit_counts_before_memory_is_taken():
    with BuildLimit(0), pytest.raises(CheckpointError, match="4,000,000,000,000"):
        torch.zeros(1000, 10**9)
    for make in (
        lambda: torch.full((10**9, 10), 1.0), lambda: torch.eye(10**5), lambda: torch.empty(size=(10**9, 10)),
        lambda: torch.nn.Linear(10**6, 10**6), lambda: torch.randn([10**9, 10]),
    ):  # fmt: skip
        with BuildLimit(0), pytest.raises(CheckpointError):
            make()
    with BuildLimit(0) as limit:
        torch.nn.Linear(10, 10)
    assert limit.bytes == 440
    with BuildLimit(2**40):
        torch.empty(2**28)


def test_savers_write_checksums(tmp_path):
    header = Header(TINY, OPTIONS, SPEC, checksum={"algorithm": "old"})
    save_tensors(tmp_path / "a.safetensors", {"x": torch.arange(4.0)}, header)
    found = read_header(tmp_path / "a.safetensors")
    assert found.checksum["algorithm"] == "crc32" and found == header


@pytest.mark.parametrize("first", [True, False], ids=["init", "teacher"])
def test_training_starts_from_changed_weights_with_no_verify_alone(saved, tmp_path, first):
    flip(saved, saved.stat().st_size - 2, 3)

    def begin(verify):
        if not first:
            return load_teacher(str(saved), CLASSES, device=resolve_device("cpu"), verify=verify)
        settings = TrainSettings(data=tmp_path, output=tmp_path / "run", model=TINY, init=saved, verify=verify)
        return initial_model(settings, family(TINY), SPEC, OPTIONS, reporter=Silent())

    with pytest.raises(CheckpointError, match=r"do not match.*\n?.*--no-verify"):
        begin(True)
    assert begin(False) is not None


def test_train_has_the_option_and_resuming_may_change_it():
    from affectkit.settings.inference import InferSettings
    from affectkit.training.run import RESUMABLE

    ours, theirs = ({f.name: f for f in fields(one)}["verify"] for one in (TrainSettings, InferSettings))
    assert ours.metadata["help"] == theirs.metadata["help"] and ours.default is True and "verify" in RESUMABLE
    told = invoke("train", "--help-all")
    assert "--no-verify" in told.stdout

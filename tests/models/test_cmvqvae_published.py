"""Published CM-VQVAE checkpoints: names, shapes and arithmetic written out from the description of their layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from filling import fill, images
from torch.nn import functional as F
from torchvision.models import resnet18

from affectkit.core.clipspec import FEATURES
from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError, UsageError
from affectkit.models.cmvqvae import family
from affectkit.models.external.published import read_published

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "cmvqvae_modules.json").read_text())
FAMILY = family.CMVQVAEFamily()
EMOTIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
HIDDEN, CODES = 16, 24
COUNTER = "num_batches_tracked"


def norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{key}": (width,) for key in ("weight", "bias", "running_mean", "running_var")} | {
        f"{name}.{COUNTER}": ()
    }


def weighted(name: str, *shape: int, transposed: bool = False) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": (shape[1 if transposed else 0],)}


def stack(name: str, width: int, inner: int) -> dict[str, tuple[int, ...]]:
    found = norm(f"{name}._bn", width)
    for layer in range(2):
        block = f"{name}._layers.{layer}._block."
        found |= norm(f"{block}0", width) | {f"{block}2.weight": (inner, width, 3, 3)}
        found |= norm(f"{block}3", inner) | {f"{block}5.weight": (width, inner, 1, 1)}
    return found


def layout(
    *, quantised: str = "ema", masked: bool = True, outputs: int = 6, single: bool = False, hidden: int = HIDDEN
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a published file; ``quantised`` is empty for models without quantisers and decoders."""
    half, inner, found = hidden // 2, hidden // 4, {}
    for name, channels in (("image", 3), ("audio", 1)):
        encoder, decoder, book = (f"_{part}_{name}." for part in ("encoder", "decoder", "vq_vae"))
        found |= weighted(f"{encoder}_conv_1", half, channels, 4, 4) | norm(f"{encoder}_bn_1", half)
        found |= weighted(f"{encoder}_conv_2", hidden, half, 4, 4) | norm(f"{encoder}_bn_2", hidden)
        found |= weighted(f"{encoder}_conv_3", hidden, hidden, 3, 3) | stack(f"{encoder}_residual_stack", hidden, inner)
        found |= weighted(f"_pre_vq_conv_{name}", 64, hidden, 1, 1)
        if not quantised:
            continue
        found |= {f"{book}_embedding.weight": (CODES, 64)}
        if quantised == "ema":
            found |= {f"{book}_ema_cluster_size": (CODES,), f"{book}_ema_w": (CODES, 64)}
        found |= weighted(f"{decoder}_conv_1", hidden, 64, 3, 3) | stack(f"{decoder}_residual_stack", hidden, inner)
        widths = [hidden, half, 3] if name == "image" else [hidden, half, hidden // 4, 1]
        norms = ["_bn"] if name == "image" else ["_bn_1", "_bn_2"]
        for step in range(1, len(widths)):
            shape = (widths[step - 1], widths[step], 4, 4)
            found |= weighted(f"{decoder}_conv_trans_{step}", *shape, transposed=True)
            found |= norm(f"{decoder}{norms[step - 1]}", widths[step]) if step <= len(norms) else {}
    found |= weighted("_classifier._conv1", 32, 64 if single else 128, 3, 3) | norm("_classifier._bn_1", 32)
    found |= weighted("_classifier._conv2", 32, 32, 3, 3) | stack("_classifier._residual_stack", 32, 8)
    found |= weighted("_classifier._fc1", 256, 2048) | norm("_classifier._bn_2", 256)
    found |= weighted("_classifier._fc2", outputs, 256)
    return found | ({"_classifier.private_shared_mask": (128, 1, 1)} if masked else {})


def resnets(outputs: int = 6) -> dict[str, tuple[int, ...]]:
    """The same of baseline 4: torchvision's names."""
    with torch.device("meta"):
        tower = {key: tuple(value.shape) for key, value in resnet18(num_classes=1).state_dict().items()}
    found = {
        f"_resnet18_{number}.{key}": shape for number in (1, 2) for key, shape in tower.items() if key[:3] != "fc."
    }
    found["_resnet18_2.conv1.weight"] = (64, 1, 7, 7)
    return found | weighted("_fc1", 256, 1024) | norm("_bn", 256) | weighted("_fc2", outputs, 256)


def filled(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    return {key: fill(key, shape) for key, shape in shapes.items()}


def saved(path: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save(state, path)
    return path


def loaded(path: Path, **choices: str):
    found = read_published(path, **choices)
    model = FAMILY.build(found.model, found.spec, **found.options)
    model.load_state_dict(found.state, strict=True)
    return found, model.eval()


class Straight:
    """What a published file predicts, by plain tensor arithmetic."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self.state = state

    def norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        mean, var, weight, bias = (
            self.state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        shape = (1, -1) + (1,) * (x.dim() - 2)
        scale = weight / torch.sqrt(var + 1e-5)
        return x * scale.view(shape) + (bias - mean * scale).view(shape)

    def conv(self, x: torch.Tensor, name: str, **options: int) -> torch.Tensor:
        return F.conv2d(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"), **options)

    def stack(self, x: torch.Tensor, name: str) -> torch.Tensor:
        for layer in range(2):
            block = f"{name}._layers.{layer}._block."
            y = self.conv(F.relu(self.norm(x, f"{block}0")), f"{block}2", padding=1)
            x = x + self.conv(F.relu(self.norm(y, f"{block}3")), f"{block}5")
        return F.relu(self.norm(x, f"{name}._bn"))

    def maps(self, x: torch.Tensor, name: str) -> torch.Tensor:
        encoder = f"_encoder_{name}."
        for step in (1, 2):
            x = F.relu(self.norm(self.conv(x, f"{encoder}_conv_{step}", stride=2, padding=1), f"{encoder}_bn_{step}"))
        x = self.conv(x, f"{encoder}_conv_3", padding=1)
        if name == "audio":
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        return self.conv(self.stack(x, f"{encoder}_residual_stack"), f"_pre_vq_conv_{name}")

    def quantised(self, x: torch.Tensor, name: str) -> torch.Tensor:
        book = self.state.get(f"_vq_vae_{name}._embedding.weight")
        if book is None:
            return x
        numbers = torch.cdist(x.movedim(1, 3).reshape(-1, 64).double(), book.double()).argmin(1)
        return book[numbers].view(len(x), *x.shape[2:], 64).movedim(3, 1)

    def decoded(self, x: torch.Tensor, name: str) -> torch.Tensor:
        decoder = f"_decoder_{name}."
        x = self.stack(self.conv(x, f"{decoder}_conv_1", padding=1), f"{decoder}_residual_stack")
        norms = ["_bn", None] if name == "image" else ["_bn_1", "_bn_2", None]
        for step, after in enumerate(norms, 1):
            weight, bias = (self.state[f"{decoder}_conv_trans_{step}.{key}"] for key in ("weight", "bias"))
            x = F.conv_transpose2d(x, weight, bias, stride=2, padding=1)
            x = x if after is None else F.relu(self.norm(x, decoder + after))
        return x

    def logits(self, x: torch.Tensor, mask: torch.Tensor | None, chosen: slice) -> torch.Tensor:
        x = (x if mask is None else x * mask)[:, chosen]
        x = F.relu(self.norm(self.conv(x, "_classifier._conv1", stride=2, padding=1), "_classifier._bn_1"))
        x = self.stack(self.conv(x, "_classifier._conv2", stride=2, padding=1), "_classifier._residual_stack").flatten(
            1
        )
        first, second = ("_classifier._fc1", "_classifier._fc2")
        x = F.linear(x, self.state[f"{first}.weight"], self.state[f"{first}.bias"])
        x = F.relu(self.norm(x, "_classifier._bn_2"))
        return F.linear(x, self.state[f"{second}.weight"], self.state[f"{second}.bias"])


def clips() -> tuple[torch.Tensor, torch.Tensor]:
    return images(1, 3, 128, 128, seed=7), images(1, 1, 256, 256, seed=8) * 4 - 2


MODELS = {
    "cmvqvae": {},
    "cmvqvae-baseline1": {"quantised": "", "masked": False},
    "cmvqvae-baseline2": {"masked": False},
    "cmvqvae-baseline3": {"quantised": ""},
}


@pytest.mark.parametrize("name", list(MODELS))
def test_published_files_predict_as_their_arithmetic(name, tmp_path):
    state = filled(layout(**MODELS[name]))
    found, model = loaded(saved(tmp_path / "model.pt", state))
    assert (found.model, found.family) == (name, "cmvqvae")
    spec = found.spec
    assert (spec.task, spec.height, spec.width, spec.mean, spec.std) == ("audiovisual", 128, 128, (0,) * 3, (1,) * 3)
    assert (spec.classes, spec.clip.needs, spec.clip.sound.width) == (EMOTIONS, "both", 256)
    assert spec.clip.sound.level == "moviepy"
    plain, (image, audio) = Straight(state), clips()
    with torch.no_grad():
        codes = [plain.quantised(plain.maps(x, key), key) for key, x in (("image", image), ("audio", audio))]
        mask = state.get("_classifier.private_shared_mask")
        mask = None if mask is None else (mask > 0.005).float()
        output = model(image, audio)
        expected = plain.logits(torch.cat(codes, 1), mask, slice(None))
        torch.testing.assert_close(output.logits, expected, rtol=1e-4, atol=1e-5)
        for key, code, made in (("image", codes[0], output.image), ("audio", codes[1], output.audio)):
            assert (made is None) == name.endswith(("1", "3"))
            if made is not None:
                torch.testing.assert_close(made, plain.decoded(code, key), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mask", ["binarizer", "ternarizer", "attention"])
@pytest.mark.parametrize("mode", ["image-only", "audio-only"])
def test_what_a_file_does_not_say(mode, mask, tmp_path):
    state = filled(layout(single=True, quantised="plain"))
    found, model = loaded(saved(tmp_path / "model.pt", state), mode=mode, mask=mask)
    assert (found.options["mode"], found.options["quantizer"], found.spec.clip.needs) == (
        mode,
        "plain",
        mode.split("-")[0],
    )
    values, chosen = state["_classifier.private_shared_mask"], slice(0, 64) if mode == "image-only" else slice(64, 128)
    turned = {"binarizer": (values > 0.005).float(), "attention": values}
    turned["ternarizer"] = torch.where(values < 0, -1.0, turned["binarizer"])
    plain, (image, audio) = Straight(state), clips()
    with torch.no_grad():
        codes = torch.cat([plain.quantised(plain.maps(x, k), k) for k, x in (("image", image), ("audio", audio))], 1)
        given = (image, None) if mode == "image-only" else (None, audio)
        expected = plain.logits(codes, turned[mask], chosen)
        torch.testing.assert_close(model.classify(*given), expected, rtol=1e-4, atol=1e-5)


def test_defaults_and_modes_that_do_not_go_with_the_file(tmp_path):
    single, both = (saved(tmp_path / f"{number}.pt", filled(layout(single=bool(number)))) for number in (1, 0))
    assert read_published(single).options["mode"] == "image-only"
    assert read_published(both).options["mode"] == "multimodal"
    assert read_published(both).options["mask"] == "binarizer"
    with pytest.raises(UsageError, match="image-only or audio-only"):
        read_published(single, mode="multimodal")
    with pytest.raises(UsageError, match="--mode multimodal"):
        read_published(both, mode="audio-only")
    for wrong in ({"mode": "both"}, {"mask": "none"}):
        with pytest.raises(UsageError, match=f"--{next(iter(wrong))} must be"):
            read_published(both, **wrong)
    bare = saved(tmp_path / "bare.pt", filled(layout(**MODELS["cmvqvae-baseline2"])))
    with pytest.raises(UsageError, match="--mask attention has no effect"):
        read_published(bare, mask="attention")


def test_old_files_other_classes_and_the_published_size(tmp_path):
    shapes = {key: shape for key, shape in layout(outputs=8).items() if not key.endswith(COUNTER)}
    wrapped = {f"module.{key}": value for key, value in filled(shapes).items()}
    found, _ = loaded(saved(tmp_path / "model.pt", wrapped))
    assert set(found.state) == set(layout(outputs=8))
    assert found.spec.classes == tuple("01234567")
    # Names and shapes of the parts as the golden numbers list them, at the published size.
    whole = layout(hidden=128)
    parts = {"_encoder_image.": "encoder_image", "_encoder_audio.": "encoder_audio", "_decoder_image.": "decoder_image",
             "_decoder_audio.": "decoder_audio", "_classifier.": "task_solver_binarizer"}  # fmt: skip
    for prefix, part in parts.items():
        own = {key.removeprefix(prefix): list(shape) for key, shape in whole.items() if key.startswith(prefix)}
        assert own == GOLDEN[part]["params"]
    with torch.device("meta"):
        model = FAMILY.build("cmvqvae", found.spec.with_(classes=EMOTIONS), codes=CODES)
    assert {key: tuple(value.shape) for key, value in model.state_dict().items()} == whole


def test_two_resnets(tmp_path):
    state = filled(resnets())
    found, model = loaded(saved(tmp_path / "model.pt", state))
    assert (found.model, found.spec.classes) == ("cmvqvae-baseline4", EMOTIONS)
    image, audio = (x[:, :, :64, :64] for x in clips())
    with torch.no_grad():
        features = []
        for number, x in ((1, image), (2, audio)):
            tower = resnet18(num_classes=1).eval()
            tower.fc = torch.nn.Identity()
            tower.conv1 = torch.nn.Conv2d(x.shape[1], 64, 7, stride=2, padding=3, bias=False)
            prefix = f"_resnet18_{number}."
            tower.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
            features.append(tower(x))
        x = F.linear(torch.cat(features, 1), state["_fc1.weight"], state["_fc1.bias"])
        x = F.relu(Straight(state).norm(x, "_bn"))
        expected = F.linear(x, state["_fc2.weight"], state["_fc2.bias"])
        torch.testing.assert_close(model(image, audio).logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["multimodal", "audio-only"])
def test_features(mode, tmp_path):
    spec = InputSpec("audiovisual", 128, 128, classes=EMOTIONS, clip=FEATURES)
    torch.manual_seed(0)
    source = FAMILY.build("cmvqvae-features", spec, codes=CODES, mode=mode).eval()
    chosen = {} if mode == "multimodal" else {"mode": mode}
    found, model = loaded(saved(tmp_path / "model.pt", source.state_dict()), **chosen)
    assert found.model == "cmvqvae-features"
    assert found.spec.clip.features == ((16, 4096), (64, 1024))
    assert found.options == {"mask": "binarizer", "mode": mode, "codes": CODES, "code_size": 64, "quantizer": "ema"}
    image, audio = torch.randn(2, 16, 4096), torch.randn(2, 64, 1024)
    with torch.no_grad():
        assert torch.equal(model.classify(image, audio), source.classify(image, audio))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"_classifier.private_shared_mask": (64, 1, 1)}, r"private_shared_mask is \(64, 1, 1\), not \(128, 1, 1\)"),
        ({"_classifier._fc2.bias": None}, "no _classifier._fc2.bias"),
        ({"_classifier._fc2.weight": None}, "no last layer"),
        ({"_pre_vq_conv_image.weight": None}, "no _pre_vq_conv_image.weight"),
        ({"_decoder_text._conv_1.weight": (2, 2)}, "_decoder_text._conv_1.weight is not known"),
        ({"_vq_vae_audio._embedding.weight": (8, 64)}, "_vq_vae_audio._embedding.weight is"),
        ({"_encoder_image._conv_3.weight": ()}, "shapes are those of no cmvqvae"),
        ({"_classifier._conv1.weight": None}, "no solver"),
    ],
)
def test_files_that_are_none(change, match, tmp_path):
    shapes = {key: shape for key, shape in (layout() | change).items() if shape is not None}
    with pytest.raises(CheckpointError, match=match):
        read_published(saved(tmp_path / "model.pt", {key: torch.zeros(shape) for key, shape in shapes.items()}))

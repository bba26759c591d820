"""CM-VQVAE as a whole, its baselines and variants: outputs, stages, probes, sizes, transfer."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from affectkit.core.clipspec import CREMAD, FEATURES, SoundSpec
from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError, UsageError
from affectkit.metrics.codes import private_shared
from affectkit.models.cmvqvae import family
from affectkit.models.cmvqvae.network import CMVQVAEOutput, sound_steps
from affectkit.models.cmvqvae.reconstruction import KINDS, reconstruct_from

CLASSES = ("anger", "fear", "neutral")
SPEC = InputSpec(
    "audiovisual", 32, 32, classes=CLASSES, clip=replace(CREMAD, sound=SoundSpec(mels=64, height=64, width=64))
)
TINY = {"codes": 32, "code_size": 8, "hidden": 16, "residual_hidden": 4, "residual_layers": 1}
FEATURE_SPEC = InputSpec("audiovisual", 32, 32, classes=CLASSES, clip=FEATURES)
SMALL_FEATURES = replace(FEATURE_SPEC, clip=replace(FEATURES, features=((4, 512), (16, 128))))
DECODED = ("cmvqvae", "cmvqvae-baseline2", "cmvqvae-features")
MASKED = ("cmvqvae", "cmvqvae-baseline3", "cmvqvae-features")
FAMILY = family.CMVQVAEFamily()
NAMES = list(family.WITHOUT)


def made(name: str = "cmvqvae", *, spec: InputSpec | None = None, seed: int = 0, **options):
    torch.manual_seed(seed)
    if name == family.FEATURES:
        spec, size = spec or SMALL_FEATURES, {"code_size": 2}
    else:
        spec, size = spec or SPEC, TINY
    return FAMILY.build(name, spec, **{**size, "codes": 32, **options})


def clips(name: str = "cmvqvae", count: int = 4, *, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((4, 512), (16, 128)) if name == family.FEATURES else ((3, 32, 32), (1, 64, 64))
    return tuple(torch.randn((count, *shape), generator=generator) for shape in shapes)


def total(output: CMVQVAEOutput, image: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
    loss = F.cross_entropy(output.logits, torch.arange(len(image)) % len(CLASSES))
    loss = loss + sum(part for part in (output.vq_loss_image, output.vq_loss_audio) if part is not None)
    for inputs, found in ((image, output.image), (audio, output.audio)):
        loss = loss + (0 if found is None else F.mse_loss(found, inputs))
    return loss + (0 if output.shared_loss is None else 1e-4 * output.shared_loss)


@pytest.mark.parametrize("name", NAMES)
def test_every_model_has_what_it_should_and_says_the_same_everywhere(name):
    model, (image, audio) = made(name).eval(), clips(name)
    with torch.no_grad():
        if name in MASKED:
            mask = model._classifier.private_shared_mask
            mask.copy_(torch.linspace(-0.01, 0.02, mask.numel()).view_as(mask))
        output, told, again = (
            model(image, audio),
            model.evaluation_outputs(image, audio),
            model.reconstruct(image, audio),
        )
        torch.testing.assert_close(model.classify(image, audio), output.logits)
    assert output.logits.shape == (4, 3)
    assert torch.equal(told["outputs"], output.logits)
    decoded, masked = name in DECODED, name in MASKED
    wanted = {"outputs"} | ({"mask"} if masked else set())
    for key, inputs, there, rebuilt in (
        ("image", image, output.image, again[0]),
        ("audio", audio, output.audio, again[1]),
    ):
        assert (there is not None) == (rebuilt is not None) == decoded
        if decoded:
            wanted |= {f"recon_{key}", f"vq_{key}", f"codes_{key}"}
            assert there.shape == inputs.shape
            torch.testing.assert_close(rebuilt, there)
            assert told[f"recon_{key}"].shape == told[f"vq_{key}"].shape == (4,)
            torch.testing.assert_close(told[f"recon_{key}"].mean(), F.mse_loss(there, inputs))
            torch.testing.assert_close(told[f"vq_{key}"].mean(), getattr(output, f"vq_loss_{key}"))
            codes = told[f"codes_{key}"]
            assert codes.dtype == torch.int16
            assert codes.shape == ((4, 32, 32) if name == family.FEATURES else (4, 8, 8))
            p = torch.bincount(codes.flatten().int(), minlength=32).double() / codes.numel()
            assert float(getattr(output, f"perplexity_{key}")) == pytest.approx(
                math.exp(-float((p * (p + 1e-10).log()).sum())), rel=1e-5
            )
        else:
            assert getattr(output, f"vq_loss_{key}") is getattr(output, f"perplexity_{key}") is None
    assert set(told) == wanted
    assert (output.shared_loss is not None) == masked
    if masked:
        mask = model._classifier.private_shared_mask.detach()
        torch.testing.assert_close(output.shared_loss.detach(), mask.sum())
        assert torch.equal(told["mask"], (mask.flatten() > 0.005).float().expand(4, -1))
        assert 0 < told["mask"].mean() < 1


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_sample_depends_on_the_others(name):
    model, (image, audio) = made(name, mask="randomizer").eval(), clips(name)
    with torch.no_grad():
        whole = model.evaluation_outputs(image, audio)
        for row in range(4):
            for key, value in model.evaluation_outputs(image[row : row + 1], audio[row : row + 1]).items():
                torch.testing.assert_close(value[0], whole[key][row], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name):
    model, (image, audio) = made(name).train(), clips(name)
    total(model(image, audio), image, audio).backward()
    without = [key for key, value in model.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    # In front of a batch norm a bias does nothing.
    assert [key for key in without if not key.endswith("bias")] == []
    assert not any("_embedding" in key for key, _ in model.named_parameters())


def test_plain_codes_are_parameters():
    model, (image, audio) = made(quantizer="plain").train(), clips()
    total(model(image, audio), image, audio).backward()
    for name in ("image", "audio"):
        book = dict(model.named_parameters())[f"_vq_vae_{name}._embedding.weight"]
        assert float(book.detach().abs().max()) <= 1 / 32
        assert float(book.grad.abs().sum()) > 0


def test_the_codebook_is_untouched_by_the_optimiser_and_moves_with_the_averages():
    model, (image, audio) = made().train(), clips()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    state = ("_embedding.weight", "_ema_w", "_ema_cluster_size")
    first = {key: value.clone() for key, value in model.state_dict().items() if key.endswith(state)}
    assert len(first) == 6
    total(model(image, audio), image, audio).backward()
    moved = {key: model.state_dict()[key].clone() for key in first}
    optimizer.step()
    for key, value in moved.items():
        assert not torch.equal(value, first[key])
        assert torch.equal(model.state_dict()[key], value)


def test_it_learns():
    torch.manual_seed(3)
    model, target = made(dropout=0.0).train(), torch.arange(12) % 3
    image, audio = clips(count=12)
    image, audio = 0.1 * image + target[:, None, None, None] / 2, 0.1 * audio
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        output = model(image, audio)
        loss = F.cross_entropy(output.logits, target) + F.mse_loss(output.image, image)
        loss = loss + output.vq_loss_image + output.vq_loss_audio
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(F.cross_entropy(output.logits, target).detach()))
    assert losses[-1] < 0.3 * losses[0]


# --- modes and stages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["image-only", "audio-only"])
def test_one_modality_alone(name, mode):
    model, (image, audio) = made(name, mode=mode).train(), clips(name)
    seen, unseen = mode.split("-")[0], {"image-only": "audio", "audio-only": "image"}[mode]
    given = (image, None) if seen == "image" else (None, audio)
    output = model(*given)
    for part in ("{}", "vq_loss_{}", "perplexity_{}"):
        assert getattr(output, part.format(unseen)) is None
        assert (getattr(output, part.format(seen)) is not None) == (name in DECODED)
    output.logits.sum().backward()
    first, second = ("_resnet18_1", "_resnet18_2") if name == family.RESNETS else ("_encoder_image", "_encoder_audio")
    touched = {key.split(".")[0] for key, value in model.named_parameters() if value.grad is not None}
    assert (second if seen == "image" else first) not in touched
    model.eval()
    with torch.no_grad():
        assert not any(unseen in key for key in model.evaluation_outputs(*given))
        torch.testing.assert_close(model.classify(image, audio), model.classify(*given))
    with pytest.raises(UsageError, match=f"no {seen} was given"):
        model.classify(*given[::-1])


def test_a_mode_reads_its_half_of_the_mask():
    for mode, half in (("image-only", slice(0, 8)), ("audio-only", slice(8, 16))):
        model, (image, audio) = made(mode=mode, mask_init="uniform").eval(), clips()
        model._classifier(*(None if x is None else torch.randn(2, 8, 8, 8) for x in (image, audio))).sum().backward()
        grad = model._classifier.private_shared_mask.grad.flatten()
        assert (grad[half] != 0).all()
        assert grad.count_nonzero() == 8
        assert float(model(image, audio).shared_loss.detach()) == pytest.approx(
            float(model._classifier.private_shared_mask.detach().sum())
        )


def test_the_autoencoder_alone():
    model, (image, audio) = made().train(), clips()
    assert model.stage == "joint"
    model.stage = "autoencoder"
    output = model(image, audio)
    assert output.logits is output.shared_loss is None
    (F.mse_loss(output.image, image) + F.mse_loss(output.audio, audio) + output.vq_loss_image).backward()
    learning = {key.split(".")[0] for key, value in model.named_parameters() if value.grad is not None}
    assert learning == {
        f"_{part}_{name}" for part in ("encoder", "pre_vq_conv", "decoder") for name in ("image", "audio")
    }
    assert model.eval().evaluation_outputs(image, audio)["outputs"].shape == (4, 3)


@pytest.mark.parametrize("first", ["stage", "train"])
def test_the_solver_alone_moves_nothing_else(first):
    model, (image, audio) = made(), clips()
    if first == "stage":
        model.stage = "solver"
        model.train()
    else:
        model.train().stage = "solver"
    before = {key: value.clone() for key, value in model.state_dict().items()}
    output = model(image, audio)
    assert [name for name, value in output._asdict().items() if value is not None] == ["logits", "shared_loss"]
    (output.logits.sum() + output.shared_loss).backward()
    assert {key.split(".")[0] for key, value in model.named_parameters() if value.grad is not None} == {"_classifier"}
    changed = {key.split(".")[0] for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"_classifier"}  # running statistics
    model.stage = "joint"
    assert model._encoder_image.training


def test_stages_that_cannot_be():
    for name in ("cmvqvae-baseline1", "cmvqvae-baseline3", "cmvqvae-baseline4"):
        with pytest.raises(UsageError, match="--stage autoencoder"):
            made(name).stage = "autoencoder"
    with pytest.raises(UsageError, match="no gradients"):
        made(family.FEATURES).stage = "autoencoder"
    made(family.FEATURES, quantizer="plain").stage = "autoencoder"
    for name in ("cmvqvae", "cmvqvae-baseline4"):
        with pytest.raises(UsageError, match="joint, autoencoder or solver; got 'both'"):
            made(name).stage = "both"
        assert made(name).stage == "joint"


def test_where_dropout_stands():
    model, (image, audio) = made(dropout=0.25).train(), clips()
    shapes = []
    model._classifier._dropout.register_forward_hook(lambda _, inputs, output: shapes.append(tuple(output.shape)))
    model(image, audio)
    assert shapes == [(4, 32, 2, 2), (4, 256)]
    model = made("cmvqvae-features", dropout=0.25).train()
    model._classifier._dropout.register_forward_hook(lambda _, inputs, output: shapes.append(tuple(output.shape)))
    model(*clips("cmvqvae-features"))
    assert shapes[2:] == [(4, 4, 1024), (4, 4, 512), (4, 4, 512), (4, 256)]


# --- masks and probes ------------------------------------------------------------------------------------------------


def test_a_mask_is_put_back():
    model = made()
    mask = model._classifier.private_shared_mask
    assert torch.equal(mask, torch.full((16, 1, 1), 0.01))
    with torch.no_grad():
        mask.zero_()
    model.reset_mask()
    assert torch.equal(mask, torch.full((16, 1, 1), 0.01))
    model = made(mask_init="uniform", mask_scale=2.0)
    assert 1 < float(model._classifier.private_shared_mask.detach().abs().max()) <= 2
    for name in ("cmvqvae-baseline1", "cmvqvae-baseline2", "cmvqvae-baseline4"):
        with pytest.raises(UsageError, match="no mask"):
            made(name).reset_mask()


@pytest.mark.parametrize(("kind", "shared"), [("binarizer", 5), ("attention", 5), ("ternarizer", 9)])
def test_what_counts_as_shared(kind, shared):
    model, (image, audio) = made(mask=kind).eval(), clips(count=2)
    values = torch.cat([torch.full((5,), 0.02), torch.full((4,), -0.02), torch.full((7,), 0.001)])
    with torch.no_grad():
        model._classifier.private_shared_mask.copy_(values.view(16, 1, 1))
        counted = model.evaluation_outputs(image, audio)["mask"]
    found = private_shared(counted[0].numpy())
    assert found["shared_image"] + found["shared_audio"] == pytest.approx(100 * shared / 16)
    assert found["private_image"] + found["shared_image"] == 50
    # A reconstruction keeps the channels that are counted.
    with torch.no_grad():
        codes = model.quantise(image, audio)["image"].vectors * (counted[0, :8] != 0).float()[:, None, None]
        expected = model._decoder_image(codes)
    torch.testing.assert_close(reconstruct_from(model, image, audio, kind="shared")[0], expected)


def test_probes():
    model, (image, audio) = made(mask_init="uniform").eval(), clips(count=3)
    found = {kind: reconstruct_from(model, image, audio, kind=kind) for kind in KINDS}
    for one, other in zip(found["all"], model.reconstruct(image, audio), strict=True):
        torch.testing.assert_close(one, other.detach())
    mask = model._classifier.effective_mask()[:, None, None]
    with torch.no_grad():
        codes = model.quantise(image, audio)
        for place, (name, half) in enumerate((("image", mask[:8]), ("audio", mask[8:]))):
            kept, decoder = codes[name].vectors, getattr(model, f"_decoder_{name}")
            torch.testing.assert_close(found["private"][place], decoder(kept * (1 - half)))
            for row in range(3):
                mixture = kept[row] * half + kept[row - 1] * (1 - half)
                torch.testing.assert_close(found["mixed"][place][row], decoder(mixture[None])[0])
    assert not found["all"][0].requires_grad
    with pytest.raises(UsageError, match="all, shared, private, mixed"):
        reconstruct_from(model, image, audio, kind="half")


def test_probes_that_cannot_be():
    image, audio = clips()
    with pytest.raises(UsageError, match="no mask"):
        reconstruct_from(made("cmvqvae-baseline2"), image, audio, kind="shared")
    assert reconstruct_from(made("cmvqvae-baseline2").eval(), image, audio, kind="all")[0].shape == image.shape
    for name in ("cmvqvae-baseline3", "cmvqvae-baseline4"):
        with pytest.raises(UsageError, match="reconstructs nothing"):
            reconstruct_from(made(name), image, audio, kind="all")
    alone = reconstruct_from(made(mode="image-only").eval(), image, None, kind="mixed")
    assert alone[0].shape == image.shape
    assert alone[1] is None


# --- precision, sizes, options ---------------------------------------------------------------------------------------


def test_quantising_stays_in_single_precision():
    model, (image, audio) = made().train(), clips()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(image, audio)
        maps = model._maps("image", image)
        found = model.eval()._vq_vae_image(maps)
    assert maps.dtype == torch.bfloat16
    assert {found.vectors.dtype, found.losses.dtype, output.vq_loss_audio.dtype} == {torch.float32}
    assert torch.equal(found.codes, model._vq_vae_image(maps.float()).codes)
    for _, buffer in model._vq_vae_image.named_buffers():
        assert buffer.dtype == torch.float32
    total(output, image, audio).backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in model.parameters())


@pytest.mark.parametrize(
    ("side", "sound", "steps"), [(128, 256, 3), (128, 512, 4), (256, 256, 2), (32, 64, 3), (32, 32, 2), (36, 72, 3)]
)
def test_sizes_that_fit(side, sound, steps):
    assert sound_steps(side, side, (sound, sound)) == steps
    if side > 48:
        return
    spec = replace(
        SPEC, height=side, width=side, clip=replace(CREMAD, sound=SoundSpec(mels=sound, height=sound, width=sound))
    )
    model = made(spec=spec).eval()
    image, audio = torch.randn(2, 3, side, side), torch.randn(2, 1, sound, sound)
    with torch.no_grad():
        output, codes = model(image, audio), model.evaluation_outputs(image, audio)
    assert (output.image.shape, output.audio.shape) == (image.shape, audio.shape)
    assert codes["codes_image"].shape == codes["codes_audio"].shape == (2, side // 4, side // 4)


@pytest.mark.parametrize(
    ("height", "width", "sound"),
    [
        (30, 30, (64, 64)), (32, 64, (64, 64)), (4, 4, (64, 64)), (32, 32, (16, 16)), (512, 512, (64, 64)),
        (32, 32, (64, 128)), (32, 32, (100, 100)), (48, 48, (64, 64)),
    ],
)  # fmt: skip
def test_sizes_that_do_not_fit(height, width, sound):
    with pytest.raises(UsageError, match=r"(?s)(take|go with).*--size"):
        sound_steps(height, width, sound)


def test_what_cannot_be_built():
    for faults, match in (
        ({"spec": replace(SPEC, clip=None)}, "affectkit prep cremad"),
        ({"spec": replace(SPEC, channels=1)}, "colour"),
        ({"spec": FEATURE_SPEC}, "--model cmvqvae-features"),
        ({"mode": "both"}, "--mode must be multimodal, image-only or audio-only; got 'both'"),
        ({"mask": "none"}, "--mask must be"),
        ({"mask_init": "0s"}, "--mask-init must be 1s or uniform"),
        ({"quantizer": "vq"}, "--quantizer must be ema or plain"),
    ):
        with pytest.raises(UsageError, match=match):
            made(**faults)
    with pytest.raises(UsageError, match="--model cmvqvae"):
        made(family.FEATURES, spec=SPEC)
    with pytest.raises(UsageError, match="65,536 numbers"):
        made(family.FEATURES, code_size=64)


def test_features_as_defined():
    model, (image, audio) = made(family.FEATURES).eval(), clips(family.FEATURES)
    with torch.no_grad():
        model._classifier.private_shared_mask.copy_(torch.tensor([0.01, 0.0, 0.0, 0.01]).view(4, 1, 1))
    part, taken = model._classifier, [0, 5, 10, 15]
    with torch.no_grad():
        mask = (part.private_shared_mask > 0.005).float()
        books = [getattr(model, f"_vq_vae_{name}")._embedding.weight for name in ("image", "audio")]
        codes = [
            book[torch.cdist(x.reshape(4, 2, 1024).mT, book[None].expand(4, -1, -1)).argmin(2)].mT.reshape(4, 2, 32, 32)
            for x, book in zip((image, audio), books, strict=True)
        ]
        seen = (codes[0] * mask[:2]).reshape(4, 4, 512)
        heard = (codes[1] * mask[2:]).reshape(4, 16, 128)[:, taken]
        steps = []
        for time in range(4):
            one = torch.relu(part._bn_image_1(part._fc_image_1(seen[:, time])))
            one = torch.relu(part._bn_image_2(part._fc_image_2(one)))
            steps.append(torch.cat([one, torch.relu(part._bn_audio(part._fc_audio(heard[:, time])))], 1))
        _, (last, _) = part._lstm(torch.stack(steps, 1))
        expected = part._fc(torch.relu(part._bn(last[0])))
        torch.testing.assert_close(model.classify(image, audio), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model.reconstruct(image, audio)[1], codes[1].reshape(4, 16, 128))
    with torch.device("meta"):
        whole = FAMILY.build(family.FEATURES, FEATURE_SPEC)
    assert whole._classifier.taken == [0, 4, 8, 13, 17, 21, 25, 29, 34, 38, 42, 46, 50, 55, 59, 63]
    assert whole._classifier._fc_image_1.in_features == 4096
    assert whole._classifier._lstm.input_size == 1024


# --- family ----------------------------------------------------------------------------------------------------------


def test_what_training_asks_of_the_family():
    settings = {"mode": "image-only", "hidden": 16, "dropout": 0.25, "codes": 32, "lr": 0.1, "mask": "attention"}
    options = FAMILY.build_options(settings)
    assert options == {
        "mode": "image-only", "hidden": 16, "dropout": 0.25, "codes": 32, "mask": "attention", "residual_hidden": 4
    }  # fmt: skip
    model = FAMILY.build("cmvqvae", SPEC, **options)
    assert (model.shape.hidden, model.shape.residual_hidden, model._classifier.kind) == (16, 4, "attention")
    assert model._classifier._dropout.p == 0.25
    assert FAMILY.last_layer(model) is model._classifier
    assert any(value is model._classifier.private_shared_mask for value in FAMILY.last_layer(model).parameters())
    assert FAMILY.last_layer(made("cmvqvae-baseline4")).out_features == 3
    assert [FAMILY.clip_needs({"mode": mode}) for mode in family.NEEDS] == ["both", "image", "audio"]
    assert FAMILY.clip_needs({}) == "both"
    found = FAMILY.default_input("cmvqvae", {}, {})
    assert found == {"height": 128, "width": 128, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    assert FAMILY.initial_options({}) == {}
    assert FAMILY.checkpoint_options(options, {}) == options


def kept(path, model, classes=None):
    """A file as affectkit writes it, or a bare state dict where no ``classes`` are named."""
    state = {key: value.clone() for key, value in model.state_dict().items()}
    if classes is None:
        torch.save(state, path)
    else:
        save_file(state, path, {"affectkit": json.dumps({"spec": {"classes": list(classes)}})})
    return path


def taken_from(model, source) -> set[str]:
    """The parts of ``model`` whose tensors are those of ``source``."""
    theirs = source.state_dict()
    same: dict[str, bool] = {}
    for key, value in model.state_dict().items():
        part = key.split(".")[0]
        same[part] = same.get(part, True) and torch.equal(value, theirs[key])
    return {part for part, holds in same.items() if holds}


AUTOENCODERS = {
    f"_{part}_{name}" for part in ("encoder", "pre_vq_conv", "vq_vae", "decoder") for name in ("image", "audio")
}


def test_transfer(tmp_path):
    source = made(seed=5, mask_init="uniform").train()
    source(*clips())  # so that running statistics and averages are no longer those of a new model
    path = kept(tmp_path / "a.safetensors", source, CLASSES)
    model = made(seed=6)
    assert "tensors from" in FAMILY.load_weights(model, path, classes=CLASSES)
    assert taken_from(model, source) == AUTOENCODERS | {"_classifier"}
    model.reset_mask()
    assert taken_from(model, source) == AUTOENCODERS
    # Other classes, whether as many or not: the solver, mask included, stays at its first values.
    for classes in (("fear", "anger", "neutral"), ("joy", "anger")):
        model = made(seed=6, spec=replace(SPEC, classes=classes))
        told = FAMILY.load_weights(model, path, classes=classes)
        assert "left at their initial values" in told
        assert taken_from(model, source) == AUTOENCODERS
        assert taken_from(model, made(seed=6, spec=replace(SPEC, classes=classes))) == {"_classifier"}
    model = made(seed=6, mode="image-only")
    FAMILY.load_weights(model, path, classes=CLASSES)
    assert taken_from(model, source) == AUTOENCODERS


def test_transfer_from_a_published_file(tmp_path):
    source = made(seed=5)
    path = kept(tmp_path / "model.pt", source)
    numbered = ("0", "1", "2")
    for classes, parts in ((numbered, AUTOENCODERS | {"_classifier"}), (CLASSES, AUTOENCODERS)):
        model = made(seed=6, spec=replace(SPEC, classes=classes))
        FAMILY.load_weights(model, path, classes=classes)
        assert taken_from(model, source) == parts
    assert family.named(6)[3] == "happiness"
    resnets = kept(tmp_path / "b.safetensors", made("cmvqvae-baseline4", seed=5), ("a", "b", "c"))
    model = made("cmvqvae-baseline4", seed=6)
    assert "_fc2.weight" in FAMILY.load_weights(model, resnets, classes=CLASSES)


def test_transfer_of_what_is_not_there(tmp_path):
    path = kept(tmp_path / "a.safetensors", made(seed=5, quantizer="plain"), CLASSES)
    with pytest.raises(CheckpointError, match="(?s)_ema_.*--quantizer"):
        FAMILY.load_weights(made(), path, classes=CLASSES)
    save_file({"fc.weight": torch.zeros(2, 2)}, tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match="nothing of a CM-VQVAE"):
        FAMILY.load_weights(made(), tmp_path / "b.safetensors", classes=CLASSES)

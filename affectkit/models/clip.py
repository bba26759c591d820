"""CLIP's image towers as frozen encoders: built by open_clip, identified by the hash of their weights."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from affectkit.core.forms import check_form, parse_json
from affectkit.core.limits import MAX_CONFIG_BYTES
from affectkit.core.randomness import address_seed
from affectkit.core.registry import unknown_name
from affectkit.errors import CheckpointError, DownloadError, UsageError
from affectkit.models.external import hub
from affectkit.models.external.weights import is_weights_file, read_state

RANDOM = "random"
OPENAI = "openai"
FORM = {"embed_dim": int, "vision_cfg": dict[str, Any], "quick_gelu?": bool}
"""What is read of a configuration; see ``core.forms``."""
_SMALL_TEXT = {"context_length": 8, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1}
"""The text tower is thrown away, so it is built as small as can be."""


@dataclass(frozen=True)
class ClipChoice:
    """Choice of a CLIP and of its weights.

    Attributes:
        name: open_clip's model name, such as ``ViT-L-14``; of a configuration from a file, the file's stem.
        weights: a tag of open_clip (``openai``, ``laion2b_s34b_b79k``, ...), ``random``, or ``file``.
        quick_gelu: whether the activation is x * sigmoid(1.702 x), with which OpenAI trained.
        config: open_clip's configuration where it came from a file, else None.
        sha256: of the image tower's weights (``tower_hash``); empty until they have been loaded.
    """

    name: str
    weights: str
    quick_gelu: bool
    config: dict[str, Any] | None = None
    sha256: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a checkpoint's header."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Encoder(nn.Module):
    """A frozen network that is not part of what is trained, saved, averaged or copied; it moves with its owner.

    Args:
        tower: the network; put into evaluation mode, without gradients.
        choice: what it is, with the hash of its weights.
        carried: save its weights with the model after all.

    Attributes:
        sha256: of its weights. identity: of all that its features depend on: architecture and activation too.
        width: numbers per image.
        described: what it is, in words.
    """

    def __init__(self, tower: nn.Module, choice: ClipChoice, *, carried: bool = False) -> None:
        super().__init__()
        tower = tower.eval().requires_grad_(False)
        self.sha256, self.identity, self.width = choice.sha256, encoder_identity(choice), feature_width(choice)
        self.described = f"CLIP {choice.name} ({choice.weights})"
        self.carried = carried
        if carried:
            self.tower = tower
        else:
            # Past nn.Module's registration: parameters(), state_dict() and deepcopy() do not see it.
            object.__setattr__(self, "tower", tower)

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features (B, width) of images (B, 3, H, W), float32, not normalised to length 1."""
        features = self.tower(images)
        if isinstance(features, tuple):  # CoCa's towers also give what its captions are made of
            features = features[0]
        return features.float()

    def train(self, mode: bool = True) -> Encoder:
        """Stay in evaluation mode."""
        self.training = False
        return self

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Encoder:
        if not self.carried:
            self.tower._apply(fn)
        return super()._apply(fn, recurse)

    def __deepcopy__(self, memo: dict[int, Any]) -> Encoder:
        return self  # it never changes: one serves all


def choose_clip(name: str, weights: str, *, activation: str = "auto") -> ClipChoice:
    """Return the choice that ``--clip``, ``--clip-weights`` and ``--clip-activation`` make; nothing is built or
    downloaded.

    Args:
        name: a model name of open_clip (OpenAI's spelling ``ViT-L/14`` works too), or a JSON file with a configuration.
        weights: a tag, ``random``, or a file.
        activation: ``quickgelu``, ``gelu``, or ``auto``: as the tag was trained; OpenAI's for ``random``.

    Raises:
        UsageError: an unknown name or tag, or an activation that the weights were not trained with or do not show.
    """
    import open_clip

    config = None
    if name.endswith(".json"):
        config = _read_config(Path(name))
        name = Path(name).stem
    name = name.replace("/", "-")
    known = open_clip.list_models()
    if config is None and name not in known:
        raise UsageError(unknown_name("CLIP model", name, known), "open_clip's names, such as ViT-L-14 or ViT-B-32.")
    own = (config or open_clip.get_model_config(name)).get("quick_gelu", False)
    plain = name.removesuffix("-quickgelu")
    both = config is None and f"{plain}-quickgelu" in known and plain in known
    if activation != "auto":
        asked = activation == "quickgelu"
    elif weights == RANDOM:
        asked = own or both
    elif is_weights_file(weights):
        if both and not own:
            raise UsageError(
                f"the file {weights} does not tell which activation its weights were trained with.",
                f"Add --clip-activation quickgelu (OpenAI's {plain}, DFN, MetaCLIP) or --clip-activation gelu (LAION).",
            )
        asked = own
    else:
        asked = own
    if weights != RANDOM and not is_weights_file(weights):
        asked = _tag_activation(plain if config is None else name, weights, activation, own=own)
    return ClipChoice(name, "file" if is_weights_file(weights) else weights, asked, config)


def _tag_activation(name: str, tag: str, activation: str, *, own: bool) -> bool:
    """Return whether the weights called ``tag`` were trained with QuickGELU."""
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag not in tags:
        raise UsageError(
            unknown_name(f"weights of {name}", tag, [*tags, RANDOM]), "Or name a file, with its ending or a folder."
        )
    trained = bool(open_clip.get_pretrained_cfg(name, tag).get("quick_gelu", False))
    if (activation == "auto" and own and not trained) or (
        activation != "auto" and trained != (activation == "quickgelu")
    ):
        words = ("GELU", "QuickGELU")
        raise UsageError(f"the weights {tag} of {name} were trained with {words[trained]}, not {words[not trained]}.")
    return trained


def _read_config(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the CLIP configuration {path}: {error}") from error
    title = f"cannot read the CLIP configuration {path}"
    config = parse_json(text, title, error=UsageError, limit=MAX_CONFIG_BYTES)
    config = config.get("model_cfg", config) if isinstance(config, dict) else {}
    config = config if isinstance(config, dict) else {}
    missing = [key for key in ("embed_dim", "vision_cfg") if key not in config]
    if missing:
        raise UsageError(
            f"{path} is not a configuration of open_clip: no {', '.join(missing)}.",
            "It holds embed_dim, vision_cfg and text_cfg, as the files in open_clip/model_configs.",
        )
    check_form(config, FORM, f"{path} is not a configuration of open_clip", error=UsageError)
    return {key: config[key] for key in ("embed_dim", "vision_cfg", "quick_gelu") if key in config}


def image_size(choice: ClipChoice) -> int:
    """Return the input height and width that the model is made for."""
    size = _config(choice)["vision_cfg"].get("image_size", 224)
    return int(size[0] if isinstance(size, list | tuple) else size)


def image_statistics(choice: ClipChoice) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and std of the images that the weights were trained on."""
    import open_clip

    found = _pretrained(choice)
    return tuple(found.get("mean") or open_clip.OPENAI_DATASET_MEAN), tuple(
        found.get("std") or open_clip.OPENAI_DATASET_STD
    )


def feature_width(choice: ClipChoice) -> int:
    """Return the number of features of an image."""
    return int(_config(choice)["embed_dim"])


def encoder_identity(choice: ClipChoice) -> str:
    """Hash what the features of ``choice`` depend on.

    Weights alone do not show it: the same ones give other features with another activation, or cut into other heads.
    """
    parts = {name: _config(choice)[name] for name in ("embed_dim", "vision_cfg")}
    text = json.dumps([parts, choice.quick_gelu, choice.sha256], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _config(choice: ClipChoice) -> dict[str, Any]:
    import open_clip

    return choice.config or open_clip.get_model_config(choice.name)


def build_tower(choice: ClipChoice) -> nn.Module:
    """Build the image tower with random weights (the same ones each time)."""
    import open_clip

    options: dict[str, Any] = {"text_cfg": dict(_SMALL_TEXT)}
    name = choice.name
    if choice.config is not None:
        # open_clip builds from names alone; what the name stands for is then overridden.
        name, options = "ViT-B-32", {**choice.config, **options, "quick_gelu": choice.quick_gelu}
    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(address_seed(0, "clip", choice.name))
        return open_clip.create_model(name, force_quick_gelu=choice.quick_gelu, **options).visual


def load_tower(choice: ClipChoice, source: str | Path | None = None, *, cache: Path | None = None) -> nn.Module:
    """Load the image tower with its weights.

    Args:
        source: the file with the weights; needed for ``file``, and used in place of a download for a tag.
        cache: folder of downloads; None for open_clip's own.

    Raises:
        CheckpointError: the file does not hold this tower.
        DownloadError: a tag's weights cannot be downloaded.
    """
    if choice.weights == RANDOM and source is None:
        return build_tower(choice)
    if source is None:
        if choice.weights == "file":
            raise CheckpointError(
                f"{choice.name} had weights from a file, and that file is not named.",
                "Name it with --clip-weights FILE.",
            )
        return _fetched_tower(choice, cache)
    tower = build_tower(choice)
    if not Path(source).is_file():
        raise CheckpointError(
            f"{source}, with the weights of {choice.name}, does not exist.", "Name the file with --clip-weights FILE."
        )
    state = visual_state(read_state(Path(source)))
    fill_tower(tower, state, str(source))
    return tower


def visual_state(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the image tower's tensors of a whole CLIP, or of a tower alone, by the tower's own names.

    OpenAI's names (``visual.conv1.weight``, ``visual.transformer.resblocks.0.attn.in_proj_weight``, ...) are those of
    open_clip for its transformers and residual networks.
    """
    inner = {name.removeprefix("visual."): value for name, value in state.items() if name.startswith("visual.")}
    return inner or dict(state)


def fill_tower(tower: nn.Module, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Copy ``state`` into ``tower``; every tensor must be there, of its shape, and finite."""
    wanted = tower.state_dict()
    faults = [f"no {name}" for name in wanted if name not in state]
    faults += [f"{name} is not known" for name in state if name not in wanted]
    for name, value in state.items():
        if name in wanted and value.shape != wanted[name].shape:
            faults.append(f"{name} is {tuple(value.shape)}, not {tuple(wanted[name].shape)}")
        elif value.is_floating_point() and not bool(value.isfinite().all()):
            faults.append(f"{name} holds NaN or infinity")
    if faults:
        more = f" and {len(faults) - 4} more" if len(faults) > 4 else ""
        raise CheckpointError(
            f"{where} does not hold this image tower: {'; '.join(faults[:4])}{more}.", "Is it the right --clip?"
        )
    tower.load_state_dict(dict(state))


def tower_hash(tower: nn.Module) -> str:
    """Return the SHA-256 over the names, shapes and float32 bytes of the tower's tensors, by name."""
    digest = hashlib.sha256()
    for name, value in sorted(tower.state_dict().items()):
        array = value.detach().cpu()
        array = array.float().contiguous() if array.is_floating_point() else array.contiguous()
        digest.update(f"{name}{tuple(array.shape)}\0".encode())
        digest.update(array.numpy())
    return digest.hexdigest()


def weights_source(choice: ClipChoice) -> str:
    """Describe where the weights of a tag are downloaded from."""
    found = _pretrained(choice)
    repository = str(found.get("hf_hub", "")).strip("/")
    return f"{repository} on huggingface.co" if repository else str(found.get("url", ""))


def is_cached(choice: ClipChoice) -> bool:
    """Return whether a tag's weights already lie on this machine (or none have to be downloaded)."""
    from huggingface_hub import try_to_load_from_cache

    if choice.weights in (RANDOM, "file"):
        return True
    found = _pretrained(choice)
    repository = str(found.get("hf_hub", "")).strip("/")
    files = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    if repository and any(isinstance(try_to_load_from_cache(repository, file), str) for file in files):
        return True
    url = str(found.get("url", ""))
    return bool(url) and (Path("~/.cache/clip").expanduser() / url.rsplit("/", 1)[-1]).is_file()


def _pretrained(choice: ClipChoice) -> dict[str, Any]:
    """Return open_clip's entry for the weights of a tag; empty for others."""
    import open_clip

    return open_clip.get_pretrained_cfg(choice.name.removesuffix("-quickgelu"), choice.weights)


def _fetched_tower(choice: ClipChoice, cache: Path | None) -> nn.Module:
    import open_clip

    _check_reachable(choice)
    name = choice.name.removesuffix("-quickgelu")
    try:
        with _quiet():
            model = open_clip.create_model(
                name,
                pretrained=choice.weights,
                force_quick_gelu=choice.quick_gelu,
                cache_dir=str(cache) if cache else None,
            )
    except Exception as error:
        raise _not_fetched(choice, " ".join(str(error).split())[:300]) from error
    return model.visual


def _check_reachable(choice: ClipChoice) -> None:
    if is_cached(choice):
        return
    found = _pretrained(choice)
    if why := hub.unreachable(hub.endpoint() if found.get("hf_hub") else str(found.get("url", ""))):
        raise _not_fetched(choice, why)


def _not_fetched(choice: ClipChoice, why: str) -> DownloadError:
    return DownloadError(
        f"the weights {choice.weights} of {choice.name} are not on this machine and cannot be fetched from "
        f"{weights_source(choice)}: {why}",
        "Without a network: fetch that file elsewhere and name it with --clip-weights FILE, or point HF_HOME to a "
        "Hugging Face cache that holds it.",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence open_clip, which logs that weights are random and warns of activations that were chosen on purpose."""
    root = logging.getLogger()
    before = root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*QuickGELU.*")
            yield
    finally:
        logging.disable(before)

"""Settings of ``affectkit train``: the model and what it starts from."""

from __future__ import annotations

from pathlib import Path

from affectkit.config import Parsed, option_group, setting
from affectkit.data.layouts.rating_scale import RATINGS
from affectkit.models.v1.components import parse_parts
from affectkit.settings.common import CLIP, MODEL, V1, verified
from affectkit.tasks import TASKS


@option_group
class ModelOptions:
    """Settings of the model that is trained, its task and its weights."""

    model: str = setting(
        "resnet18",
        "Model name; any timm backbone; vca, with the defaults of its study. See affectkit models.",
        group=MODEL,
        metavar="NAME",
    )
    recipe: str = setting(
        "model",
        "model: the defaults that --model brings. published: with what else the study's code does; of vca: the "
        "transformers of BA and BL begin with equal weights, and --views is 0.",
        choices=("model", "published"),
        group=CLIP,
    )
    task: str = setting(
        "auto",
        "What is predicted; auto: classification where the data has labels, distribution where it has shares or "
        "votes, else ratings.",
        choices=("auto", *TASKS),
        group=MODEL,
    )
    pretrained: bool = setting(True, "Start from the weights on timm's hub (downloaded once).", group=MODEL)
    init: Path | None = setting(
        None,
        "Start from the weights in this file, run folder, or builtin, not from those of timm's hub.",
        group=MODEL,
        metavar="CHECKPOINT",
    )
    init_key: str | None = setting(
        None,
        "Which weights of the --init file are taken, where it holds several: a key, as model_ema, or what stands in "
        "front of their names, as teacher.",
        group=MODEL,
        metavar="KEY",
        default_text="those averaged over training, else the others",
    )
    verify: bool = verified(MODEL)
    tune: str = setting(
        "all",
        "What learns: all; last: the classifier alone, on a network that stays as it is (needs weights to start from).",
        choices=("all", "last"),
        group=MODEL,
    )
    image_size: int | None = setting(
        None,
        "Input height and width in pixels.",
        low=8,
        high=4096,
        group=MODEL,
        default_text="the model's own",
        metavar="PIXELS",
    )
    start_size: int | None = setting(
        None,
        "Shorter side of training images at first; it grows to the input size by --grow-until.",
        low=8,
        high=4096,
        group=MODEL,
        metavar="PIXELS",
        default_text="the input size",
    )
    grow_until: float = setting(
        0.75,
        "Share of the epochs after which images of --start-size have the input size.",
        above=0,
        below=1,
        group=MODEL,
        metavar="SHARE",
    )
    channels: int = setting(3, "3 for RGB, 1 for gray input.", low=1, high=3, group=MODEL)
    dropout: float = setting(0.3, "Dropout in front of the last layer.", low=0, below=1, group=MODEL)
    top: str = setting(
        "linear",
        "Classifier on the backbone: linear; mlp: a hidden layer of --top-width before it; vgg: 4096-4096 on the "
        "flattened map; vgg-avg: on its average.",
        choices=("linear", "mlp", "vgg", "vgg-avg"),
        group=MODEL,
    )
    top_width: int = setting(512, "Width of the hidden layer of --top mlp.", low=1, high=65536, group=MODEL)

    v1: Parsed[frozenset[str]] | None = setting(
        None,
        "Components of resnet50_v1: center-surround, local-rf, tuned-norm or div-norm, cortical-magnification.",
        parse=parse_parts,
        group=V1,
        metavar="NAME,...",
    )
    clip: str = setting(
        "ViT-L-14",
        "CLIP of vca: ViT-L-14, ViT-B-32, any name of open_clip, or a .json configuration.",
        group=CLIP,
        metavar="NAME|FILE",
    )
    clip_weights: str = setting(
        "openai",
        "CLIP's weights: a tag of open_clip (downloaded once), a file, or random.",
        group=CLIP,
        metavar="TAG|FILE",
    )
    clip_activation: str = setting(
        "auto",
        "Activation that CLIP was trained with; a file does not hold it.",
        choices=("auto", "quickgelu", "gelu"),
        group=CLIP,
    )
    clip_normalise: bool = setting(
        False, "Normalise images by CLIP's mean and std, which the published VCA does not.", group=CLIP
    )
    include_clip: bool = setting(
        False, "Save CLIP's weights in checkpoints, not their name and hash alone.", group=CLIP
    )
    outputs: str = setting("both", "Which ratings are predicted.", choices=("both", *RATINGS), group=MODEL)
    views: int = setting(
        8,
        "Augmented views of each training image whose CLIP features are computed once; 0: afresh each epoch.",
        low=0,
        high=1000,
        group=CLIP,
    )

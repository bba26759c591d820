"""Settings of the runs, one definition for flags, files and records. Importing this loads nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.config import setting
from affectkit.core.assets import BUILTIN_NETWORK, model_file
from affectkit.core.pixels import parse_pixels
from affectkit.core.spec import FITS
from affectkit.data.layouts.rating_scale import RATINGS, parse_scale
from affectkit.data.loading.presets import PRESETS
from affectkit.errors import UsageError
from affectkit.losses import LOSSES, RATING_LOSSES, parse_loss
from affectkit.models.registry import TINY_IMAGENET, recipe
from affectkit.models.v1.parts import parse_parts
from affectkit.runtime.precision import PRECISIONS
from affectkit.schedules import SCHEDULES
from affectkit.settings.audiovisual import Codes
from affectkit.settings.label_tables import DATA, chosen_classes, followed_links, ignored_columns
from affectkit.tasks import TASKS

MODEL = "Model"
LEARNING = "Learning"
REGULAR = "Regularisation"
RUN = "Run"


def interval(text: str | None) -> tuple[int, float]:
    """``"200"`` as (200 steps, 0), ``"10m"`` as (0, 600 seconds); both 0 for None. Units: s, m, h."""
    if text is None:
        return 0, 0.0
    match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)([smh])", text.strip())
    if match is None or not float(match[1] or match[2]):
        raise UsageError(f"must be a number of steps, as 200, or of minutes or hours, as 10m or 1.5h; got {text!r}.")
    if match[1]:
        return int(match[1]), 0.0
    return 0, float(match[2]) * {"s": 1, "m": 60, "h": 3600}[match[3]]


def check_shard(text: str) -> None:
    """Refuse what is not ``I/N``; help and completion need not wait for what reads it."""
    from affectkit.core.shards import Shard

    Shard.parse(text)


def rating_range(default_text: str) -> Any:
    """The option ``--rating-range``, which several commands have."""
    return setting(
        None,
        "Least and greatest rating that can be given, as 1,9; others are refused.",
        check=parse_scale,
        group=DATA,
        metavar="LOW,HIGH",
        default_text=default_text,
    )


def fitting() -> Any:
    """The option ``--fit`` of commands that take a checkpoint."""
    return setting(
        None,
        "How an image is brought to the input size.",
        choices=tuple(FITS),
        group=DATA,
        default_text="the checkpoint's",
    )


def clip_file() -> Any:
    """The option ``--clip-weights`` of commands that take a checkpoint."""
    return setting(
        None,
        "File with the CLIP weights of a vca checkpoint; they must be the ones that it was trained with.",
        group=DATA,
        metavar="FILE",
        default_text="those that the checkpoint names",
    )


def pixel_limit(group: str = DATA) -> Any:
    """The option ``--max-pixels`` of commands that decode pictures."""
    return setting(
        None,
        "Largest width x height of a picture, as 200M. Of a JPEG that is decoded smaller, the smaller size counts.",
        check=parse_pixels,
        group=group,
        metavar="N",
        default_text="89M, as Pillow",
    )


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What every run on a device shares."""

    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps. One that is absent is an error.", group=RUN)
    precision: str = setting("auto", "Number format of the forward pass.", choices=PRECISIONS, group=RUN)
    compile: bool = setting(False, "Compile the model with torch's compiler before the first batch.", group=RUN)
    batch_size: int = setting(32, "Images in a batch, over all processes.", low=1, group=RUN)
    workers: int | None = setting(
        None,
        "Workers that decode images, for each process.",
        low=0,
        high=256,
        group=RUN,
        default_text="chosen by the data",
    )
    max_pixels: str | None = pixel_limit(RUN)


@dataclass(frozen=True, kw_only=True)
class TrainSettings(Codes, Runtime):
    """Settings of ``affectkit train``."""

    data: Path | None = setting(None, "Folder with the dataset; its layout is found by looking.", group=DATA)
    labels: Path | None = setting(
        None, "Table of labels or ratings of the images in --data, if it does not lie there.", group=DATA
    )
    test_data: Path | None = setting(
        None, "Images to test on after training.", group=DATA, default_text="--data, with --test-labels"
    )
    test_labels: Path | None = setting(None, "Table of the labels or ratings of --test-data.", group=DATA)
    classes: tuple[str, ...] = chosen_classes()
    ignore_columns: tuple[str, ...] = ignored_columns()
    follow_links: bool = followed_links()
    rating_range: str | None = rating_range("1,9 where the median is above 1, else -1,1")
    output: Path | None = setting(None, "Run folder to make.", group=DATA)
    resume: Path | None = setting(None, "Continue this run folder; needs nothing else.", group=DATA)
    force: bool = setting(False, "Write into an --output that is not empty.", group=DATA)
    val_fraction: float = setting(
        0.1,
        "Share of the training images held out where the data has no validation split.",
        above=0,
        below=1,
        group=DATA,
    )
    drop_copies: bool = setting(
        False,
        "Leave images out of validation and test that are exact copies of images in an earlier split.",
        group=DATA,
    )
    augment: str = setting("face", "Augmentation preset.", choices=tuple(PRESETS), group=DATA)
    fit: str = setting("crop", "How an image is brought to the input size.", choices=tuple(FITS), group=DATA)
    cache: str = setting(
        "auto",
        "Hold decoded images in memory; auto: where they fit in a quarter of what is free.",
        choices=("auto", "ram", "none"),
        group=DATA,
    )
    on_error: str = setting("fail", "What a bad image does.", choices=("fail", "skip"), group=DATA)

    model: str = setting(
        "resnet18",
        "Model name; any timm backbone; vca, with the defaults of its study. See affectkit models.",
        group=MODEL,
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
        None, "Start from the weights in this file, run folder, or builtin, instead.", group=MODEL
    )
    init_key: str | None = setting(
        None,
        "Which weights of the --init file are taken, where it holds several: a key, as model_ema, or what stands in "
        "front of their names, as teacher.",
        group=MODEL,
        metavar="KEY",
        default_text="those averaged over training, else the others",
    )
    tune: str = setting(
        "all",
        "What learns: all; last: the classifier alone, on a network that stays as it is (needs weights to start from).",
        choices=("all", "last"),
        group=MODEL,
    )
    image_size: int | None = setting(
        None, "Input height and width in pixels.", low=8, high=4096, group=MODEL, default_text="the model's own"
    )
    start_size: int | None = setting(
        None,
        "Shorter side of training images at first; it grows to the input size over three quarters of the epochs.",
        low=8,
        high=4096,
        group=MODEL,
        metavar="PIXELS",
        default_text="the input size",
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

    v1: str | None = setting(
        None,
        "Components of resnet50_v1: center-surround, local-rf, tuned-norm or div-norm, cortical-magnification.",
        check=parse_parts,
        group=MODEL,
        metavar="NAME,...",
    )
    clip: str = setting(
        "ViT-L-14", "CLIP of vca: ViT-L-14, ViT-B-32, any name of open_clip, or a .json configuration.", group=MODEL
    )
    clip_weights: str = setting(
        "openai",
        "CLIP's weights: a tag of open_clip (fetched once), a file, or random.",
        group=MODEL,
        metavar="TAG|FILE",
    )
    clip_activation: str = setting(
        "auto",
        "Activation that CLIP was trained with; a file does not tell.",
        choices=("auto", "quickgelu", "gelu"),
        group=MODEL,
    )
    clip_normalise: bool = setting(
        False, "Normalise images by CLIP's mean and std, which the published VCA does not.", group=MODEL
    )
    include_clip: bool = setting(
        False, "Save CLIP's weights in checkpoints, not their name and hash alone.", group=MODEL
    )
    outputs: str = setting("both", "Which ratings are predicted.", choices=("both", *RATINGS), group=MODEL)
    views: int = setting(
        8,
        "Augmented views of each training image whose CLIP features are computed once; 0: afresh each epoch.",
        low=0,
        high=1000,
        group=MODEL,
    )

    epochs: int = setting(20, "Passes over the training images.", low=1, group=LEARNING)
    loss: str | None = setting(
        None,
        f"One of {', '.join(LOSSES)}, for ratings {', '.join(RATING_LOSSES)}; or a weighted sum: mse:0.5+kl:0.5.",
        check=parse_loss,
        group=LEARNING,
        default_text="kl for distributions, ce for labels, vca for ratings",
    )
    optimizer: str = setting("adam", "Optimiser.", choices=("sgd", "adam", "adamw"), group=LEARNING)
    lr: float = setting(1e-3, "Learning rate.", above=0, group=LEARNING)
    momentum: float = setting(0.9, "Momentum of SGD.", low=0, below=1, group=LEARNING)
    weight_decay: float = setting(
        0.0, "Weight decay (L2 for SGD and Adam, decoupled for AdamW).", low=0, group=LEARNING
    )
    schedule: str = setting("plateau", "How the learning rate moves.", choices=tuple(SCHEDULES), group=LEARNING)
    warmup: float = setting(
        0.0, "Epochs of linear growth from 0 before the schedule counts fully.", low=0, group=LEARNING
    )
    lr_min: float = setting(0.0, "Where cosine and cyclic_plateau end; the floor of plateau.", low=0, group=LEARNING)
    lr_peak: float | None = setting(
        None,
        "Epoch at which the cyclic ones reach --lr.",
        above=0,
        group=LEARNING,
        default_text="a tenth of the epochs",
    )
    lr_cycle_end: float | None = setting(
        None,
        "Epoch at which cyclic_plateau reaches --lr-min.",
        above=0,
        group=LEARNING,
        default_text="60% of the epochs",
    )
    lr_patience: int = setting(3, "Epochs without progress before plateau reduces.", low=0, group=LEARNING)
    step_size: int = setting(40, "Epochs between reductions of step.", low=1, group=LEARNING)
    milestones: tuple[int, ...] = setting((), "Epochs at which multistep reduces, as 60,80.", low=1, group=LEARNING)
    gamma: float | None = setting(
        None, "Factor of a reduction.", above=0, below=1, group=LEARNING, default_text="0.5 for plateau, else 0.1"
    )
    accumulate: int = setting(1, "Batches whose gradients make one step.", low=1, group=LEARNING)
    clip_norm: float | None = setting(None, "Largest norm of the gradient.", above=0, group=LEARNING)
    draw_labels: bool = setting(
        False, "Train on a label drawn from each image's distribution, anew each epoch.", group=LEARNING
    )

    teacher: tuple[str, ...] = setting(
        (),
        "Checkpoints whose mean prediction is mixed into the training targets (distillation), as RUN,RUN.",
        group=REGULAR,
        metavar="CHECKPOINT,...",
    )
    teacher_share: float = setting(0.5, "Share of the targets that teachers have.", above=0, high=1, group=REGULAR)
    mixup: float = setting(0.0, "Alpha of mixup's Beta distribution; 0: off.", low=0, group=REGULAR)
    label_smoothing: float = setting(
        0.0, "Share of each target spread over all classes.", low=0, below=1, group=REGULAR
    )
    class_weights: str = setting(
        "none", "balanced (inverse frequency), none, or name=weight,name=weight.", group=REGULAR
    )
    ema: float = setting(
        0.0, "Decay of the averaged weights that are evaluated and kept; 0: off.", low=0, below=1, group=REGULAR
    )
    early_stop: int = setting(5, "Epochs without a new best before the run ends; 0: never.", low=0, group=REGULAR)

    seed: int = setting(0, "Everything random follows from it.", low=0, high=2**31 - 1, group=RUN)
    monitor: str = setting("loss", "Validation metric that says which epoch is best.", group=RUN)
    deterministic: bool = setting(
        False, "On CUDA, only kernels that repeat to the last bit (slower); the CPU's do anyway.", group=RUN
    )
    checkpoint_every: str | None = setting(
        None,
        "Also save the state every so many steps (200) or minutes (10m).",
        check=interval,
        group=RUN,
        metavar="STEPS|MINUTES",
        default_text="at the end of each epoch",
    )
    keep_epochs: bool = setting(
        False, "Keep the checkpoint of every epoch, that before training (epoch 0) included.", group=RUN
    )
    keep_every: int | None = setting(
        None, "Keep the checkpoint of every N-th epoch.", low=1, group=RUN, metavar="N", default_text="none"
    )
    keep: int = setting(2, "Saved states that are kept, the newest.", low=1, group=RUN)
    calibrate: str = setting(
        "auto",
        "What the temperature is fitted to on the validation split, as far as its images bear it out: auto (targets), "
        "labels, none.",
        choices=("auto", "labels", "none"),
        group=RUN,
    )
    repeat: int = setting(1, "Train this many times with seeds SEED, SEED+1, ...", low=1, high=1000, group=RUN)
    track: str = setting("none", "Also log to Weights & Biases.", choices=("none", "wandb"), group=RUN)

    def rules(self) -> list[str]:
        """Faults between settings."""
        faults = []
        if self.resume is None:
            faults += [f"--{name} is needed." for name in ("data", "output") if getattr(self, name) is None]
        if self.stage == "solver" and self.init is None and self.resume is None:
            faults.append("--stage solver needs --init: the run whose autoencoders it stands on.")
        if self.stage != "joint" and self.tune != "all":
            faults.append(f"--stage {self.stage} and --tune {self.tune} exclude each other.")
        if self.reset_mask and self.init is None:
            faults.append("--reset-mask needs --init.")
        if self.channels == 2:
            faults.append("--channels must be 1 or 3; got 2.")
        if self.schedule == "multistep" and not self.milestones:
            faults.append("--schedule multistep needs --milestones, for example --milestones 60,80.")
        if list(self.milestones) != sorted(set(self.milestones)):
            faults.append(f"--milestones must grow; got {','.join(map(str, self.milestones))}.")
        if (self.test_data or self.test_labels) and self.test_labels is None and self.labels is not None:
            faults.append("--test-data needs --test-labels where the training images have --labels.")
        if self.schedule in ("cyclic", "cyclic_plateau"):
            end = self.cycle_end if self.schedule == "cyclic_plateau" else self.epochs
            if not self.peak < end <= self.epochs:
                faults.append(
                    f"--lr-peak ({self.peak:g}) must be below --lr-cycle-end ({self.cycle_end:g}), and that at most "
                    f"--epochs ({self.epochs})."
                )
        if self.warmup > self.epochs:
            faults.append(f"--warmup must be at most --epochs ({self.epochs}); got {self.warmup:g}.")
        if self.lr_min > self.lr:
            faults.append(f"--lr-min must be at most --lr ({self.lr:g}); got {self.lr_min:g}.")
        return faults

    @staticmethod
    def implied(values: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """The defaults that come with a model, and with a dataset that its study trained it on; where they are from."""
        name = values.get("model", TrainSettings.model)
        if "model" not in values and values.get("init") is not None and model_file(values["init"]):
            name = BUILTIN_NETWORK
            return [(f"{values['init']}, a {name}", {"model": name, **recipe(name)})]
        found = recipe(name)
        if values.get("stage") == "autoencoder" and "monitor" in found:
            found = {**found, "monitor": "reconstruction"}
        layers = [(f"recipe of {name}", found)]
        if (tiny := recipe(name, TINY_IMAGENET)) and values.get("data") is not None:
            from affectkit.data.layouts.tinyimagenet import is_tiny_imagenet  # which loads NumPy

            if is_tiny_imagenet(values["data"]):
                layers.insert(0, (f"recipe of {name} for {TINY_IMAGENET}", tiny))
        return layers

    def keeps(self, epoch: int) -> bool:
        """Whether the checkpoint of that epoch is kept under its number; 0 is before training."""
        return self.keep_epochs or bool(self.keep_every and epoch and epoch % self.keep_every == 0)

    @property
    def peak(self) -> float:
        """``lr_peak`` with its default by length."""
        return self.lr_peak if self.lr_peak is not None else self.epochs / 10

    @property
    def cycle_end(self) -> float:
        """``lr_cycle_end`` with its default by length."""
        return self.lr_cycle_end if self.lr_cycle_end is not None else 0.6 * self.epochs

    @property
    def factor(self) -> float:
        """``gamma`` with its default by schedule."""
        return self.gamma if self.gamma is not None else (0.5 if self.schedule == "plateau" else 0.1)

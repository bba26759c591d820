"""Settings of ``affectkit train``: loss, optimiser, schedule of the learning rate, regularisation."""

from __future__ import annotations

from affectkit.config import Parsed, option_group, setting
from affectkit.data.loading.presets import PRESETS
from affectkit.losses import LOSSES, RATING_LOSSES, parse_loss
from affectkit.schedules import SCHEDULES
from affectkit.settings.common import LEARNING, REGULAR
from affectkit.settings.values import parse_sampling


@option_group
class OptimizationOptions:
    """Settings of how the model learns."""

    epochs: int = setting(20, "Passes over the training images.", low=1, group=LEARNING)
    loss: Parsed[dict[str, float]] | None = setting(
        None,
        f"One of {', '.join(LOSSES)}, for ratings {', '.join(RATING_LOSSES)}; or a weighted sum: mse:0.5+kl:0.5.",
        parse=parse_loss,
        group=LEARNING,
        default_text="kl for distributions, ce for labels, vca for ratings",
        metavar="LOSS",
    )
    loss_normalise: bool = setting(
        False, "Divide the weights of a sum of losses by their sum, as 1 and 3 to 0.25 and 0.75.", group=LEARNING
    )
    optimizer: str = setting("adam", "Optimiser.", choices=("sgd", "adam", "adamw"), group=LEARNING)
    lr: float = setting(1e-3, "Learning rate.", above=0, group=LEARNING, metavar="RATE")
    momentum: float = setting(0.9, "Momentum of SGD.", low=0, below=1, group=LEARNING)
    weight_decay: float = setting(
        0.0, "Weight decay (L2 for SGD and Adam, decoupled for AdamW).", low=0, group=LEARNING
    )
    schedule: str = setting("plateau", "How the learning rate moves.", choices=tuple(SCHEDULES), group=LEARNING)
    warmup: float = setting(
        0.0, "Epochs of linear growth from 0 before the schedule counts fully.", low=0, group=LEARNING, metavar="EPOCHS"
    )
    lr_min: float = setting(
        0.0, "Where cosine and cyclic_plateau end; the floor of plateau.", low=0, group=LEARNING, metavar="RATE"
    )
    cycles: int = setting(
        1, "Times that cosine falls to --lr-min, each of the same length (warm restarts).", low=1, group=LEARNING
    )
    cycle_decay: float = setting(
        1.0, "Factor of --lr from one of the --cycles to the next.", above=0, high=1, group=LEARNING
    )
    lr_peak: float | None = setting(
        None,
        "Epoch at which the cyclic ones reach --lr.",
        above=0,
        group=LEARNING,
        default_text="a tenth of the epochs",
        metavar="EPOCH",
    )
    lr_cycle_end: float | None = setting(
        None,
        "Epoch at which cyclic_plateau reaches --lr-min.",
        above=0,
        group=LEARNING,
        default_text="60% of the epochs",
        metavar="EPOCH",
    )
    cyclic_reach: str = setting(
        "last",
        "Batch at which the cyclic ones reach the value of an epoch's end: last, its last one, as published; next, the "
        "first of the next epoch, as runs of earlier versions do.",
        choices=("last", "next"),
        group=LEARNING,
    )
    lr_patience: int = setting(
        3, "Epochs without progress before plateau reduces.", low=0, group=LEARNING, metavar="EPOCHS"
    )
    step_size: int = setting(40, "Epochs between reductions of step.", low=1, group=LEARNING, metavar="EPOCHS")
    milestones: tuple[int, ...] = setting(
        (), "Epochs at which multistep reduces, as 60,80.", low=1, group=LEARNING, metavar="EPOCH,..."
    )
    gamma: float | None = setting(
        None, "Factor of a reduction.", above=0, below=1, group=LEARNING, default_text="0.5 for plateau, else 0.1"
    )
    accumulate: int = setting(1, "Batches whose gradients make one step.", low=1, group=LEARNING)
    clip_norm: float | None = setting(None, "Largest norm of the gradient.", above=0, group=LEARNING)
    sam: float = setting(
        0.0,
        "Radius (rho) of sharpness-aware minimisation, 0.05 or so; 0: off. A step then takes two passes.",
        low=0,
        group=LEARNING,
        metavar="RADIUS",
    )
    draw_labels: bool = setting(
        False, "Train on a label drawn from each image's distribution, anew each epoch.", group=LEARNING
    )

    sampling: Parsed[float] = setting(
        "uniform",
        "Images of an epoch: uniform, each once; balanced, classes alike; or a power between 0 and 1, by class "
        "frequency to minus it. Predictions keep the true frequencies.",
        parse=parse_sampling,
        group=LEARNING,
        metavar="uniform|balanced|POWER",
    )

    teacher: tuple[str, ...] = setting(
        (),
        "Checkpoints whose mean prediction is mixed into the training targets (distillation), as RUN,RUN.",
        group=REGULAR,
        metavar="CHECKPOINT,...",
    )
    teacher_share: float = setting(
        0.5, "Share of the targets that teachers have.", above=0, high=1, group=REGULAR, metavar="SHARE"
    )
    mixup: float = setting(0.0, "Alpha of mixup's Beta distribution; 0: off.", low=0, group=REGULAR, metavar="ALPHA")
    finish_epochs: int = setting(
        0,
        "Last epochs without mixup and CutMix, whose targets leave a model less sure than raters are.",
        low=0,
        group=REGULAR,
        metavar="EPOCHS",
    )
    finish_augment: str | None = setting(
        None,
        "Augmentation preset of --finish-epochs.",
        choices=tuple(PRESETS),
        group=REGULAR,
        default_text="--augment",
    )
    cutmix: float = setting(
        0.0,
        "Alpha of CutMix's Beta distribution; 0: off. With --mixup each batch takes one of the two.",
        low=0,
        group=REGULAR,
        metavar="ALPHA",
    )
    label_smoothing: float = setting(
        0.0, "Share of each target spread over all classes.", low=0, below=1, group=REGULAR, metavar="SHARE"
    )
    class_weights: str = setting(
        "none", "balanced (inverse frequency), none, or name=weight,name=weight.", group=REGULAR, metavar="WEIGHTS"
    )
    ema: float = setting(
        0.0,
        "Decay of the averaged weights that are evaluated and kept; 0: off.",
        low=0,
        below=1,
        group=REGULAR,
        metavar="DECAY",
    )
    early_stop: int = setting(
        5, "Epochs without a new best before the run ends; 0: never.", low=0, group=REGULAR, metavar="EPOCHS"
    )

    @property
    def finishes_otherwise(self) -> bool:
        """Return whether the last epochs learn otherwise than those before: unmixed, or with another augmentation."""
        return bool(self.finish_epochs and (self.mixup or self.cutmix or self.finish_augment is not None))

    def finish_faults(self) -> list[str]:
        """Name the faults of the last epochs' settings."""
        faults = []
        if self.finish_epochs > self.epochs:
            faults.append(f"--finish-epochs must be at most --epochs ({self.epochs}); got {self.finish_epochs}.")
        if self.finish_augment is not None and not self.finish_epochs:
            faults.append("--finish-augment needs --finish-epochs: how many epochs have it.")
        return faults

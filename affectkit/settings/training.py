"""Settings of ``affectkit train``, one definition for flags, files and records. Importing this loads nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affectkit.config import Parsed, option_group, setting
from affectkit.core.assets import BUILTIN_NETWORK, model_file
from affectkit.data.loading.presets import Augmentation
from affectkit.models.registry import TINY_IMAGENET, published_recipe, recipe
from affectkit.schedules import CYCLIC
from affectkit.settings.abstention import Wish, fitted_abstention
from affectkit.settings.audiovisual import Codes
from affectkit.settings.common import RUN, Runtime, needed
from affectkit.settings.training_data import DataOptions
from affectkit.settings.training_folds import FoldOptions
from affectkit.settings.training_model import ModelOptions
from affectkit.settings.training_optimization import OptimizationOptions
from affectkit.settings.values import Interval, parse_interval


@option_group
class RunOptions:
    """Seed, monitored metric, and what a run keeps on disk."""

    seed: int = setting(0, "Everything random follows from it.", low=0, high=2**31 - 1, group=RUN)
    monitor: str = setting("loss", "Validation metric that says which epoch is best.", group=RUN, metavar="METRIC")
    deterministic: bool = setting(
        False, "On CUDA, only kernels that repeat to the last bit (slower); the CPU's do anyway.", group=RUN
    )
    checkpoint_every: Parsed[Interval] | None = setting(
        None,
        "Also save the state every so many steps (200) or minutes (10m).",
        parse=parse_interval,
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
    abstain: Parsed[Wish] | None = fitted_abstention(
        "At the end, fit the threshold below which infer --abstain stored gives no label, on the validation split, "
        "which chose the epoch, too; affectkit calibrate fits it on other images.",
        group=RUN,
    )
    repeat: int = setting(1, "Train this many times with seeds SEED, SEED+1, ...", low=1, high=1000, group=RUN)
    track: str = setting("none", "Also log to Weights & Biases.", choices=("none", "wandb"), group=RUN)


@dataclass(frozen=True, kw_only=True)
class TrainSettings(RunOptions, FoldOptions, OptimizationOptions, ModelOptions, DataOptions, Codes, Runtime):
    """Settings of ``affectkit train``; records and help show the fields from the last base to the first."""

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        faults = []
        if self.resume is None:
            faults += needed(self, "data", "output")
        if self.stage == "solver" and self.init is None and self.resume is None:
            faults.append("--stage solver needs --init: the run whose autoencoders it stands on.")
        stages = {"tune": self.stage != "joint" and self.tune != "all",
                  "abstain": self.stage == "autoencoder" and self.abstain is not None}  # fmt: skip
        given = {name: getattr(self, name) for name, holds in stages.items() if holds}
        faults += [f"--stage {self.stage} and --{name} {value} exclude each other." for name, value in given.items()]
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
        if self.schedule in CYCLIC:
            end = self.cycle_end if self.schedule == "cyclic_plateau" else self.epochs
            if not self.peak < end <= self.epochs:
                faults.append(
                    f"--lr-peak ({self.peak:g}) must be below --lr-cycle-end ({self.cycle_end:g}), and that at most "
                    f"--epochs ({self.epochs})."
                )
        faults += self.cycle_faults() + self.finish_faults()
        if self.sampling.value:
            beside = {"class-weights": self.class_weights != "none", "label-smoothing": self.label_smoothing > 0}
            faults += [
                f"--sampling {self.sampling} and --{name} exclude each other: predictions would not be of the true "
                "class frequencies."
                for name, given in beside.items()
                if given
            ]
        tested = bool(self.test_data or self.test_labels)
        faults += self.fold_faults(
            repeat=self.repeat, resume=self.resume, tested_apart=tested, halved=self.valid_half != "both"
        )
        if self.warmup > self.epochs:
            faults.append(f"--warmup must be at most --epochs ({self.epochs}); got {self.warmup:g}.")
        if self.lr_min > self.lr:
            faults.append(f"--lr-min must be at most --lr ({self.lr:g}); got {self.lr_min:g}.")
        return faults

    def cycle_faults(self) -> list[str]:
        """Name the faults of warm restarts."""
        if self.cycles == 1:
            return []
        faults = []
        if self.schedule != "cosine":
            faults.append(f"--cycles {self.cycles} needs --schedule cosine; got {self.schedule}.")
        if self.cycles > self.epochs - self.warmup:
            faults.append(
                f"--cycles must be at most the epochs after the warm-up ({self.epochs - self.warmup:g}); "
                f"got {self.cycles}."
            )
        last = self.lr * self.cycle_decay ** (self.cycles - 1)
        if last < self.lr_min <= self.lr:
            faults.append(
                f"--lr-min must be at most the --lr of the last of the --cycles ({last:.3g}); got {self.lr_min:g}."
            )
        return faults

    @staticmethod
    def implied(values: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """Return the defaults that come with a model, and with a dataset of its study, and where they are from."""
        name = values.get("model", TrainSettings.model)
        if "model" not in values and values.get("init") is not None and model_file(values["init"]):
            name = BUILTIN_NETWORK
            return [(f"{values['init']}, a {name}", {"model": name, **recipe(name)})]
        found = recipe(name)
        if values.get("stage") == "autoencoder" and "monitor" in found:
            found = {**found, "monitor": "reconstruction"}
        layers = [(f"recipe of {name}", found)]
        if values.get("recipe") == "published" and (published := published_recipe(name)):
            layers.insert(0, (f"published recipe of {name}", dict(published)))
        if (tiny := recipe(name, TINY_IMAGENET)) and values.get("data") is not None:
            from affectkit.data.layouts.tinyimagenet import is_tiny_imagenet  # which loads NumPy

            if is_tiny_imagenet(values["data"]):
                layers.insert(0, (f"recipe of {name} for {TINY_IMAGENET}", tiny))
        return layers

    @property
    def augmentation(self) -> Augmentation:
        """Return the augmentation preset of each epoch."""
        return Augmentation(self.augment, self.finish_augment, self.epochs - self.finish_epochs)

    def keeps(self, epoch: int) -> bool:
        """Return whether the checkpoint of that epoch is kept under its number; 0 is before training."""
        return self.keep_epochs or bool(self.keep_every and epoch and epoch % self.keep_every == 0)

    @property
    def peak(self) -> float:
        """Return ``lr_peak`` with its default by length."""
        return self.lr_peak if self.lr_peak is not None else self.epochs / 10

    @property
    def cycle_end(self) -> float:
        """Return ``lr_cycle_end`` with its default by length."""
        return self.lr_cycle_end if self.lr_cycle_end is not None else 0.6 * self.epochs

    @property
    def closed_epochs(self) -> bool:
        """Return whether the last step of an epoch has the learning rate of its end."""
        return self.schedule in CYCLIC and self.cyclic_reach == "last"

    @property
    def factor(self) -> float:
        """Return ``gamma`` with its default by schedule."""
        return self.gamma if self.gamma is not None else (0.5 if self.schedule == "plateau" else 0.1)

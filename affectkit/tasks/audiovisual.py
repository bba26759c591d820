"""Emotion from clips: one label from image and sound, reconstructions of both, and codes that they share or do not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from affectkit.core.clipspec import ClipSpec, describe_levels
from affectkit.core.spec import InputSpec
from affectkit.data.layouts.clip_store import drawn_frames
from affectkit.data.split import Split
from affectkit.errors import DataError, UsageError
from affectkit.metrics import raters
from affectkit.metrics.codes import code_counts, perplexity, private_shared
from affectkit.statistics.measures import ItemValues, Measure
from affectkit.tasks.base import Batch, Figure, Results, Task
from affectkit.tasks.categorical import CategoricalOptions, one_hot, spread
from affectkit.tasks.classification import ClassificationTask

if TYPE_CHECKING:
    import torch

MODALITIES = ("image", "audio")
SHOWN = 6
"""Clips whose reconstructions are drawn."""
OF_PICTURES = ("bars.png", "worst.png")
"""Figures that show the items themselves."""
VOTES = {"voice": "sound alone", "face": "picture alone", "both": "picture and sound"}
"""What raters were shown, by the name of their votes in ``Split.facts``."""


@dataclass(frozen=True)
class AudiovisualOptions:
    """Options of training beside those of every task over classes.

    Attributes:
        stage: ``joint``, ``autoencoder`` or ``solver``: what learns.
        mask_penalty: weight of the sum of the mask.
        codes: size of each codebook.
        recon_scale: ``variance``: reconstruction errors are divided by that of their modality in the training split.
        variance: of image and sound, where that is known.
    """

    stage: str = "joint"
    mask_penalty: float = 1e-4
    codes: int = 512
    recon_scale: str = "none"
    variance: tuple[float, float] | None = None


class AudiovisualTask(ClassificationTask):
    """Targets are labels, or the votes of those who saw and heard the clip; the loss is that of CM-VQVAE.

    loss = MSE(image) + MSE(audio) + cross-entropy + both VQ losses + penalty * sum(mask), of which models and stages
    without a part have none.
    """

    name = "audiovisual"
    headline_metrics: ClassVar[tuple[str, ...]] = ("loss", "accuracy", "balanced_accuracy", "reconstruction")
    loss_parts: ClassVar[tuple[str, ...]] = (
        "classification", "recon_image", "recon_audio", "vq_image", "vq_audio", "perplexity_image", "perplexity_audio",
    )  # fmt: skip
    supports_distributed: ClassVar[bool] = False
    supports_distillation: ClassVar[bool] = False
    own_metrics: ClassVar[Mapping[str, str]] = {
        **ClassificationTask.own_metrics, "reconstruction": "min", "recon_image": "min", "recon_audio": "min",
        "vq_image": "min", "vq_audio": "min", "perplexity_image": "max", "perplexity_audio": "max",
    }  # fmt: skip

    def __init__(
        self, spec: InputSpec, options: CategoricalOptions | None = None, more: AudiovisualOptions | None = None
    ) -> None:
        super().__init__(spec, options)
        self.av_options = more or AudiovisualOptions()
        self.variance = self.av_options.variance

    @classmethod
    def from_options(cls, spec: InputSpec, options: Mapping[str, Any]) -> AudiovisualTask:
        base = super().from_options(spec, options)
        known = {entry.name for entry in fields(AudiovisualOptions)}
        found = {name: value for name, value in options.items() if name in known}
        if found.get("variance") is not None:
            found["variance"] = tuple(found["variance"])
        return cls(spec, base.options, AudiovisualOptions(**found))

    @classmethod
    def is_default_for(cls, split: Split) -> bool:
        return False

    @classmethod
    def check_can_predict(cls, recorded: Mapping[str, Any], *, path: Path) -> None:
        if recorded.get("stage") == "autoencoder":
            raise UsageError(
                f"{path} is of autoencoders alone (--stage autoencoder): what tells emotions has learned nothing.",
                "Train it on them: affectkit train --stage solver --init, with this checkpoint.",
            )

    def recorded_options(self) -> dict[str, Any]:
        chosen = {entry.name: getattr(self.av_options, entry.name) for entry in fields(AudiovisualOptions)}
        variance = None if self.variance is None else list(self.variance)
        return {**super().recorded_options(), **chosen, "variance": variance}

    def fit(self, split: Split) -> list[str]:
        told = super().fit(split)
        if self.av_options.recon_scale == "variance":
            found = split.store.variance
            self.variance = (float(found["image"]), float(found["audio"]))
            if not all(0 < value < math.inf for value in self.variance):
                raise UsageError(
                    f"--recon-scale variance: of the training clips in {split.root} the variance of images is "
                    f"{self.variance[0]:g} and that of sounds {self.variance[1]:g}; errors cannot be divided by that.",
                    "Leave --recon-scale out.",
                )
            told.append(
                f"reconstruction errors are divided by the variance of {len(split):,} training clips: image "
                f"{self.variance[0]:.5g}, sound {self.variance[1]:.5g} dB^2"
            )
        return told

    def monitors(self, split: Split) -> list[str]:
        names = super().monitors(split)
        autoencoding = [name for name in self.own_metrics if name not in ClassificationTask.own_metrics]
        return autoencoding if self.av_options.stage == "autoencoder" else names

    def select_items(self, split: Split, *, training: bool = False) -> tuple[Split, str]:
        if split.store is None:
            raise DataError(
                f"{split.root} holds images, and the model takes clips: picture and sound.",
                "Prepare clips first: affectkit prep cremad CLONE --output DIR, then --data DIR.",
            )
        wanted, there = self.shapes(), split.store.shapes()
        differing = [f"{name} {there[name]}, not {wanted[name]}" for name in wanted if there[name] != wanted[name]]
        if differing:
            raise DataError(
                f"the clips in {split.root} have other shapes than the model takes: {'; '.join(differing)}.",
                "Prepare them again as those that it was trained on.",
            )
        _check_level(split, self.spec.clip)
        if split.distribution is None and split.labels is None:
            raise DataError(f"the {split.name} split of {split.root} has neither labels nor votes.")
        return split.matched(self.spec.classes, named=self.spec.named), ""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the model's inputs, by modality."""
        clip = self.spec.clip
        if clip.features is not None:
            found = dict(zip(MODALITIES, clip.features, strict=True))
        else:
            found = {
                "image": (self.spec.height, self.spec.width),
                "audio": (clip.sound.height, clip.sound.width),
            }
        return {name: shape for name, shape in found.items() if clip.needs in ("both", name)}

    def target_of(self, split: Split) -> np.ndarray:
        return one_hot(split.labels, len(self.spec.classes)) if split.labels is not None else split.distribution

    def targets(self, split: Split, *, epoch: int | None = None) -> dict[str, torch.Tensor]:
        import torch

        found = super().targets(split, epoch=epoch)
        by_frame = split.facts.get("frame_labels")
        if by_frame is not None:  # that of the frame which is shown
            seen = drawn_frames(split.ids, by_frame.shape[1], seed=self.options.seed, epoch=epoch)
            found["target"] = torch.from_numpy(by_frame[np.arange(len(split)), seen])
        return found

    # --- model ------------------------------------------------------------------------------------------------------

    def inputs(self, batch: Batch) -> tuple[torch.Tensor | None, ...]:
        return tuple(batch.get(name) for name in MODALITIES)

    def predict_step(self, model: Callable[..., Any], *inputs: torch.Tensor | None) -> torch.Tensor:
        return _plain(model).classify(*inputs)

    def evaluation_outputs(self, model: Callable[..., Any], *inputs: torch.Tensor | None) -> dict[str, torch.Tensor]:
        return _plain(model).evaluation_outputs(*inputs)

    def visual_outputs(self, model: Callable[..., Any], batch: Batch) -> dict[str, torch.Tensor]:
        if self.spec.clip.features is not None:
            return {}
        inputs = self.inputs(batch)
        found = _plain(model).reconstruct(*inputs)
        values = {}
        for name, before, after in zip(MODALITIES, inputs, found, strict=True):
            if after is not None:
                values |= {f"original_{name}": before, f"made_{name}": after}
        return values

    def loss(self, outputs: Any, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        import torch

        found: dict[str, torch.Tensor] = {}
        told: dict[str, torch.Tensor] = {}
        if outputs.logits is not None:
            found["classification"] = super().loss(outputs.logits, batch, progress)["loss"]
        for place, name in enumerate(MODALITIES):
            made = getattr(outputs, name)
            if made is not None:
                # Reported as it is, in the units of its column for the validation split; summed as it is scaled.
                told[f"recon_{name}"] = torch.nn.functional.mse_loss(made, batch[name])
                found[f"recon_{name}"] = told[f"recon_{name}"] / self._scale(place)
            if (vq := getattr(outputs, f"vq_loss_{name}")) is not None:
                found[f"vq_{name}"] = vq
        if outputs.shared_loss is not None and self.av_options.mask_penalty:
            found["mask"] = self.av_options.mask_penalty * outputs.shared_loss
        told |= {
            f"perplexity_{name}": value
            for name in MODALITIES
            if (value := getattr(outputs, f"perplexity_{name}")) is not None
        }
        return {"loss": torch.stack(list(found.values())).sum(), **found, **told}

    def _scale(self, place: int) -> float:
        return 1.0 if self.variance is None else self.variance[place]

    # --- results ----------------------------------------------------------------------------------------------------

    def baselines(self, train: Split, valid: Split) -> dict[str, dict[str, float]]:
        return {} if self.av_options.stage == "autoencoder" else super().baselines(train, valid)

    def metrics(self, results: Results) -> dict[str, float]:
        found = {} if self.av_options.stage == "autoencoder" else super().metrics(results)
        return found | self.code_metrics(results) | self.mask_metrics(results)

    def code_metrics(self, results: Results) -> dict[str, float]:
        """Return the mean errors of the reconstructions and of quantising, and how the codebooks are used over all
        items.
        """
        more, found = results.extras, {}
        names = [name for name in MODALITIES if f"recon_{name}" in more]
        for name in names:
            found[f"recon_{name}"] = float(more[f"recon_{name}"].astype(np.float64).mean())
        if names:
            scaled = (found[f"recon_{name}"] / self._scale(MODALITIES.index(name)) for name in names)
            found["reconstruction"] = sum(scaled)
        for name in MODALITIES:
            if f"vq_{name}" in more:
                found[f"vq_{name}"] = float(more[f"vq_{name}"].astype(np.float64).mean())
        for name in MODALITIES:
            if (counts := self.counts(results, name)) is not None:
                found[f"perplexity_{name}"] = perplexity(counts)
                found[f"codes_used_{name}"] = float((counts > 0).sum())
                found[f"dead_codes_{name}"] = float((counts == 0).sum())
        return found

    def counts(self, results: Results, name: str) -> np.ndarray | None:
        """Count how often each code of a modality stands in all items; None for a model without."""
        codes = results.extras.get(f"codes_{name}")
        return None if codes is None else code_counts(codes, self.av_options.codes)

    def mask_metrics(self, results: Results) -> dict[str, float]:
        """Return private and shared channels in percent, and complementarity; empty for a model without a mask."""
        mask = results.extras.get("mask")
        return {} if mask is None or self.av_options.stage == "autoencoder" else private_shared(mask[0])

    def rater_metrics(self, results: Results) -> dict[str, float]:
        """Return the metrics of every task and, by what raters were shown, how many named the intended emotion and the
        best that a single label could do.
        """
        found, target = super().rater_metrics(results), results.fields["target"].argmax(1)
        for name in VOTES:
            votes = results.split.facts.get(f"votes_{name}")
            known = None if votes is None else votes.sum(1) > 0
            if known is None or not known.any():
                continue
            votes = votes[known].astype(np.float64)
            shares = votes / votes.sum(1, keepdims=True)
            if results.split.labels is not None:  # else the target is what most raters named, not what was meant
                found[f"human_accuracy_{name}"] = float(shares[np.arange(len(shares)), target[known]].mean())
            found[f"human_ceiling_{name}"] = float(raters.rater_ceiling(votes).mean())
            if name != "both":
                p = self.probabilities(results)[known]
                found[f"rater_agreement_{name}"] = float(raters.expected_agreement(p, votes).mean())
        return found

    def item_values(self, results: Results) -> dict[str, ItemValues]:
        if self.av_options.stage == "autoencoder":
            return self.reconstruction_values(results)
        return super().item_values(results) | self.reconstruction_values(results) | self.human_values(results)

    def reconstruction_values(self, results: Results) -> dict[str, ItemValues]:
        """Return the errors of the reconstructions and of quantising by item, whose means ``code_metrics`` has; the
        use of a codebook is of all items at once.
        """
        names = (f"{kind}_{modality}" for kind in ("recon", "vq") for modality in MODALITIES)
        found = {name: results.extras[name].astype(np.float64) for name in names if name in results.extras}
        scaled = [
            found[f"recon_{modality}"] / self._scale(place)
            for place, modality in enumerate(MODALITIES)
            if f"recon_{modality}" in found
        ]
        if scaled:
            found["reconstruction"] = np.sum(scaled, axis=0)
        return {name: ItemValues(values) for name, values in found.items()}

    def human_values(self, results: Results) -> dict[str, ItemValues]:
        """Return by item what ``rater_metrics`` adds here: NaN where there are no votes."""
        target, found = results.fields["target"].argmax(1), {}
        for name in VOTES:
            votes = results.split.facts.get(f"votes_{name}")
            known = None if votes is None else votes.sum(1) > 0
            if known is None or not known.any():
                continue
            votes = votes[known].astype(np.float64)
            each = {f"human_ceiling_{name}": raters.rater_ceiling(votes)}
            if results.split.labels is not None:
                each[f"human_accuracy_{name}"] = (votes / votes.sum(1, keepdims=True))[range(len(votes)), target[known]]
            if name != "both":
                each[f"rater_agreement_{name}"] = raters.expected_agreement(self.probabilities(results)[known], votes)
            for key, values in each.items():
                full = np.full(len(known), math.nan)
                full[known] = values
                found[key] = ItemValues(full, "max", of_model=key.startswith("rater_"))
        return found

    def class_measures(self, results: Results) -> list[Measure]:
        return [] if self.av_options.stage == "autoencoder" else super().class_measures(results)

    def selective_metrics(self, results: Results) -> dict[str, float]:
        return {} if self.av_options.stage == "autoencoder" else super().selective_metrics(results)

    def warnings(self, results: Results) -> list[str]:
        return Task.warnings(self, results) if self.av_options.stage == "autoencoder" else super().warnings(results)

    def calibrate(self, results: Results, mode: str) -> tuple[InputSpec, dict[str, Any]]:
        if self.av_options.stage == "autoencoder" and mode != "none":
            told = {"fitted": False, "reason": "--stage autoencoder trains no classifier", "n": len(results.split)}
            return self.spec, told
        return super().calibrate(results, mode)

    def table(self, results: Results) -> dict[str, Any]:
        # Of autoencoders alone the solver has learned nothing.
        alone = self.av_options.stage == "autoencoder"
        columns = {"Image Name": results.split.ids} if alone else super().table(results)
        return columns | {
            f"{kind}_{name}": results.extras[f"{kind}_{name}"].astype(np.float64)
            for kind in ("recon", "vq")
            for name in MODALITIES
            if f"{kind}_{name}" in results.extras
        }

    def tables(self, results: Results) -> dict[str, dict[str, Any]]:
        alone = self.av_options.stage == "autoencoder"
        found = {} if alone else super().tables(results)
        for name in MODALITIES:
            if (counts := self.counts(results, name)) is not None:
                found[f"codes_{name}.csv"] = {"code": list(range(len(counts))), "count": counts.tolist()}
        mask = results.extras.get("mask")
        if mask is not None and not alone:
            half = mask.shape[1] // 2
            found["mask.csv"] = {
                "modality": ["image"] * half + ["audio"] * half,
                "channel": [*range(half), *range(half)],
                "mask": mask[0].tolist(),
            }
        return found

    def figures(self, results: Results, image: Callable[[int], np.ndarray]) -> dict[str, Figure]:
        from affectkit.reports import audiovisual

        solving = self.av_options.stage != "autoencoder"
        drawn = super().figures(results, image) if solving else {}
        if self.spec.clip.needs == "audio" or self.spec.clip.features is not None:
            drawn = {name: figure for name, figure in drawn.items() if name not in OF_PICTURES}
        mask = results.extras.get("mask")
        if mask is not None and solving:
            drawn["spaces.png"] = lambda path: audiovisual.draw_code_spaces(path, mask=mask[0])
        counts = {name: found for name in MODALITIES if (found := self.counts(results, name)) is not None}
        if counts:
            drawn["codes.png"] = lambda path: audiovisual.draw_code_use(path, counts=counts)
        chosen = spread(len(results.split), SHOWN)
        values = results.recompute(chosen) if results.recompute is not None else {}
        if values:
            names = [results.split.ids[number] for number in chosen]
            drawn["reconstructions.png"] = lambda path: audiovisual.draw_reconstructions(
                path, values=values, names=names
            )
            drawn["reconstructions.safetensors"] = lambda path: audiovisual.save_values(path, values)
        return drawn

    def training_curves(self, history: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
        from affectkit.reports import audiovisual

        found = {}
        losses = [name for name in self.loss_parts if not name.startswith("perplexity")]
        for file, names in (("losses.png", losses), ("perplexity.png", ["perplexity_image", "perplexity_audio"])):
            there = [name for name in names if f"train_{name}" in history[0]]
            if there:
                found[file] = lambda path, there=there: audiovisual.draw_loss_parts(path, history=history, names=there)
        return found


def _check_level(split: Split, clip: ClipSpec) -> None:
    """Refuse sounds of another level than the model takes: they cannot be brought to it, for that depends on how many
    channels each had.

    Raises:
        DataError: the level of the store is another one, and the model hears.
    """
    if clip.needs == "image" or clip.sound is None or split.store.spec.sound is None:
        return
    there, wanted = split.store.spec.sound.level, clip.sound.level
    if there == wanted:
        return
    raise DataError(
        f"the sound of the clips in {split.root} is at the level {describe_levels(there, wanted)}, as the model takes "
        "it.",
        "Prepare the clips again, by the same command: an older affectkit had another level; prep ravdess and prep "
        f"meld take --sound-level {wanted}."
        if wanted != "unit"
        else "Prepare the clips for this model with --sound-level unit, into another --output; or train it again, or, "
        "if it was converted from a published file, convert it again.",
    )


def _plain(model: Any) -> Any:
    """Return the model itself: only its training pass is compiled."""
    return getattr(model, "module", model)

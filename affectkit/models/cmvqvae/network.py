"""CM-VQVAE and its baselines: two autoencoders with quantised codes and a solver on the codes of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from affectkit.errors import UsageError
from affectkit.models.cmvqvae.autoencoder import Decoder, Encoder
from affectkit.models.cmvqvae.emotion_classifier import MODES, Solver
from affectkit.models.cmvqvae.mask import ATTENTION, BINARIZER, RANDOMIZER, TERNARIZER
from affectkit.models.cmvqvae.quantiser import EmaQuantiser, Quantised, Quantiser
from affectkit.models.family import StagedModel

IMAGE_STEPS = 2
STAGES = JOINT, AUTOENCODER, SOLVER = "joint", "autoencoder", "solver"
CHOICES = {
    "mode": tuple(MODES),
    "mask": (BINARIZER, TERNARIZER, ATTENTION, RANDOMIZER),
    "mask_init": ("1s", "uniform"),
    "quantizer": ("ema", "plain"),
}
"""What fields of ``Shape`` may be."""


class CMVQVAEOutput(NamedTuple):
    """Outputs of the model for images and sounds; None for what a mode, a stage or a baseline does not have.

    Attributes:
        logits: (B, classes).
        image, audio: the reconstructions.
        vq_loss_image, vq_loss_audio, perplexity_image, perplexity_audio: of the batch, 0-d.
        shared_loss: the sum of the mask, 0-d.
    """

    logits: torch.Tensor | None
    image: torch.Tensor | None
    audio: torch.Tensor | None
    vq_loss_image: torch.Tensor | None
    vq_loss_audio: torch.Tensor | None
    perplexity_image: torch.Tensor | None
    perplexity_audio: torch.Tensor | None
    shared_loss: torch.Tensor | None


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The numbers a network is built with.

    Attributes:
        mode: see ``emotion_classifier.MODES``.
        mask, mask_init, mask_scale, mask_threshold: see ``mask.Masked``.
        quantizer: ``ema`` or ``plain``.
        codes, code_size: of each codebook.
        hidden, residual_hidden, residual_layers: of encoders and decoders.
        quantised, decoded, masked: whether there are quantisers, decoders, a mask.

    Raises:
        UsageError: a word is none of ``CHOICES``.
    """

    mode: str = "multimodal"
    mask: str = "binarizer"
    mask_init: str = "1s"
    mask_scale: float = 0.01
    mask_threshold: float = 0.005
    quantizer: str = "ema"
    codes: int = 512
    code_size: int = 64
    hidden: int = 128
    residual_hidden: int = 32
    residual_layers: int = 2
    commitment: float = 0.25
    decay: float = 0.99
    dropout: float = 0.5
    quantised: bool = True
    decoded: bool = True
    masked: bool = True

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UsageError(f"--{name.replace('_', '-')} must be {_listed(known)}; got {getattr(self, name)!r}.")


class Parts(StagedModel):
    """Parts that models of both modalities share, whatever their bottleneck: quantisers, stages, outputs by sample.

    A subclass has ``_classifier`` with ``size``; ``_maps``: the maps to be quantised, and ``_decoded``.
    """

    _stage: str = JOINT

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        if shape.quantised:
            for name in ("image", "audio"):
                setattr(self, f"_vq_vae_{name}", self._quantiser(shape))

    @staticmethod
    def _quantiser(shape: Shape) -> Quantiser:
        if shape.quantizer == "ema":
            return EmaQuantiser(shape.codes, shape.code_size, shape.commitment, shape.decay)
        return Quantiser(shape.codes, shape.code_size, shape.commitment)

    @property
    def stage(self) -> str:
        """Return what ``forward`` computes: ``joint``: all; ``autoencoder``: no logits; ``solver``: nothing but logits,
        on encoders and codes that stay as they are: no gradient, no running statistics, no moving averages.

        Raises:
            UsageError: set to another word, or to ``autoencoder`` where none could learn.
        """
        return self._stage

    @stage.setter
    def stage(self, value: str) -> None:
        check_stage(value)
        if value == AUTOENCODER and not self.shape.decoded:
            raise UsageError(f"--stage {value}: this model has no decoders.", "Use --model cmvqvae, or --stage joint.")
        self._stage = value
        self.train(self.training)

    def train(self, mode: bool = True) -> Parts:
        """Set the mode as in every module; in the stage ``solver``, of the solver alone."""
        super().train(mode)
        for name, child in self.named_children() if self._stage == SOLVER else ():
            child.train(mode and name == "_classifier")
        return self

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return the modalities that the mode uses; the other one is neither needed nor computed: nothing of it would
        reach the classifier.
        """
        first, last = MODES[self.shape.mode]
        return ("image", "audio")[first:last]

    def _maps(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def _decoded(self, name: str, codes: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def quantise(self, image: torch.Tensor | None, audio: torch.Tensor | None) -> dict[str, Quantised]:
        """Return the quantised codes by modality; of a model without quantisers the maps as they are,
        without the rest.
        """
        found = {}
        given = {"image": image, "audio": audio}
        check_given(self.modalities, given)
        for name in self.modalities:
            maps = self._maps(name, given[name])
            quantised = getattr(self, f"_vq_vae_{name}")(maps) if self.shape.quantised else None
            found[name] = quantised or Quantised(maps, None, None, None)
        return found

    def _solved(self, found: dict[str, Quantised]) -> torch.Tensor:
        vectors = {name: quantised.vectors for name, quantised in found.items()}
        return self._classifier(vectors.get("image"), vectors.get("audio"))

    def forward(self, image: torch.Tensor | None, audio: torch.Tensor | None) -> CMVQVAEOutput:
        """Return logits, reconstructions and the losses of quantising.

        Args:
            image: (B, 3, H, W) in [0, 1].
            audio: (B, 1, height, width) in decibels. The modality that the mode does not use may be None.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.stage != SOLVER):
            found = self.quantise(image, audio)
        made: dict[str, torch.Tensor] = {}
        if self.shape.decoded and self.stage != SOLVER:
            made = {name: self._decoded(name, quantised.vectors) for name, quantised in found.items()}
        told = {} if self.stage == SOLVER or not self.shape.quantised else found
        losses = {name: quantised.losses.mean() for name, quantised in told.items()}
        used = {name: quantised.perplexity for name, quantised in told.items()}
        solving = self.stage != AUTOENCODER
        return CMVQVAEOutput(
            self._solved(found) if solving else None,
            made.get("image"),
            made.get("audio"),
            losses.get("image"),
            losses.get("audio"),
            used.get("image"),
            used.get("audio"),
            self._classifier.private_shared_mask.sum() if solving and self.shape.masked else None,
        )

    def classify(self, image: torch.Tensor | None, audio: torch.Tensor | None) -> torch.Tensor:
        """Return logits (B, classes); nothing is decoded."""
        return self._solved(self.quantise(image, audio))

    def reconstruct(
        self, image: torch.Tensor | None, audio: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Return the reconstructions of both; None where there is none."""
        if not self.shape.decoded:
            return None, None
        found = self.quantise(image, audio)
        made = {name: self._decoded(name, quantised.vectors) for name, quantised in found.items()}
        return made.get("image"), made.get("audio")

    def evaluation_outputs(self, image: torch.Tensor | None, audio: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """Return the values that an evaluation collects, sample by sample.

        Returns:
            ``outputs`` (B, classes); ``recon_image``, ``recon_audio`` (B,), mean squared errors; ``vq_image``,
            ``vq_audio`` (B,), losses of quantising; ``codes_image``, ``codes_audio`` (B, ...) int16; ``mask``
            (B, channels), what channels are counted by, in each row the same. Without what the model does not have.
        """
        found = self.quantise(image, audio)
        told = {"outputs": self._solved(found)}
        for name, inputs in (("image", image), ("audio", audio)):
            if name not in found:
                continue
            quantised = found[name]
            if self.shape.decoded:
                made = self._decoded(name, quantised.vectors)
                told[f"recon_{name}"] = (made.float() - inputs.float()).square().flatten(1).mean(1)
            if quantised.losses is not None:
                told[f"vq_{name}"] = quantised.losses
                told[f"codes_{name}"] = quantised.codes.to(torch.int16)
        if self.shape.masked:
            mask = self._classifier.effective_mask()
            told["mask"] = mask[None].expand(len(told["outputs"]), -1)
        return told

    def reset_mask(self) -> None:
        """Reset the mask to its first values.

        Raises:
            UsageError: the model has no mask.
        """
        if not self.shape.masked:
            raise UsageError("--reset-mask: this model has no mask.", "Leave it out.")
        self._classifier.reset_mask()


class Network(Parts):
    """The model on pictures (3 x H x H) and spectrograms (1 x A x A).

    The map of codes has H / 4 rows; a spectrogram is halved as often as it takes to get there.

    Raises:
        UsageError: sizes do not fit.
    """

    def __init__(self, shape: Shape, outputs: int, *, height: int, width: int, sound: tuple[int, int]) -> None:
        super().__init__(shape)
        steps = sound_steps(height, width, sound)
        side = height >> IMAGE_STEPS
        layers, hidden = shape.residual_layers, shape.residual_hidden
        for name, inputs, count in (("image", 3, IMAGE_STEPS), ("audio", 1, steps)):
            setattr(self, f"_encoder_{name}", Encoder(inputs, shape.hidden, layers, hidden, steps=count))
            setattr(self, f"_pre_vq_conv_{name}", nn.Conv2d(shape.hidden, shape.code_size, 1))
            if shape.decoded:
                made = Decoder(shape.code_size, inputs, shape.hidden, layers, hidden, steps=count)
                setattr(self, f"_decoder_{name}", made)
        self._classifier = Solver(
            shape.code_size,
            side,
            outputs,
            mode=shape.mode,
            masked=shape.masked,
            dropout=shape.dropout,
            kind=shape.mask,
            init=shape.mask_init,
            scale=shape.mask_scale,
            threshold=shape.mask_threshold,
        )

    def _maps(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
        return getattr(self, f"_pre_vq_conv_{name}")(getattr(self, f"_encoder_{name}")(inputs))

    def _decoded(self, name: str, codes: torch.Tensor) -> torch.Tensor:
        return getattr(self, f"_decoder_{name}")(codes)


def check_stage(value: str) -> None:
    """Raise a UsageError where ``value`` is no stage."""
    if value not in STAGES:
        raise UsageError(f"--stage must be {_listed(STAGES)}; got {value!r}.")


def check_given(names: tuple[str, ...], given: dict[str, torch.Tensor | None]) -> None:
    """Raise a UsageError where a modality of ``names`` is not ``given``."""
    missing = [name for name in names if given[name] is None]
    if missing:
        raise UsageError(
            f"the model looks at {' and '.join(names)}, and no {' and no '.join(missing)} was given.",
            "A model of --mode image-only or --mode audio-only needs one of them alone.",
        )


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def sound_steps(height: int, width: int, sound: tuple[int, int]) -> int:
    """Return how often a spectrogram of size ``sound`` is halved to be as large as the map of codes of an image.

    Raises:
        UsageError: no number of halvings gets there, or the image is not square with sides of which 4 is a divisor.
    """
    if height != width or height % 4 or height < 8:
        raise UsageError(
            f"CM-VQVAE takes square images whose side is a multiple of 4 and at least 8; got {height}x{width}.",
            "Prepare the clips with another --size.",
        )
    side = height >> IMAGE_STEPS
    steps = (sound[0] // side).bit_length() - 1
    if sound[0] != sound[1] or steps < 2 or sound[0] != side << steps:
        raise UsageError(
            f"spectrograms of {sound[0]}x{sound[1]} do not go with images of {height}x{width}: their sides must be "
            f"{side} (a quarter of the image's) times 4, 8, 16, ...",
            f"Prepare the clips with --size {sound[0] // 2}.",
        )
    return steps

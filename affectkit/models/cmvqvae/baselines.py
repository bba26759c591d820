"""Models of the same task on other foundations: two ResNet-18 (baseline 4), and features computed elsewhere."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from affectkit.errors import UsageError
from affectkit.models.cmvqvae.emotion_classifier import MODES
from affectkit.models.cmvqvae.mask import Masked
from affectkit.models.cmvqvae.network import AUTOENCODER, JOINT, CMVQVAEOutput, Parts, Shape, check_given, check_stage
from affectkit.models.family import StagedModel

FEATURES = 256
SIDE = 32
"""Rows and columns into which features are laid as a map of codes."""


class TwoResNets(StagedModel):
    """Baseline 4: a ResNet-18 for each modality, their features side by side, linear, BN, ReLU, dropout, linear.

    As the backbone of Peng et al., "Balanced Multimodal Learning via On-the-fly Gradient Modulation" (CVPR 2022).
    """

    def __init__(self, shape: Shape, outputs: int) -> None:
        from torchvision.models import resnet18  # seconds to import, for all that infer does

        super().__init__()
        self.shape = shape
        self._resnet18_1 = resnet18(weights=None)
        self._resnet18_2 = resnet18(weights=None)
        self._resnet18_2.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        width = self._resnet18_1.fc.in_features
        self._resnet18_1.fc = self._resnet18_2.fc = nn.Identity()
        first, last = MODES[shape.mode]
        self._fc1 = nn.Linear(width * (last - first), FEATURES)
        self._bn = nn.BatchNorm1d(FEATURES)
        self._dropout = nn.Dropout(shape.dropout)
        self._fc2 = nn.Linear(FEATURES, outputs)

    @property
    def stage(self) -> str:
        """Return ``joint``: there is no autoencoder to train apart, and setting another stage is a UsageError."""
        return JOINT

    @stage.setter
    def stage(self, value: str) -> None:
        check_stage(value)
        if value != JOINT:
            raise UsageError(f"--stage {value}: this model has no autoencoder.", "Leave it out.")

    def reset_mask(self) -> None:
        """Raise a UsageError: there is no mask."""
        raise UsageError("--reset-mask: this model has no mask.", "Leave it out.")

    def classify(self, image: torch.Tensor | None, audio: torch.Tensor | None) -> torch.Tensor:
        """Return logits (B, classes)."""
        first, last = MODES[self.shape.mode]
        check_given(("image", "audio")[first:last], {"image": image, "audio": audio})
        pairs = ((self._resnet18_1, image), (self._resnet18_2, audio))[first:last]
        x = torch.cat([tower(inputs) for tower, inputs in pairs], 1)
        return self._fc2(self._dropout(torch.relu(self._bn(self._fc1(x)))))

    def forward(self, image: torch.Tensor | None, audio: torch.Tensor | None) -> CMVQVAEOutput:
        """Return logits alone."""
        return CMVQVAEOutput(self.classify(image, audio), None, None, None, None, None, None, None)

    def evaluation_outputs(self, image: torch.Tensor | None, audio: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """Return the logits as ``outputs``."""
        return {"outputs": self.classify(image, audio)}

    def reconstruct(self, image: torch.Tensor | None, audio: torch.Tensor | None) -> tuple[None, None]:
        """Return no reconstructions."""
        return None, None


class FeatureSolver(Masked):
    """Masked codes of both modalities, as features over time again, to logits.

    Image: (16, 4096) -> 1024 -> 512. Audio: 16 of its 64 frames, evenly with both ends, 1024 -> 512. Each with BN,
    ReLU, dropout; side by side an LSTM of 256, its last step, BN, ReLU, dropout, linear.

    Args:
        shapes: of the image's and the audio's features, (frames, width) each.
    """

    def __init__(self, shape: Shape, outputs: int, shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
        super().__init__(
            2 * shape.code_size,
            kind=shape.mask,
            init=shape.mask_init,
            scale=shape.mask_scale,
            threshold=shape.mask_threshold,
        )
        self.mode, self.shapes, self.size = shape.mode, shapes, shape.code_size
        first, last = MODES[shape.mode]
        (frames, width), (heard, band) = shapes
        self.taken = np.linspace(0, heard - 1, frames).round().astype(int).tolist()
        self._fc_image_1, self._bn_image_1 = nn.Linear(width, 1024), nn.BatchNorm1d(1024)
        self._fc_image_2, self._bn_image_2 = nn.Linear(1024, 512), nn.BatchNorm1d(512)
        self._fc_audio, self._bn_audio = nn.Linear(band, 512), nn.BatchNorm1d(512)
        self._dropout = nn.Dropout(shape.dropout)
        self._lstm = nn.LSTM(512 * (last - first), FEATURES, batch_first=True)
        self._bn = nn.BatchNorm1d(FEATURES)
        self._fc = nn.Linear(FEATURES, outputs)

    def forward(self, image: torch.Tensor | None, audio: torch.Tensor | None) -> torch.Tensor:
        """Return logits for the codes of the modalities that the mode uses, (B, size, 32, 32) each."""
        first, last = MODES[self.mode]
        mask = self.turned()
        found = []
        if first == 0:
            x = (image * mask[: self.size]).reshape(len(image), *self.shapes[0])
            x = self._projected(x, self._fc_image_1, self._bn_image_1)
            found.append(self._projected(x, self._fc_image_2, self._bn_image_2))
        if last == len(self.shapes):
            x = (audio * mask[self.size :]).reshape(len(audio), *self.shapes[1])[:, self.taken]
            found.append(self._projected(x, self._fc_audio, self._bn_audio))
        states, _ = self._lstm(torch.cat(found, 2))
        return self._fc(self._dropout(torch.relu(self._bn(states[:, -1]))))

    def _projected(self, x: torch.Tensor, linear: nn.Linear, norm: nn.BatchNorm1d) -> torch.Tensor:
        return self._dropout(torch.relu(norm(linear(x).transpose(1, 2)).transpose(1, 2)))


class FeatureNetwork(Parts):
    """The features variant: what would be encoded and decoded are the features themselves.

    Image (B, 16, 4096) and audio (B, 64, 1024), each laid into a map (B, size, 32, 32), quantised, masked, laid back.
    """

    def __init__(self, shape: Shape, outputs: int, shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
        super().__init__(shape)
        self.shapes = dict(zip(("image", "audio"), shapes, strict=True))
        self._classifier = FeatureSolver(shape, outputs, shapes)

    @Parts.stage.setter
    def stage(self, value: str) -> None:
        """Set the stage, see ``Parts.stage``; codes that follow averages have no gradients to learn by."""
        if value == AUTOENCODER and self.shape.quantizer == "ema":
            raise UsageError(
                f"--stage {value}: nothing of this model but its codes would learn, and these learn by no gradients.",
                "Use --quantizer plain, or --stage joint.",
            )
        Parts.stage.fset(self, value)

    def _maps(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.reshape(len(inputs), self.shape.code_size, SIDE, SIDE)

    def _decoded(self, name: str, codes: torch.Tensor) -> torch.Tensor:
        return codes.reshape(len(codes), *self.shapes[name])

"""Random changes of training images, parameters drawn apart from applying them; normalisation of batches.

One warp carries flip, rotation, scale and shift, so an image is interpolated once whatever the preset. A random crop
is taken of the whole image while that is brought to the input size, which is its one interpolation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from affectkit.core.cached import cached_tensors
from affectkit.core.clipspec import DECIBELS
from affectkit.core.spec import InputSpec
from affectkit.data.loading.degradation import Degradation, DegradationRanges, degrade, draw_degradation
from affectkit.data.media.reduced_decoding import Box

TRIES = 10
"""Candidates of a random crop."""


@dataclass(frozen=True)
class Preset:
    """Ranges that ``draw_change`` draws from.

    Attributes:
        rotation: degrees either way, with probability ``rotated``.
        scale: share either way.
        shift: share of the side either way, both axes.
        brightness, contrast: share either way.
        blur: probability of a Gaussian blur with sigma in ``sigmas``.
        noise: largest standard deviation of Gaussian noise, on images in [0, 255].
        erase: probability that a rectangle of 2 to 20% of the image is replaced by its mean.
        crop: least and greatest share of the whole image's area in the box that becomes the input; None: what the
            input's ``fit`` says.
        ratios: least and greatest width / height of that box.
        degradation: of the quality of the picture; None: nothing is drawn of it.
    """

    flip: float = 0.5
    rotation: float = 0.0
    rotated: float = 1.0
    scale: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    blur: float = 0.0
    sigmas: tuple[float, float] = (0.3, 1.2)
    noise: float = 0.0
    erase: float = 0.0
    crop: tuple[float, float] | None = None
    ratios: tuple[float, float] = (3 / 4, 4 / 3)
    degradation: DegradationRanges | None = None


RANGES = {
    "none": None,
    "flip": Preset(),
    "face": Preset(rotation=10, scale=0.08, shift=0.08, brightness=0.2, contrast=0.2),
    "face-strong": Preset(
        rotation=20, scale=0.15, shift=0.15, brightness=0.35, contrast=0.35, blur=0.1, noise=6.0, erase=0.25
    ),
    # For crops by a detector, whose margins differ more than their centres do.
    "face-crop": Preset(
        rotation=15, scale=0.15, shift=0.08, brightness=0.15, contrast=0.25, blur=0.1, noise=5.0, erase=0.3
    ),
    # The same for pictures of any origin, found by any detector.
    "face-wild": Preset(
        rotation=20,
        scale=0.25,
        shift=0.08,
        brightness=0.2,
        contrast=0.35,
        blur=0.15,
        sigmas=(0.3, 1.6),
        noise=12.0,
        erase=0.3,
        degradation=DegradationRanges(shrink=0.15, wander=0.12, jpeg=0.15),
    ),
    # Szegedy et al., "Going deeper with convolutions", CVPR 2015, section 6; as torchvision's RandomResizedCrop.
    "imagenet": Preset(crop=(0.08, 1.0)),
    "vca": Preset(rotation=20, rotated=0.5, blur=0.2, sigmas=(0.1, 2.0)),
}


@dataclass(frozen=True)
class Crop:
    """A random box, drawn before the image's size is known.

    Attributes:
        tries: share of the area and width / height of each candidate; the first that fits in the image is taken.
        place: in [0, 1), where it lies between the upper and the lower edge, and between the left and the right one.
        ratios: bounds of width / height, for images in which no candidate fits.
    """

    tries: tuple[tuple[float, float], ...]
    place: tuple[float, float]
    ratios: tuple[float, float]

    def box(self, height: int, width: int) -> Box:
        """Return the box in an image of that size, with edges at whole pixels; see ``data.media.images.Box``.

        Where no candidate fits, which takes a very long image: the centre, as large as ``ratios`` allow.
        """
        for share, ratio in self.tries:
            wide, tall = (
                round(math.sqrt(height * width * share * ratio)),
                round(math.sqrt(height * width * share / ratio)),
            )
            if 0 < wide <= width and 0 < tall <= height:
                top, left = int(self.place[0] * (height - tall + 1)), int(self.place[1] * (width - wide + 1))
                return left, top, left + wide, top + tall
        least, most = self.ratios
        wide, tall = min(width, max(round(height * most), 1)), min(height, max(round(width / least), 1))
        top, left = (height - tall) // 2, (width - wide) // 2
        return left, top, left + wide, top + tall


@dataclass(frozen=True)
class Change:
    """The change to one image: an affine map, a linear change of light, and what else was drawn.

    ``crop`` is for whoever decodes the image; ``apply_change`` takes images at the input size, and leaves it out.
    """

    flip: bool
    angle: float
    scale: float
    shift: tuple[float, float]
    gain: float
    offset: float
    blur_sigma: float
    noise_std: float
    noise_seed: int
    erase: tuple[float, float, float, float] | None
    crop: Crop | None = None
    degradation: Degradation | None = None


def draw_change(preset: Preset, rng: np.random.Generator) -> Change:
    """Draw the parameters of one change. Every value is drawn whether used or not,
    so that one option moves no other.
    """
    unit = rng.random(17)
    both = 2 * unit - 1
    least, most = preset.sigmas
    erase = None
    if unit[10] < preset.erase:
        area = 0.02 + 0.18 * unit[11]
        ratio = math.exp(both[12] * math.log(3))
        erase = (float(unit[13]), float(unit[14]), min(math.sqrt(area * ratio), 1.0), min(math.sqrt(area / ratio), 1.0))
    return Change(
        flip=bool(unit[0] < preset.flip),
        angle=float(both[1] * preset.rotation) if unit[16] < preset.rotated else 0.0,
        scale=float(1 + both[2] * preset.scale),
        shift=(float(both[3] * preset.shift), float(both[4] * preset.shift)),
        gain=float(1 + both[5] * preset.contrast),
        offset=float(both[6] * preset.brightness * 255),
        blur_sigma=float(least + (most - least) * unit[8]) if unit[7] < preset.blur else 0.0,
        noise_std=float(unit[9] * preset.noise),
        noise_seed=int(unit[15] * 2**53),
        erase=erase,
        crop=_draw_crop(preset.crop, preset.ratios, rng) if preset.crop is not None else None,
        degradation=draw_degradation(preset.degradation, rng) if preset.degradation is not None else None,
    )


def _draw_crop(shares: tuple[float, float], ratios: tuple[float, float], rng: np.random.Generator) -> Crop:
    """Share of the area uniform, logarithm of width / height uniform."""
    unit = rng.random(2 * TRIES + 2)
    (least, most), (low, high) = shares, (math.log(value) for value in ratios)
    tries = tuple(
        (float(least + (most - least) * area), math.exp(low + (high - low) * ratio))
        for area, ratio in unit[2:].reshape(TRIES, 2)
    )
    return Crop(tries, (float(unit[0]), float(unit[1])), ratios)


def apply_change(image: np.ndarray, change: Change) -> np.ndarray:
    """Return the changed copy of ``image``, uint8 (H, W, C); edges are replicated, values saturate."""
    height, width, channels = image.shape
    result = image
    if change.angle or change.scale != 1 or any(change.shift):
        result = cv2.warpAffine(
            image,
            affine(change, height, width),
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ).reshape(height, width, channels)
    elif change.flip:
        result = cv2.flip(image, 1).reshape(height, width, channels)
    if change.blur_sigma:
        result = cv2.GaussianBlur(result, (0, 0), change.blur_sigma, borderType=cv2.BORDER_REPLICATE)
        result = result.reshape(height, width, channels)
    if change.degradation is not None:
        result = degrade(result, change.degradation)
    if change.gain != 1 or change.offset:
        # Contrast turns about mid-gray, so that it does not also change the mean of a typical image.
        table = np.clip((np.arange(256) - 127.5) * change.gain + 127.5 + change.offset, 0, 255)
        result = cv2.LUT(np.ascontiguousarray(result), np.rint(table).astype(np.uint8)).reshape(height, width, channels)
    if change.noise_std:
        noise = np.random.default_rng(change.noise_seed).normal(0, change.noise_std, result.shape)
        result = cv2.add(result, noise, dtype=cv2.CV_8U).reshape(height, width, channels)  # rounds and saturates
    if change.erase:
        top, left, tall, wide = change.erase
        rows, columns = max(round(tall * height), 1), max(round(wide * width), 1)
        row, column = round(top * (height - rows)), round(left * (width - columns))
        result = result.copy()
        result[row : row + rows, column : column + columns] = np.rint(cv2.mean(result)[:channels]).astype(np.uint8)
    return np.ascontiguousarray(result)


def affine(change: Change, height: int, width: int) -> np.ndarray:
    """Return the 2x3 matrix of flip, then rotation and scale about the centre, then shift."""
    centre = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, change.angle, change.scale)
    matrix[:, 2] += change.shift[0] * width, change.shift[1] * height
    if change.flip:
        mirror = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
        matrix = matrix @ mirror
    return matrix


def to_float32(values: torch.Tensor) -> torch.Tensor:
    """Convert stored sounds (int16) to decibels and features (half precision) to float32; leave pixels as they are."""
    if values.dtype == torch.int16:
        return values.float().div_(DECIBELS)
    return values.float() if values.dtype == torch.float16 else values


def normalise(images: torch.Tensor, spec: InputSpec) -> torch.Tensor:
    """Return model input from uint8 images (B, C, H, W) in [0, 255] or floats in [0, 1]: ``(image - mean) / std``."""
    # Channels-last pixels want constants of their own layout: else the innermost loop would run over three channels.
    last = images.is_contiguous(memory_format=torch.channels_last)
    size = tuple(images.shape[2:]) if last else (1, 1)
    mean, std = (_constant(values, size, images.device) for values in (spec.mean, spec.std))
    if images.dtype != torch.uint8:
        return (images.float() - mean) / std
    # In place: a batch of 224-pixel images is 19 MB, and fresh pages cost more than the arithmetic.
    return images.float().div_(255).sub_(mean).div_(std)


@cached_tensors(16)
def _constant(values: tuple[float, ...], size: tuple[int, int], device: torch.device) -> torch.Tensor:
    """Return (1, C, *size) on ``device``, channels-last, made once: each copy to a GPU would wait for all that it is
    doing.
    """
    one = torch.tensor(values, device=device).view(1, -1, 1, 1).expand(1, -1, *size)
    return one.contiguous(memory_format=torch.channels_last)

"""Parts that an augmentation pipeline may be made of: the allow-list, the limits, and the built-in pipeline as data.

Nothing heavy is imported here, so that a dry run can name a pipeline without waiting for Albumentations.
"""

from __future__ import annotations

from typing import Any

VERSION = "2.0.8"
MAX_BYTES = 256_000
MAX_DEPTH = 8
MAX_TRANSFORMS = 100

# SelectiveChannelTransform and ReplayCompose are left out: the one forgets the alpha channel, the other keeps a log.
COMPOSITIONS = frozenset({"Compose", "Sequential", "OneOf", "SomeOf", "RandomOrder", "OneOrOther"})
COMPOSITION_KEYS = frozenset(
    {"p", "transforms", "n", "replace", "bbox_params", "keypoint_params", "additional_targets", "is_check_shapes"}
)

# Transforms whose result on a float image means what it means on bytes and keeps more than 256 levels
# (tests/prep/augmentation/test_pipeline.py tries each): these take 16-bit images.
_SIXTEEN_BIT = """
    AdditiveNoise AdvancedBlur Affine Blur CenterCrop ChannelDropout ChannelShuffle CoarseDropout Crop CropAndPad D4
    Defocus Downscale ElasticTransform Emboss Erasing FancyPCA GaussNoise GaussianBlur GlassBlur GridDistortion
    GridDropout GridElasticDeform HorizontalFlip ISONoise Illumination InvertImg LongestMaxSize Morphological MotionBlur
    MultiplicativeNoise NoOp OpticalDistortion Pad PadIfNeeded Perspective PiecewiseAffine PixelDropout PlanckianJitter
    PlasmaBrightnessContrast PlasmaShadow RGBShift RandomBrightnessContrast RandomCrop RandomCropFromBorders RandomGamma
    RandomGridShuffle RandomResizedCrop RandomRotate90 RandomScale RandomSizedCrop Resize RingingOvershoot Rotate
    SafeRotate SaltAndPepper Sharpen ShiftScaleRotate SmallestMaxSize Solarize SquareSymmetry ThinPlateSpline ToGray
    ToSepia Transpose UnsharpMask VerticalFlip XYMasking ZoomBlur
"""
# These pass through 8 bits inside Albumentations, or count in units of bytes.
_EIGHT_BIT = """
    AutoContrast CLAHE ChromaticAberration ColorJitter Equalize HEStain HueSaturationValue ImageCompression MedianBlur
    Posterize RandomFog RandomGravel RandomRain RandomShadow RandomSnow RandomSunFlare RandomToneCurve ShotNoise Spatter
    Superpixels
"""
SIXTEEN_BIT = frozenset(_SIXTEEN_BIT.split())
EIGHT_BIT = frozenset(_EIGHT_BIT.split())
ALLOWED = SIXTEEN_BIT | EIGHT_BIT

_REFERENCE = "it needs reference images or metadata, which a pipeline file cannot carry"
_BOXES = "it needs boxes or masks, which these images do not have"
_PIXELS = "it changes what the pixels are, and the files must keep their type"
_SPECTROGRAM = "it is made for spectrograms"
_VOLUME = "it is made for volumes"
REFUSED = {
    **dict.fromkeys(
        ("FDA", "HistogramMatching", "PixelDistributionAdaptation", "TemplateTransform", "Mosaic", "OverlayElements"),
        _REFERENCE,
    ),
    **dict.fromkeys(
        (
            "MaskDropout", "CropNonEmptyMaskIfExists", "RandomCropNearBBox", "BBoxSafeRandomCrop",
            "RandomSizedBBoxSafeCrop", "AtLeastOneBBoxRandomCrop", "ConstrainedCoarseDropout",
        ),
        _BOXES,
    ),
    **dict.fromkeys(("ToFloat", "FromFloat", "Normalize", "ToTensorV2", "ToTensor3D", "ToRGB"), _PIXELS),
    **dict.fromkeys(("TimeReverse", "TimeMasking", "FrequencyMasking"), _SPECTROGRAM),
    **dict.fromkeys(
        ("Pad3D", "PadIfNeeded3D", "CenterCrop3D", "RandomCrop3D", "CoarseDropout3D", "CubicSymmetry"), _VOLUME
    ),
    "TextImage": "it reads font files",
    "Lambda": "it runs code of its own",
    "ReplayCompose": "it keeps a log of its draws; write Compose",
    "SelectiveChannelTransform": "it leaves an alpha channel behind",
    "PerChannel": "Albumentations 2 has no such composition",
}  # fmt: skip


def built_in() -> dict[str, Any]:
    """Return the published pipeline in the form of ``albumentations.to_dict``.

    Source: the preparation script of seed 003, written for Albumentations 1.x: a flip (p 0.5); brightness and
    contrast +-20 % (always); one of motion blur, Gaussian noise and Gaussian blur with the defaults of 1.3.0 (p 0.5);
    pixel dropout (p 0.25); a rotation by +-20 degrees with the border replicated (always). In 2.x those defaults are
    others: Gaussian noise of variance 10 to 50 in 8-bit units is a deviation of 0.0124 to 0.0277 of the full range. (Of
    8-bit images 2.x cuts the noise towards zero, which takes about 0.37 levels from the deviation; 1.x cut the sum.)
    """
    one_of = [
        _node("MotionBlur", 0.5, allow_shifted=True, angle_range=[0.0, 360.0], blur_limit=[3, 7],
              direction_range=[-1.0, 1.0]),
        _node("GaussNoise", 0.5, mean_range=[0.0, 0.0], noise_scale_factor=1.0, per_channel=True,
              std_range=[10**0.5 / 255, 50**0.5 / 255]),
        _node("GaussianBlur", 0.5, blur_limit=[3, 7], sigma_limit=[0.8, 1.4]),
    ]  # fmt: skip
    transforms = [
        _node("HorizontalFlip", 0.5),
        _node("RandomBrightnessContrast", 1.0, brightness_by_max=True, brightness_limit=[-0.2, 0.2],
              contrast_limit=[-0.2, 0.2], ensure_safe_range=False),
        _node("OneOf", 0.5, transforms=one_of),
        _node("PixelDropout", 0.25, drop_value=0.0, dropout_prob=0.01, mask_drop_value=None, per_channel=False),
        _node("Rotate", 1.0, border_mode=1, crop_border=False, fill=0.0, fill_mask=0.0, interpolation=1,
              limit=[-20.0, 20.0], mask_interpolation=0, rotate_method="largest_box"),
    ]  # fmt: skip
    root = _node("Compose", 1.0, transforms=transforms, bbox_params=None, keypoint_params=None)
    root |= {"additional_targets": {}, "is_check_shapes": True}
    return {"__version__": VERSION, "transform": root}


def _node(name: str, p: float, **values: Any) -> dict[str, Any]:
    return {"__class_fullname__": name, "p": p, **values}

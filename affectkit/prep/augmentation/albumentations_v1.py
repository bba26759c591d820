"""Pipelines saved by Albumentations 1.x, in the words of 2.0.8, where the meaning carries over.

2.0.8 loads such files with warnings only and changes them in silence: ``var_limit`` is dropped (noise of deviation 83
instead of 3 to 7), ``sigma_limit`` [0, 0] gives black images, ``always_apply`` is lost. Here each transform has a table
of the keys that mean the same, and of the rules for those that do not; what stands in no table is refused by name.
The tables were made by reading the source of 1.3.0 beside that of 2.0.8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from affectkit.errors import UsageError

Values = dict[str, Any]
ADVICE = "Write the transform with the keys of the installed version, and __version__ 2.0.8."


class _Refused(Exception):
    """Say why a transform cannot be converted; the caller adds its place."""


# Keys with the same meaning in both, by transform. Everything else needs a rule below.
SAME: dict[str, tuple[str, ...]] = {
    "HorizontalFlip": (),
    "VerticalFlip": (),
    "Transpose": (),
    "RandomRotate90": (),
    "ChannelShuffle": (),
    "InvertImg": (),
    "ToGray": (),
    "ToSepia": (),
    "NoOp": (),
    "RandomBrightnessContrast": ("brightness_limit", "contrast_limit", "brightness_by_max"),
    "HueSaturationValue": ("hue_shift_limit", "sat_shift_limit", "val_shift_limit"),
    "ColorJitter": ("brightness", "contrast", "saturation", "hue"),
    "CLAHE": ("clip_limit", "tile_grid_size"),
    "Equalize": ("mode", "by_channels"),
    "Sharpen": ("alpha", "lightness"),
    "ISONoise": ("intensity", "color_shift"),
    "MultiplicativeNoise": ("multiplier", "per_channel", "elementwise"),
    "Blur": ("blur_limit",),
    "MedianBlur": ("blur_limit",),
    "MotionBlur": ("blur_limit", "allow_shifted"),
    "PixelDropout": ("dropout_prob", "per_channel", "drop_value", "mask_drop_value"),
    "Rotate": ("limit", "interpolation", "border_mode", "rotate_method", "crop_border"),
    "SafeRotate": ("limit", "interpolation", "border_mode"),
    "RandomGamma": ("gamma_limit",),
    "RGBShift": ("r_shift_limit", "g_shift_limit", "b_shift_limit"),
    "GaussNoise": ("per_channel",),
    "GaussianBlur": ("blur_limit",),
    "Solarize": (),
    "ImageCompression": (),
    "CoarseDropout": (),
}


def _number(values: Values, key: str, default: Any = None) -> float:
    value = values.pop(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _Refused(f"{key} must be a number, got {value!r}")
    return value


def _pair(values: Values, key: str, default: Any = None) -> tuple[float, float]:
    value = values.pop(key, default)
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise _Refused(f"{key} must be a list of two numbers, got {value!r}")
    low, high = (_number({key: item}, key) for item in value)
    if low > high:
        raise _Refused(f"{key} must rise, got {list(value)}")
    return low, high


def _fills(values: Values) -> Values:
    """Convert border values; 1.x wrote null for OpenCV's default, which is 0."""
    fill, fill_mask = values.pop("value", None), values.pop("mask_value", None)
    return {"fill": 0 if fill is None else fill, "fill_mask": 0 if fill_mask is None else fill_mask}


def _gauss_noise(values: Values) -> Values:
    """Convert variance and mean in units of 0 to 255 to deviation and mean as fractions of the full range."""
    low, high = _pair(values, "var_limit", [10.0, 50.0])
    mean = _number(values, "mean", 0)
    if low < 0 or high > 255**2 or abs(mean) > 255:
        raise _Refused(f"var_limit {[low, high]} and mean {mean:g} must lie within the range of bytes")
    std = [math.sqrt(low) / 255, math.sqrt(high) / 255]
    return {"std_range": std, "mean_range": [mean / 255, mean / 255]}


def _gaussian_blur(values: Values) -> Values:
    """Convert a deviation of 0, which meant OpenCV's own for the kernel size k: 0.3 ((k - 1) / 2 - 1) + 0.8."""
    blur = values.get("blur_limit", [3, 7])
    low, high = _pair(values, "sigma_limit", [0, 0])
    if (low, high) == (0, 0):
        sizes = _pair({"blur_limit": blur}, "blur_limit")
        if min(sizes) < 3:
            raise _Refused(f"sigma_limit [0, 0] needs a blur_limit of at least 3, got {blur}")
        return {"sigma_limit": [0.3 * ((size - 1) / 2 - 1) + 0.8 for size in sizes]}
    if low <= 0:
        raise _Refused(f"sigma_limit {[low, high]} begins at 0, which meant OpenCV's own deviation for that draw alone")
    return {"sigma_limit": [low, high]}


def _random_gamma(values: Values) -> Values:
    if values.pop("eps", None) is not None:
        raise _Refused("eps has no counterpart; it had no effect in 1.3.0 either")
    return {}


def _rgb_shift(values: Values) -> Values:
    for key in SAME["RGBShift"]:
        low, high = _pair({key: values.get(key, [-20, 20])}, key)
        if max(abs(low), abs(high)) <= 1 and (low, high) != (0, 0):
            raise _Refused(f"{key} {[low, high]} would be read as a fraction of the full range, and meant steps of 255")
    return {}


def _solarize(values: Values) -> Values:
    low, high = _pair(values, "threshold", [128, 128])
    return {"threshold_range": [low / 255, high / 255]}


def _image_compression(values: Values) -> Values:
    kind = values.pop("compression_type", 0)
    if kind not in (0, 1):
        raise _Refused(f"compression_type must be 0 (JPEG) or 1 (WebP), got {kind!r}")
    quality = [values.pop("quality_lower", 99), values.pop("quality_upper", 100)]
    return {"quality_range": quality, "compression_type": ("jpeg", "webp")[kind]}


def _coarse_dropout(values: Values) -> Values:
    """Convert holes by number and size in pixels; sizes as fractions were drawn otherwise."""
    found: Values = {}
    for key, low, high in (
        ("num_holes_range", "min_holes", "max_holes"),
        ("hole_height_range", "min_height", "max_height"),
        ("hole_width_range", "min_width", "max_width"),
    ):
        top = values.pop(high, 8)
        least = values.pop(low, None)
        pair = [top if least is None else least, top]
        if not all(isinstance(item, int) and not isinstance(item, bool) and item >= 1 for item in pair):
            raise _Refused(f"{low} and {high} must be whole numbers of at least 1, got {pair}")
        found[key] = pair
    return found | {"fill": values.pop("fill_value", 0), "fill_mask": values.pop("mask_fill_value", None)}


RULES: dict[str, Callable[[Values], Values]] = {
    "GaussNoise": _gauss_noise,
    "GaussianBlur": _gaussian_blur,
    "Rotate": _fills,
    "SafeRotate": _fills,
    "RandomGamma": _random_gamma,
    "RGBShift": _rgb_shift,
    "Solarize": _solarize,
    "ImageCompression": _image_compression,
    "CoarseDropout": _coarse_dropout,
}


def convert_specification(root: dict[str, Any], source: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Convert a pipeline of 1.x to 2.0.8.

    Args:
        root: the checked ``transform`` of a file saved by 1.x; it is left as it was.
        source: the file, for messages.

    Raises:
        UsageError: a transform or a key has no counterpart of the same meaning.
    """
    notes: list[str] = []
    return _node(root, source, "transform", None, notes), tuple(dict.fromkeys(notes))


def _node(node: Values, source: str, place: str, parent: str | None, notes: list[str]) -> Values:
    """Convert a node and all below it.

    Args:
        parent: the composition above; None for the root.
    """
    name = node["__class_fullname__"]
    try:
        if "transforms" in node:
            new = _composition(node, parent, notes, place)
        else:
            new = _transform(node, parent, notes, place)
    except _Refused as why:
        raise UsageError(f"{source}, {place} {name} (saved by 1.x) cannot be converted: {why}.", ADVICE) from why
    for number, child in enumerate(new.get("transforms", ())):
        inner = f"transforms[{number}]" if parent is None else f"{place}.{name}[{number}]"
        new["transforms"][number] = _node(child, source, inner, new["__class_fullname__"], notes)
    return new


def _composition(node: Values, parent: str | None, notes: list[str], place: str) -> Values:
    """Convert a composition: 1.x forced every child of a choice, ignored p of a Sequential, and drew SomeOf's order."""
    name, new = node["__class_fullname__"], dict(node)
    new["transforms"] = list(node["transforms"])
    new.pop("always_apply", None)
    if name == "Compose" and node.get("p", 1.0) != 1 and _always(node):
        raise _Refused("p is below 1 and always_apply stands inside; 1.x ran those transforms in any case")
    if name == "Sequential" and parent not in ("OneOf", "OneOrOther") and node.get("p", 0.5) != 1:
        new["p"] = 1.0
        notes.append(f"{place} Sequential: p is 1, since 1.x ignored it.")
    if name == "SomeOf":
        weights = {child.get("p", 0.5) for child in node["transforms"] if isinstance(child, dict)}
        if len(weights) > 1:
            raise _Refused("its transforms have different p, which 1.x took as weights; 2.x draws them alike")
        if parent in ("OneOf", "OneOrOther", "RandomOrder") and node.get("p", 1) != 1:
            raise _Refused("p is below 1 inside a choice, which forced it in 1.x and does not in 2.x")
        new |= {"__class_fullname__": "RandomOrder", "replace": node.get("replace", True)}
        new["transforms"] = [{**child, "p": 1.0} for child in node["transforms"]]
        notes.append(f"{place} SomeOf: is RandomOrder now, with p 1 inside: 1.x forced what it drew, in a drawn order.")
    return new


def _transform(node: Values, parent: str | None, notes: list[str], place: str) -> Values:
    name = node["__class_fullname__"]
    if name not in SAME:
        raise _Refused("no conversion is known that keeps its meaning")
    values = {key: value for key, value in node.items() if key not in ("__class_fullname__", "p", "always_apply")}
    always, p = node.get("always_apply", False), node.get("p", 0.5)
    if not isinstance(always, bool):
        raise _Refused(f"always_apply must be true or false, got {always!r}")
    # Inside a choice p is a weight, and what is chosen runs in any case: always_apply adds nothing there.
    if always and parent not in ("OneOf", "OneOrOther"):
        p = 1.0
    given = dict(values)
    new = RULES.get(name, lambda _: {})(values)
    for key in list(values):
        if key not in SAME[name]:
            raise _Refused(f"{key} has no counterpart of the same meaning")
    changed = sorted(key for key in given if given[key] is not None and given[key] != (values | new).get(key))
    if changed and name not in ("Rotate", "SafeRotate"):
        made = ", ".join(f"{key} {_short(value)}" for key, value in new.items() if value is not None)
        notes.append(f"{place} {name}: {', '.join(changed)} became {made or 'nothing'}.")
    return {"__class_fullname__": name, "p": p, **values, **new}


def _always(node: Values) -> bool:
    inside = node.get("transforms", ())
    return node.get("always_apply") is True or any(_always(child) for child in inside if isinstance(child, dict))


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_short(item) for item in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

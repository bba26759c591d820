"""Files saved by Albumentations 1.x: the meaning carries over, or the transform is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from affectkit.config import dump_yaml
from affectkit.errors import UsageError
from affectkit.prep.augmentation.pipeline import load_pipeline


def old(kind: str, p: float = 0.5, *, module: str = "augmentations.transforms", **values):
    return {"__class_fullname__": f"albumentations.{module}.{kind}", "always_apply": False, "p": p, **values}


def saved(folder, *transforms, version: str = "1.3.0", **root):
    """A file as 1.3.0's ``save`` lays it out."""
    compose = {
        "__class_fullname__": "Compose", "p": 1.0, "transforms": [*transforms],
        "bbox_params": None, "keypoint_params": None, "additional_targets": {}, **root,
    }  # fmt: skip
    path = folder / "old.yaml"
    path.write_text(dump_yaml({"__version__": version, "transform": compose}))
    return path


def convert_specification(folder, *transforms, **root) -> list[dict]:
    return load_pipeline(saved(folder, *transforms, **root)).spec["transform"]["transforms"]


def test_the_published_pipeline_saved_by_1_3_0_is_the_built_in_one(tmp_path):
    noise = old("GaussNoise", var_limit=[10.0, 50.0], per_channel=True, mean=0)
    blur = old("GaussianBlur", blur_limit=[3, 7], sigma_limit=[0, 0])
    choice = [old("MotionBlur", blur_limit=[3, 7], allow_shifted=True), noise, blur]
    path = saved(
        tmp_path,
        old("HorizontalFlip"),
        old("RandomBrightnessContrast", 1.0, brightness_limit=[-0.2, 0.2], contrast_limit=[-0.2, 0.2],
            brightness_by_max=True),
        {"__class_fullname__": "OneOf", "p": 0.5, "transforms": choice},
        old("PixelDropout", 0.25, dropout_prob=0.01, per_channel=False, drop_value=0, mask_drop_value=None),
        old("Rotate", 1.0, limit=[-20, 20], interpolation=1, border_mode=1, value=None, mask_value=None,
            rotate_method="largest_box", crop_border=False),
    )  # fmt: skip
    pipeline = load_pipeline(path)
    assert pipeline.identity == load_pipeline(None).identity
    assert "1.3.0 and has been converted" in pipeline.notes[0]
    assert any("var_limit became std_range" in note for note in pipeline.notes)
    face = np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8)
    for draw in range(8):
        mine = pipeline.apply(face, seed=3, name="a/b.png", draw=draw)
        assert np.array_equal(mine, load_pipeline(None).apply(face, seed=3, name="a/b.png", draw=draw))


def test_variance_in_bytes_becomes_a_deviation_of_the_range(tmp_path):
    (noise,) = convert_specification(
        tmp_path, old("GaussNoise", 1.0, var_limit=[400.0, 400.0], mean=5, per_channel=True)
    )
    assert noise["std_range"] == pytest.approx([20 / 255, 20 / 255])
    assert noise["mean_range"] == pytest.approx([5 / 255, 5 / 255])
    pipeline = load_pipeline(tmp_path / "old.yaml")
    flat = np.full((64, 64, 3), 100 * 257, np.uint16)
    made = pipeline.apply(flat, seed=0, name="x", draw=0) / 257 - 100
    assert made.std() == pytest.approx(20, rel=0.03)
    assert made.mean() == pytest.approx(5, abs=0.6)


def test_always_apply_is_kept_and_a_choice_keeps_its_weights(tmp_path):
    first, choice = convert_specification(
        tmp_path,
        old("VerticalFlip", 0.1) | {"always_apply": True},
        {
            "__class_fullname__": "OneOf",
            "p": 1.0,
            "transforms": [old("ToGray", 0.2) | {"always_apply": True}, old("InvertImg", 0.6)],
        },
    )
    assert first["p"] == 1
    assert [child["p"] for child in choice["transforms"]] == [0.2, 0.6]


def test_fill_values_thresholds_and_holes_are_renamed(tmp_path):
    rotate, solarize, holes = convert_specification(
        tmp_path,
        old("Rotate", limit=[-9, 9], border_mode=0, value=[1, 2, 3], mask_value=4),
        old("Solarize", threshold=[51, 102]),
        old("CoarseDropout", max_holes=3, min_holes=2, max_height=5, max_width=6, fill_value=7),
    )
    assert (rotate["fill"], rotate["fill_mask"]) == ([1, 2, 3], 4)
    assert solarize["threshold_range"] == pytest.approx([0.2, 0.4])
    assert holes["num_holes_range"] == [2, 3]
    assert holes["hole_height_range"] == [5, 5]
    assert holes["fill"] == 7


def test_some_of_and_sequential_do_what_1_x_did(tmp_path):
    some = {"__class_fullname__": "SomeOf", "p": 0.5, "n": 1, "replace": False, "transforms": [old("ToGray", 0.3)]}
    row = {"__class_fullname__": "Sequential", "p": 0.5, "transforms": [old("ToSepia", 0.3)]}
    some, row = convert_specification(tmp_path, some, row)
    assert (some["__class_fullname__"], some["transforms"][0]["p"], some["p"]) == ("RandomOrder", 1, 0.5)
    assert (row["p"], row["transforms"][0]["p"]) == (1, 0.3)
    notes = " ".join(load_pipeline(tmp_path / "old.yaml").notes)
    assert "forced what it drew" in notes
    assert "1.x ignored it" in notes


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (old("RandomRain", slant_lower=-10), ("transforms[0] RandomRain", "no conversion is known")),
        (old("GaussNoise", var_limit=[50.0, 10.0]), ("var_limit must rise",)),
        (old("GaussNoise", var_limit=[0.0, 1e6]), ("within the range of bytes",)),
        (old("GaussNoise", var_limit="much"), ("var_limit must be a list of two numbers", "'much'")),
        (old("GaussianBlur", blur_limit=[3, 7], sigma_limit=[0, 2.0]), ("begins at 0",)),
        (old("Blur", blur_limit=[3, 7], surprise=1), ("surprise has no counterpart",)),
        (old("RGBShift", r_shift_limit=[-0.5, 0.5]), ("fraction of the full range",)),
        (old("CoarseDropout", max_height=0.25), ("whole numbers of at least 1",)),
        (old("RandomGamma", eps=1e-7), ("eps has no counterpart",)),
        (old("ImageCompression", compression_type=2), ("compression_type must be 0 (JPEG) or 1 (WebP)",)),
        (old("HorizontalFlip") | {"always_apply": "yes"}, ("always_apply must be true or false",)),
    ],
)
def test_what_does_not_carry_over_is_refused_by_name(tmp_path, transform, words):
    with pytest.raises(UsageError) as caught:
        load_pipeline(saved(tmp_path, transform))
    for word in (*words, "old.yaml"):
        assert word in caught.value.message
    assert "saved by 1.x" in caught.value.message


def test_a_compose_below_one_with_always_apply_inside_is_refused(tmp_path):
    with pytest.raises(UsageError, match="1.x ran those transforms in any case"):
        load_pipeline(saved(tmp_path, old("HorizontalFlip") | {"always_apply": True}, p=0.5))


def test_other_versions_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"saved by Albumentations 3\.1; files of 1\.x and 2\.0\.x can be read"):
        load_pipeline(saved(tmp_path, old("HorizontalFlip"), version="3.1"))

"""Pipelines: addressed randomness, what a file may name, and 16-bit and transparent images."""

from __future__ import annotations

import copy
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from affectkit.config import dump_yaml
from affectkit.errors import DataError, UsageError
from affectkit.prep.augmentation import allowed_transforms as rules
from affectkit.prep.augmentation.pipeline import Pipeline, load_pipeline


def node(kind: str, p: float = 1.0, **values):
    return {"__class_fullname__": kind, "p": p, **values}


def pipeline_file(folder: Path, *transforms, version: str = "2.0.8", **root) -> Path:
    path = folder / "pipeline.yaml"
    path.write_text(dump_yaml({"__version__": version, "transform": node("Compose", transforms=[*transforms]) | root}))
    return path


def made(folder: Path, *transforms) -> Pipeline:
    return load_pipeline(pipeline_file(folder, *transforms))


@pytest.fixture
def face() -> np.ndarray:
    y, x = np.mgrid[:24, :32]
    noise = np.random.default_rng(5).integers(0, 20, (24, 32, 3))
    return (np.stack([x * 7, y * 9, 100 + x + y], axis=2) + noise).clip(0, 255).astype(np.uint8)


def test_the_built_in_pipeline_is_what_albumentations_makes_of_the_published_one():
    from affectkit.prep.augmentation.building import import_quietly, to_plain

    a = import_quietly()
    # Written by hand from the published script; the ranges of blur and noise are the defaults of 1.3.0.
    choice = [
        a.MotionBlur(blur_limit=(3, 7), p=0.5),
        a.GaussNoise(std_range=(10**0.5 / 255, 50**0.5 / 255), p=0.5),
        a.GaussianBlur(blur_limit=(3, 7), sigma_limit=(0.8, 1.4), p=0.5),
    ]
    published = a.Compose(
        [
            a.HorizontalFlip(p=0.5),
            a.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=1),
            a.OneOf(choice, p=0.5),
            a.PixelDropout(p=0.25),
            a.Rotate(limit=20, border_mode=1, p=1),
        ]
    )
    assert load_pipeline(None).spec == to_plain(a.to_dict(published))


def test_bytes_depend_on_the_address_alone(face, tmp_path):
    pipeline = load_pipeline(None)
    addresses = [(seed, name, draw) for seed in (0, 1) for name in ("a/x.png", "b/y.png") for draw in range(4)]

    def run(order):
        return {key: pipeline.apply(face, seed=key[0], name=key[1], draw=key[2]).tobytes() for key in order}

    first = run(addresses)
    again = run(addresses[::-1])
    assert again == first
    assert len(set(first.values())) == len(addresses) == 16
    np.save(tmp_path / "face.npy", face)
    script = (
        "import hashlib, sys, numpy; from affectkit.prep.augmentation.pipeline import load_pipeline;"
        "face = numpy.load(sys.argv[1], allow_pickle=False);"
        "copy = load_pipeline(None).apply(face, seed=1, name='b/y.png', draw=3);"
        "print(hashlib.sha256(copy).hexdigest(), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "face.npy"], capture_output=True)

    expected = hashlib.sha256(first[1, "b/y.png", 3]).hexdigest()
    assert done.stdout.decode().split() == [expected, "False"], done.stderr.decode()


def test_the_input_is_left_as_it_was(face):
    before = face.copy()
    face.setflags(write=False)
    load_pipeline(None).apply(face, seed=0, name="x", draw=0)
    assert np.array_equal(face, before)


def test_transforms_decide_apart_and_with_their_probabilities(tmp_path):
    """Two flips with p 0.5: all four outcomes, each about a quarter. Under one shared stream two of them never come."""
    pipeline = made(tmp_path, node("HorizontalFlip", 0.5), node("VerticalFlip", 0.5))
    image = np.arange(4, dtype=np.uint8).reshape(2, 2)
    outcomes = {0: 0, 1: 0, 2: 0, 3: 0}
    for draw in range(800):
        outcomes[int(pipeline.apply(image, seed=3, name="x", draw=draw)[0, 0])] += 1
    # 200 each, deviation 12.2: five of them on either side.
    assert all(139 <= count <= 261 for count in outcomes.values()), outcomes


def test_choices_inside_compositions_are_drawn_apart(tmp_path):
    """OneOf (weights 3 to 1), a nested Sequential and RandomOrder: marginals, and independence of two equal choices."""
    choice = node("OneOf", 1.0, transforms=[node("InvertImg", 0.75), node("NoOp", 0.25)])
    flips = node("Sequential", 1.0, transforms=[node("HorizontalFlip", 0.3), node("VerticalFlip", 0.6)])
    pipeline = made(tmp_path, choice, flips)
    image = np.arange(4, dtype=np.uint8).reshape(2, 2)
    seen = []
    for draw in range(800):
        result = pipeline.apply(image, seed=0, name="x", draw=draw)
        inverted = result.max() > 3
        corner = int((255 - result if inverted else result)[0, 0])
        seen.append((inverted, corner in (1, 3), corner in (2, 3)))
    seen = np.array(seen, float)
    assert np.abs(seen.mean(axis=0) - [0.75, 0.3, 0.6]).max() < 0.09  # five deviations
    assert np.abs(np.corrcoef(seen.T) - np.eye(3)).max() < 0.18


def test_two_equal_choices_are_not_one(tmp_path):
    choice = node("OneOf", 1.0, transforms=[node("HorizontalFlip"), node("VerticalFlip")])
    order = node("RandomOrder", 1.0, n=1, replace=False, transforms=[node("HorizontalFlip"), node("VerticalFlip")])
    pipeline = made(tmp_path, choice, order)
    image = np.arange(4, dtype=np.uint8).reshape(2, 2)
    corners = [int(pipeline.apply(image, seed=0, name="x", draw=draw)[0, 0]) for draw in range(200)]
    assert 60 <= corners.count(0) <= 140  # the same flip twice
    assert 60 <= corners.count(3) <= 140  # one of each


def test_noise_of_the_built_in_pipeline_has_the_published_deviation():
    spec = rules.built_in()
    noise = spec["transform"]["transforms"][2]["transforms"][1]
    pipeline = Pipeline({**spec, "transform": node("Compose", transforms=[{**noise, "p": 1.0}])})
    flat = np.full((48, 48, 3), 128, np.uint8)
    normal = np.random.default_rng(0).normal(size=100_000)
    for kind, unit in ((np.uint8, 1), (np.uint16, 257)):
        image = flat.astype(kind) * unit
        found = [float(np.std(pipeline.apply(image, seed=0, name="x", draw=draw))) / unit for draw in range(40)]
        # Albumentations cuts the noise of 8-bit images towards zero before it adds it; 16 bits show it as drawn.
        drawn = [normal * deviation for deviation in (10**0.5, 50**0.5)]
        low, high = (float(np.std(np.trunc(values) if kind is np.uint8 else values)) for values in drawn)
        assert low - 0.1 < min(found) < max(found) < high + 0.1
        assert max(found) - min(found) > 2


# --- what a file may say ---------------------------------------------------------------------------------------------


def test_a_saved_pipeline_reads_back_and_a_change_shows_in_the_identity(tmp_path):
    built_in = load_pipeline(None)
    path = tmp_path / "p.yaml"
    path.write_text(dump_yaml(built_in.spec))
    again = load_pipeline(path)
    assert again.identity == built_in.identity
    assert again.notes == ()
    changed = copy.deepcopy(built_in.spec)
    changed["transform"]["transforms"][0]["p"] = 0.4
    path.write_text(dump_yaml(changed))
    assert load_pipeline(path).identity != built_in.identity


def test_albumentations_own_files_are_read(tmp_path):
    from affectkit.prep.augmentation.building import import_quietly

    a = import_quietly()
    some = a.SomeOf([a.Affine(rotate=(-10, 10)), a.CoarseDropout(fill=128)], n=1, replace=False)
    mine = a.Compose([some, a.ShiftScaleRotate(scale_limit=0.2, p=0.3), a.CLAHE()])
    a.save(mine, tmp_path / "p.yaml", data_format="yaml")
    kinds = [item["__class_fullname__"] for _, _, item in load_pipeline(tmp_path / "p.yaml").transforms()]
    assert kinds == ["Compose", "SomeOf", "Affine", "CoarseDropout", "ShiftScaleRotate", "CLAHE"]


def test_places_are_told_as_a_reader_finds_them():
    places = [place for place, _, _ in load_pipeline(None).transforms()]
    assert places[0] == "transform"
    assert places[4] == "transforms[2].OneOf[0]"
    assert len(places) == 9


FLIP = node("HorizontalFlip", 0.5)
DEEP = FLIP
for _ in range(rules.MAX_DEPTH + 1):
    DEEP = node("Sequential", transforms=[copy.deepcopy(DEEP)])


@pytest.mark.parametrize(
    ("transforms", "words"),
    [
        ([node("Lambda")], ("transforms[0]", "Lambda", "runs code")),
        ([node("TextImage", font_path="/etc/passwd")], ("TextImage", "font files")),
        (
            [FLIP, node("OneOf", transforms=[copy.deepcopy(FLIP), node("FDA")])],
            ("transforms[1].OneOf[1]", "FDA", "reference images"),
        ),
        ([node("torch.nn.Linear")], ("torch.nn.Linear", "own transforms")),
        ([node("albumentations.os.system")], ("unknown transform 'system'",)),
        ([node("HorizontalFlop")], ("did you mean HorizontalFlip",)),
        ([node("GaussNoise", var_limit=[10, 50])], ("transforms[0] GaussNoise", "var_limit", "silently")),
        ([node("Rotate", limit=[20, "x"])], ("transforms[0] Rotate", "limit", "number")),
        ([node("Rotate", 1.5)], ("p must be a number from 0 to 1, got 1.5",)),
        ([node("Rotate", True)], ("p must be a number from 0 to 1, got True",)),
        ([node("OneOf", transforms=[node("HorizontalFlip", 0)])], ("every p inside is 0",)),
        ([node("SomeOf", n=3, replace=False, transforms=[FLIP])], ("n 3", "become 1")),
        ([node("OneOf", transforms=[])], ("at least one",)),
        ([node("OneOf", surprise=1, transforms=[FLIP])], ("transforms[0] OneOf", "surprise")),
        ([copy.deepcopy(FLIP) for _ in range(rules.MAX_TRANSFORMS)], ("more than 100 transforms",)),
        ([DEEP], ("nested deeper than 8",)),
        (["text"], ("transforms[0]", "not text")),
    ],
)
def test_what_a_file_may_not_say(tmp_path, transforms, words):
    path = pipeline_file(tmp_path, *copy.deepcopy(transforms))
    with pytest.raises(UsageError) as caught:
        load_pipeline(path)
    for word in (str(path), *words):
        assert word in caught.value.message, caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a: &x 1\nb: *x", "aliases"),
        ("!!python/object/apply:os.system [id]", "not plain YAML"),
        ("[1]", "must be a mapping"),
        ("", "must be a mapping, not nothing"),
        ("[" * 5000, "nested deeper than the 100 levels"),
        ("#" * (rules.MAX_BYTES + 1), "larger than"),
        ("transform: {}", "two keys"),
        ("__version__: '3.0'\ntransform: {__class_fullname__: HorizontalFlip, p: 1}", "saved by Albumentations 3.0"),
        (dump_yaml({"__version__": "2.0.8", "transform": node("Compose", transforms=[FLIP], bbox_params={"a": 1})}),
         "bbox_params is set"),
    ],
)  # fmt: skip
def test_files_that_are_no_pipelines(tmp_path, text, word):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=word):
        load_pipeline(path)


def test_a_missing_and_a_binary_file(tmp_path):
    with pytest.raises(UsageError, match="it does not exist"):
        load_pipeline(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\x89PNG\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_pipeline(tmp_path / "b.yaml")


# --- the allow-list --------------------------------------------------------------------------------------------------

NEEDED = {
    "RandomCrop": {"height": 12, "width": 12}, "CenterCrop": {"height": 12, "width": 12},
    "Crop": {"x_min": 0, "y_min": 0, "x_max": 9, "y_max": 9}, "CropAndPad": {"px": 3},
    "GridElasticDeform": {"num_grid_xy": [3, 3], "magnitude": 2}, "LongestMaxSize": {"max_size": 20},
    "SmallestMaxSize": {"max_size": 20}, "PadIfNeeded": {"min_height": 50, "min_width": 50},
    "RandomResizedCrop": {"size": [20, 20]}, "RandomSizedCrop": {"min_max_height": [9, 12], "size": [20, 20]},
    "Resize": {"height": 20, "width": 20},
}  # fmt: skip
RESIZING = {*NEEDED} - {"CropAndPad", "GridElasticDeform"} | {"RandomScale", "RandomCropFromBorders"}
RANGE = 65535 // 255


def test_every_name_is_judged_and_exists():
    from affectkit.prep.augmentation.building import import_quietly

    a = import_quietly()
    assert not rules.ALLOWED & rules.REFUSED.keys()
    assert [name for name in sorted(rules.ALLOWED | rules.COMPOSITIONS) if not hasattr(a, name)] == []
    transforms = {
        name for name, kind in vars(a).items() if isinstance(kind, type) and issubclass(kind, a.BasicTransform)
    }
    bases = {"BasicTransform", "DualTransform", "ImageOnlyTransform", "Transform3D"}
    assert transforms - rules.ALLOWED - rules.REFUSED.keys() == bases
    assert len(transforms) > 100


def test_every_allowed_transform_is_read_and_repeats_itself(tmp_path):
    """Forward and backward through draws: state of one call never shows in the next."""
    y, x = np.mgrid[:32, :32]
    image = np.stack([x * 8, y * 8, (x + y) * 4], axis=2).astype(np.uint8)
    tried = 0
    for name in sorted(rules.ALLOWED):
        pipeline = made(tmp_path, node(name, **NEEDED.get(name, {})), node("Resize", height=32, width=32))
        draws = [0, 1, 2]
        forward = [pipeline.apply(image, seed=0, name="x", draw=draw) for draw in draws]
        backward = [pipeline.apply(image, seed=0, name="x", draw=draw) for draw in draws[::-1]][::-1]
        assert all(np.array_equal(a, b) for a, b in zip(forward, backward, strict=True)), name
        tried += 1
    assert tried == len(rules.ALLOWED) > 80


def test_sixteen_bit_transforms_keep_their_depth_and_their_meaning(tmp_path):
    """On a fine ramp: more than 256 levels are left, and the picture is that of the 8-bit image within noise."""
    y, x = np.mgrid[:40, :40]
    fine = (np.stack([x * 40 + y, y * 40 + x, 1599 - x * 40 - y], axis=2) / 1599 * 65535).astype(np.uint16)
    tried = 0
    for name in sorted(rules.SIXTEEN_BIT - RESIZING - {"Downscale"}):  # fewer levels are its purpose
        pipeline = made(tmp_path, node(name, **NEEDED.get(name, {})))
        deep = pipeline.apply(fine, seed=0, name="x", draw=0)
        flat = pipeline.apply((fine // 257).astype(np.uint8), seed=0, name="x", draw=0)
        assert deep.dtype == np.uint16
        assert len(np.unique(deep)) > 1000, name
        assert np.abs(deep / 257 - flat).max() < 4, name
        tried += 1
    assert tried > 45


def test_eight_bit_transforms_refuse_sixteen_bits(tmp_path):
    pipeline = made(tmp_path, node("HorizontalFlip"), node("OneOf", transforms=[node("CLAHE"), node("Blur")]))
    with pytest.raises(DataError, match=r"16 bits.*transforms\[1\]\.OneOf\[0\] CLAHE"):
        pipeline.apply(np.zeros((8, 8), np.uint16), seed=0, name="x", draw=0)


# --- pixels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [0, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_shape_and_type_stay(face, channels, kind):
    image = face[..., 0] if channels == 0 else np.dstack([face, face[..., 0]])[..., :channels]
    image = image.astype(kind) * (257 if kind == np.uint16 else 1)
    for draw in range(6):
        result = load_pipeline(None).apply(image, seed=0, name="x", draw=draw)
        assert result.shape == image.shape
        assert result.dtype == kind
        assert result.flags.c_contiguous


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_sixteen_bits_pass_exactly_and_alpha_moves_with_the_colours(tmp_path, kind):
    """Colours and alpha hold the same values: under geometry alone they stay the same, interpolated alike."""
    plane = np.random.default_rng(0).integers(0, np.iinfo(kind).max + 1, (20, 20)).astype(kind)
    image = np.dstack([plane] * 4)
    flip = made(tmp_path, node("HorizontalFlip"))
    assert np.array_equal(flip.apply(image, seed=0, name="x", draw=0), image[:, ::-1])
    turned = made(tmp_path, node("Rotate", limit=[30, 30], border_mode=1)).apply(image, seed=0, name="x", draw=0)
    assert not np.array_equal(turned[..., 0], plane)
    assert np.array_equal(turned[..., 3], turned[..., 0])


def test_pixel_transforms_leave_alpha_unharmed(tmp_path, face):
    image = np.dstack([face, np.arange(768, dtype=np.uint8).reshape(24, 32)])
    pipeline = made(
        tmp_path, node("RandomBrightnessContrast"), node("GaussNoise"), node("GaussianBlur"), node("PixelDropout"),
        node("CoarseDropout"),
    )  # fmt: skip
    result = pipeline.apply(image, seed=0, name="x", draw=0)
    assert np.array_equal(result[..., 3], image[..., 3])
    assert not np.array_equal(result[..., :3], image[..., :3])


def test_fill_values_mean_the_same_at_sixteen_bits(tmp_path):
    pipeline = made(tmp_path, node("Affine", translate_px={"x": 8, "y": 0}, fill=100, fill_mask=50, border_mode=0))
    for kind, unit in ((np.uint8, 1), (np.uint16, 257)):
        result = pipeline.apply(np.full((16, 16, 4), 200 * unit, kind), seed=0, name="x", draw=0)
        assert result[8, 0].tolist() == [100 * unit] * 3 + [50 * unit]


def test_what_a_pipeline_cannot_take_names_the_transform_and_the_image(tmp_path):
    gray = np.zeros((8, 12), np.uint8)
    with pytest.raises(DataError, match=r"faces/x\.png: ISONoise .*3-channel"):
        made(tmp_path, node("ISONoise")).apply(gray, seed=0, name="faces/x.png", draw=0)
    with pytest.raises(DataError, match=r"makes 8 x 12 of 12 x 8 pixels"):
        made(tmp_path, node("Transpose")).apply(gray, seed=0, name="x", draw=0)
    with pytest.raises(DataError, match="float32"):
        load_pipeline(None).apply(np.zeros((8, 8), np.float32), seed=0, name="x", draw=0)


def test_the_specification_is_plain_json():
    pipeline = load_pipeline(None)
    assert json.loads(json.dumps(pipeline.spec)) == pipeline.spec
    assert len(pipeline.identity) == 64


def test_the_cheap_generator_is_splitmix():
    from affectkit.prep.augmentation.building import HashRandom

    generator = HashRandom(0)
    generator.begin(1234567)
    # As Java's SplittableRandom gives them for this seed.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [generator.getrandbits(64) for _ in expected] == expected
    generator.begin(1234567)
    assert generator.random() == (expected[0] >> 11) / 2**53
    assert generator.getrandbits(0) == 0 and generator.getrandbits(8) == expected[1] >> 56
    generator.begin(7)
    drawn = np.array([generator.random() for _ in range(20000)])
    assert abs(drawn.mean() - 0.5) < 0.01 and abs(drawn.var() - 1 / 12) < 0.002
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.03
    assert {generator.randrange(3) for _ in range(50)} == {0, 1, 2} and sorted(generator.sample(range(4), 4)) == [
        *range(4)
    ]
    # Neighbouring keys, as a careless caller might choose them, give unrelated streams.
    firsts = []
    for key in range(4000):
        generator.begin(key)
        firsts.append(generator.random())
    assert abs(np.corrcoef(firsts[:-1], firsts[1:])[0, 1]) < 0.06 and abs(np.mean(firsts) - 0.5) < 0.02

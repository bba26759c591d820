"""Facts of image files, and what the items are labelled with: against Pillow, SciPy and counts by hand."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from PIL import Image
from scipy.stats import entropy as scipy_entropy

from affectkit.core.progress import Silent
from affectkit.data.split import Split
from affectkit.exploration import image_facts
from affectkit.exploration.groups import describe_groups, group_column
from affectkit.exploration.image_facts import read_facts
from affectkit.exploration.properties import describe_images
from affectkit.exploration.targets import (
    describe_distributions,
    describe_raters,
    describe_ratings,
    quantiles,
    tied,
)
from affectkit.metrics.ambiguity import entropy


@pytest.fixture
def files(tmp_path):
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
    gray = Image.fromarray(ramp)
    gray.save(tmp_path / "gray.png")
    gray.resize((1200, 800)).save(tmp_path / "large.jpg", quality=95)
    Image.fromarray(np.dstack([ramp, ramp // 2, ramp // 4])).save(tmp_path / "colour.webp", lossless=True)
    Image.new("RGB", (10, 20), "white").save(tmp_path / "white.bmp")
    turned = Image.Exif()
    turned[0x0112] = 6
    gray.save(tmp_path / "turned.jpg", exif=turned)
    (tmp_path / "cut.png").write_bytes((tmp_path / "gray.png").read_bytes()[:60])
    (tmp_path / "zero.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no image")
    Image.new("L", (4000, 4000)).save(tmp_path / "huge.png")
    return tmp_path


GOOD = ("gray.png", "large.jpg", "colour.webp", "white.bmp", "turned.jpg")
NAMES = (*GOOD, "cut.png", "zero.png", "text.jpg", "huge.png", "gone.png")


@pytest.mark.parametrize("workers", [1, 3])
def test_facts_of_files(files, workers, monkeypatch):
    monkeypatch.setenv("AFFECTKIT_MAX_PIXELS", "2M")
    monkeypatch.setattr(image_facts, "_CHUNK", 3)
    facts = read_facts([files / name for name in NAMES], workers=workers, reporter=Silent())
    assert facts.readable.tolist() == [True] * 5 + [False] * 5
    why = {NAMES[place]: reason for place, reason in facts.reasons.items()}
    for name, words in {"cut.png": "cut short", "zero.png": "0 bytes", "text.jpg": "not an image", "huge.png": "limit",
                        "gone.png": "does not exist"}.items():  # fmt: skip
        assert words in why[name], why
    assert facts.width.tolist()[:5] == [64, 1200, 64, 10, 48] and facts.height.tolist()[:5] == [48, 800, 48, 20, 64]
    assert facts.formats[:5] == ["PNG", "JPEG", "WEBP", "BMP", "JPEG"]
    assert facts.colour.tolist()[:5] == [False, False, True, False, False]
    for place, name in enumerate(NAMES[:9]):
        data = (files / name).read_bytes()
        assert facts.size[place] == len(data)
        digest = hashlib.blake2b(data, digest_size=16).digest()
        assert facts.digests[place] == (b"" if name == "zero.png" else digest)
    values = np.arange(0, 256, 4) / 255
    assert facts.brightness[0] == pytest.approx(values.mean(), abs=0.003)
    assert facts.contrast[0] == pytest.approx(values.std(), abs=0.003)
    assert facts.brightness[1] == pytest.approx(values.mean(), abs=0.01)
    assert (facts.brightness[3], facts.contrast[3]) == (1.0, 0.0) and math.isnan(facts.brightness[5])
    found = describe_images(facts, np.ones(len(NAMES), bool))
    assert (found["readable"], found["colour"], found["gray"], found["flat"]) == (5, 1, 4, 1)
    assert found["sizes"][0] == [64, 48, 2] and found["different_sizes"] == 4 and found["formats"]["JPEG"] == 2


def test_a_large_file_is_hashed_whole(files, monkeypatch):
    monkeypatch.setattr(image_facts, "MOST_HELD", 64)
    found = image_facts.read_fact(files / "gray.png")
    data = (files / "gray.png").read_bytes()
    assert len(data) > 64 and (found.size, found.width) == (len(data), 64)
    assert found.digest == hashlib.blake2b(data, digest_size=16).digest()


def split_of(**changes):
    count = len(next(iter(changes.values())))
    return Split(
        "train", changes.pop("root", None), [f"s{k % 3}_{k}.png" for k in range(count)], ("a", "b", "c"), **changes
    )


def test_distributions_and_raters():
    votes = np.array([[6, 0, 0], [3, 3, 0], [2, 2, 2], [4, 1, 1], [0, 0, 5]], np.float32)
    shares = votes / votes.sum(1, keepdims=True)
    assert entropy(shares) == pytest.approx(scipy_entropy(shares.T.astype(float), base=2), abs=1e-6)
    assert tied(shares).tolist() == [False, True, True, False, False]
    found = describe_distributions(split_of(distribution=shares, votes=votes))
    assert (found["ties"], found["without_majority"]) == (2, 2) and found["most"] == pytest.approx(math.log2(3))
    assert found["entropy_by_class"]["c"] == 0 and math.isnan(found["entropy_by_class"]["b"])
    raters = describe_raters(votes)
    assert raters["number"]["mean"] == pytest.approx(5.8) and 0 < raters["fleiss_kappa"] < 1
    assert math.isnan(describe_raters(shares)["fleiss_kappa"])
    assert describe_distributions(split_of(labels=np.zeros(3, np.int64))) is None


def test_ratings_and_quantiles():
    rng = np.random.default_rng(0)
    values = rng.uniform(1, 9, (200, 2))
    values[:5, 0] = np.nan
    found = describe_ratings(split_of(ratings=values, scale=(1.0, 9.0)))
    known = values[5:]
    assert found["r"] == pytest.approx(np.corrcoef(known.T)[0, 1]) and found["arousal"]["missing"] == 5
    arousal, valence = known.T
    assert found["cells"][0][2] == int(((arousal >= 1 + 16 / 3) & (valence >= 1 + 16 / 3)).sum())
    assert sum(map(sum, found["cells"])) == found["both"] == 195
    levels = quantiles(values[:, 0])
    assert levels["q25"] == pytest.approx(np.quantile(arousal, 0.25)) and levels["sd"] == pytest.approx(arousal.std())
    assert math.isnan(quantiles(np.array([np.nan]))["mean"])
    same = describe_ratings(split_of(ratings=np.full((4, 2), 5.0), scale=(1.0, 9.0)))
    assert math.isnan(same["r"])


def test_groups_on_both_sides(tmp_path):
    (tmp_path / "all.csv").write_text(
        "filename,label,split,Subject_ID,note\n"
        + "".join(f"{k}.png,{'ab'[k % 2]},{'train' if k < 6 else 'test'},{k % 4},x\n" for k in range(8))
    )
    splits = {
        name: Split(name, tmp_path, [f"{k}.png" for k in ids], ("a", "b"), labels=np.array([k % 2 for k in ids]))
        for name, ids in (("train", range(6)), ("test", range(6, 8)))
    }
    name, cells = group_column(splits, tmp_path, labels=None, asked=None)
    assert name == "Subject_ID" and cells["test"] == ["2", "3"]
    found = describe_groups(name, cells)
    assert (
        found["across"] == {"2": {"train": 1, "test": 1}, "3": {"train": 1, "test": 1}} and found["across_count"] == 2
    )
    assert found["splits"]["train"] == {"groups": 4, "items": 6, "without": 0, "largest": 2}
    name, cells = group_column(splits, tmp_path, labels=None, asked=r"^([0-6])\.")
    assert name.endswith(r"^([0-6])\.") and cells["test"] == ["6", ""]

"""Perceptual hashes against SciPy's DCT, pairs against a loop over all, and what is found of changed pictures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from affectkit.core.progress import Silent
from affectkit.exploration import near_copies
from affectkit.exploration.near_copies import CORRELATION, DISTANCE, TooManyPairsError, find_near_copies
from affectkit.exploration.perceptual_hash import blocks, dct_hashes, pairs_of_block
from affectkit.settings.describe import DescribeSettings


def pictures(count: int, *, seed: int = 0, side: int = 48) -> np.ndarray:
    """Smooth pictures, uint8 (N, side, side), no two alike."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, 9, 9), dtype=np.uint8)
    return np.stack([np.array(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in small])


def reduced(image: np.ndarray) -> np.ndarray:
    return np.array(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))


def test_hashes_are_those_of_the_dct():
    shown = pictures(50, side=32)
    for one, found in zip(shown, dct_hashes(shown).tolist(), strict=True):
        low = dctn(one.astype(float))[:8, :8].reshape(-1)
        bits = low > np.median(low[1:])
        assert found == sum(1 << place for place, bit in enumerate(bits) if bit)
    assert (dct_hashes(shown, mirrored=True) == dct_hashes(shown[:, :, ::-1])).all()


@pytest.mark.parametrize("distance", [0, 9])
def test_all_pairs_are_found(distance):
    rng = np.random.default_rng(1)
    base = rng.integers(0, 2**63, 40, dtype=np.uint64)
    flips = np.array([sum(1 << int(bit) for bit in rng.integers(0, 64, 4)) for _ in range(200)], np.uint64)
    hashes = np.concatenate([base, base[rng.integers(0, 40, 200)] ^ flips])
    wanted = {
        (a, b)
        for a, b in itertools.combinations(range(240), 2)
        if (int(hashes[a]) ^ int(hashes[b])).bit_count() <= distance
    }  # fmt: skip
    found = [part for block in blocks(240) for part in pairs_of_block(hashes, block, distance)]
    pairs = [pair for part in found for pair in zip(part.first.tolist(), part.second.tolist(), strict=True)]
    assert len(pairs) == len(set(pairs)) and set(pairs) == wanted
    assert distance == 0 or len(wanted) > 100


def changed(image: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """What becomes of copies: noise, light, a mark, another size, another frame."""
    rng = np.random.default_rng(seed)
    values = image.astype(float)
    marked = values.copy()
    marked[20:23, 12:36] += 70  # as a watermark
    return {
        "noise": np.clip(values + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8),
        "light": np.clip(0.6 * values + 50, 0, 255).astype(np.uint8),
        "mark": np.clip(marked, 0, 255).astype(np.uint8),
        "size": np.array(Image.fromarray(image).resize((20, 20)).resize((48, 48))),
        "frame": image[2:, :46],
    }


def test_what_is_found_and_what_is_not():
    shown = pictures(60)
    kinds, made = zip(
        *[(kind, one) for seed in range(10) for kind, one in changed(shown[seed], seed).items()], strict=True
    )
    mirrored = [image[:, ::-1] for image in shown[20:30]]
    small = np.stack([reduced(np.ascontiguousarray(one)) for one in [*shown, *made, *mirrored]])
    found = find_near_copies(small, reporter=Silent())
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    wanted = {(place // 5, 60 + place): kind for place, kind in enumerate(kinds)}
    strange = [pair for pair in pairs if pair not in wanted and (pair[0] < 60) and pair[0] != (pair[1] - 60) // 5]
    assert strange == [] and not found.mirrored.any()
    missed = [kind for pair, kind in wanted.items() if pair not in pairs]
    assert len(missed) <= 4, missed
    assert (found.distance <= DISTANCE).all() and (found.correlation >= CORRELATION).all()
    both = find_near_copies(small, mirrored=True, workers=3, reporter=Silent())
    turned = set(zip(both.first[both.mirrored].tolist(), both.second[both.mirrored].tolist(), strict=True))
    assert {(20 + k, 110 + k) for k in range(10)} == turned and len(both) == len(found) + 10


def test_shifted_pictures_correlate_by_what_both_cover():
    whole = pictures(1, side=40)[0]
    one, other = whole[4:36, 4:36], whole[2:34, 5:37]
    search = near_copies._Search(np.stack([one, other]), 64, 0.0)
    _, (value,) = search._compare(np.array([0]), np.array([1]), False)
    assert value == pytest.approx(1, abs=1e-4)
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] < 0.9


def test_flat_pictures_too_many_pairs_and_none(monkeypatch):
    flat = np.repeat(np.arange(30, dtype=np.uint8), 32 * 32).reshape(30, 32, 32)
    assert len(find_near_copies(flat, reporter=Silent())) == 0
    assert len(find_near_copies(np.zeros((0, 32, 32), np.uint8), reporter=Silent())) == 0
    alike = np.repeat(pictures(1, side=32), 10, axis=0)
    assert len(find_near_copies(alike, reporter=Silent())) == 45
    monkeypatch.setattr(near_copies, "MOST_PAIRS", 40)
    with pytest.raises(TooManyPairsError, match="more than 40"):
        find_near_copies(alike, reporter=Silent())


def test_the_defaults_of_the_command_are_those_that_were_measured():
    settings = DescribeSettings()
    assert (settings.distance, settings.correlation) == (DISTANCE, CORRELATION)

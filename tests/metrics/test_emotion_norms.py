"""Valence and arousal of emotion distributions: moments by hand, ranges against SciPy's distributions and a sample."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import beta

from affectkit.errors import UsageError
from affectkit.metrics.emotion_norms import NORMS, EmotionNorms, column_names, on_scale, word_of

FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
TAIL = 0.1


@pytest.fixture(scope="module")
def norms():
    return EmotionNorms.of(FERPLUS)


@pytest.fixture(scope="module")
def p():
    return np.random.default_rng(2).dirichlet(np.full(len(FERPLUS), 0.4), 12)


def published(dimension):
    return np.array([on_scale(NORMS[word][dimension])[:2] for word in FERPLUS])


def rated(dimension):
    """SciPy's distribution of the ratings of each word, on 0..1, by the method of moments."""
    found = []
    for middle, deviation in published(dimension) / 2:
        mean = middle + 0.5
        total = mean * (1 - mean) / deviation**2 - 1
        found.append(beta(total * mean, total * (1 - mean)))
    return found


def below(place, shares, parts):
    return sum(share * one.cdf(place) for share, one in zip(shares, parts, strict=True))


def test_ratings_come_to_the_scale_with_their_deviation_and_error():
    assert on_scale(NORMS["fear"].valence) == pytest.approx((-0.5175, 0.4475, 0.4475 / 42**0.5))
    assert all(1 < one.mean < 9 and one.raters >= 18 for norm in NORMS.values() for one in norm)


def test_mean_and_disagreement_are_those_of_the_shares(norms, p):
    found = norms.values(p)
    for dimension in (0, 1):
        means = published(dimension)[:, 0]
        mean = p @ means
        assert found[:, 4 * dimension] == pytest.approx(mean, abs=1e-12)
        assert found[:, 4 * dimension + 3] ** 2 == pytest.approx(p @ means**2 - mean**2, abs=1e-12)
    one = norms.values(np.eye(len(FERPLUS))[1:2])[0]
    assert one[[0, 3, 4, 7]] == pytest.approx([0.87, 0, 0.375, 0])


def test_ranges_are_quantiles_of_the_mixture(norms, p):
    found, worst = norms.values(p), 0.0
    for dimension in (0, 1):
        parts = rated(dimension)
        for row, shares in zip(found, p, strict=True):
            for place, share in ((1, TAIL), (2, 1 - TAIL)):
                end = brentq(lambda x, s=shares, q=share, d=parts: below(x, s, d) - q, 0, 1)
                worst = max(worst, abs(row[4 * dimension + place] - (2 * end - 1)))
    assert worst < 1e-4


def test_eight_of_ten_sampled_raters_lie_in_the_range(norms, p):
    """Each names an emotion, and rates its word: shares below, within and above are counted."""
    rng, count = np.random.default_rng(7), 40_000
    found = norms.values(p[:3])
    for row, shares in zip(found, p, strict=False):
        emotion = rng.choice(len(FERPLUS), count, p=shares)
        for dimension in (0, 1):
            ratings = 2 * np.choose(emotion, [one.rvs(count, random_state=rng) for one in rated(dimension)]) - 1
            mean, low, high, disagreement = row[4 * dimension : 4 * dimension + 4]
            error = 3.5 * np.sqrt(TAIL * (1 - TAIL) / count)
            assert abs(np.mean(ratings < low) - TAIL) < error and abs(np.mean(ratings > high) - TAIL) < error
            within = shares @ published(dimension)[:, 1] ** 2
            assert ratings.std() == pytest.approx(np.sqrt(disagreement**2 + within), rel=0.02)
            assert ratings.mean() == pytest.approx(mean, abs=0.015)


def test_rows_do_not_depend_on_each_other(norms, p):
    together = norms.values(p)
    assert all((norms.values(p[row : row + 1])[0] == together[row]).all() for row in range(len(p)))
    assert norms.values(np.empty((0, len(FERPLUS)))).shape == (0, len(column_names()))


def test_more_disagreement_on_the_emotion_widens_the_range(norms):
    sure, torn = norms.values([[0, 1, 0, 0, 0, 0, 0, 0], [0, 0.5, 0, 0.5, 0, 0, 0, 0]])
    assert sure[2] - sure[1] < 0.5 and torn[2] - torn[1] > 1.5 and torn[3] == pytest.approx(0.76, abs=1e-9)


def test_classes_are_matched_by_name():
    assert EmotionNorms.of(("Angry", " HAPPY", "joy", "Calm", "neu")).words == (
        *("anger", "happiness", "happiness", "calm", "neutral"),
    )
    assert word_of("fearful") == "fear" and word_of("3") is None
    with pytest.raises(UsageError, match="no word for the class 'boredom', '7'"):
        EmotionNorms.of(("neutral", "boredom", "7"))

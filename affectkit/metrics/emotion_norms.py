"""Valence and arousal of a predicted emotion distribution, by published norms of the emotions' words.

The norms are ratings of English words: Warriner, Kuperman and Brysbaert (2013), Norms of valence, arousal, and
dominance for 13,915 English lemmas, Behavior Research Methods 45, 1191-1207. Raters gave each word a number from 1 to 9
(unhappy to happy, calm to excited). Of that data set, which is shared as a whole under CC BY-NC-ND, nine words stand
here: mean, standard deviation between raters, and their number. ``on_scale`` brings ratings to -1..1: (rating - 5) / 4.

These are words, not faces. "Surprise" was rated as pleasant as presents are, and a startled face is not; "neutral" is
not 0 on either scale. Nouns are taken, for all eight of FER+'s classes are among them; by the adjectives (surprised,
sad, happy, angry, fearful, disgusted) a norm would differ by up to 0.22 in valence and 0.17 in arousal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectkit.errors import UsageError

SOURCE = "word norms of Warriner, Kuperman and Brysbaert (2013)"
DIMENSIONS = ("Valence", "Arousal")
OUT_OF = 0.8
"""Share of the raters that the range of a row is for: it goes from their 10th to their 90th percentile."""
MIDDLE, HALF = 5.0, 4.0
"""Of the scale from 1 to 9 on which words were rated."""
POINTS = 2049
"""At which distributions of ratings are computed; the ends of ranges are good to 1e-4."""


class Ratings(NamedTuple):
    """What raters gave a word, from 1 to 9.

    Attributes:
        mean: of the ratings.
        deviation: standard deviation between raters.
        raters: how many.
    """

    mean: float
    deviation: float
    raters: int


class Norm(NamedTuple):
    """The ratings of a word."""

    valence: Ratings
    arousal: Ratings


NORMS = {
    "neutral": Norm(Ratings(5.50, 1.50, 20), Ratings(3.45, 2.39, 22)),
    "happiness": Norm(Ratings(8.48, 0.81, 21), Ratings(6.50, 2.63, 20)),
    "surprise": Norm(Ratings(7.44, 1.58, 18), Ratings(6.57, 2.75, 21)),
    "sadness": Norm(Ratings(2.40, 1.10, 20), Ratings(2.81, 2.25, 21)),
    "anger": Norm(Ratings(2.50, 1.36, 20), Ratings(5.93, 2.77, 43)),
    "disgust": Norm(Ratings(3.32, 2.40, 19), Ratings(5.00, 2.35, 23)),
    "fear": Norm(Ratings(2.93, 1.79, 42), Ratings(6.14, 2.76, 21)),
    "contempt": Norm(Ratings(3.22, 1.80, 41), Ratings(4.61, 2.57, 18)),
    "calm": Norm(Ratings(6.89, 2.00, 18), Ratings(1.67, 1.91, 21)),
}
"""By word, as published."""

OTHER_NAMES = {
    "neutral": "neutrality neu",
    "happiness": "happy joy joyful hap",
    "surprise": "surprised sur",
    "sadness": "sad",
    "anger": "angry ang",
    "disgust": "disgusted dis",
    "fear": "fearful afraid scared fea",
    "contempt": "contemptuous con",
}
"""What data sets call these classes too. A class that is called by the adjective is the same class, so it has the same
norm; joy is what data sets with one pleasant class call happiness (MELD). Calm has its own norm: where a data set has
it, it has neutral beside it (RAVDESS)."""
WORDS = {other: word for word, others in OTHER_NAMES.items() for other in (word, *others.split())} | {"calm": "calm"}


def word_of(name: str) -> str | None:
    """Return the word by whose norm a class goes, whatever its case; None where there is none.

    >>> word_of("Happy"), word_of("calm"), word_of("boredom")
    ('happiness', 'calm', None)
    """
    return WORDS.get(name.strip().casefold())


def on_scale(ratings: Ratings) -> tuple[float, float, float]:
    """Return mean, standard deviation between raters and standard error of the mean, on -1..1.

    >>> [round(value, 4) for value in on_scale(Ratings(8.48, 0.81, 21))]
    [0.87, 0.2025, 0.0442]
    """
    deviation = ratings.deviation / HALF
    return (ratings.mean - MIDDLE) / HALF, deviation, deviation / math.sqrt(ratings.raters)


def mean_column(dimension: str) -> str:
    """Return the column of the mean of one of ``DIMENSIONS``."""
    return f"{dimension} (from emotions)"


def column_names() -> list[str]:
    """Return the columns that ``EmotionNorms.values`` fills.

    >>> column_names()[:4]  # doctest: +NORMALIZE_WHITESPACE
    ['Valence (from emotions)', 'Valence Low (from emotions)', 'Valence High (from emotions)',
     'Valence Disagreement (from emotions)']
    """
    kinds = ("", " Low", " High", " Disagreement")
    return [f"{dimension}{kind} (from emotions)" for dimension in DIMENSIONS for kind in kinds]


@dataclass(frozen=True, eq=False)
class EmotionNorms:
    """Map emotion distributions to valence and arousal.

    Attributes:
        words: of each class, in the order of the model's classes.
        means: (2, K), valence and arousal of each class on -1..1.
        grid: (G,), points from -1 to 1.
        shares: (2, K, G), the share of a class's raters below each point.
    """

    words: tuple[str, ...]
    means: NDArray[np.float64]
    grid: NDArray[np.float64]
    shares: NDArray[np.float64]

    @classmethod
    def of(cls, classes: Sequence[str]) -> EmotionNorms:
        """Return the norms of ``classes``.

        Raises:
            UsageError: one has no norm; all of these are named.
        """
        if unknown := [name for name in classes if word_of(name) is None]:
            raise UsageError(
                f"the norms of valence and arousal have no word for the class {', '.join(map(repr, unknown))}; they "
                f"have {', '.join(NORMS)}.",
                "Leave it out: this model's classes cannot be mapped.",
            )
        words = tuple(word_of(name) for name in classes)
        grid = -np.cos(np.pi * np.linspace(0, 1, POINTS))  # close together at both ends, where shares rise steeply
        found = [[on_scale(norm)[:2] for norm in (NORMS[word].valence, NORMS[word].arousal)] for word in words]
        moments = np.array(found, np.float64).reshape(-1, 2, 2).transpose(1, 2, 0)
        shares = [rated_below(grid, mean, deviation) for mean, deviation in moments]
        return cls(words, moments[:, 0], grid, np.stack(shares))

    def values(self, p: ArrayLike) -> NDArray[np.float64]:
        """Return valence and arousal of distributions, with what raters would disagree by.

        A rater is thought to name class k with share p_k, and then to rate it as raters rated its word. Of each
        dimension there are

        - the mean of such ratings, sum_k p_k m_k, where m_k is the norm;
        - low and high: eight of ten of these ratings lie between them, one in ten below and one in ten above. Their
          distribution is the mixture of the classes' distributions by p, each a beta distribution over the scale with
          the published mean and standard deviation. It holds both kinds of disagreement: on which emotion is seen, and
          on how pleasant or arousing it is. Of arousal the second is large: its words' ratings have a standard
          deviation of 0.5 to 0.7;
        - the disagreement on the emotion alone, sqrt(sum_k p_k (m_k - mean)^2), 0 where one class has all.

        Not in it: that norms are means of 18 to 43 raters (standard errors of 0.04 to 0.15), that a word is not a
        face, and that the model may be wrong.

        Args:
            p: (N, K), shares of the classes, each row summing to 1.

        Returns:
            (N, 8) in the order of ``column_names``, on -1..1. A row does not depend on the others to the last bit.
        """
        p = np.asarray(p, np.float64)
        found = []
        for means, shares in zip(self.means, self.shares, strict=True):
            mean = _weighted(p, means[:, None])[:, 0]
            spread = np.zeros(len(p))
            for share, norm in zip(p.T, means, strict=True):
                spread += share * (norm - mean) ** 2
            below = _weighted(p, shares)
            tail = (1 - OUT_OF) / 2
            found += [mean, self._quantile(below, tail), self._quantile(below, 1 - tail), np.sqrt(spread)]
        return np.stack(found, axis=1)

    def _quantile(self, below: NDArray[np.float64], share: float) -> NDArray[np.float64]:
        """Return where ``below`` (N, G), rising from 0 to 1, reaches ``share``: (N,), straight between points."""
        after = np.clip((below < share).sum(1), 1, len(self.grid) - 1)
        rows = np.arange(len(below))
        low, high = below[rows, after - 1], below[rows, after]
        part = np.clip((share - low) / np.maximum(high - low, np.finfo(np.float64).tiny), 0, 1)
        return self.grid[after - 1] + part * (self.grid[after] - self.grid[after - 1])


def rated_below(
    points: NDArray[np.float64], mean: NDArray[np.float64], deviation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share (K, G) of ratings below each of ``points`` (G,) on -1..1, of beta distributions over that scale.

    On a bounded scale a mean and a standard deviation fix a beta distribution, while a normal one with these would
    reach beyond its ends. It has two humps, at the ends, where the deviation is above that of even ratings, 0.58.

    Args:
        points: where.
        mean: (K,), in (-1, 1).
        deviation: (K,), its square below (1 - mean) (1 + mean).
    """
    from scipy.special import betainc

    total = (1 - mean**2) / deviation**2 - 1
    first, second = total * (1 + mean) / 2, total * (1 - mean) / 2
    return betainc(first[:, None], second[:, None], (points + 1) / 2)


def _weighted(p: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums (N, G) of ``values`` (K, G) by shares ``p`` (N, K), in one order whatever N is."""
    found = np.zeros((len(p), values.shape[1]))
    for share, row in zip(p.T, values, strict=True):
        found += share[:, None] * row
    return found

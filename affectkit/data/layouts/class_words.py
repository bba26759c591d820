"""Words in the names of columns: for emotions, and for what else stands in tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

_EMOTIONS = """
neutral neutrality calm happy happiness joy joyful sad sadness anger angry fear fearful afraid scared disgust disgusted
surprise surprised contempt contemptuous unknown uncertain nf none other noface boredom bored excited excitement
frustrated frustration amused amusement awe content contentment pain painful shame ashamed shy embarrassment embarrassed
guilt pride proud love affection trust anticipation confused confusion interest relief sleepy tired anxiety anxious
nervous hate hatred desire disappointment disappointed serious worried worry ang dis fea hap neu sur con happily sadly
fearfully angrily disgustedly
"""
_OTHERS = """
age id index idx row frame frames time timestamp year date weight height width size face faces image img x y w h top
left bottom right x1 x2 y1 y2 box score confidence conf quality gender sex male female race ethnicity subject person
actor fold group batch glasses beard yaw pitch roll raters votes total count num number of n rater annotator annotators
clip video session take trial camera cam no nr
"""
_MEASURES = frozenset({"age", "id", "idx", "index", "row", "frame", "frames", "time", "timestamp"})
"""Words that make a name with a word for an emotion in it one of another thing: content_id, interest_time."""
EMOTIONS = frozenset(_EMOTIONS.split())
"""Words for classes of emotion data sets; a column with one in its name is taken for what its numbers allow."""
OTHERS = frozenset(_OTHERS.split())
"""Words for what else stands in tables: a column called by them alone is in doubt, never dropped for it."""


def is_emotion(name: str, known: Sequence[str] = ()) -> bool:
    """Return whether ``name`` is one of ``known``, or has a word for an emotion in it and none for another thing.

    >>> is_emotion("votes_happy"), is_emotion("age"), is_emotion("content_id")
    (True, False, False)
    """
    words = name_words(name)
    return name in known or (bool(EMOTIONS & words) and not _MEASURES & words)


def name_words(name: str) -> set[str]:
    """Return the words of a name, in small letters.

    >>> sorted(name_words("Votes_happy-2"))
    ['2', 'happy', 'votes']
    """
    return set(re.split(r"[\W_]+", name.lower())) - {""}

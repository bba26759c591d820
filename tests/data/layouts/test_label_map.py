"""Label maps: lines and their faults, and splits by the classes of a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from affectkit.data.layouts.label_map import LabelMap, align, read_label_map
from affectkit.data.split import Split
from affectkit.errors import DataError

ROOT = Path("data")


def read(folder: Path, text: str) -> LabelMap:
    path = folder / "map.txt"
    path.write_text(text)
    return read_label_map(path, ["raf", "model"])


def labelled(classes: tuple[str, ...], labels: list[int]) -> Split:
    return Split("test", ROOT, [f"{k}.png" for k in range(len(labels))], classes, np.array(labels))


def test_lines(tmp_path: Path) -> None:
    found = read(tmp_path, "# one\nhappy = happiness # joy\n\nraf:4=sadness\ncalm =\nodd:name = happiness\n")
    assert found.names == {
        ("", "happy"): "happiness", ("raf", "4"): "sadness", ("", "calm"): "", ("", "odd:name"): "happiness"
    }  # fmt: skip
    assert found.common("raf", "4") == "sadness" and found.common("fer", "4") == "4"
    assert found.common("fer", "happy") == "happiness" and found.common("fer", "calm") == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("happy\n", "a line must be CLASS = CLASS: line 1 ('happy')"),
        ("a = b\n= c\n", "line 2"),
        ("happy = joy\nhappy = joy\n", "a class must have one line: line 2 ('happy' as in line 1)"),
        ("happy = joy\njoy = happiness\n", "must not be on the left of another line: line 1 ('joy')"),
    ],
)
def test_lines_that_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert words in str(caught.value) and "map.txt" in str(caught.value)
    with pytest.raises(DataError, match="cannot read --label-map"):
        read_label_map(tmp_path / "none.txt", [])


def test_names_that_nothing_has_are_refused_with_the_nearest(tmp_path: Path) -> None:
    classes = {"raf": ("happy", "4"), "model": ("happiness", "sadness")}
    read(tmp_path, "happy = happiness\nraf:4 = sadness\n").check(classes)
    for text, words in (
        ("hapy = happiness", "'hapy'; did you mean happy"),
        ("happy = hapiness", "'hapiness'; did you mean happiness"),
        ("raf:sadness =", "must be one of raf"),
    ):
        with pytest.raises(DataError) as caught:
            read(tmp_path, text).check(classes)
        assert words in str(caught.value) and "line 1" in str(caught.value)


def test_labels_by_the_classes_of_a_model(tmp_path: Path) -> None:
    split = labelled(("happy", "excited", "calm", "Sad", "odd"), [0, 1, 2, 3, 3, 0])
    labels = read(tmp_path, "happy = happiness\nexcited = happiness\ncalm =\n")
    found = align(split, ("happiness", "sad", "fear"), labels, data="raf", model="model")
    assert found.split.classes == ("happiness",) and found.split.ids == ["0.png", "1.png", "5.png"]
    assert found.split.labels.tolist() == [0, 0, 0]
    assert (found.of, found.left_out, found.hints) == (6, {"calm": 1, "Sad": 2}, ["Sad = sad"])
    matched = found.split.matched(("happiness", "sad", "fear"))
    assert matched.labels.tolist() == [0, 0, 0]


def test_the_map_works_from_either_side(tmp_path: Path) -> None:
    labels = read(tmp_path, "happy = happiness\n")
    found = align(labelled(("happiness", "sad"), [0, 1]), ("sad", "happy"), labels, data="raf", model="model")
    assert found.split.matched(("sad", "happy")).labels.tolist() == [1, 0]
    with pytest.raises(DataError, match="makes 'happy' and 'happiness' of model one class"):
        align(labelled(("happy",), [0]), ("happy", "happiness"), labels, data="raf", model="model")
    with pytest.raises(DataError, match="no class in common"):
        align(labelled(("a", "b"), [0]), ("c", "d"), labels, data="raf", model="model")


def test_shares_and_votes_of_classes_that_a_model_lacks() -> None:
    votes = np.array([[6, 3, 1], [1, 1, 8], [2, 8, 0], [4, 2, 4]], dtype=np.float32)
    split = Split(
        "test", ROOT, ["a", "b", "c", "d"], ("joy", "sad", "odd"), distribution=votes / 10, votes=votes,
        facts={"votes_face": votes},
    )  # fmt: skip
    found = align(split, ("sad", "joy"), LabelMap(), data="raf", model="model")
    assert found.split.ids == ["a", "c", "d"] and found.left_out == {"odd": 1} and found.rescaled == 2
    np.testing.assert_allclose(found.split.distribution, [[6 / 9, 3 / 9], [0.2, 0.8], [4 / 6, 2 / 6]], rtol=1e-6)
    np.testing.assert_array_equal(found.split.votes, [[6, 3], [2, 8], [4, 2]])
    np.testing.assert_array_equal(found.split.facts["votes_face"], found.split.votes)

"""Ratings in tables: with and without a header, apart from the images, and every faulty row named."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from support import make_ratings

from affectkit.data.layouts.discovery import Labels, find_dataset
from affectkit.data.layouts.rating_scale import parse_scale, scale_text
from affectkit.data.layouts.ratings import likely_scale
from affectkit.errors import DataError, UsageError


def labels(path, **changes) -> Labels:
    return Labels(path, **{"ratings": True, **changes})


@pytest.fixture
def data(tmp_path):
    return make_ratings(tmp_path / "data", count=12)


def rows_of(data) -> list[list[str]]:
    with (data / "ratings.csv").open(newline="") as stream:
        return list(csv.reader(stream))


def write(path, rows) -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)


def test_a_header_in_any_order_and_the_headerless_layout_give_the_same(data, tmp_path):
    header, *rows = rows_of(data)
    assert header == ["filename", "valence", "arousal"]
    write(tmp_path / "other.csv", [["Arousal", "note", "Valence", "Filename"], *([a, "x", v, n] for n, v, a in rows)])
    write(tmp_path / "bare.csv", [[*name.rsplit(".", 1), a, v] for name, v, a in rows])
    write(
        tmp_path / "parts.csv",
        [["valence", "extension", "filename", "arousal"], *([v, ".png", n[:-4], a] for n, v, a in rows)],
    )
    expected = np.array([[float(a), float(v)] for _, v, a in rows])
    for name in (data / "ratings.csv", tmp_path / "other.csv", tmp_path / "bare.csv", tmp_path / "parts.csv"):
        if name.name == "other.csv":  # a further column is an emotion, of which there must be two
            write(name, [[c for k, c in enumerate(row) if k != 1] for row in csv.reader(name.open())])
        split = find_dataset(data / "images", labels=labels(name)).splits["all"]
        assert split.ids == [row[0] for row in rows]
        np.testing.assert_array_equal(split.ratings, expected)
        assert split.scale == (1, 9) and split.classes == ()


def test_names_are_text_not_numbers(tmp_path):
    data = make_ratings(tmp_path / "data", count=4)
    for number, name in enumerate(("1001", "1001.1", "0020", "3e5")):
        (data / "images" / f"{number:03}.png").rename(data / "images" / f"{name}.png")
    write(tmp_path / "r.csv", [[name, "png", 5, 6] for name in ("1001", "1001.1", "0020", "3e5")])
    split = find_dataset(data / "images", labels=labels(tmp_path / "r.csv")).splits["all"]
    assert split.ids == ["1001.png", "1001.1.png", "0020.png", "3e5.png"]
    assert split.ratings.tolist() == [[5, 6]] * 4


def test_a_split_column_makes_the_splits(tmp_path):
    data = make_ratings(tmp_path / "data", count=40, split=True)
    source = find_dataset(data / "images", labels=labels(data / "ratings.csv"))
    assert {name: len(split) for name, split in source.splits.items()} == {"train": 28, "valid": 6, "test": 6}


def test_every_faulty_row_is_named_before_anything_else(data, tmp_path):
    _, *rows = rows_of(data)
    rows = [[*name.rsplit(".", 1), a, v] for name, v, a in rows]
    rows[1][2] = ""  # line 2
    rows[2][3] = "many"
    rows[3] = rows[3][:3]
    rows[4][0] = "../outside"
    write(tmp_path / "r.csv", rows)
    with pytest.raises(DataError) as caught:
        find_dataset(data / "images", labels=labels(tmp_path / "r.csv"))
    text = caught.value.message
    for piece in (
        "ratings must not be empty: line 2 (arousal)",
        "ratings must be numbers: line 3 (valence: 'many')",
        "rows must have 4 columns: line 4 (3)",
        "line 5 ('../outside.png')",
    ):
        assert piece in text, text
    assert "filename, extension, arousal, valence" in caught.value.hint


def test_all_lines_are_named_however_many(tmp_path):
    data = make_ratings(tmp_path / "data", count=40)
    header, *rows = rows_of(data)
    for number in (*range(5, 20), 30):
        rows[number][1] = "12"
    write(tmp_path / "r.csv", [header, *rows])
    with pytest.raises(DataError) as caught:
        find_dataset(data / "images", labels=labels(tmp_path / "r.csv", scale=(1, 9)))
    assert "ratings must be in 1 to 9: lines 7 (valence: 12), 8" in caught.value.message
    assert "(all: 7-21, 32)" in caught.value.message


def test_duplicates_and_missing_images(data, tmp_path):
    header, *rows = rows_of(data)
    write(tmp_path / "twice.csv", [header, *rows, rows[0], rows[3]])
    with pytest.raises(DataError, match=r"a file is named twice: lines 14 \('000.png' as in line 2\), 15 \('003.png'"):
        find_dataset(data / "images", labels=labels(tmp_path / "twice.csv"))
    write(tmp_path / "gone.csv", [header, *rows, ["x.png", 5, 5]])
    with pytest.raises(DataError, match=r"files are missing: line 14 \('x.png'\)"):
        find_dataset(data / "images", labels=labels(tmp_path / "gone.csv"))


def test_a_rating_outside_the_likely_scale_is_refused_and_another_scale_can_be_named(data, tmp_path):
    header, *rows = rows_of(data)
    rows[0][1] = "9.5"
    write(tmp_path / "r.csv", [header, *rows])
    with pytest.raises(DataError, match=r"1 to 9: line 2 \(valence: 9.5\)") as caught:
        find_dataset(data / "images", labels=labels(tmp_path / "r.csv"))
    assert "--rating-range" in caught.value.hint
    split = find_dataset(data / "images", labels=labels(tmp_path / "r.csv", scale=(0, 10))).splits["all"]
    assert split.scale == (0, 10)


def test_likely_scales():
    assert likely_scale(np.array([[1.5, 3], [8, 2]])) == (1, 9)
    assert likely_scale(np.array([[-0.5, 0.3], [1, 0.2]])) == (-1, 1)
    assert likely_scale(np.array([[np.nan, 5.0], [np.nan, 6.0]])) == (1, 9)


def test_scales_from_text():
    assert parse_scale("1,9") == (1, 9) and parse_scale("-1:1") == (-1, 1)
    assert scale_text((1, 9)) == "1 to 9"
    for text in ("9,1", "1", "a,b", "1,inf", "1,2,3", ""):
        with pytest.raises(UsageError, match="LOW,HIGH"):
            parse_scale(text)


def test_ratings_beside_emotions_are_read_where_they_are_asked_for(tmp_path):
    data = make_ratings(tmp_path, count=4)
    header, *rows = rows_of(data)
    write(data / "images" / "train.csv", [[*header, "joy", "fear"], *([*row, 3, 7] for row in rows)])
    assert find_dataset(data / "images").splits["train"].ratings is None
    split = find_dataset(data / "images", labels=Labels(ratings=True)).splits["train"]
    assert split.ratings.shape == (4, 2) and split.votes.shape == (4, 2)
    chosen = split.select([2, 0])
    np.testing.assert_array_equal(chosen.ratings, split.ratings[[2, 0]])
    other = split.select([0, 1, 2, 3])
    assert other.fingerprint() == split.fingerprint() != chosen.fingerprint()
    changed = split.ratings.copy()
    changed[0, 0] += 0.5
    from dataclasses import replace

    assert replace(split, ratings=changed).fingerprint() != split.fingerprint()


def test_a_table_with_ratings_alone_needs_no_word(tmp_path):
    data = make_ratings(tmp_path, count=4)
    (data / "ratings.csv").rename(data / "images" / "train.csv")
    assert find_dataset(data / "images").splits["train"].ratings is not None

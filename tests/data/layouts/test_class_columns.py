"""Which columns of a table are classes: what rows hold decides, what cannot be told is refused with the way out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from affectkit.data.layouts.class_columns import Choice
from affectkit.data.layouts.class_names import likely_matches
from affectkit.data.layouts.discovery import Labels, find_dataset
from affectkit.data.layouts.tables import read_tables
from affectkit.errors import DataError
from affectkit.prep.images.ferplus_download import COLUMNS as FERPLUS

EMOTIONS = ("anger", "happiness", "neutral", "sadness")
ROWS = 40


def votes(raters=(7, 11), seed: int = 0, classes=EMOTIONS) -> dict[str, np.ndarray]:
    """Votes of as many raters as ``raters`` says (low, high), a column a class."""
    rng = np.random.default_rng(seed)
    found = np.stack([rng.multinomial(rng.integers(*raters), rng.dirichlet([0.4] * len(classes))) for _ in range(ROWS)])
    return {name: found[:, place] for place, name in enumerate(classes)}


def shares(seed: int = 0, classes=EMOTIONS) -> dict[str, np.ndarray]:
    found = np.random.default_rng(seed).dirichlet([0.4] * len(classes), ROWS)
    return {name: found[:, place] for place, name in enumerate(classes)}


def one_hot(classes=EMOTIONS) -> dict[str, np.ndarray]:
    return {name: (np.arange(ROWS) % len(classes) == place).astype(int) for place, name in enumerate(classes)}


AGES = np.random.default_rng(1).integers(18, 70, ROWS)
BESIDE = {
    "age": AGES,
    "frame": np.arange(ROWS),
    "weight": np.random.default_rng(2).uniform(0, 1, ROWS).round(3),
    "face_x": np.random.default_rng(3).integers(0, 300, ROWS),
    "gender": np.arange(ROWS) // 3 % 2,
    "n_raters": np.full(ROWS, 10),
    "path2": [f"more/{number}.png" for number in range(ROWS)],
    "yaw": np.random.default_rng(4).uniform(-40, 40, ROWS).round(2),
}


def write(folder: Path, columns, name: str = "train.csv", *, prefix: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{prefix}{number}.png" for number in range(ROWS)]
    for file in names:
        (folder / file).touch()
    with (folder / name).open("w", newline="") as stream:
        csv.writer(stream).writerows([["filename", *columns], *zip(names, *columns.values(), strict=True)])
    return folder / name


def read(path: Path, **changes):
    splits, notes = read_tables({"train": path}, **changes)
    return splits["train"], notes


@pytest.mark.parametrize("extra", BESIDE)
@pytest.mark.parametrize("kind", ["shares", "one_hot", "same_raters"])
def test_shares_and_votes_of_as_many_raters_are_told_from_what_stands_beside_them(tmp_path, kind, extra):
    own = {"shares": shares, "one_hot": one_hot, "same_raters": lambda: votes((10, 11))}[kind]()
    split, notes = read(write(tmp_path, {extra: BESIDE[extra], **own}))
    assert split.classes == EMOTIONS
    assert any("no classes" in note and extra in note for note in notes)
    whole = np.stack(list(own.values()), axis=1)
    np.testing.assert_allclose(split.distribution, whole / whole.sum(1, keepdims=True), rtol=1e-6)


def test_names_in_any_language_where_rows_sum_to_one_number(tmp_path):
    """Known words are not needed: only one set of columns sums to 10, or to 1, in every row."""
    words = ("Freude", "Trauer", "Wut")
    for number, own in enumerate((votes((10, 11), classes=words), shares(classes=words))):
        columns = {"alter": AGES, **own, "bild": np.arange(ROWS), "fest": np.full(ROWS, 3)}
        split, notes = read(write(tmp_path / str(number), columns))
        assert split.classes == words
        assert all(any(name in note for note in notes) for name in ("alter", "bild", "fest"))


@pytest.mark.parametrize("extra", ["age", "frame", "face_x", "gender", "brille", "bored_level", "Alter"])
def test_votes_of_raters_whose_number_varies_beside_other_numbers_are_refused(tmp_path, extra):
    values = {**BESIDE, "brille": np.arange(ROWS) // 2 % 2, "bored_level": np.arange(ROWS) % 4, "Alter": AGES}[extra]
    path = write(tmp_path, {**votes(), extra: values})
    if extra == "bored_level":  # an emotion by its name
        assert read(path)[0].classes == (*EMOTIONS, extra)
        return
    with pytest.raises(DataError) as caught:
        read(path)
    text = str(caught.value)
    first = ", ".join(map(str, list(dict.fromkeys(values.tolist()))[:3]))
    assert f"{extra} ({first}" in caught.value.message
    assert f"--ignore-columns {extra}" in text and f"--classes {','.join(EMOTIONS)}." in text
    for choice in (Choice(ignored=(extra,)), Choice(classes=EMOTIONS)):
        split, _ = read(path, choice=choice)
        assert split.classes == EMOTIONS
        np.testing.assert_array_equal(split.votes, np.stack(list(votes().values()), axis=1))
    assert read(path, choice=Choice(classes=(*EMOTIONS, extra)))[0].classes == (*EMOTIONS, extra)


def test_numbers_that_are_no_votes_are_no_classes(tmp_path):
    with pytest.raises(DataError, match=r"In doubt: age \(.*\).*; height \("):
        read(write(tmp_path, {"age": AGES, "height": AGES + 120}))
    with pytest.raises(DataError, match="In doubt: alter .*groesse"):
        read(write(tmp_path, {"alter": AGES, "groesse": AGES[::-1] + 120}))
    with pytest.raises(DataError, match=r"fractions, and rows do not sum to 1"):
        read(write(tmp_path, {"p": BESIDE["weight"], "q": BESIDE["weight"][::-1]}))
    with pytest.raises(DataError, match=r"no columns that are classes: yaw \('-?\d.*path2 \('more/0.png'"):
        read(write(tmp_path, {"yaw": [f"-{value}" for value in AGES], "path2": BESIDE["path2"]}))


def test_what_is_written_by_prep_is_read_as_ever(tmp_path):
    """Ten columns of FER+ with raters whose number varies; shares of classes that may be anything."""
    split, notes = read(write(tmp_path, votes(classes=FERPLUS)))
    assert split.classes == FERPLUS and split.votes is not None and notes == []
    split, notes = read(write(tmp_path, shares(classes=("p1", "p2", "age"))))
    assert split.classes == ("p1", "p2", "age") and split.votes is None and notes == []
    split, notes = read(write(tmp_path, votes((10, 11), classes=("alpha", "beta", "gamma"))))
    assert split.classes == ("alpha", "beta", "gamma") and notes == []


def test_labels_beside_columns(tmp_path):
    labels = [EMOTIONS[number % 4] for number in range(ROWS)]
    split, notes = read(write(tmp_path, {"label": labels, **BESIDE}))
    assert split.classes == tuple(sorted(EMOTIONS)) and split.distribution is None
    assert all(any(name in note for note in notes) for name in BESIDE)
    # Labels that are columns make these classes; labels that are numbers beside them are refused.
    split, _ = read(write(tmp_path, {"label": labels, **shares(), "age": AGES}))
    assert split.classes == EMOTIONS and split.labels.tolist() == [EMOTIONS.index(label) for label in labels]
    path = write(tmp_path, {"label": [number % 4 for number in range(ROWS)], **shares()})
    with pytest.raises(DataError, match=r"labels '0'.* not among the emotion columns[\s\S]*--ignore-columns anger,"):
        read(path)
    assert read(path, choice=Choice(ignored=("label",)))[0].labels is None
    assert read(path, choice=Choice(ignored=EMOTIONS))[0].classes == ("0", "1", "2", "3")


def test_classes_of_labels_are_named(tmp_path):
    """In the order given, and with those that no row has."""
    path = write(tmp_path, {"label": ["b", "a"] * (ROWS // 2), "age": AGES})
    split, _ = read(path, choice=Choice(classes=("b", "c", "a")))
    assert split.classes == ("b", "c", "a") and split.labels[:2].tolist() == [0, 2]
    with pytest.raises(DataError, match=r"labels 'a' are not among --classes \(b, c\)"):
        read(path, choice=Choice(classes=("b", "c")))


def test_ratings_beside_columns(tmp_path):
    rated = {"valence": 1 + AGES / 10, "arousal": 1 + AGES / 20, **BESIDE}
    for ratings in (True, None):
        split, notes = read(write(tmp_path, rated), ratings=ratings)
        assert split.ratings is not None and split.distribution is None
        assert any("age" in note for note in notes)
    split, _ = read(write(tmp_path, {**rated, **shares()}), ratings=True)
    assert split.ratings is not None and split.classes == EMOTIONS


def test_tables_agree_on_what_a_column_is(tmp_path):
    """One says that ``mood`` is no class, the other that it is."""
    train = write(tmp_path, {**shares(), "mood": AGES})
    five = shares(classes=(*EMOTIONS, "mood"))
    valid = write(tmp_path, five, "valid.csv", prefix="v")
    with pytest.raises(DataError, match="the column 'mood' is a class in .*valid.csv .* and not in .*train.csv"):
        read_tables({"train": train, "valid": valid})
    with pytest.raises(DataError, match="--ignore-columns: no table has a column 'moood'[\\s\\S]*mean mood"):
        read(train, choice=Choice(ignored=("moood",)))
    with pytest.raises(DataError, match="--classes: no table has a column 'angry'[\\s\\S]*mean anger"):
        read(train, choice=Choice(classes=("angry", *EMOTIONS[1:])))


def test_bad_cells_of_a_class_are_told_by_line_and_of_others_are_not(tmp_path):
    own = shares()
    broken = {**own, "anger": ["?", *own["anger"][1:]]}
    with pytest.raises(DataError, match=r"at least 0: line 2 \(anger: '\?'\)"):
        read(write(tmp_path, broken))
    ages = ["", *AGES[1:]]
    assert read(write(tmp_path, {**own, "age": ages}))[0].classes == EMOTIONS
    assert read(write(tmp_path, {**votes(), "age": ages}), choice=Choice(ignored=("age",)))[0].classes == EMOTIONS


def test_a_few_rows_do_not_settle_what_names_leave_open(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").touch()
    (tmp_path / "t.csv").write_text("filename,anger,sadness,age\na.png,3,7,30\nb.png,9,1,41\nc.png,5,5,20\n")
    with pytest.raises(DataError, match=r"In doubt: age \(30, 41, 20, ...\)"):
        read_tables({"all": tmp_path / "t.csv"})
    (tmp_path / "t.csv").write_text("filename,anger,sadness,age\na.png,0.3,0.7,30\nb.png,0.9,0.1,41\n")
    assert read_tables({"all": tmp_path / "t.csv"})[0]["all"].classes == ("anger", "sadness")


def test_choices_are_for_tables(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "f" / name).mkdir(parents=True)
        (tmp_path / "f" / name / "1.png").touch()
    with pytest.raises(DataError, match="--classes is for tables, and .* holds class folders"):
        find_dataset(tmp_path / "f", labels=Labels(choice=Choice(classes=("a",))))


def test_one_number_written_in_two_ways(tmp_path):
    """3 and 3.0 in one split are refused, in two splits too, with what may be meant."""
    for name in "abcd":
        (tmp_path / f"{name}.png").touch()

    def table(name: str, text: str) -> None:
        (tmp_path / name).write_text("filename,label\n" + text)

    table("train.csv", "a.png,3\nb.png,3.0\nc.png,1\n")
    with pytest.raises(DataError, match="classes that are the same number: '3' and '3.0'"):
        find_dataset(tmp_path)
    table("train.csv", "a.png,3\nb.png,10\n")
    for label, meant in (("3.0", "'3'"), ("03", "'3'"), ("10.0", "'10'")):
        table("valid.csv", f"c.png,{label}\n")
        with pytest.raises(DataError) as caught:
            find_dataset(tmp_path)
        assert f"{label!r} -> {meant}" in caught.value.message
    table("valid.csv", "c.png,1\n")
    with pytest.raises(DataError) as caught:
        find_dataset(tmp_path)
    assert "did you mean" not in caught.value.message
    table("valid.csv", "c.png, 3 \n")  # spaces around are none of a label
    assert find_dataset(tmp_path).splits["valid"].labels.tolist() == [1]
    for folder in ("1", "01", "2"):
        (tmp_path / "folders" / folder).mkdir(parents=True)
        (tmp_path / "folders" / folder / "a.png").touch()
    with pytest.raises(DataError, match="class folders in .*: classes that are the same number: '01' and '1'"):
        find_dataset(tmp_path / "folders")
    assert likely_matches("happiness", ("sadness", "fear")) == likely_matches("content", ("contempt",)) == []
    assert likely_matches("happy", ("sadness", "happiness")) == ["happiness"] and likely_matches("hap", ("happy",))
    assert likely_matches("angry", ("danger", "anger")) == ["anger"] and likely_matches("fera", ("fear",)) == ["fear"]
    assert likely_matches("sad", ("Sad", "sat")) == ["Sad"] and likely_matches("4", ("3", "14")) == []


@pytest.mark.parametrize("names", [EMOTIONS, ("freude", "trauer", "wut", "ruhe")], ids=["known", "any language"])
def test_two_groups_of_one_hot_columns_are_not_one_distribution(tmp_path, names):
    """All rows sum to 2 then, as votes of two raters would: half the mass would be on a gender."""
    male = np.arange(ROWS) // 3 % 2
    path = write(tmp_path, {**one_hot(names), "male": male, "female": 1 - male})
    if names == EMOTIONS:
        split, notes = read(path)
        assert split.classes == EMOTIONS and "male" in notes[0] and "female" in notes[0]
        np.testing.assert_array_equal(split.distribution, np.eye(4)[np.arange(ROWS) % 4])
        return
    with pytest.raises(
        DataError, match=r"In doubt: male .*female[\s\S]*--ignore-columns male,female, or --classes fre"
    ):
        read(path)
    worn = {**one_hot(names), "brille": male, "ohne": 1 - male}
    with pytest.raises(DataError, match="more than one group of columns sums to one number"):
        read(write(tmp_path / "worn", worn))
    assert read(write(tmp_path / "few", votes((10, 11), classes=names)))[0].classes == names


@pytest.mark.parametrize("ends", [("_votes", "_intensity"), ("", "_rt"), ("_true", "_pred")])
@pytest.mark.parametrize("labelled", [False, True])
def test_columns_of_the_same_emotions_once_more_are_in_doubt(tmp_path, ends, labelled):
    own, more = ({f"{name}{end}": values for name, values in votes(seed=end == "_rt").items()} for end in ends)
    label = {"label": [f"{EMOTIONS[number % 4]}{ends[0]}" for number in range(ROWS)]} if labelled else {}
    path = write(tmp_path, {**label, **own, **more})
    with pytest.raises(DataError, match=rf"anger{ends[0]} and anger{ends[1]} are of one emotion") as caught:
        read(path)
    assert f"--ignore-columns {','.join(more)}, or --classes {','.join(own)}." in str(caught.value)
    split, _ = read(path, choice=Choice(ignored=tuple(more)))
    np.testing.assert_array_equal(split.votes, np.stack(list(own.values()), axis=1))
    # The compound emotions share words and are no such pair.
    pairs = ("happily surprised", "sadly surprised", "happily disgusted", "sadly disgusted")
    assert read(write(tmp_path / "pairs", votes(classes=pairs)))[0].classes == pairs


def test_words_for_emotions_in_names_of_other_things(tmp_path):
    with pytest.raises(DataError, match=r"In doubt: content_id \(100, 101"):
        read(write(tmp_path, {**votes(), "content_id": np.arange(100, 100 + ROWS)}))


def test_a_column_of_zeros_that_is_called_after_another_thing_is_no_class(tmp_path):
    for number, own in enumerate((shares(), votes((10, 11)), votes(), shares(classes=("alpha", "beta")))):
        path = write(tmp_path / str(number), {**own, "fold": np.zeros(ROWS, int)})
        split, notes = read(path)
        assert split.classes == tuple(own)
        assert "fold (0, ...): 0 in every row, and by its name no class" in notes[0]
        assert read(path, choice=Choice(known=(*own, "fold")))[0].classes == (*own, "fold")
    nobody = {**votes(), "contempt": np.zeros(ROWS, int), "klasse 7": np.zeros(ROWS, int)}
    assert "contempt" in read(write(tmp_path / "nobody", nobody), choice=Choice(known=("klasse 7",)))[0].classes
    one = {"male": np.ones(ROWS, int), "female": np.zeros(ROWS, int)}
    assert read(write(tmp_path / "one", one))[0].classes == ("male", "female")


def test_the_sum_of_the_others_is_in_doubt_in_few_rows_too(tmp_path):
    own = votes(classes=("alpha", "beta", "gamma"))
    path = write(tmp_path, {**own, "annotateurs": sum(own.values())})
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))
    with pytest.raises(DataError, match=r"In doubt: annotateurs \(.*\): the sum of the others"):
        read(path)


def test_names_in_other_scripts_are_no_names_of_other_things(tmp_path):
    names = ("愤怒", "悲伤", "고통")
    assert read(write(tmp_path, votes(classes=names)))[0].classes == names

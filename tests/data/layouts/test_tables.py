"""CSV tables: what they may hold, and every fault told with its lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from affectkit.data.layouts.table_cells import Cells
from affectkit.data.layouts.tables import read_tables
from affectkit.data.split import Split
from affectkit.errors import DataError


def write(folder: Path, text: str, name: str = "train.csv", *, encoding: str = "utf-8") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding=encoding)
    return folder / name


def images(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def read_one(path: Path) -> Split:
    return read_tables({"train": path})[0]["train"]


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_tables({"train": path})
    assert str(path) in caught.value.message
    return str(caught.value)


def test_labels(tmp_path: Path) -> None:
    images(tmp_path, "i/a.png", "i/b.png", "i/c.png")
    split = read_one(write(tmp_path, "filename,label\ni/a.png,sad\ni/b.png,happy\n\ni/c.png, sad \n"))
    assert split.ids == ["i/a.png", "i/b.png", "i/c.png"]
    assert split.classes == ("happy", "sad")
    assert split.labels.tolist() == [1, 0, 1] and split.labels.dtype == np.int64
    assert split.distribution is None and split.votes is None
    assert split.path(1) == tmp_path / "i/b.png"


def test_votes_and_shares(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    votes = read_one(write(tmp_path, "filename,sad,happy\na.png,1,3\nb.png,10,0\n"))
    assert votes.classes == ("sad", "happy") and votes.labels is None
    np.testing.assert_array_equal(votes.votes, [[1, 3], [10, 0]])
    np.testing.assert_array_equal(votes.distribution, [[0.25, 0.75], [1, 0]])
    assert votes.votes.dtype == votes.distribution.dtype == np.float32
    shares = read_one(write(tmp_path, "filename,sad,happy\na.png,0.25,0.7495\nb.png,1e0,0\n"))
    assert shares.votes is None
    np.testing.assert_allclose(shares.distribution, [[0.25 / 0.9995, 0.7495 / 0.9995], [1, 0]], rtol=1e-6)
    np.testing.assert_allclose(shares.distribution.sum(axis=1), 1, atol=1e-6)


def test_label_beside_votes_and_columns_that_are_no_emotions(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    text = ",Filename,sad,Label,happy,valence,subject,split\n0,a.png,2,happy,2,0.5,me,x\n1,b.png,3,sad,0,,you,y\n"
    with pytest.raises(DataError, match=r"split must be one of train, valid.*lines 2 \('x'\), 3 \('y'\)"):
        read_one(write(tmp_path, text))
    split = read_one(write(tmp_path, text.replace("split", "face")))
    assert split.classes == ("sad", "happy")
    assert split.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(split.votes, [[2, 2], [3, 0]])


def test_single_votes_beside_a_table_of_votes_are_votes(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    paths = {
        "train": write(tmp_path, "filename,x,y\na.png,3,1\n"),
        "valid": write(tmp_path, "filename,y,x\nb.png,0,1\n", "valid.csv"),
    }
    splits, notes = read_tables(paths)
    assert notes == []
    assert splits["valid"].classes == ("x", "y")
    np.testing.assert_array_equal(splits["valid"].votes, [[1, 0]])
    assert read_one(write(tmp_path, "filename,x,y\na.png,0,1\n")).votes is None


def test_split_column(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png", "c.png", "d.png")
    path = write(tmp_path, "filename,label,split\nb.png,x,VAL\na.png,x,train\nc.png,y,train\nd.png,y,test\n", "all.csv")
    splits, _ = read_tables({"all": path})
    assert {name: split.ids for name, split in splits.items()} == {
        "train": ["a.png", "c.png"],
        "valid": ["b.png"],
        "test": ["d.png"],
    }
    assert list(splits) == ["train", "valid", "test"]
    assert splits["test"].labels.tolist() == [1]


def test_byte_order_mark_unicode_and_quotes(tmp_path: Path) -> None:
    images(tmp_path, "größe/смех, 笑.png")
    path = write(tmp_path, 'filename,label\n"größe/смех, 笑.png",fröhlich\n', encoding="utf-8-sig")
    split = read_one(path)
    assert split.ids == ["größe/смех, 笑.png"]
    # A name typed in pieces (u and two dots) is the same class as one typed whole.
    assert read_one(write(tmp_path, '"filename",label\n"größe/смех, 笑.png",fro\u0308hlich\n')).classes == split.classes
    assert split.classes == ("fröhlich",)


def test_one_file_has_one_identity(tmp_path: Path) -> None:
    images(tmp_path, "i/a.png")
    assert read_one(write(tmp_path, "filename,label\n./i//a.png,x\n")).ids == ["i/a.png"]
    text = refusal(write(tmp_path, "filename,label\ni/a.png,x\ni/./a.png,x\n"))
    assert "a file is named twice: line 3 ('i/a.png' as in line 2)" in text


def test_faults_of_all_kinds_are_told_together(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    text = refusal(
        write(
            tmp_path,
            "filename,label,x,y\na.png,x,1,2\na.png,x,1\n,x,1,2\nb.png, ,1,2\nc.png,x,one,2\nd.png,x,nan,-1\n"
            "../e.png,x,1,1\n/etc/passwd,x,1,1\nf\x00.png,x,1,1\n",
        )
    )
    assert "rows must have 4 columns: line 3 (3)" in text
    assert "filename is empty: line 4" in text
    assert "label is empty: line 5" in text
    assert "lines 6 (x: 'one'), 7 (x: 'nan'), 7 (y: '-1')" in text
    assert "lines 8 ('../e.png'), 9 ('/etc/passwd'), 10 (" in text


def test_long_lists_are_cut(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    rows = "".join(f"missing{index}.png,x\n" for index in range(40))
    text = refusal(write(tmp_path, "filename,label\na.png,x\n" + rows))
    assert "files are missing: lines 3 ('missing0.png')" in text
    assert text.count("missing") < 14 and "and 30 more" in text


@pytest.mark.parametrize("number", [3, 50])
def test_links_out_of_the_folder_are_refused(tmp_path: Path, number: int) -> None:
    """Few files are asked for one by one, many by listing their folder: both must notice."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    names = [f"i/{index}.png" for index in range(number)]
    images(outside, "secret.png", "more/1.png")
    images(root, *names[1:])
    rows = "".join(f"{name},x\n" for name in names)
    (root / names[0]).symlink_to(root / names[1])
    assert len(read_one(write(root, "filename,label\n" + rows))) == number
    (root / names[0]).unlink()
    (root / names[0]).symlink_to(outside / "secret.png")
    text = refusal(write(root, "filename,label\n" + rows))
    assert "links that lead out of the table's folder: line 2 ('i/0.png')" in text
    (root / "linked").symlink_to(outside / "more")
    assert "line 2 ('linked/1.png')" in refusal(write(root, "filename,label\nlinked/1.png,x\n"))
    (root / names[0]).unlink()
    (root / names[0]).symlink_to(root / "nowhere.png")
    assert "files are missing (links to nothing): line 2" in refusal(write(root, "filename,label\n" + rows))
    (root / names[0]).unlink()
    (root / names[0]).mkdir()
    assert "files are missing: line 2" in refusal(write(root, "filename,label\n" + rows))


def test_rows_that_are_neither_votes_nor_shares(tmp_path: Path) -> None:
    names = [f"{index}.png" for index in range(6)]
    images(tmp_path, *names)
    good = [f"{name},0.5,0.5\n" for name in names]
    assert "rows of shares must sum to 1 (within 0.001): lines 3, 5" in refusal(
        write(tmp_path, "filename,x,y\n" + good[0] + "1.png,0.5,0.4\n" + good[2] + "3.png,50,50\n" + good[4])
    )
    counts = [f"{name},3,4\n" for name in names]
    assert "votes must be whole numbers: line 4" in refusal(
        write(tmp_path, "filename,x,y\n" + counts[0] + counts[1] + "2.png,1.5,2\n" + counts[3])
    )
    assert "a row needs at least one vote: line 3" in refusal(
        write(tmp_path, "filename,x,y\n" + counts[0] + "1.png,0,0\n" + counts[3])
    )
    assert read_one(write(tmp_path, "filename,x,y\n" + "0.png,0.5004,0.5\n")).votes is None


def test_headers(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    for text, wanted in {
        "": "is empty",
        "filename,label\n": "a header and no rows",
        "name,label\na.png,x\n": "no 'filename' column; its columns are name, label",
        "a.png,x\n": "no 'filename' column",
        "filename;label\na.png;x\n": "separated by commas",
        "filename,valence\na.png,1\n": "neither 'label' nor emotion columns",
        "filename,happy\na.png,1\n": "one emotion column only, 'happy'",
        "filename,label,label\na.png,x,x\n": "columns named twice: label",
        "Usage,Image name,neutral\nTraining,a.png,1\n": "label file of FER+",
    }.items():
        assert wanted in refusal(write(tmp_path, text))


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes("filename,label\nä.png,x\n".encode("latin-1"))
    assert "not UTF-8" in refusal(path)
    path.write_bytes(b"\xff\xfe" + "filename,label\n".encode("utf-16-le"))
    assert "not UTF-8" in refusal(path)
    path.write_text('filename,label\n"a.png,x\nb.png,x\n')
    assert "not a CSV file" in refusal(path)
    path.unlink()
    path.mkdir()
    assert "cannot read table" in refusal(path)


def test_labels_must_be_columns_where_there_are_some(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    text = refusal(write(tmp_path, "filename,label,happy,sad\na.png,hapy,1,2\nb.png,sad,1,2\n"))
    assert "labels 'hapy' are not among the emotion columns (happy, sad): line 2" in text
    assert "'hapy' -> happy" in text


def test_splits_are_matched_and_kept_apart(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png", "c.png")
    train = write(tmp_path, "filename,label\na.png,happy\nb.png,sad\n")
    valid = write(tmp_path, "filename,label\nc.png,sad\n", "valid.csv")
    splits, _ = read_tables({"train": train, "valid": valid})
    assert splits["valid"].classes == ("happy", "sad") and splits["valid"].labels.tolist() == [1]
    write(tmp_path, "filename,label\nc.png,Sad\n", "valid.csv")
    with pytest.raises(DataError, match=r"extra here: 'Sad' \(1 item\)[\s\S]*missing here: 'happy', 'sad'"):
        read_tables({"train": train, "valid": valid})
    write(tmp_path, "filename,label\nb.png,sad\n", "valid.csv")
    with pytest.raises(DataError, match=r"1 file is in both train and valid: b\.png"):
        read_tables({"train": train, "valid": valid})


def test_a_lone_column_of_numbers_is_read_whole(tmp_path):
    """12 is twelve, and not a one and a two."""
    cells = Cells(tmp_path / "t.csv", tmp_path, {"filename": 0, "joy": 1}, ("joy",), rated=False, every=False)
    for line, text in enumerate(("12", "0.5", "many"), start=2):
        cells.add(["a.png", text], line, width=2)
    assert cells.values[:2] == [[12.0], [0.5]] and cells.bad == {"joy": [(4, "many")]}

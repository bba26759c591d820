"""MELD from a download to a store: tables and clips go together, oddities of the download are told, splits as asked."""

from __future__ import annotations

import itertools
import json
import shutil
from collections import Counter

import pytest
from clips import rows_of, write_clip
from support import invoke

from affectkit.core.progress import Silent
from affectkit.data.layouts.clip_store import SPLITS, ClipStore
from affectkit.errors import DataError
from affectkit.prep.clips import meld
from affectkit.prep.clips.meld import CUT_WRONGLY, KNOWN_FAULTY, TABLES, MeldOptions, find_files, read_table

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
FOLDER = {"train": "train/train_splits", "dev": "dev/dev_splits_complete", "test": "test/output_repeated_splits_test"}
ROWS = {
    "train": [("Ross", "joy", 0, 0), ("Joey", "anger", 0, 1), ("Carol", "neutral", 1, 0), ("Guy", "joy", 2, 0),
              ("Ross", "neutral", 125, 3)],
    "dev": [("Ross", "neutral", 0, 0), ("Frank", "fear", 1, 0), ("Phoebe", "neutral", 110, 7)],
    "test": [("Joey", "joy", 0, 0), ("Janice", "disgust", 0, 1), ("Ross", "sadness", 38, 4),
             ("Emily", "surprise", 220, 0)],
}  # fmt: skip


def table(part, rows, word="It\u2019s"):
    lines = [
        f'{number},"{word}, well",{speaker},{emotion},{"neutral" if emotion == "neutral" else "positive"},{dialogue},'
        f'{utterance},8,21,"00:16:16,059","00:16:21,731"'
        for number, (speaker, emotion, dialogue, utterance) in enumerate(rows, 1)
    ]
    return "\n".join([HEADER, *lines]) + "\n"


def prepare(source, output, **options):
    given = MeldOptions(**{"size": 16, "workers": 1, "frames": "middle", **options})
    return meld.prepare_meld(source, output, given, reporter=Silent())


@pytest.fixture(scope="module")
def download(tmp_path_factory):
    """MELD.Raw of twelve utterances as it unpacks: one clip damaged, one missing, two cut anew, one unlisted."""
    root = tmp_path_factory.mktemp("MELD.Raw")
    clip = write_clip(root / "clip.mp4", seconds=0.1, size=(64, 36), codecs=("mpeg4", "aac"))
    for part, rows in ROWS.items():
        (root / TABLES[part]).write_text(table(part, rows), encoding="utf-8")
        folder = root / FOLDER[part]
        folder.mkdir(parents=True)
        for *_, dialogue, utterance in rows:
            shutil.copy(clip, folder / f"dia{dialogue}_utt{utterance}.mp4")
    (root / FOLDER["train"] / "dia125_utt3.mp4").write_bytes(b"no clip")
    (root / FOLDER["dev"] / "dia110_utt7.mp4").unlink()
    for name in ("final_videos_testdia0_utt0", "final_videos_testdia220_utt0", "dia108_utt2"):
        shutil.copy(clip, root / FOLDER["test"] / f"{name}.mp4")
    (root / FOLDER["test"] / "dia0_utt0.mp4").write_bytes(b"a wrong cut, never opened")
    clip.unlink()
    return root


@pytest.fixture(scope="module")
def prepared(download, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "out"
    return output, prepare(download, output)


def test_clips_labels_splits_and_oddities(download, prepared):
    output, report = prepared
    rows = rows_of(output)
    assert Counter(row["split"] for row in rows.values()) == {"train": 4, "valid": 2, "test": 3}
    assert {clip.name: clip.reason for clip in report.skipped} == {
        "train/dia125_utt3": "known-faulty", "dev/dia110_utt7": "known-faulty", "test/dia38_utt4": "known-faulty",
        "test/output_repeated_splits_test/dia0_utt0.mp4": "replaced",
        "test/output_repeated_splits_test/dia220_utt0.mp4": "replaced",
        "test/output_repeated_splits_test/dia108_utt2.mp4": "not-listed",
    }  # fmt: skip
    assert not report.broken and "test/dia220_utt0" in rows
    assert "2 of 7 speakers have clips in more than one split" in report.warnings[0]
    row = rows["train/dia0_utt0"]
    assert {name: row[name] for name in row if name not in ("filename", "split")} == {
        "label": "happiness", "speaker": "Ross", "emotion": "joy", "sentiment": "positive", "dialogue": "train/dia0",
        "season": "8", "episode": "8x21",
    }  # fmt: skip
    assert ClipStore.open(output).spec.crop is None and "happiness" in ClipStore.open(output).classes
    assert prepare(download, output).done


def test_speakers_apart(download, prepared, tmp_path):
    output = shutil.copytree(prepared[0], tmp_path / "out")
    report = prepare(download, output, split="speaker", label="sentiment")
    rows = rows_of(output)
    people = [{row["speaker"] for row in rows.values() if row["split"] == split} for split in SPLITS]
    assert all(people) and not any(a & b for a, b in itertools.combinations(people, 2))
    assert report.made == 0 and not [text for text in report.warnings if "more than one split" in text]
    assert {row["label"] for row in rows.values()} == {"neutral", "positive"}


def test_known_faults_are_those_of_the_tables_and_can_be_taken(download, tmp_path):
    with pytest.raises(DataError, match="1 of 12 clips cannot be used") as caught:
        prepare(download, tmp_path / "out", keep_faulty=True)
    assert "dev/dia110_utt7" in caught.value.message
    names = {f"{part}/dia{row[2]}_utt{row[3]}" for part, rows in ROWS.items() for row in rows}
    assert {*KNOWN_FAULTY, *CUT_WRONGLY} <= names


def test_half_a_download(download, tmp_path):
    root = shutil.copytree(download, tmp_path / "own")
    shutil.rmtree(root / "dev")
    with pytest.raises(DataError, match="2 of 9 clips cannot be used") as caught:
        prepare(root, tmp_path / "out")
    assert "dev.tar.gz" in caught.value.hint
    (root / TABLES["train"]).unlink()
    with pytest.raises(DataError, match="has clips of train, and no train_sent_emo.csv"):
        prepare(root, tmp_path / "out")
    for part in ("train", "test"):
        shutil.rmtree(root / part)
    with pytest.raises(DataError, match="no folder of clips") as caught:
        prepare(root, tmp_path / "out")
    assert "train.tar.gz" in caught.value.hint


def test_wrong_folders(download, tmp_path):
    with pytest.raises(DataError, match="holds none of train_sent_emo") as caught:
        prepare(download / FOLDER["train"], tmp_path / "out")
    assert f"Name the folder that has them: {download}?" in caught.value.hint
    with pytest.raises(DataError, match="holds none of") as caught:
        prepare(tmp_path, tmp_path / "out")
    assert "declare-lab/MELD" in caught.value.hint


def test_two_different_tables_of_a_name(download, tmp_path):
    root = shutil.copytree(download, tmp_path / "own")
    shutil.copy(root / TABLES["train"], root / "train" / TABLES["train"])
    assert find_files(root).tables.keys() == {"train", "dev", "test"}
    (root / "train" / TABLES["train"]).write_text(HEADER)
    with pytest.raises(DataError, match="two tables of one name"):
        find_files(root)


def test_tables_of_another_encoding(tmp_path):
    path = tmp_path / TABLES["dev"]
    path.write_bytes(table("dev", ROWS["dev"]).encode("cp1252"))
    assert meld.encoding_of(path) == "cp1252" and next(iter(read_table(path, "dev"))) == "dev/dia0_utt0"
    path.write_bytes(table("dev", ROWS["dev"]).encode("utf-8-sig"))
    assert meld.encoding_of(path) == "utf-8-sig" and len(read_table(path, "dev")) == 3


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (("Ross", "love", 9, 0), "Emotion must be one of"),
        (("Ross", "joy", "x", 0), "must be whole numbers"),
        (("Ross", "joy", "../9", 0), "must be whole numbers"),
        (("Ross", "joy", 0, 0), "an utterance must have one row"),
    ],
)
def test_damaged_tables(tmp_path, row, rule):
    path = tmp_path / TABLES["train"]
    path.write_text(table("train", [*ROWS["train"], row]), encoding="utf-8")
    with pytest.raises(DataError, match=f"{rule}.*line 7"):
        read_table(path, "train")
    path.write_text("Sr No.,Utterance,Speaker\n1,a,b\n")
    with pytest.raises(DataError, match="no column Emotion"):
        read_table(path, "train")


def test_the_command(download, prepared, tmp_path):
    output = shutil.copytree(prepared[0], tmp_path / "out")
    found = invoke("prep", "meld", download, "--output", output, "--size", 16, "--frames", "middle", "--json")
    assert found.returncode == 0 and json.loads(found.stdout)["already_done"], found.stderr
    shown = invoke("prep", "meld", download, "--output", output, "--size", 16, "--frames", "middle")
    assert "wrong cuts that the dataset has anew: 2" in shown.stderr and "speakers" in shown.stdout

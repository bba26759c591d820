"""Links out of a dataset's folder: datasplit's, git-annex's, DVC's, those that the user allows, and no others."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from splitting import class_folders, picture
from support import TINY, invoke, make_folders

from affectkit.core.files import digest_of
from affectkit.core.progress import Silent
from affectkit.data.layouts.discovery import find_dataset
from affectkit.data.layouts.links import Links
from affectkit.data.layouts.tables import read_tables
from affectkit.errors import DataError
from affectkit.prep.augmentation.pipeline import load_pipeline
from affectkit.prep.clips.precomputed_features import FeatureOptions, prepare_features
from affectkit.prep.datasplit.plan import SplitRules
from affectkit.prep.datasplit.split import SplitOptions, split_folder

OUTSIDE = "links that lead out of the table's folder"
FAST = ("--model", TINY, "--no-pretrained", "--image-size", 24, "--batch-size", 8, "--workers", 0, "--epochs", 1)


def refusal(root, *, follow=False):
    with pytest.raises(DataError) as found:
        read_tables({"train": root / "train.csv"}, follow_links=follow)
    return str(found.value)


def told(count, way):
    return f"links that lead out of the table's folder are followed: {count} ({way})"


def followed(root, *, follow=False):
    """Notes on links, and the bytes of the images that are read."""
    splits, notes = read_tables({"train": root / "train.csv"}, follow_links=follow)
    split = splits["train"]
    return [note for note in notes if "links" in note], [split.path(row).read_bytes() for row in range(len(split))]


def write(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture(number))
    return path


def link(path: Path, target: Path | str, *, relative: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(target, path.parent) if relative else target)
    return path


def table(root: Path, *names: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "train.csv").write_text(
        "filename,label\n" + "".join(f"{name},{'ab'[n % 2]}\n" for n, name in enumerate(names))
    )
    return root


def split_of(source: Path, output: Path, kind: str = "symlink") -> Path:
    split_folder(
        source,
        rules=SplitRules(seed=1, balance_train=True, balance_test=True),
        options=SplitOptions(output=output, workers=1, link=kind),
        pipeline=load_pipeline(None),
        reporter=Silent(),
    )
    return output


# --- datasplit --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    root = tmp_path_factory.mktemp("linked")
    return split_of(class_folders(root / "source", {"a": 12, "b": 7}), root / "split")


@pytest.fixture
def own(split, tmp_path):
    """A copy of the split whose links may be changed."""
    return Path(shutil.copytree(split, tmp_path / "own", symlinks=True))


def first_link(root):
    return next(path for path in sorted((root / "train").rglob("*.png")) if path.is_symlink())


def test_datasplits_manifest_vouches_for_its_links(split):
    found = find_dataset(split)
    assert found.layout == "tables" and set(found.splits) == {"train", "test"}
    links = [path for path in split.rglob("*.png") if path.is_symlink()]
    assert len(links) == 19
    assert told(len(links), "datasplit") in found.notes
    train = found.splits["train"]
    assert len(train) > 15 and all(train.path(row).is_file() for row in range(len(train)))


def test_a_link_to_another_file_than_the_manifest_names_is_refused(own, tmp_path):
    assert "(datasplit)" in followed(own)[0][0]
    path, secret = first_link(own), write(tmp_path / "private" / "x.png", 999)
    other = next(p for p in sorted((own / "train").rglob("*.png"))[1:] if p.is_symlink()).resolve()
    for target in (secret, other):  # another file of the source is not what the manifest says either
        path.unlink()
        path.symlink_to(target)
        text = refusal(own)
        assert OUTSIDE in text and repr(path.relative_to(own).as_posix()) in text
        assert f"leads to {target}" in text and "--follow-links" in text


def test_a_linked_file_with_another_content_than_the_manifest_has_is_refused(own, tmp_path):
    """The hash is what only one knows who has read the file: a manifest that names a private file vouches for none."""
    path = first_link(own)
    name, secret = path.relative_to(own).as_posix(), write(tmp_path / "private" / "x.png", 999)
    manifest = json.loads((own / "manifest.json").read_text())
    manifest["settings"]["source"] = str(secret.parent)
    (row,) = (row for row in manifest["files"] if row[0] == name)
    manifest["files"] = [[*row[:4], "x.png", *row[5:]]]
    path.unlink()
    path.symlink_to(secret)
    table(own, name)
    for digest, words in ((row[6], ", whose content is not that of which"), (None, ""), (7, "")):
        manifest["files"][0][6] = digest
        (own / "manifest.json").write_text(json.dumps(manifest))
        text = refusal(own)
        assert OUTSIDE in text and f"The first leads to {secret}{words}" in text
    manifest["files"][0][6] = digest_of(secret)
    (own / "manifest.json").write_text(json.dumps(manifest))
    assert followed(own)[1] == [secret.read_bytes()]


@pytest.mark.parametrize(
    "change",
    [
        lambda m, _: m.update(command="relabel"),
        lambda m, _: m["settings"].update(link="copy"),
        lambda m, _: m["settings"].update(source="../source"),
        lambda m, _: m["settings"].pop("source"),
        lambda m, _: m.update(files={}),
        lambda m, _: [row.__setitem__(3, "copied") for row in m["files"]],
        lambda m, _: [row.__setitem__(4, f"train/../{row[4]}") for row in m["files"]],
        lambda m, _: [row.__setitem__(4, os.path.join(m["settings"]["source"], row[4])) for row in m["files"]],
        lambda m, _: [row.__setitem__(4, 7) for row in m["files"]],
        lambda m, elsewhere: m["settings"].update(source=elsewhere),
    ],
)
def test_what_is_no_record_of_links_vouches_for_none(own, tmp_path, change):
    manifest = json.loads((own / "manifest.json").read_text())
    change(manifest, str(tmp_path))
    (own / "manifest.json").write_text(json.dumps(manifest))
    assert OUTSIDE in refusal(own)


@pytest.mark.parametrize("text", [None, "", "[1, 2]", "{", '{"settings": 3}'])
def test_a_damaged_manifest_vouches_for_none(own, text):
    (own / "manifest.json").unlink()
    if text is not None:
        (own / "manifest.json").write_text(text)
    assert OUTSIDE in refusal(own)
    assert followed(own, follow=True)[0] == [
        told(sum(p.is_symlink() for p in (own / "train").rglob("*")), "--follow-links")
    ]


def test_a_source_that_is_gone_is_missing(tmp_path):
    root = split_of(class_folders(tmp_path / "source", {"a": 6, "b": 6}), tmp_path / "split")
    (tmp_path / "source").rename(tmp_path / "moved")
    text = refusal(root)
    assert "files are missing (links to nothing): line" in text and OUTSIDE not in text


# --- the user's word --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, 50])
def test_links_are_followed_where_the_user_says_so(tmp_path, number):
    """Few files are asked for one by one, many by listing their folder."""
    for n in range(number):
        write(tmp_path / "far" / f"{n}.png", n)
    names = [f"i/{n}.png" for n in range(number)]
    root = table(tmp_path / "root", *names)
    for n, name in enumerate(names):
        link(root / name, tmp_path / "far" / f"{n}.png", relative=bool(n % 2))
    text = refusal(root)
    assert OUTSIDE in text and f"leads to {tmp_path / 'far' / '0.png'}" in text and "--follow-links" in text
    notes, read = followed(root, follow=True)
    assert notes == [told(number, "--follow-links")]
    assert read == [picture(n) for n in range(number)]


def test_a_folder_that_is_a_link(tmp_path):
    write(tmp_path / "far" / "1.png", 1), write(tmp_path / "far" / "deep" / "2.png", 2)
    root = table(tmp_path / "root", "i/1.png", "i/deep/2.png")
    link(root / "i", tmp_path / "far")
    assert f"{OUTSIDE}: lines 2 ('i/1.png'), 3 ('i/deep/2.png')" in refusal(root)
    assert followed(root, follow=True)[1] == [picture(1), picture(2)]


@pytest.mark.parametrize("name", ["../far/1.png", "/far/1.png", "i/../../far/1.png"])
def test_names_that_leave_the_folder_are_refused_whatever_the_user_says(tmp_path, name):
    write(tmp_path / "far" / "1.png", 1)
    root = table(tmp_path / "root", name.replace("/far", str(tmp_path / "far"), 1) if name[0] == "/" else name)
    assert "relative to the table's folder and stay in it" in refusal(root, follow=True)


def test_links_to_nothing_and_in_circles_are_missing_files(tmp_path):
    root = table(tmp_path / "root", "gone.png", "round.png", "none.png", "loop/1.png")
    link(root / "gone.png", tmp_path / "nowhere.png")
    link(root / "round.png", root / "round.png")
    link(root / "loop", root / "loop")
    for follow in (False, True):
        text = refusal(root, follow=follow)
        assert "(links to nothing): lines 2 ('gone.png'), 3 ('round.png')" in text.replace("line 3", "lines 3")
        assert "files are missing: line" in text and "'none.png'" in text and "'loop/1.png'" in text


# --- git-annex and DVC ------------------------------------------------------------------------------------------------


def annexed(repository: Path, name: str, number: int, *, store: Path | None = None, there: bool = True) -> Path:
    """A file as git-annex has it: a relative link to its content in the store."""
    key = f"SHA256E-s{number}--{number:064}.png"
    content = (store or repository / ".git") / "annex" / "objects" / "aB" / "cD" / key / key
    write(content, number)
    made = link(repository / name, content, relative=True)
    if not there:
        content.unlink()
    return made


@pytest.mark.parametrize("below", ["", "data/faces"])
def test_a_git_annex_checkout_is_read(tmp_path, below):
    repository = tmp_path / "repository"
    root = table(repository / below, "i/1.png", "i/2.png")
    for number in (1, 2):
        annexed(repository, f"{below}/i/{number}.png".lstrip("/"), number)
    notes, read = followed(root)
    assert read == [picture(1), picture(2)]
    # The store is below the folder of the table where that is the repository itself.
    assert notes == ([told(2, "git-annex")] if below else [])


def test_a_submodule_has_its_annex_in_the_repository_around_it(tmp_path):
    inner = tmp_path / "outer" / "data"
    (tmp_path / "outer" / ".git" / "modules" / "data").mkdir(parents=True)
    root = table(inner / "faces", "1.png")
    link(inner / ".git", tmp_path / "outer" / ".git" / "modules" / "data", relative=True)
    annexed(inner, "faces/1.png", 1, store=tmp_path / "outer" / ".git" / "modules" / "data")
    assert followed(root)[0] == [told(1, "git-annex")]


def test_only_the_store_of_the_repository_around_is_trusted(tmp_path):
    root = table(tmp_path / "repository" / "data", "1.png")
    (tmp_path / "repository" / ".git").mkdir()
    other = tmp_path / "other"
    annexed(other, "2.png", 2)
    for target in (
        write(tmp_path / "repository" / ".git" / "config.png", 3),
        write(tmp_path / "repository" / "private" / "4.png", 4),
        (other / "2.png").resolve(),
        write(tmp_path / ".git" / "annex" / "objects" / "5.png", 5),  # of a repository further out
    ):
        (root / "1.png").unlink(missing_ok=True)
        link(root / "1.png", target)
        assert OUTSIDE in refusal(root)
    shutil.rmtree(tmp_path / "repository" / ".git")
    shutil.rmtree(tmp_path / ".git")
    link(tmp_path / "repository" / ".git", other / ".git")  # a .git that is a link shows elsewhere
    (root / "1.png").unlink()
    link(root / "1.png", (other / "2.png").resolve())
    assert OUTSIDE in refusal(root)


def test_content_that_was_not_fetched_is_said(tmp_path):
    repository = tmp_path / "repository"
    root = table(repository / "data", "1.png", "2.png", "3.png")
    annexed(repository, "data/1.png", 1)
    annexed(repository, "data/2.png", 2, there=False)
    link(root / "3.png", repository / ".dvc" / "cache" / "files" / "md5" / "ab" / "c3", relative=True)
    for follow in (False, True):
        text = refusal(root, follow=follow)
        assert "not here (git annex get fetches it): line 3 ('2.png')" in text
        assert "not here (dvc pull fetches it): line 4 ('3.png')" in text and "'1.png'" not in text


def test_a_dvc_checkout_of_links_is_read(tmp_path):
    repository = tmp_path / "repository"
    root = table(repository / "data", "1.png", "2.png")
    link(root / "1.png", write(repository / ".dvc" / "cache" / "files" / "md5" / "ab" / "c1", 1))
    link(root / "2.png", write(repository / ".dvc" / "cache" / "ab" / "c2", 2))  # of DVC 2
    assert followed(root) == ([told(2, "DVC")], [picture(1), picture(2)])
    (root / "2.png").unlink()
    link(root / "2.png", write(repository / ".dvc" / "config.png", 3))
    assert OUTSIDE in refusal(root)
    (root / "2.png").unlink()
    link(root / "2.png", write(tmp_path / "shared cache" / "files" / "md5" / "ab" / "c2", 2))
    text = refusal(root)
    assert OUTSIDE in text and "'2.png'" in text and "'1.png'" not in text and "--follow-links" in text
    assert followed(root, follow=True)[1] == [picture(1), picture(2)]


@pytest.mark.parametrize("kind", ["copy", "symlink"])
def test_an_annex_is_split_and_the_split_is_read(tmp_path, kind):
    repository = tmp_path / "repository"
    for number in range(12):
        annexed(repository, f"faces/{'ab'[number % 2]}/{number}.png", number)
    root = split_of(repository / "faces", tmp_path / "split", kind)
    found = find_dataset(root)
    train = found.splits["train"]
    assert sum(len(split) for split in found.splits.values()) == 12
    numbers = sorted(int(Path(name).stem) for name in train.ids)
    assert sorted(train.path(row).read_bytes() for row in range(len(train))) == sorted(map(picture, numbers))
    shutil.rmtree(repository / ".git")
    if kind == "symlink":
        assert "files" in refusal(root)


def test_names_in_tables_of_features(tmp_path):
    lines = ["filename,label,split"]
    for number in range(4):
        np.savez(
            tmp_path / f"{number}.npz", image=np.zeros((16, 4096), np.float32), audio=np.ones((64, 1024), np.float32)
        )
        link(tmp_path / "data" / f"{number}.npz", tmp_path / f"{number}.npz")
        lines.append(f"{number},{'ab'[number % 2]},{'train' if number < 2 else 'valid'}")
    (tmp_path / "data" / "features.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="link that leads out of the folder") as found:
        prepare_features(tmp_path / "data", tmp_path / "out", FeatureOptions(workers=1), reporter=Silent())
    assert "--follow-links" in found.value.hint
    options = FeatureOptions(follow_links=True, workers=1)
    report = prepare_features(tmp_path / "data", tmp_path / "out", options, reporter=Silent())
    assert report.made == 4
    with pytest.raises(DataError, match="leaves the folder"):
        Links(tmp_path / "data", follow=True).path("../0.npz")


# --- the commands -----------------------------------------------------------------------------------------------------


def test_every_command_that_reads_tables_takes_the_option(tmp_path):
    far = make_folders(tmp_path / "far", train=18, valid=6, test=6)
    root = tmp_path / "root"
    for name in ("train", "valid", "test"):
        rows = ["filename,label"]
        for path in sorted((far / name).rglob("*.png")):
            made = link(root / name / f"{path.parent.name}-{path.name}", path)
            rows.append(f"{made.relative_to(root).as_posix()},{path.parent.name}")
        (root / f"{name}.csv").write_text("\n".join(rows) + "\n")
    run = tmp_path / "run"
    train = ("train", "--data", root, "--output", run, *FAST)
    tested = ("test", "--checkpoint", run, "--data", root, "--workers", 0)
    swept = ("eval-corruptions", "--checkpoint", run, "--data", root, "--corruptions", "contrast", "--severities", 1)
    shutil.copy(root / "test.csv", tmp_path / "labels.csv")
    read = ("infer", root, "--checkpoint", run, "--labels", tmp_path / "labels.csv", "--results", tmp_path / "out")
    for command in (train, tested, swept, read):
        refused = invoke(*command)
        if command is not train:
            assert refused.returncode == 1 and "--follow-links" in refused.stderr, command[0]
        else:
            assert refused.returncode == 1 and OUTSIDE in refused.stderr and not run.exists()
        done = invoke(*command, "--follow-links")
        assert done.returncode == 0, done.stderr
        assert "(--follow-links)" in done.stderr, command[0]
    alone = invoke("infer", root, "--checkpoint", run, "--follow-links")
    assert alone.returncode == 2 and "--follow-links needs --labels" in alone.stderr


def test_a_linked_split_is_trained_on(tmp_path, no_figures):
    rng = np.random.default_rng(0)
    for label, gray in (("a", 60), ("b", 200)):
        for number in range(10):
            path = tmp_path / "faces" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(rng.normal(gray, 6, (32, 32)), 0, 255).astype(np.uint8)).save(path)
    made = invoke(
        "datasplit", tmp_path / "faces", "--output-path", tmp_path / "split", "--link", "symlink", "--seed", 1
    )
    assert made.returncode == 0, made.stderr
    done = invoke("train", "--data", tmp_path / "split", "--output", tmp_path / "run", *FAST)
    assert done.returncode == 0 and "(datasplit)" in done.stderr
    tested = invoke("test", "--checkpoint", tmp_path / "run", "--data", tmp_path / "split", "--workers", 0)
    assert tested.returncode == 0, tested.stderr

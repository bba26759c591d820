"""What newcomers type wrong, and what they are told: what, the value, the rule, the next step; no word of a library."""

from __future__ import annotations

import errno
import re

import pytest
from support import invoke, make_folders, make_votes

from affectkit.cli.console import Console

FOREIGN = re.compile(
    r"Traceback|Errno|No such (option|command|file)|Invalid value|unexpected extra|not a valid|click|╭"
)
"""Words of libraries."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder as a newcomer has it: class folders, tables, a text, a path with a space."""
    root = tmp_path_factory.mktemp("newcomer")
    make_folders(root / "photos", train=6, valid=6, test=6)
    make_votes(root / "votes", train=6, valid=6, test=6)
    (root / "my photos").mkdir()
    for name in ("empty", "runs/first", "begun"):
        (root / name).mkdir(parents=True)
    for name in ("photos.zip", "runs/first/best.safetensors", "runs/first/metrics.json", "begun/config.yaml"):
        (root / name).touch()
    (root / "notes.txt").write_text("hello")
    return root


OPTIONS = [
    # near names of commands and options, and what other programs call them
    ("tran --data photos", "unknown command 'tran'. Did you mean train?\naffectkit --help lists the commands."),
    ("predict photos", "unknown command 'predict'. Did you mean infer?"),
    ("eval_corruptions", "unknown command 'eval_corruptions'. Did you mean eval-corruptions?"),
    ("photos", "unknown command 'photos'. It is a path; a command stands before it, as affectkit infer photos."),
    ("prep ferplu x", "unknown command 'prep ferplu'. Did you mean ferplus?\naffectkit prep --help lists what it"),
    ("prep fre", "unknown command 'prep fre'. Known are ferplus, affectnet-fused"),
    ("train --modle resnet18", "train has no option --modle. Did you mean --mode or --model?"),
    ("train --learning-rate 1", "train has no option --learning-rate. Here it is --lr."),
    ("infer photos --model run", "infer has no option --model. Here it is --checkpoint."),
    ("infer photos --output run", "infer has no option --output. Here it is --results."),
    ("train -data photos", "train has no option -data; it begins with two hyphens: --data."),
    ("train \N{EN DASH}data photos", "'\N{EN DASH}data' begins with a dash that is not a hyphen.\nType it again: --"),
    # options before the command; words that belong to no option
    ("--data photos train", "the option --data stands before the command train; options follow it.\n"
     "affectkit train --data photos"),
    ("--jsn", "affectkit itself has no option --jsn.\nOptions follow a command"),
    ("train photos/", "train takes no argument; got 'photos/'.\nDid you mean affectkit train --data photos/?"),
    ("test run photos", "test takes no argument; got 'run' 'photos'.\n"
     "Did you mean affectkit test --checkpoint run --data photos?"),
    ("doctor x", "doctor takes no argument; got 'x'.\naffectkit doctor --help lists what it takes."),
    ("train data=photos epochs=3", "train takes no argument; got 'data=photos' 'epochs=3'.\n"
     "Options are written with two hyphens: --data photos --epochs 3"),
    ("train --data my photos", "there is a space in the path my photos.\nPut it in quotes: --data 'my photos'"),
    ("train --classes anger, sadness --data votes", "--classes anger,: there is a space in the list.\n"
     "Write it without: --classes anger,sadness"),
    ("train --classes anger , sadness", "--classes anger: there is a space in the list.\n"
     "Write it without: --classes anger,sadness"),
    ("train --classes anger ,sadness -q", "--classes anger: there is a space in the list.\n"
     "Write it without: --classes anger,sadness"),
    ("test --by sex age --data votes", "--by sex: there is a space in the list.\nWrite it without: --by sex,age"),
    ("matrix --checkpoint a b --data c", "matrix takes no argument; got 'b'.\n"
     "--checkpoint is given once for each: --checkpoint a --checkpoint b"),
    ("report results out.html --json", "report takes one argument; got 'out.html' besides.\n"
     "Did you mean affectkit report results --json --output out.html?"),
    ("eval-corruptions --severity 3", "eval-corruptions has no option --severity. Did you mean --severities?\n"),
    ("datasplit photos --test-size 0.2", "datasplit has no option --test-size. Here it is --train-split.\n"),
    ("completions bsh", "SHELL must be one of bash, zsh, fish, powershell; got 'bsh'. Did you mean bash or zsh?\n"),
    ("guide fces", "unknown guide 'fces'; did you mean faces-and-films?\n"),
    # values
    ("train --image-size 48x48", "--image-size must be a whole number, got '48x48'; write 48."),
    ("infer photos --min-face 10px", "--min-face must be a whole number, got '10px'; write 10."),
    ("train --epochs", "--epochs needs a value behind it.\naffectkit train --help lists what it takes."),
    ("train --output --force", "--output needs a value; behind it stands the option --force.\n"
     "Where that is the value: --output=--force"),
    ("train --pretrained=yes", "--pretrained takes no value; got --pretrained=yes.\n"
     "Write --pretrained, or --no-pretrained."),
    ("train --epochs 1e2", "--epochs must be a whole number, got '1e2'; write 100."),
    ("train --lr 0,001", "--lr must be a number, got '0,001'; write 0.001."),
    ("train --dropout 30%", "--dropout must be a number, got '30%'; write 0.3."),
    ("train --data d --output o --dropout 30", "--dropout must be at least 0 and below 1; got 30 (30% is 0.3)."),
    ("train --data d --output o --epochs -5", "--epochs must be at least 1; got -5."),
    ("train --lr fast", "--lr must be a number, got 'fast'.\n"),
    ("train --optimizer Adamm", "--optimizer must be one of sgd, adam, adamw; got 'Adamm'. Did you mean adam or"),
    ("train --augment face_strong", "--augment must be one of none, flip, face, face-strong"),
    # twice
    ("train --classes anger --classes fear", "--classes is given more than once, and is one list: 'anger', 'fear'.\n"
     "Write its items with commas between them: --classes anger,fear"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), OPTIONS, ids=[line for line, _ in OPTIONS])
def test_what_is_typed_wrong_is_answered_with_what_and_the_next_step(place, monkeypatch, line, message):
    monkeypatch.chdir(place)
    done = invoke(*line.split())
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"Error: {message}"), done.stderr
    assert not FOREIGN.search(done.stderr) and len(done.stderr.splitlines()) <= 2


PLACES = [
    # paths that are not there
    ("train --data photoz --output o", 1, "dataset folder photoz does not exist.\nIn {place} there is photos."),
    ("train --data 'photos' --output o", 1, "dataset folder 'photos' does not exist.\nDid you mean photos?"),
    ("describe photos,", 1, "dataset folder photos, does not exist.\nDid you mean photos?"),
    ("describe C:\\Users\\me\\faces", 1,
     "dataset folder C:\\Users\\me\\faces does not exist.\nIt is written as on Win"),
    ("describe photos\\train", 1, "dataset folder photos\\train does not exist.\nDid you mean photos/train?"),
    ("describe https://example.org/faces.zip", 1,
     "dataset folder https:/example.org/faces.zip does not exist.\nIt is a web address, not a path: affectkit "
     "download https://example.org/faces.zip --output DIR fetches a file."),
    ("datasplit photoz", 2, "DATA photoz does not exist.\nIn {place} there is photos."),
    ("prep ferplus photoz --output o", 1, "source folder photoz does not exist.\nIn {place} there is photos."),
    ("train --data photos --output o --labels vote.csv", 1, "cannot read table {place}/vote.csv: it does not exist."),
    ("train --data ~nobody-at-all/faces --output o", 2,
     "--data ~nobody-at-all/faces: ~nobody-at-all is the home folder of a user, and there is no user "
     "'nobody-at-all' here; your own is ~."),
    ("infer ~nobody-at-all/a.jpg", 1,
     "~nobody-at-all/a.jpg does not exist.\n~nobody-at-all is the home folder of a user"),
    ("infer photos --checkpoint ~nobody-at-all/run", 2, "--checkpoint ~nobody-at-all/run: ~nobody-at-all is"),
    ("describe $PWD_OF_TEST/photos", 1,
     "dataset folder $PWD_OF_TEST/photos does not exist.\nDid you mean {place}/photos?"),
    ("infer photos,votes", 1, "photos,votes does not exist.\nWrite blanks between paths: photos votes"),
    ("train --data photos,votes --output o", 1,
     "dataset folder photos,votes does not exist.\nThese are 2 paths: photos, votes. Name each by itself."),
    ("compare photos,votes", 2, "MODELS are needed, two or more: folders of results, or checkpoints with --data. "
     "Write blanks between them: photos votes"),
    ("prep fer2013 notes.txt --output o", 1, "source notes.txt is a file, not a folder."),
    ("merge photoz", 2, "photoz does not exist.\nIn {place} there is photos."),
    ("merge notes.txt", 2, "notes.txt is a file, not a folder.\n"),
    ("corruptions phot.png --preview x.png", 1, "image phot.png does not exist.\n"),
    ("matrix --checkpoint builtin --data photoz", 2,
     "--data photoz: there is no such folder.\nIn {place} there is photos."),
    ("train --resume runs", 1, "runs is not a run folder: it has no config.yaml.\nName a folder that affectkit"),
    ("train --resume .", 1, ". is not a run folder: it has no config.yaml.\nName one of what it holds: begun."),
    ("train --resume begun/config.yaml", 1,
     "begun/config.yaml is not a run folder: it has no config.yaml.\nDid you mean begun?"),
    ("models --checkpoint notes.txt", 1, "notes.txt is no checkpoint.\nName a checkpoint file, a run folder of"),
    ("models --checkpoint runs/first/metrics.json", 1,
     "runs/first/metrics.json is no checkpoint.\nDid you mean runs/first, the run folder that it is in?"),
    ("describe votes --labels votes", 1,
     "cannot read table votes: it is a folder.\nName a file in it, as votes/test.csv"),
    ("compare votes/test.csv votes/valid.csv", 2, "votes/test.csv is a file of results.\nName its folder: votes"),
    # places to write
    ("train --data photos --output https://example.org/run", 2,
     "--output https:/example.org/run is a web address.\nName a place on this machine"),
    ("infer photos --results ..\\out", 2, "--results ..\\out is written as on Windows.\nWrite ../out."),
    ("infer photos --results C:\\out", 2, "--results C:\\out is written as on Windows.\nHere a path is written /"),
    ("infer photos/train/anger --annotate out.mp4 --quiet", 2,
     "--annotate out.mp4 is called like a film; images are annotated into a folder.\nName it out."),
    ("train --data photos --output photos --force", 2,
     "--output photos is the folder of --data: what is written there would be read as part of it.\nName another"),
    ("test --checkpoint builtin --data photos --results ./photos/ --force", 2,
     "--results photos is the folder of --data: what is written there"),
    ("calibrate photos --data runs/first --output c.safetensors --temperature labels", 2,
     "--checkpoint photos is no run folder, and --data runs/first is a model: they seem to be swapped."),
    ("infer notes.txt", 1, "notes.txt is a text, and no picture or video.\n"
     "A list of paths is read from standard input: - < notes.txt"),
    ("infer votes/test.csv", 1, "votes/test.csv is a table, and no picture or video.\nName the pictures"),
    ("train --config run.yaml", 2,
     "cannot read the configuration file run.yaml: it does not exist.\nThere is nothing called run.yaml in "
     "{place}; names are looked up from {place}."),
    ("train --config notes.txt", 2, "notes.txt holds text; a configuration file is lines of 'setting: value'"),
    ("train --resume photoz", 1, "the run folder photoz does not exist.\nIn {place} there is photos."),
    ("models --checkpoint best", 1,
     "the checkpoint best does not exist.\nName a checkpoint file, a run folder of affectkit train, or "
     "builtin. Run folders here: runs/first."),
    ("models --checkpoint build-in", 1, "the checkpoint build-in does not exist.\nDid you mean builtin?"),
    ("models --checkpoint photos", 1, "photos holds no best.safetensors.\nName a checkpoint file, a run folder of"),
    ("models --checkpoint runs", 1, "runs holds no best.safetensors.\nName one of what it holds: runs/first."),
    ("models --checkpoint begun", 1, "begun holds no best.safetensors.\nIt is a run whose first epoch has not ended."),
    # what is there, and is something else
    ("train --data photos/train/anger --output o", 1,
     "no dataset found in photos/train/anger: it holds 2 pictures, as the folder of one class does.\nName the "
     "folder that holds all classes: photos."),
    ("describe empty", 1, "no dataset found in empty: it is empty."),
    ("train --data runs/first --output o", 1, "no dataset found in runs/first: it is a run folder of affectkit train."),
    ("train --data photos.zip --output o", 1, "dataset photos.zip is not a folder.\nUnpack the archive first."),
    ("describe votes/test.csv", 1,
     "dataset votes/test.csv is not a folder.\nIt is a table: name the folder of its images"),
    ("test --checkpoint photos --data runs/first", 2,
     "--checkpoint photos is no run folder, and --data runs/first is a model: they seem to be swapped."),
    ("infer photos --results notes.txt", 2, "--results notes.txt is a file; a folder is needed."),
    ("infer photos --results notes.txt/x", 2,
     "--results notes.txt/x cannot be made: {place}/notes.txt is a file; a folder"),
    ("infer photos --results rows.csv", 2,
     "--results rows.csv is called like a file, and a folder is made.\nName it rows."),
    ("infer photos --annotate out.png", 2,
     "--annotate out.png is called like a file, and a folder is made.\nName it out."),
    ("infer photos --checkpoint runs", 1, "runs holds no best.safetensors."),
    ("infer empty", 1, "empty holds no image or video.\nName the folder that holds the photographs or films"),
    ("infer votes", 1,
     "votes holds no image or video (3 .csv).\nAdd --recursive to look into its sub-folders too: images."),
    ("infer begun", 1, "begun holds no image or video (1 .yaml).\nName the folder that holds"),
    ("train --data photos --output o --teacher rnus", 1,
     "the checkpoint {place}/rnus does not exist.\nIn {place} there is runs."),
    ("train --data d --output o --loss mse:0.5,kl:0.5", 2,
     "--loss: the weight of loss 'mse' must be a finite number above 0; got '0.5,kl:0.5'. Terms are joined by "
     "+, as mse:0.5+kl:0.5."),
    ("serve --port 99999999", 2, "--port must be at least 0 and at most 65535; got 99,999,999."),
    ("eval-corruptions --checkpoint a --data b --corruptions fog;frost", 2,
     "--corruptions: unknown corruption 'fog;frost'. Write commas between names: fog,frost."),
    ("matrix --checkpoint a --data b --split tset", 2,
     "--split must be one of train, valid, test, all; got 'tset'. Did you mean test?"),
    ("calibrate a --data b --output c.safetensors --abstain accuracy=95", 2,
     "--abstain: accuracy must be above 0 and below 1; got 95 (95% is 0.95)."),
    ("calibrate a --data b --output c.safetensors --abstain acuracy=0.9", 2,
     "--abstain: must name accuracy or coverage, and confidence beside it; got 'acuracy'. Did you mean accuracy?"),
    ("datasplit photos --output o --group-by subject", 2,
     "--group-by subject: parentheses are missing in the expression, around what items share. For subject12_smile"),
    # needed, and shares
    ("train --data photos", 2, "--output is needed: the folder for the run, as runs/first."),
    ("test --data photos", 2,
     "--checkpoint is needed: a run folder of affectkit train, a checkpoint file, or builtin."),
    ("infer", 2, "PATHS is needed: images, videos, folders"),
    ("infer photos --abstain 80%", 2,
     "--abstain: must be stored, the checkpoint's threshold, or a confidence in [0, 1]; got '80%'. Did you "
     "mean 0.8?"),
    ("infer photos --prior fear=20%,anger=0.8", 2,
     "--prior: 'fear=20%' is not NAME=NUMBER; it must be a table, or shares as happiness=0.2,sadness=0.8. Did "
     "you mean fear=0.2?"),
    ("test --checkpoint a --data b --fail-under accuracy=90%", 2,
     "--fail-under: 'accuracy=90%' is not METRIC=VALUE, as in accuracy=0.8. Did you mean accuracy=0.9?"),
    ("infer photos --every 2fps", 2,
     "--every: must be seconds, as 0.5s, frames a second, as 2/s, or a number of frames, as 15 for every 15th; "
     "got '2fps'. 2fps is 2/s."),
    ("infer photos --device gpu", 2,
     "unknown device 'gpu'; it must be auto, cpu, cuda, cuda:N (such as cuda:1) or mps. Did you mean "
     "cuda?\naffectkit doctor lists the devices"),
    ("eval-corruptions --checkpoint a --data b --corruptions fgo", 2,
     "--corruptions: unknown corruption 'fgo'; did you mean fog?"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "message"), PLACES, ids=[line for line, *_ in PLACES])
def test_what_is_named_wrong_is_answered_with_what_was_meant(place, monkeypatch, line, code, message):
    monkeypatch.chdir(place)
    monkeypatch.setenv("PWD_OF_TEST", str(place))
    done = invoke(*line.split())
    assert done.returncode == code and done.stdout == ""
    lines = [line for line in done.stderr.splitlines(keepends=True) if not line.startswith("inputs: ")]
    assert "".join(lines).startswith("Error: " + message.format(place=place)), done.stderr
    assert not FOREIGN.search(done.stderr) and "Warning" not in done.stderr


@pytest.mark.parametrize(("number", "words"), [
    (errno.ENOSPC, "the disk is full: a.csv could not be written."),
    (errno.EACCES, "no permission for a.csv: your user may not read or write it."),
    (errno.EROFS, "no permission for a.csv"),
    (errno.ENOTDIR, "a.csv: a file stands where a folder is needed."),
    (errno.EMFILE, "too many files are open; a.csv was one more."),
    (errno.EDEADLK, "words of the system (a.csv)."),
])  # fmt: skip
def test_what_the_operating_system_refuses_is_said_in_plain_words(capsys, number, words):
    with pytest.raises(BaseException) as stopped, Console().guard():
        raise OSError(number, "words of the system", "a.csv")
    assert stopped.value.exit_code == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"Error: {words}") and len(lines) == 2


def test_an_option_given_twice_counts_once_and_that_is_said(place):
    done = invoke("train", "--data", "d", "--output", "o", "--epochs", "3", "--lr", "1", "--lr=1", "--epochs=4", "-q",
                  "--print-config")  # fmt: skip
    assert done.returncode == 0 and re.search(r"--epochs +4 +flag", done.stdout)
    assert done.stderr == "Warning: --epochs is given more than once (3, 4): the last counts, 4.\n"


def test_what_may_be_repeated_is_no_mistake(place):
    """Models and data sets of matrix are given one by one; a flag twice is the same flag."""
    done = invoke(
        "matrix", "--checkpoint", "a", "--checkpoint", "b", "--data", "c", "--data", "d", "--force", "--force"
    )
    assert "more than once" not in done.stderr and "--force needs --results" in done.stderr


def test_control_characters_of_what_was_typed_do_not_reach_the_terminal():
    done = invoke("train", "--mod\x1b[31mel", "x")
    assert done.returncode == 2 and "\x1b" not in done.stderr and r"\x1b[31m" in done.stderr


@pytest.mark.parametrize("names", ["anger sadness", "anger;sadness"])
def test_classes_without_commas_are_refused_before_a_training_without_them(tmp_path, monkeypatch, names):
    """They named no column, all votes were passed over, and ratings beside them were learned instead."""
    for path in make_votes(tmp_path / "rated", train=6, valid=6, test=6).glob("*.csv"):
        head, *rows = path.read_text().splitlines()
        path.write_text("\n".join([f"{head},valence,arousal", *(f"{row},0.5,0.5" for row in rows)]) + "\n")
    monkeypatch.chdir(tmp_path)
    done = invoke("train", "--data", "rated", "--output", "o", "--classes", names, "--no-pretrained")
    assert done.returncode == 1 and f"--classes: no table has a column {names!r}" in done.stderr
    assert done.stderr.endswith("Write commas between names: --classes anger,sadness\n")

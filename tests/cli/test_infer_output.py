"""What ``infer`` says where its rows went, and of outputs that are there before it begins."""

from __future__ import annotations

import pytest
import timm  # noqa: F401 - seconds in every forked process, were it not here already
from films import write_film
from forked import in_pipes, on_terminal
from PIL import Image
from support import invoke

from affectkit.errors import DataError

UNSAVED = "table not saved; --results DIR keeps it"


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        Image.new("L", (40, 40), 90 + number).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def unloaded(monkeypatch):
    """No model can be loaded."""

    def fails(*args, **options):
        raise DataError("the model was loaded.")

    monkeypatch.setattr("affectkit.inference.infer.load_engine", fails)


def test_rows_that_scroll_by_on_a_terminal_are_told_to_be_unsaved(trained, images, tmp_path):
    command = ["infer", images, "--checkpoint", trained, "--workers", 0, "--annotate", tmp_path / "drawn"]
    code, text = on_terminal(*command)
    assert code == 0 and text.rstrip().endswith(UNSAVED), text
    kept = [["--results", tmp_path / "results"], ["--json"], ["--quiet"]]
    for more in kept:
        code, text = on_terminal(*command, *more, "--force" if "--results" not in more else "--resume")
        assert code == 0 and UNSAVED not in text, text
    code, out, err = in_pipes(tmp_path, *command, "--force")
    assert code == 0 and out.startswith("Image Name,") and UNSAVED not in out + err


def test_outputs_that_are_there_are_told_before_the_model_is_loaded(trained, images, tmp_path, unloaded):
    drawn, results = tmp_path / "drawn", tmp_path / "results"
    for folder in (drawn, results):
        folder.mkdir()
    (drawn / "mine.txt").write_text("kept")
    command = ["infer", images, "--checkpoint", trained]
    refused = invoke(*command, "--annotate", drawn)
    assert refused.returncode == 2 and f"--annotate {drawn} is not empty.\n" in refused.stderr
    assert "replaces files of the same names there and leaves all others." in refused.stderr
    (results / "inference_results.csv").write_text("")
    refused = invoke(*command, "--results", results)
    assert refused.returncode == 2 and "inference_results.csv exists." in refused.stderr


def test_force_leaves_other_files_beside_those_that_it_replaces(trained, images, tmp_path):
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    for name in ("mine.txt", "0.png"):
        (drawn / name).write_text("before")
    done = invoke("infer", images, "--checkpoint", trained, "--workers", 0, "--annotate", drawn, "--force")
    assert done.returncode == 0, done.stderr
    assert (drawn / "mine.txt").read_text() == "before" and (drawn / "0.png").read_bytes()[:4] == b"\x89PNG"


def test_resume_tells_how_many_images_of_an_earlier_run_are_not_drawn(trained, images, tmp_path):
    drawn, results = tmp_path / "drawn", tmp_path / "results"
    command = ["infer", images, "--checkpoint", trained, "--workers", 0, "--results", results]
    assert invoke(*command).returncode == 0
    (images / "broken.png").write_bytes(b"\x89PNG")
    Image.new("L", (40, 40), 200).save(images / "new.png")
    for told in ("2 images are not drawn: their rows stand from an earlier run", "2 images are not drawn"):
        done = invoke(*command, "--resume", "--annotate", drawn)  # the second time nothing is left to do
        assert told in done.stderr and "--force predicts and draws all" in done.stderr
        assert [path.name for path in drawn.iterdir()] == ["new.png"]
    done = invoke(*command, "--force", "--annotate", drawn)
    assert "not drawn" not in done.stderr and len(list(drawn.iterdir())) == 3


def test_a_film_that_is_there_is_told_before_the_model_is_loaded(trained, tmp_path, unloaded):
    write_film(tmp_path / "film.mp4", 4)
    (tmp_path / "drawn.mp4").write_bytes(b"mine")
    command = ["infer", tmp_path / "film.mp4", "--checkpoint", trained]
    refused = invoke(*command, "--annotate", tmp_path / "drawn.mp4")
    assert refused.returncode == 2 and "drawn.mp4 exists.\n" in refused.stderr and "--force" in refused.stderr

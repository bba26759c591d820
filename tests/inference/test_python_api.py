"""The Python door: whatever holds the pictures, the rows of ``infer``; model and caller are left as they were."""

from __future__ import annotations

import doctest
import io
import itertools
import math
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from films import write_film
from PIL import Image

import affectkit
from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.data.media.images_in_memory import given_images
from affectkit.errors import AffectkitError, DataError, UsageError
from affectkit.guides import FOLDER
from affectkit.inference.infer import infer
from affectkit.inference.table_writer import TableWriter
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face
from affectkit.settings.inference import InferSettings

pytestmark = pytest.mark.usefixtures("no_figures")

GUIDE = FOLDER / "python.md"


@pytest.fixture(scope="module")
def model():
    return affectkit.load("builtin")


def face(number: int, height: int = 96, width: int = 96) -> np.ndarray:
    expression = np.random.default_rng(number).uniform(0, 1, len(PARAMETERS))
    made = draw_face(expression, draw_appearance(np.random.default_rng(number)), size=max(height, width))
    return np.ascontiguousarray(made[:height, :width])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Faces of many kinds: colours and gray, transparent, turned, of other sizes and shapes."""
    root = tmp_path_factory.mktemp("faces")
    Image.fromarray(face(0)).save(root / "a.png")
    Image.fromarray(face(1, 120, 90)).save(root / "b.bmp")
    Image.fromarray(face(2)).convert("L").save(root / "c.png")
    clear = Image.fromarray(face(3)).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(root / "d.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(face(4, 90, 110)).save(root / "e.jpg", exif=exif, quality=95)
    Image.fromarray(face(5, 48, 48)).save(root / "f.webp", lossless=True)
    return root


def printed(*paths, **changes) -> str:
    """What ``affectkit infer --format jsonl`` writes to standard output."""
    values = {"paths": list(map(str, paths)), "format": "jsonl", "workers": 0, **changes}
    out = io.StringIO()
    settings = resolve(InferSettings, flags=values).settings
    infer(settings, reporter=Silent(), listed=io.StringIO(), stdout=out)
    return out.getvalue()


def lines(rows) -> str:
    """``rows`` as infer writes them."""
    out = io.StringIO()
    for row in rows:
        TableWriter(out, list(row), "jsonl", begun=True).add([list(row.values())])
    return out.getvalue()


def unnamed(text: str) -> list[str]:
    return [re.sub(r'^\{"Image Name": "[^"]*"', "{", line) for line in text.splitlines()]


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


# --- the rows of infer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("faces", [None, "none", "haar"])
def test_rows_are_the_bytes_of_infer(model, folder, faces):
    given = {} if faces is None else {"faces": faces}
    whole = printed(folder, **given)
    assert whole.count("\n") == 6
    for batch_size in (1, 4, 32):
        assert lines(affectkit.predict(model, str(folder), batch_size=batch_size, faces=faces)) == whole
    assert lines(affectkit.predict(model, folder, faces=faces)) == whole
    by_name = printed(*files(folder), **given)
    for some in (files(folder), map(str, files(folder)), tuple(files(folder)), np.array(list(map(str, files(folder))))):
        assert lines(affectkit.predict(model, some, faces=faces)) == by_name
    assert lines(affectkit.predict(model, [str(folder)], faces=faces)) == by_name
    pattern = str(folder / "*.png")
    assert lines(affectkit.predict(model, pattern, faces=faces)) == printed(pattern, **given)
    one = folder / "b.bmp"
    assert lines(affectkit.predict(model, one, faces=faces)) == printed(one, **given)
    assert lines(affectkit.predict(model, str(one), faces=faces)) == printed(one, **given)


@pytest.mark.parametrize("faces", [None, "none"])
def test_pictures_in_memory_are_as_their_files(model, folder, faces):
    wanted = unnamed(printed(*files(folder), **({"faces": faces} if faces else {})))
    opened = [Image.open(path) for path in files(folder)]
    rows = list(affectkit.predict(model, opened, faces=faces))
    assert unnamed(lines(rows)) == wanted
    assert [row["Image Name"] for row in rows] == list("012345")
    assert opened[4].size == (110, 90)  # the caller's image was not turned
    upright = [np.asarray(Image.open(path)) for path in files(folder)]
    upright[3] = np.asarray(Image.alpha_composite(Image.new("RGBA", (96, 96), "white"), Image.open(folder / "d.png")))
    upright[3] = upright[3][:, :, :3]
    upright[4] = np.rot90(upright[4], -1)
    forms = {
        "bytes": upright,
        "floats": [pixels / 255 for pixels in upright],
        "singles": [(pixels / 255).astype(np.float32) for pixels in upright],
        "tensors": [torch.from_numpy(pixels.copy().reshape(*pixels.shape[:2], -1)).permute(2, 0, 1)
                    for pixels in upright],
        "batches": [pixels[None] if pixels.ndim == 3 else pixels[None, :, :, None] for pixels in upright],
        "read-only": [np.frombuffer(pixels.tobytes(), np.uint8).reshape(pixels.shape) for pixels in upright],
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for form, given in forms.items():
            assert unnamed(lines(affectkit.predict(model, given, faces=faces))) == wanted, form


def test_batches_of_arrays_and_tensors(model):
    pictures = np.stack([face(k) for k in range(3)])
    one_by_one = [row for picture in pictures for row in affectkit.predict(model, picture, faces="none")]
    tensor = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    for batch in (pictures, tensor, tensor.float() / 255, (tensor.double() / 255).requires_grad_()):
        rows = list(affectkit.predict(model, batch, faces="none"))
        assert [row["Image Name"] for row in rows] == ["0", "1", "2"]
        assert [{**row, "Image Name": "0"} for row in rows] == one_by_one
    mixed = affectkit.predict(model, [pictures[0], pictures, tensor[2]], faces="none")
    assert [row["Image Name"] for row in mixed] == ["0", "1[0]", "1[1]", "1[2]", "2"]
    gray = np.stack([np.asarray(Image.fromarray(face(k)).convert("L")) for k in range(2)])
    alone = [next(affectkit.predict(model, picture, faces="none"))["Confidence"] for picture in gray]
    for batch in (gray[..., None], torch.from_numpy(gray)[:, None], gray[..., None] / 255):
        assert [row["Confidence"] for row in affectkit.predict(model, batch, faces="none")] == alone


def test_a_large_jpeg_by_path_and_as_a_picture(model, tmp_path):
    """By its path it is decoded smaller, as ``infer`` does; the difference shows in the third digit."""
    Image.fromarray(face(7, 785, 785)).save(tmp_path / "a.jpg", quality=92)
    (path,) = affectkit.predict(model, tmp_path / "a.jpg", faces="none")
    (whole,) = affectkit.predict(model, Image.open(tmp_path / "a.jpg"), faces="none")
    assert lines([path]) == printed(tmp_path / "a.jpg", faces="none")
    assert path["Predicted Label"] == whole["Predicted Label"]
    assert max(abs(path[name] - whole[name]) for name in model.spec.classes) < 0.02


def test_videos_and_pictures_in_one_call(model, folder, tmp_path):
    film = write_film(tmp_path / "talk.mp4", 12)
    wanted = printed(film, faces="haar", every="3")
    assert wanted.count("\n") == 4
    assert lines(affectkit.predict(model, film, faces="haar", every="3")) == wanted
    whole = printed(film, faces="none", every="3", smooth=1.0)
    assert lines(affectkit.predict(model, [str(film)], faces="none", every="3", smooth=1.0)) == whole
    rows = list(affectkit.predict(model, [folder / "a.png", film, face(0), folder / "c.png"], faces="none"))
    names = [row.get("Image Name") or row.get("Video Name") for row in rows]
    assert names == [str(folder / "a.png"), *[str(film)] * (len(rows) - 3), "2", str(folder / "c.png")]
    assert len(rows) > 4 and rows[0]["Confidence"] == rows[-2]["Confidence"]
    (tmp_path / "both").mkdir()
    film.rename(tmp_path / "both" / "talk.mp4")
    Image.fromarray(face(0)).save(tmp_path / "both" / "a.png")
    assert {"Video Name", "Image Name"} <= {key for row in affectkit.predict(model, tmp_path / "both") for key in row}


def test_a_torn_video_gives_its_rows_then_the_error(model, tmp_path):
    film = write_film(tmp_path / "a.mkv", 30)
    data = film.read_bytes()
    film.write_bytes(data[: len(data) * 2 // 3])
    rows = affectkit.predict(model, film, faces="none", every="2", batch_size=1)
    assert next(rows)["Frame"] == 0
    with pytest.raises(DataError, match=r"a\.mkv"):
        list(rows)
    with pytest.warns(UserWarning, match=r"broken off: .*a\.mkv"):
        assert list(affectkit.predict(model, film, faces="none", every="2", on_error="skip"))


# --- the model and the caller's state --------------------------------------------------------------------------------


def modes(model) -> dict[str, bool]:
    return {name: part.training for name, part in model.named_modules()}


def test_a_model_in_training_is_put_back(folder):
    model = affectkit.load("builtin", engine="torch")
    expected = lines(affectkit.predict(model, folder, faces="none"))
    model.train()
    frozen = next(name for name, part in model.named_modules() if isinstance(part, torch.nn.BatchNorm2d))
    model.get_submodule(frozen).eval()  # as who freezes statistics does
    before = modes(model)
    statistics = {name: value.clone() for name, value in model.state_dict().items()}
    assert lines(affectkit.predict(model, folder, faces="none")) == expected
    assert modes(model) == before
    rows = affectkit.predict(model, folder, faces="none", batch_size=2)
    next(rows)
    assert modes(model) == before  # between rows, too: the caller may train on
    rows.close()
    assert modes(model) == before
    with pytest.raises(DataError):
        list(affectkit.predict(model, [folder / "a.png", folder / "none.png"], faces="none"))
    assert modes(model) == before
    film = affectkit.predict(model, face(0))
    del film
    assert modes(model) == before
    assert all(torch.equal(value, statistics[name]) for name, value in model.state_dict().items())


def test_an_iterator_without_end_is_taken_as_it_comes(model):
    taken = []

    def pictures():
        for number in itertools.count():
            taken.append(number)
            yield face(0)

    rows = affectkit.predict(model, pictures(), faces="none", batch_size=2, exact=False)
    assert [next(rows)["Image Name"] for _ in range(4)] == ["0", "1", "2", "3"]
    assert len(taken) <= 6


def test_the_last_digit_may_be_given_up(model, folder):
    exact = list(affectkit.predict(model, folder, faces="none", batch_size=1))
    quick = list(affectkit.predict(model, folder, faces="none", batch_size=1, exact=False))
    for one, other in zip(exact, quick, strict=True):
        assert [one[name] for name in model.spec.classes] == pytest.approx(
            [other[name] for name in model.spec.classes], rel=1e-4
        )


# --- what is no picture ----------------------------------------------------------------------------------------------

PICTURE = np.full((8, 9, 3), 100, np.uint8)
NAN = np.full((8, 9, 3), np.nan)


@pytest.mark.parametrize(
    ("x", "kind", "words"),
    [
        (PICTURE * 1.0, DataError, r"x: holds values from 100 to 100; .*\[0, 1\]\.\nDivide by 255"),
        (PICTURE / 255 - 1.5, DataError, "holds values from -1.1.* to .*\nGive the picture before it is norm"),
        (NAN, DataError, "x: holds NaN or infinity"),
        (np.stack([PICTURE / 255, NAN]), DataError, r"x\[1\]: holds NaN"),
        (PICTURE.astype(np.int64), DataError, "values of type int64; they must be uint8"),
        (PICTURE > 5, DataError, "values of type bool"),
        (PICTURE.transpose(2, 0, 1), DataError, r"shape \(3, 8, 9\); .*\nMove the channels last: np.moveaxis\(x"),
        (np.zeros((2, 3, 8, 9), np.uint8), DataError, "Move the channels last"),
        (np.zeros((8, 9, 4), np.uint8), DataError, r"shape \(8, 9, 4\); .*\nLay transparency on a colour"),
        (np.zeros((5, 8, 9), np.uint8), DataError, "Give pictures one by one, or with a channel axis"),
        (np.zeros(7, np.uint8), DataError, r"shape \(7,\)"),
        (np.array(7, np.uint8), DataError, r"shape \(\)"),
        (np.zeros((0, 8, 9, 3), np.uint8), DataError, "holds no pixel"),
        (np.zeros((8, 0, 3), np.uint8), DataError, "holds no pixel"),
        (torch.zeros(8, 9, 3), DataError, r"a tensor of shape \(8, 9, 3\); .*\nMove the channels first: x.movedim"),
        (torch.zeros(3, 8, 9) - 1, DataError, "holds values from -1 to -1"),
        (torch.zeros(2, 5, 8, 9), DataError, "a tensor of shape"),
        ("", UsageError, "an empty path"),
        (b"a.png", UsageError, "x is of type bytes; it must be a path, an array"),
        (7, UsageError, "x is of type int"),
        (None, UsageError, "x is of type NoneType"),
        ({"a.png": 1}, UsageError, "x is of type dict"),
        ({"a.png"}, UsageError, "x is of type set"),
        (io.BytesIO(b"x"), UsageError, r"x is of type BytesIO.*\n.*PIL.Image.open"),
        ("no/such.png", DataError, "no/such.png does not exist"),
        ("no/such*.png", DataError, r"no/such\*.png"),
        (Path("no/such"), DataError, "no/such does not exist"),
        ("-", DataError, "- does not exist"),
    ],
    ids=lambda value: None if not isinstance(value, str) else value[:30] or "empty",
)  # fmt: skip
def test_what_is_no_picture_is_told_at_once(model, x, kind, words):
    with pytest.raises(kind, match=words) as caught:
        affectkit.predict(model, x)
    if not isinstance(x, str | Path):
        assert caught.value.hint  # the next step
    if not isinstance(x, str | Path) and kind is DataError:
        with pytest.raises(DataError, match=re.escape("x[1]")):
            list(affectkit.predict(model, [PICTURE, x]))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        # Divided by 255, what a resize took just beyond 1 would be black; so would be True and False as 1 and 0.
        (np.full((9, 9, 3), 1.0000001), r"from 1\.0000001 to 1\.0000001; .*\nWhere a resize .* pixels\.clip\(0, 1\)"),
        (np.full((9, 9, 3), -0.01), r"pixels\.clip\(0, 1\)"),
        (np.full((9, 9, 3), -1.0), r"before it is normalised"),
        (np.full((9, 9, 3), True), r"pixels \* numpy\.uint8\(255\)"),
    ],
)
def test_the_next_step_gives_the_picture_that_was_meant(model, x, words):
    with pytest.raises(DataError, match=words):
        affectkit.predict(model, x)


def test_names_are_plain_text_and_a_callers_autocast_changes_no_digit(model, folder):
    path = next(iter(sorted(folder.glob("*.png"))))
    (wanted,) = affectkit.predict(model, path)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (found,) = affectkit.predict(model, np.array([str(path)]))
        assert torch.is_autocast_enabled("cpu")
    assert found == wanted
    assert type(found["Image Name"]) is str


def test_what_is_no_picture_in_a_list(model, folder):
    for x, words in (
        ([], "holds no image"), (iter(()), "holds no image"), ([7], r"x\[0\] is of type int"),
        ([PICTURE, [PICTURE]], r"x\[1\] is of type list"), ([folder / "none.png"], "none.png"),
    ):  # fmt: skip
        with pytest.raises(AffectkitError, match=words):
            list(affectkit.predict(model, x))
    deep = Image.fromarray(np.full((4, 4), 9.5, np.float32))
    with pytest.raises(DataError, match=r"x\[1\]: values from 9.5 to 9.5"):
        list(affectkit.predict(model, [PICTURE, deep]))


def test_other_arguments(model):
    for wrong, words in (
        ({"batch_size": 0}, "batch_size must be a whole number"), ({"batch_size": 2.5}, "batch_size must be"),
        ({"on_error": "ignore"}, 'on_error must be "fail" or "skip"'), ({"every": "often"}, "every must be seconds"),
        ({"smooth": -1}, "smooth must be seconds"), ({"faces": "all"}, "must be auto, none, haar or yunet"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            affectkit.predict(model, PICTURE, **wrong)
    for wrong in ("builtin", torch.nn.Linear(2, 2), None):
        with pytest.raises(UsageError, match=r"model: .* is not what affectkit.load gives"):
            affectkit.predict(wrong, PICTURE)


def test_what_cannot_be_read_is_left_out_with_a_warning(model, folder, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"broken")
    paths = [folder / "a.png", tmp_path / "broken.png", folder / "c.png"]
    with pytest.raises(DataError, match=r'broken\.png.*\n.*on_error="skip"'):
        list(affectkit.predict(model, paths, faces="none"))
    with pytest.warns(UserWarning, match=r"left out: .*broken\.png"):
        rows = list(affectkit.predict(model, paths, faces="none", on_error="skip"))
    assert [row["Image Name"] for row in rows] == [str(paths[0]), str(paths[2])]


# --- tables, errors, examples ----------------------------------------------------------------------------------------


def test_tables(model, folder, monkeypatch):
    rows = list(affectkit.predict(model, folder, faces="none"))
    table = affectkit.to_pandas(iter(rows))
    assert isinstance(table, pd.DataFrame) and list(table.columns) == list(rows[0])
    assert table.to_dict("records") == rows
    assert len(affectkit.to_pandas([])) == 0
    for wrong in (rows[0], "rows", 7):
        with pytest.raises(UsageError, match="must be the rows that affectkit.predict gives"):
            affectkit.to_pandas(wrong)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="to_pandas needs pandas.*\npip install pandas"):
        affectkit.to_pandas(rows)


def test_errors_are_at_hand():
    assert affectkit.errors.DataError is DataError
    assert set(affectkit.__all__) >= {"errors", "load", "predict", "to_pandas"}


def test_the_example_in_the_docstring_runs():
    done = doctest.testmod(affectkit)
    assert done.attempted >= 8 and done.failed == 0


def test_the_example_in_the_guide_runs(tmp_path, monkeypatch, capsys):
    """As it stands there, over images and a video of the names that it takes."""
    section = GUIDE.read_text(encoding="utf-8").split("## From Python\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (tmp_path / "faces").mkdir()
    for number, name in enumerate("ab"):
        Image.fromarray(face(number)).save(tmp_path / "faces" / f"{name}.jpg")
    write_film(tmp_path / "talk.mp4", 12)
    monkeypatch.chdir(tmp_path)
    held: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(code, GUIDE.name, "exec"), held)
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told if line.startswith("faces/")] == ["faces/a.jpg", "faces/b.jpg"]
    assert told[-2].startswith("x: holds values from ") and told[-1]
    assert [row["Image Name"] for row in held["rows"]] == ["faces/a.jpg", "1", "2"]
    assert held["row"]["Image Name"] == "0" and "Video Name" in held["table"].columns


def test_pictures_for_the_network_are_the_programs_own(model):
    """Of its very size too, and from memory that may not be written: torch warns of such, and undefined behaviour."""
    spec = model.spec
    for shape in ((spec.height, spec.width), (spec.height, spec.width, 3)):
        held = np.frombuffer(bytes(math.prod(shape)), np.uint8).reshape(shape)
        for given in (held, Image.fromarray(held)):
            for one in given_images(given, "x"):
                for made in (one.fitted(spec), one.fitted(spec.in_colour()), one.whole()[0]):
                    assert made.flags.writeable and made.flags.c_contiguous

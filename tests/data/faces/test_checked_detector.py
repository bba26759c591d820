"""Detectors from elsewhere: what they get, and what is refused of what they return."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest

from affectkit.core.registry import Registry
from affectkit.data.faces import DETECTORS, ENTRY_POINTS, DetectorEntry, add_installed, detector_forms
from affectkit.data.faces.checked_detector import CheckedDetector, load_detector
from affectkit.data.faces.detection import FaceDetector
from affectkit.errors import CheckpointError, RunError, UsageError

PICTURE = np.arange(60 * 80 * 3, dtype=np.uint8).reshape(60, 80, 3)
BOX = (10, 12, 20, 24)
FIVE = ((15, 20), (25, 20), (20, 25), (16, 30), (24, 30))


def checked(factory, file=None, name="mine"):
    """A detector made by ``factory``, as a package would bring it."""
    module = types.ModuleType("own_detectors_of_tests")
    module.make = factory
    sys.modules[module.__name__] = module
    try:
        return CheckedDetector(name, DetectorEntry(f"{module.__name__}:make", "", package="ours 1.0"), file)
    finally:
        del sys.modules[module.__name__]


def returning(value):
    return checked(lambda file: lambda picture: value)


def test_what_it_gets():
    seen = []

    def make(file):
        def detect(picture):
            seen.append((file, picture.copy()))
            picture[:] = 0  # as where boxes are drawn on it
            return []

        return detect

    before = PICTURE.copy()
    assert checked(make, Path("weights.bin"))(PICTURE) == []
    assert checked(make)(PICTURE[:, :, :1]) == []
    np.testing.assert_array_equal(PICTURE, before)
    assert seen[0][0] == Path("weights.bin") and seen[1][0] is None
    np.testing.assert_array_equal(seen[0][1], before)
    np.testing.assert_array_equal(seen[1][1], np.repeat(before[:, :, :1], 3, axis=2))


@pytest.mark.parametrize(
    ("face", "found"),
    [
        ((BOX, 0.9, ()), ((10.0, 12.0, 20.0, 24.0), 0.9, ())),
        ((BOX, 7, None), ((10.0, 12.0, 20.0, 24.0), 7.0, ())),
        ([list(BOX), np.float32(0.5), FIVE[:2]], ((10.0, 12.0, 20.0, 24.0), 0.5, ((15.0, 20.0), (25.0, 20.0)))),
        ((np.array(BOX), -3.5, np.array(FIVE)), ((10.0, 12.0, 20.0, 24.0), -3.5, FIVE)),
        ((np.array([-5.5, 12, 20, 24]), 1, ()), ((-5.5, 12.0, 20.0, 24.0), 1.0, ())),
    ],
)  # fmt: skip
def test_faces_become_plain_numbers(face, found):
    assert returning([face])(PICTURE) == [found]
    assert checked(lambda file: lambda picture: iter([face]))(PICTURE) == [found]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "returned NoneType, where a list of faces"),
        (7, "returned int, where a list of faces"),
        ("faces", "returned text, where a list of faces"),
        ([BOX], "returned .* as face 0, where \\(box, score, landmarks\\) is due"),
        (np.zeros((2, 15)), "as face 0, where \\(box, score, landmarks\\)"),
        ([(BOX, 0.9)], "as face 0, where"),
        ([(BOX, 0.9, ()), None], "None as face 1"),
        ([(BOX[:3], 0.9, ())], "the box \\(10, 12, 20\\), which must be four finite numbers"),
        ([("abcd", 0.9, ())], "four finite numbers"),
        ([("1234", 0.9, ())], "four finite numbers"),
        ([(None, 0.9, ())], "four finite numbers"),
        ([((1, 2, float("nan"), 4), 0.9, ())], "four finite numbers"),
        ([((1, 2, float("inf"), 4), 0.9, ())], "four finite numbers"),
        ([((1, 2, 0, 4), 0.9, ())], "width and height must be above 0"),
        ([((1, 2, 3, -4), 0.9, ())], "width and height must be above 0"),
        ([(BOX, "sure", ())], "the score 'sure', which must be a finite number"),
        ([(BOX, None, ())], "the score None"),
        ([(BOX, float("nan"), ())], "the score nan"),
        ([(BOX, 0.9, FIVE[:3])], "the landmarks .* right eye, left eye, nose"),
        ([(BOX, 0.9, (1, 2, 3, 4))], "the landmarks \\(1, 2, 3, 4\\)"),
        ([(BOX, 0.9, ((1, 2), (3, float("nan"))))], "finite points"),
        ([(BOX, 0.9, 5)], "the landmarks 5"),
        ([(BOX, 0.9, ((1, 2, 3), (3, 4, 5)))], "finite points"),
    ],
)
def test_what_is_no_face_is_refused(value, message):
    with pytest.raises(RunError, match=message) as caught:
        returning(value)(PICTURE)
    assert "the face detector 'mine' (ours 1.0, own_detectors_of_tests:make)" in caught.value.message
    assert "--faces auto" in caught.value.hint


def test_a_face_whose_centre_lies_outside_is_left_out():
    boxes = [(-30, 10, 20, 20), (70, 10, 30, 20), (79, 10, 30, 20), (60, 50, 30, 30)]
    assert [face[0] for face in returning([(box, 1, ()) for box in boxes])(PICTURE)] == []
    assert len(returning([((-9, -9, 20, 20), 1, ())])(PICTURE)) == 1


def test_its_exceptions_are_reported_with_its_name():
    def fails(file):
        def detect(picture):
            raise ValueError("no such\n layer")

        return detect

    with pytest.raises(RunError) as caught:
        checked(fails)(PICTURE)
    assert caught.value.message == (
        "the face detector 'mine' (ours 1.0, own_detectors_of_tests:make) failed on a picture of 80x60 pixels: "
        "ValueError: no such layer."
    )
    assert isinstance(caught.value.__cause__, ValueError)

    def broken(file):
        raise OSError(2, "No such file")

    with pytest.raises(RunError, match="cannot be made with weights.bin: FileNotFoundError: .*No such file"):
        checked(broken, Path("weights.bin"))
    with pytest.raises(RunError, match="is made as int, which cannot be called"):
        checked(lambda file: 5)
    missing = DetectorEntry("no_such_module_of_ours:make", "")
    with pytest.raises(RunError, match=r"\(no_such_module_of_ours:make\) cannot be made .*: ModuleNotFoundError"):
        CheckedDetector("mine", missing, None)


def test_it_does_not_end_the_run_with_an_exit_code_of_its_own():
    def leaves(file):
        return lambda picture: sys.exit(3)  # of a threshold that was missed

    with pytest.raises(RunError, match="failed on a picture of 80x60 pixels: SystemExit: 3"):
        checked(leaves)(PICTURE)
    with pytest.raises(RunError, match="cannot be made without a file: SystemExit: no licence"):
        checked(lambda file: sys.exit("no licence"))


def test_errors_of_affectkit_pass():
    def make(file):
        raise CheckpointError("the file is of another network.")

    with pytest.raises(CheckpointError, match="another network"):
        checked(make)


def test_its_optional_attributes_are_read(monkeypatch):
    class Sided:
        takes_sides, min_score = True, 0.6

        def __init__(self, file):
            pass

        def __call__(self, picture, *, sides=None):
            return [(BOX, self.min_score, ())] if sides == (5, 9) else []

    module = types.ModuleType("sided_detector_of_tests")
    module.Sided = Sided
    monkeypatch.setitem(sys.modules, module.__name__, module)
    DETECTORS.add("sided", f"{module.__name__}:Sided", "")
    try:
        found = load_detector("sided", None, 0.25)
        assert found.takes_sides and found(PICTURE) == [] and found(PICTURE, sides=(5, 9))[0][1] == 0.25
        # Above its own: it finds them all, and those left out can be counted.
        assert load_detector("sided", None, 0.9)(PICTURE, sides=(5, 9))[0][1] == 0.6
        assert load_detector("sided", None)(PICTURE, sides=(5, 9))[0][1] == 0.6
        assert len(FaceDetector("sided")(PICTURE)) == 0 and FaceDetector("sided").name == "sided"
    finally:
        DETECTORS.remove("sided")
    plain = returning([])
    assert not plain.takes_sides and not hasattr(plain, "min_score")
    assert FaceDetector("auto").name in DETECTORS and not isinstance(load_detector("haar", None), CheckedDetector)
    with pytest.raises(UsageError, match="unknown face detector 'har'; did you mean haar"):
        load_detector("har", None)


def test_installed_packages_bring_detectors(tmp_path, monkeypatch):
    group = f"[{ENTRY_POINTS}]\n"
    for package, lines in {
        "retina-1.5": "retina = retina.find:make\nhaar = retina:haar\nnone = retina:none\n",
        "second-2": "retina = second:make\nmany:words = second:make\nplain = second\n",
    }.items():
        (tmp_path / f"{package}.dist-info").mkdir()
        (tmp_path / f"{package}.dist-info" / "entry_points.txt").write_text(group + lines)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    registry = Registry("face detector", entry=DetectorEntry)
    registry.add("haar", "affectkit.data.faces.haar:HaarDetector", "")
    faults = add_installed(registry)
    assert list(registry) == ["haar", "retina"]
    assert registry["retina"].target == "retina.find:make" and registry["retina"].package == "retina 1.5"
    assert not registry["retina"].is_own and registry["haar"].is_own
    assert len(faults) == 5
    assert "'haar' of the package retina 1.5 is left out: that name is one of affectkit." in " ".join(faults)
    assert "'retina' of the package second 2 is left out: that name is of retina 1.5." in " ".join(faults)


def test_forms_of_names():
    assert detector_forms()[:2] == ["haar", "yunet[:FILE.onnx]"]

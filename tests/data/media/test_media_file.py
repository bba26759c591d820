"""Files are opened as files: names that look like addresses, lists of other files, tracks that are meant or unknown."""

from __future__ import annotations

import errno
import socket
import threading
from pathlib import Path

import av
import pytest
from av.error import FFmpegError
from av.stream import Disposition
from films import SIZE, coded, write_film

from affectkit.core.memory_errors import want_of_memory
from affectkit.data.media import media_file
from affectkit.data.media.frame_decoder import FrameDecoder
from affectkit.data.media.media_file import (
    ClipError,
    choose_tracks,
    open_media,
    require_sound,
    require_video,
    unopened,
)
from affectkit.data.media.video_stream import VideoStream

NAMES = ("2024-05-01T10:30:00.mp4", "http:x.mp4", "pipe:0.mp4", "concat:a|b.mp4", "%03d.mp4", "-y.mp4", "file:x.mp4")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("relative", [False, True])
def test_names_are_of_files_whatever_they_look_like(tmp_path, monkeypatch, name, relative):
    write_film(tmp_path / "plain.mp4", 3).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with open_media(Path(name) if relative else tmp_path / name) as container:
        assert sum(1 for _ in container.decode(video=0)) == 3


@pytest.fixture
def listening():
    """A port of this machine, and what connected to it."""
    connected: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        done = threading.Event()

        def accept():
            while not done.is_set():
                try:
                    connected.append(server.accept()[1])
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1], connected
        done.set()
        thread.join()


def test_lists_of_other_files_are_not_opened(tmp_path, listening):
    port, connected = listening
    write_film(tmp_path / "a.mp4", 3)
    address = f"http://127.0.0.1:{port}/a.ts"
    lists = {
        "hls.mp4": f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{address}\n#EXT-X-ENDLIST\n",
        "concat.mp4": "ffconcat version 1.0\nfile a.mp4\n",
        "dash.mp4": f'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">'
        f"<BaseURL>{address}</BaseURL></MPD>",
        "sdp.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(FFmpegError):
            open_media(tmp_path / name)
    assert connected == []


def two_tracks(path: Path, marks: tuple[Disposition, ...]) -> Path:
    with av.open(str(path), "w") as container:
        tracks = []
        for mark in marks:
            track = container.add_stream("libx264", rate=10)
            track.width, track.height, track.pix_fmt = *SIZE, "yuv420p"
            track.disposition = mark
            tracks.append(track)
        for number in range(3):
            for place, track in enumerate(tracks):
                frame = av.VideoFrame.from_ndarray(coded(100 * place + number), format="rgb24")
                container.mux(track.encode(frame))
        for track in tracks:
            container.mux(track.encode(None))
    return path


NOTHING, DEFAULT = Disposition(0), Disposition.default


@pytest.mark.parametrize(
    ("marks", "wanted", "noted"),
    [
        ((NOTHING, DEFAULT), 1, ["video track 2 of 2 is read (it is the default)"]),
        ((DEFAULT, NOTHING), 0, []),
        ((DEFAULT, DEFAULT), 0, []),
        ((NOTHING, NOTHING), 0, []),
    ],
)
def test_the_default_track_is_meant(tmp_path, marks, wanted, noted):
    with open_media(two_tracks(tmp_path / "a.mkv", marks)) as container:
        tracks = choose_tracks(container)
        assert tracks.video.index == wanted and list(tracks.notes) == noted and tracks.sound is None


def unknown(path: Path) -> Path:
    """A film whose pictures are of a codec that nothing knows."""
    raw = write_film(path, 5, clicks=[0.1]).read_bytes()
    assert b"avc1" in raw
    path.write_bytes(raw.replace(b"avc1", b"zzz1"))
    return path


def test_a_codec_that_is_not_known_costs_its_track_alone(tmp_path):
    path = unknown(tmp_path / "a.mp4")
    with open_media(path) as container:
        tracks = choose_tracks(container)
        assert tracks.video is None and require_sound(path, tracks).codec_context.name == "aac"
        with pytest.raises(ClipError, match=r"pictures cannot be decoded") as caught:
            require_video(path, tracks)
    assert caught.value.reason == "undecodable" and "Convert" in caught.value.hint


def test_packets_of_a_track_that_shows_up_late_are_passed_over():
    class Container:
        def __init__(self):
            self.packets = iter([1, IndexError(), 2, 3, IndexError(), 4])

        def demux(self):
            for packet in self.packets:
                if isinstance(packet, IndexError):
                    raise packet
                yield packet

    assert list(media_file.read_packets(Container())) == [1, 2, 3, 4]


def test_stated_lengths_are_of_the_end_or_of_the_whole(tmp_path):
    times = [7000 + 100 * number for number in range(10)]
    for name in ("a.mkv", "a.mp4"):
        write_film(tmp_path / name, 10, times=times)
        with open_media(tmp_path / name) as container:
            start = container.start_time / av.time_base
            assert media_file.stated_seconds(container, start) == pytest.approx(1.0, abs=0.11)
        assert start == pytest.approx(7.0, abs=0.11)


def test_want_of_memory_is_no_damage(tmp_path, monkeypatch):
    path = write_film(tmp_path / "a.mp4", 3)

    def refused(*_):
        av.error.err_check(-errno.ENOMEM)

    monkeypatch.setattr(FrameDecoder, "feed", refused)
    with pytest.raises(ClipError, match="a.mp4: cannot be decoded after 0.0 s: FFmpeg got less memory") as caught:
        list(VideoStream(path))
    assert caught.value.reason == "memory" and "more memory" in caught.value.hint
    assert want_of_memory(caught.value.__cause__) is not None
    with pytest.raises(FFmpegError) as plain:
        refused()
    assert unopened(path, plain.value).reason == "memory"

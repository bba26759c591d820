"""Forms onto the disk: however they are cut into pieces, and what is refused of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("python_multipart", reason="the extra web is not installed")

from affectkit.serve import uploads
from affectkit.serve.refusal import Refusal
from affectkit.serve.uploads import MAX_NAME, RequestFiles, receive_form, shown_name

KIND = {"content-type": "multipart/form-data; boundary=edge"}


def form(*parts: tuple[str, bytes]) -> bytes:
    made = b"".join(
        b"--edge\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + data + b"\r\n"
        for head, data in parts
    )
    return made + b"--edge--\r\n"


class InFolder(RequestFiles):
    """Files whose names are those that are asked for."""

    def new(self, name: str) -> Path:
        return self._folder / name


def receive(body: bytes, folder: Path, *, piece: int = 0, headers=KIND, max_size: int = 10**6, max_files: int = 10):
    async def pieces():
        step = piece or len(body)
        for begin in range(0, len(body), step):
            yield body[begin : begin + step]

    return asyncio.run(receive_form(headers, pieces(), InFolder(folder), max_size=max_size, max_files=max_files))


BINARY = bytes(range(256)) * 3 + b"\r\n--edg\r\n--edge"[:-1]
TWO = form(('name="file"; filename="a.PNG"', BINARY), ('name="every"', b"1s"), ('name="file"; filename="b"', b""))


@pytest.mark.parametrize("piece", [0, 1, 2, 3, 7, 64, 500])
def test_pieces_make_no_difference(tmp_path, piece):
    found = receive(TWO, tmp_path, piece=piece)
    assert [(one.name, one.path.name, one.path.read_bytes()) for one in found.files] == [
        ("a.PNG", "0.png", BINARY),
        ("b", "1", b""),
    ]
    assert found.fields == {"every": "1s"}


@pytest.mark.parametrize("cut", [10, 60, 200, len(TWO) - 12, len(TWO) - 60])
def test_a_form_that_is_cut_short_is_refused(tmp_path, cut):
    with pytest.raises(Refusal) as told:
        receive(TWO[:cut], tmp_path)
    assert told.value.status == 400


def test_the_size_that_is_stated_and_the_size_that_comes(tmp_path):
    body = form(('name="file"; filename="a.png"', bytes(3_000_000)))
    for number, headers in enumerate(
        (KIND, KIND | {"content-length": str(len(body))}, KIND | {"content-length": "10"})
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(Refusal, match="--max-size") as told:
            receive(body, folder, headers=headers, piece=70_000)
        assert told.value.status == 413
        assert sum(path.stat().st_size for path in folder.iterdir()) < 2_100_000


def test_quotes_in_names_are_those_that_were_sent(tmp_path):
    found = receive(form(('name="file"; filename="a%22b%0Ac%41.png"', b"x")), tmp_path)
    assert [one.name for one in found.files] == ['a"b c%41.png']


@pytest.mark.parametrize(("headers", "status"), [(KIND, 408), ({}, 415), (KIND | {"content-length": "9" * 9}, 413)])
def test_a_request_that_does_not_go_on_is_given_up(tmp_path, monkeypatch, headers, status):
    monkeypatch.setattr(uploads, "STALLED", 0.05)
    monkeypatch.setattr(uploads, "PATIENCE", 0.05)

    async def stalling():
        yield TWO[:100]
        await asyncio.sleep(60)

    async def asked():
        receiving = receive_form(headers, stalling(), InFolder(tmp_path), max_size=10**6, max_files=10)
        await asyncio.wait_for(receiving, 10)

    with pytest.raises(Refusal) as told:
        asyncio.run(asked())
    assert told.value.status == status


def test_bounds(tmp_path):
    for number, body in enumerate(
        (
            form(*(('name="file"; filename="a"', b"") for _ in range(11))),
            form(*((f'name="f{n}"', b"") for n in range(30)), ('name="file"; filename="a"', b"")),
            form(('name="f"', bytes(5000)), ('name="file"; filename="a"', b"")),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(Refusal) as told:
            receive(body, folder)
        assert told.value.status == 413


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("a.jpg", "a.jpg"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\a.jpg", "a.jpg"),
        ("..", "file"),
        (".", "file"),
        ("", "file"),
        ("a\nb.jpg", "a b.jpg"),
        ("\x1b[31m.png", "\\x1b[31m.png"),
        ("\udcff.png", "\\xff.png"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("<b>&amp;.png", "<b>&amp;.png"),
    ],
)
def test_shown_names(sent, shown):
    assert shown_name(sent) == shown


def test_a_long_name_keeps_its_ending():
    name = shown_name("n" * 5000 + ".mp4")
    assert len(name) == MAX_NAME and name.endswith("n.mp4")


@pytest.mark.parametrize(
    ("name", "kind", "ending"),
    [
        ("a.JPG", "", ".jpg"),
        ("a.mov", "", ".mov"),
        ("a.sh", "", ""),
        ("a", "video/webm", ".mp4"),
        ("a.png/x.py", "", ""),
    ],
)
def test_the_file_has_a_name_of_ours(tmp_path, name, kind, ending):
    head = f'name="file"; filename="{name}"' + (f"\r\nContent-Type: {kind}" if kind else "")
    (found,) = receive(form((head, b"x")), tmp_path).files
    assert found.path == tmp_path / f"0{ending}"


def test_files_of_requests_side_by_side(tmp_path):
    with RequestFiles(tmp_path) as first, RequestFiles(tmp_path) as second:
        paths = [one.new("0.png") for one in (first, second, first)]
        for path in paths[:2]:
            path.write_bytes(b"x")
        assert len(set(paths)) == 3 and {path.parent for path in paths} == {tmp_path}
        second.remove()
        assert paths[0].exists() and not paths[1].exists()
    assert list(tmp_path.iterdir()) == []

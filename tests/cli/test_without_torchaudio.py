"""torchaudio computes sound, and nothing else: in a process in which it cannot be imported, the rest goes on.

Run as a program (``python test_without_torchaudio.py FOLDER``) this file is that process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

from clips import make_cremad, prepare


def test_all_but_sound_goes_without_torchaudio(tmp_path):
    prepare(make_cremad(tmp_path / "clone", actors=3, seconds=0.2, size=(160, 120)), tmp_path / "prepared")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, __file__, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    silent = [one for one in told if one["step"] != "a clip with sound"]
    assert [one["step"] for one in silent] == [
        "import", "train", "test", "photographs", "a photograph, built-in model", "a silent film",
        "a film with sound, annotated", "train on sound that is prepared",
    ]  # fmt: skip
    assert [one for one in silent if one["code"] or one["asked"]] == [], done.stdout
    # And the process can tell: what needs sound asks for it, and says what is missing.
    (loud,) = [one for one in told if one["step"] == "a clip with sound"]
    assert loud["code"] == 1 and loud["asked"] and "torchaudio" in loud["said"] and "disk" not in loud["said"]


# --- in the process without it ---------------------------------------------------------------------------------------


class Refused(MetaPathFinder):
    """Refuses the import of torchaudio, and remembers that it was asked for."""

    asked = 0

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torchaudio":
            self.asked += 1
            raise ImportError("libtorchaudio.so: undefined symbol: pretended", name=name)


def main(root: Path) -> None:
    refused = Refused()
    sys.meta_path.insert(0, refused)

    def tell(step: str, code: int = 0, said: str = "") -> None:
        print(json.dumps({"step": step, "code": code, "said": said, "asked": refused.asked}), flush=True)

    def run(step: str, *arguments: object) -> None:
        done = invoke(*arguments)
        tell(step, done.returncode, done.stderr[-600:])

    import affectkit

    tell("import")
    from films import write_film
    from support import TINY, invoke, make_folders

    small = ("--image-size", 24, "--batch-size", 8, "--epochs", 1, "--workers", 0, "--no-pretrained")
    data = make_folders(root / "data", train=9, valid=6, test=6)
    run("train", "train", "--model", TINY, "--data", data, "--output", root / "run", *small, "--augment", "flip")
    run("test", "test", "--checkpoint", root / "run", "--data", data, "--results", root / "tested")
    run(
        "photographs",
        "infer",
        data / "test",
        "--recursive",
        "--checkpoint",
        root / "run",
        "--results",
        root / "photographs",
    )
    photograph = next((data / "test").rglob("*.png"))
    run("a photograph, built-in model", "infer", photograph, "--results", root / "built-in")
    write_film(root / "silent.mp4", 8)
    write_film(root / "loud.mp4", 8, clicks=[0.3])
    infer = ("--checkpoint", root / "run", "--faces", "none", "--every", 1)
    run("a silent film", "infer", root / "silent.mp4", *infer, "--results", root / "silent")
    loud = ("--results", root / "loud", "--annotate", root / "drawn.mp4")
    run("a film with sound, annotated", "infer", root / "loud.mp4", *infer, *loud)
    assert list(affectkit.predict(affectkit.load(root / "run"), [photograph]))
    tiny = ("--hidden", 16, "--codes", 16, "--quantizer", "plain", "--batch-size", 9, "--epochs", 1, "--workers", 0)
    clips = ("--model", "cmvqvae", "--data", root / "prepared", "--output", root / "clips", *tiny)
    run("train on sound that is prepared", "train", *clips)
    run("a clip with sound", "infer", root / "loud.mp4", "--checkpoint", root / "clips")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

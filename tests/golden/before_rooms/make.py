"""Makes the archives beside this file: what the code of commit 1f2b7bd, before files moved into rooms, left on a disk.

They were made once, by that code, and are not made again: tests/test_compatibility.py holds today's code to them. Each
archive is a folder of synthetic data and of what the commands in ``SCENES`` wrote there, with the times of its files.
To repeat it:

    git worktree add before 1f2b7bd && python -m venv before.venv
    before.venv/bin/pip install -e './before[test,slurm]'
    cd tests/golden/before_rooms
    OMP_NUM_THREADS=1 PYTHONPATH=../../../before/tests ../../../before.venv/bin/python make.py .

A run that is cut kills itself (SIGKILL) after the first file whose name ends as ``after`` says has been renamed to its
place, or before the first is opened whose name ends as ``at`` says.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path("/tmp/affectkit-before-rooms") / ("r" * 100)
"""Where all was made: longer than a test's folder, which can then replace it in a pickle with as many letters."""
TIME = 1_750_000_000
"""Seconds since 1970 at which all data were last changed."""


def affectkit(
    *words: object, after: str = "", at: str = "", cwd: Path | None = None, cache: Path | None = None
) -> None:
    """Run a command in a process of its own; with ``after`` or ``at`` it is killed there."""
    child = os.fork()
    if child == 0:
        os.environ |= {"HF_HUB_OFFLINE": "1", **({"AFFECTKIT_CACHE": str(cache)} if cache else {})}
        os.chdir(cwd or ROOT)
        replace, rename = os.replace, os.rename

        def replaced(source, target, **named):
            replace(source, target, **named)
            if after and os.fspath(target).endswith(after):
                os.kill(os.getpid(), signal.SIGKILL)

        def opening(event, arguments):
            if event == "open" and at and str(arguments[0]).endswith(at):
                os.kill(os.getpid(), signal.SIGKILL)

        def renamed(source, target, **named):
            rename(source, target, **named)
            if after and os.fspath(target).endswith(after):
                os.kill(os.getpid(), signal.SIGKILL)

        os.replace, os.rename = replaced, renamed
        sys.addaudithook(opening)
        sys.argv = ["affectkit", *map(str, words)]
        from affectkit.cli.app import app

        try:
            app([str(word) for word in words], prog_name="affectkit")
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(int(end.code or 0))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == (-signal.SIGKILL if after or at else 0), (words, code)


def settle(folder: Path) -> None:
    """Give all files of ``folder`` the time ``TIME``, which an archive keeps."""
    for path in folder.rglob("*"):
        os.utime(path, (TIME, TIME))


def lines(path: Path, *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")


def plain(kind: int, count: int, width: int, height: int) -> np.ndarray:
    """uint8 (count, height, width, 3) of one colour, which takes little room."""
    return np.full((count, height, width, 3), 20 + 35 * (kind % 6), np.uint8)


def humming(kind: int, seconds: float, *, rate: int, period: int) -> np.ndarray:
    """A sound whose spectrum is the same in every column: its period is the spectrogram's hop."""
    wave = 0.3 * np.sin(2 * np.pi * (1 + kind % 6) * np.arange(period) / period)
    return np.tile(wave, int(seconds * rate / period) + 1).astype(np.float32)


# --- clips -----------------------------------------------------------------------------------------------------------


def clips_cremad(root: Path) -> None:
    from clips import EMOTIONS, make_cremad, write_clip

    make_cremad(root / "source", actors=6, seconds=0.1)
    for number, path in enumerate(sorted((root / "source" / "VideoFlash").glob("*.flv"))):
        write_clip(
            path, list(EMOTIONS).index(path.name[9:12]), images=plain(number, 8, 480, 360), codecs=("flv", "pcm_s16le"),
            samples=humming(number, 0.3, rate=44100, period=353),
        )  # fmt: skip
    settle(root / "source")
    affectkit(*CREMAD, "--output", root / "whole", cwd=root)
    affectkit(*CREMAD, "--output", root / "cut", cwd=root, after="0000.json")


CREMAD = ("prep", "cremad", "source", "--size", 8, "--workers", 1)


def clips_rml(root: Path) -> None:
    from clips import write_clip

    for number, user in enumerate(("s1", "s2", "s3", "s4")):
        write_clip(
            root / "source" / user / "English" / "an1.avi", images=plain(number, 8, 160, 120), rate=32000,
            samples=humming(number, 0.3, rate=32000, period=320), codecs=("mpeg4", "pcm_s16le"),
        )  # fmt: skip
    settle(root / "source")
    affectkit("prep", "rml", "source", "--size", 8, "--workers", 1, "--output", root / "whole", cwd=root)


def clips_emovoxceleb(root: Path) -> None:
    from affectkit.data.sound import write_wav

    emotions = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt"
    rows = ["utterance,frame," + emotions]
    for number in range(4):
        name = f"id{number}/v/00000"
        (root / "source" / "frames" / name).mkdir(parents=True)
        for frame, image in enumerate(plain(number, 2, 48, 48), 1):
            Image.fromarray(image).save(root / "source" / "frames" / name / f"{frame:06}.jpg")
            rows.append(f"{name},{frame}," + ",".join(f"{(k == number) * 2.0:.1f}" for k in range(8)))
        path = root / "source" / "audio" / f"{name}.wav"
        path.parent.mkdir(parents=True)
        write_wav(path, humming(0, 0.4, rate=16000, period=160), 16000)
    lines(root / "source" / "labels.csv", *rows)
    settle(root / "source")
    affectkit("prep", "emovoxceleb", "source", "--size", 8, "--workers", 1, "--output", root / "whole", cwd=root)


def clips_features(root: Path) -> None:
    from safetensors.numpy import save_file

    rows = ["filename,label,user,split"]
    for number, split in enumerate(("train", "train", "valid", "test")):
        (root / "source").mkdir(exist_ok=True)
        values = {"image": np.full((16, 4096), number, np.float32), "audio": np.full((64, 1024), -number, np.float32)}
        save_file(values, root / "source" / f"c{number}.safetensors")
        rows.append(f"c{number},{'ab'[number % 2]},u{number},{split}")
    lines(root / "source" / "features.csv", *rows)
    settle(root / "source")
    affectkit("prep", "av-features", "source", "--workers", 1, "--output", root / "whole", cwd=root)


# --- training --------------------------------------------------------------------------------------------------------


def three_valued(state: dict) -> dict:
    """Random weights of three values, scaled as He et al. (2015) have it, which take little room in an archive."""
    import torch

    rng, found = np.random.default_rng(0), {}
    for name, values in state.items():
        found[name] = values.clone().contiguous()
        if values.dtype.is_floating_point and values.ndim > 1:
            drawn = torch.from_numpy(rng.integers(-1, 2, values.shape).astype(np.float32))
            found[name] = drawn * (3 / values[0].numel()) ** 0.5
    return found


def training(root: Path) -> None:
    import timm
    from safetensors.torch import save_file
    from support import make_folders

    torch_one_thread()
    make_folders(root / "data", train=18, valid=9, test=6)
    save_file(
        three_valued(timm.create_model("test_efficientnet", num_classes=0).state_dict()), root / "init.safetensors"
    )
    affectkit(*TRAIN, "--output", root / "whole", cwd=root)
    # Killed once the state of the second of four epochs is there.
    affectkit(*TRAIN, "--output", root / "cut", cwd=root, after="state-000000008")
    affectkit(
        "infer",
        "--checkpoint",
        "whole",
        "data/test",
        "--recursive",
        "--device",
        "cpu",
        "--results",
        "predicted",
        cwd=root,
    )
    for run in ("whole", "cut"):
        shutil.rmtree(root / run / "plots", ignore_errors=True)
        shutil.rmtree(root / run / "events", ignore_errors=True)
        for path in (root / run).rglob("*.png"):
            path.unlink()


TRAIN = (
    "train", "--model", "test_efficientnet", "--init", "init.safetensors", "--tune", "last", "--data", "data",
    "--image-size", 24, "--batch-size", 6, "--epochs", 4, "--workers", 0, "--augment", "flip", "--lr", 0.05,
    "--schedule", "cosine", "--device", "cpu",
)  # fmt: skip


def torch_one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def features(root: Path) -> None:
    import open_clip
    from safetensors.torch import save_file
    from support import make_ratings

    make_ratings(root / "data", count=20, size=16, split=True)
    config = {"image_size": 32, "layers": 1, "width": 16, "head_width": 16, "patch_size": 16}
    (root / "tiny.json").write_text(json.dumps({"embed_dim": 8, "quick_gelu": True, "vision_cfg": config}))
    tower = open_clip.model._build_vision_tower(8, config, quick_gelu=True)
    save_file(
        {f"visual.{name}": value for name, value in three_valued(tower.state_dict()).items()},
        root / "tower.safetensors",
    )
    affectkit(*VCA, "--epochs", 1, "--output", root / "run", cwd=root, cache=root / "cache")
    shutil.rmtree(root / "run")


VCA = (
    "train", "--model", "vca", "--data", "data/images", "--labels", "data/ratings.csv", "--clip", "tiny.json",
    "--clip-weights", "./tower.safetensors", "--monitor", "loss", "--views", 2, "--batch-size", 8, "--workers", 0,
    "--device", "cpu",
)  # fmt: skip


# --- inference and evaluation ----------------------------------------------------------------------------------------


def inference(root: Path) -> None:
    from films import write_film

    affectkit("prep", "schematic", "drawn", "--train", 8, "--valid", 8, "--test", 8, "--size", 48, cwd=root)
    pictures = sorted((root / "drawn" / "images" / "test").glob("*.png"))
    (root / "inputs").mkdir()
    for number, path in enumerate(pictures):
        shutil.copy(path, root / "inputs" / f"{number}.png")
    shutil.rmtree(root / "drawn")
    (root / "images").mkdir()
    for path in (root / "inputs").iterdir():
        shutil.copy(path, root / "images" / path.name)
    for number in (8, 9):
        write_film(root / "inputs" / f"{number}.mp4", 4 * number - 20, fps=4)
    settle(root)
    affectkit(*INFER, "inputs", "--results", "whole", cwd=root)
    affectkit(*INFER, "inputs", "--results", "cut", cwd=root, at="inputs/5.png")
    affectkit(*INFER, "inputs", "--results", "cut_in_videos", cwd=root, after="9.mp4.png")
    for number in (1, 2):
        affectkit(*INFER, "images", "--shard", f"{number}/2", "--results", "shards", cwd=root)
    affectkit("merge", "shards", cwd=shutil_copy(root, "shards", "merged"))
    shutil.move(root / "merged" / "shards", root / "together")
    (root / "merged").rmdir()
    for path in root.rglob("timelines/*.png"):
        path.unlink()


INFER = ("infer", "--checkpoint", "builtin", "--batch-size", 2, "--workers", 0, "--device", "cpu", "--faces", "none")


def shutil_copy(root: Path, name: str, beside: str) -> Path:
    """A copy of ``root/name`` as ``root/beside/name``; the folder around it."""
    shutil.copytree(root / name, root / beside / name)
    return root / beside


def prepared_shards(root: Path) -> None:
    columns = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    labels, pixels = ["Usage,Image name," + columns], ["emotion,pixels,Usage"]
    for number in range(12):
        usage = ("Training", "Training", "PublicTest", "PrivateTest")[number % 4]
        votes = [8 if k == number % 8 else 0 for k in range(10)]
        votes[(number + 1) % 8] += 2
        labels.append(f"{usage},fer{number:07}.png," + ",".join(map(str, votes)))
        pixels.append(f"0,{' '.join([str(20 * number)] * 2304)},{usage}")
    lines(root / "source" / "fer2013new.csv", *labels)
    lines(root / "source" / "fer2013.csv", *pixels)
    settle(root)
    for number in (1, 2):
        affectkit(*FERPLUS, "--output", "parts", "--shard", f"{number}/2", cwd=root)
    affectkit(*FERPLUS, "--output", "whole", cwd=root)


FERPLUS = ("prep", "ferplus", "source", "--target", "distribution")


def robustness(root: Path) -> None:
    affectkit("prep", "schematic", "data", "--train", 8, "--valid", 8, "--test", 8, "--size", 48, cwd=root)
    for name in ("photos", "images/train", "images/valid"):
        shutil.rmtree(root / "data" / name)
    for name in ("photos", "train", "valid"):
        (root / "data" / f"{name}.csv").unlink(missing_ok=True)
    settle(root)
    affectkit(*SWEEP, "--results", "whole", cwd=root)
    affectkit(*SWEEP, "--results", "cut", cwd=root, after="robustness.json")
    for path in root.rglob("*.png"):
        if "data" not in path.relative_to(root).parts:
            path.unlink()


SWEEP = (
    "eval-corruptions", "--checkpoint", "builtin", "--data", "data", "--split", "test", "--corruptions",
    "gaussian_noise,contrast", "--severities", "1,3", "--batch-size", 8, "--workers", 0, "--device", "cpu",
)  # fmt: skip


# --- datasplit, Slurm ------------------------------------------------------------------------------------------------


def datasplit(root: Path) -> None:
    from splitting import class_folders

    class_folders(root / "original", {"happy": 9, "sad": 6}, base="faces")
    settle(root / "original")
    for name in ("plain", "balanced", "cut", "balanced_cut"):
        shutil.copytree(root / "original" / "faces", root / name)
    affectkit(*SPLIT, "plain", cwd=root)
    affectkit(*SPLIT, "balanced", "--balance", cwd=root)
    affectkit(*SPLIT, "cut", cwd=root, after="train/happy/s03_0003.png")
    affectkit(*SPLIT, "balanced_cut", "--balance", cwd=root, after="train/happy/s03_0003.png")


SPLIT = ("datasplit", "--seed", 5, "--workers", 1)


def slurm(root: Path) -> None:
    sbatch = root / "bin" / "sbatch"
    lines(sbatch, "#!/bin/sh", "echo Submitted batch job 4242")
    lines(root / "bin" / "srun", "#!/bin/sh")
    for path in sbatch.parent.iterdir():
        path.chmod(0o755)
    os.environ["PATH"] = f"{sbatch.parent}:{os.environ['PATH']}"
    affectkit(*QUEUED, cwd=root)
    shutil.rmtree(root / "bin")
    for path in (root / "logs").glob(".submission_file*"):  # a link to 4242_submission.sh
        path.unlink()


QUEUED = (
    "prep",
    "schematic",
    "faces",
    "--train",
    8,
    "--valid",
    8,
    "--test",
    8,
    "--size",
    24,
    "--slurm",
    "time=60,logs=logs",
)

SCENES: dict[str, Callable[[Path], None]] = {
    "clips_cremad": clips_cremad, "clips_rml": clips_rml, "clips_emovoxceleb": clips_emovoxceleb,
    "clips_features": clips_features, "training": training, "features": features, "inference": inference,
    "prepared_shards": prepared_shards, "robustness": robustness, "datasplit": datasplit, "slurm": slurm,
}  # fmt: skip


def main(folder: Path, names: list[str]) -> None:
    for name in names or list(SCENES):
        root = ROOT / name
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        os.environ["AFFECTKIT_CACHE"] = tempfile.mkdtemp()
        SCENES[name](root)
        with tarfile.open(folder / f"{name}.tar.xz", "w:xz", preset=9) as archive:
            archive.add(root, name, filter=owned)
        print(name, (folder / f"{name}.tar.xz").stat().st_size)


def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])

"""Valid inputs, written by affectkit itself or by the libraries that it reads them with, into the current folder.

Checkpoints are trained once and lie in ``CORPUS_MODELS``; each maker takes what it needs from there.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
from clips import make_cremad, tone, write_clip
from comparison.tested_folders import two_folders
from films import write_film
from PIL import Image
from published_files import make_state, write
from splitting import class_folders, in_child, picture
from support import clip_config, invoke, make_affectnet, make_folders, make_ratings, make_votes

MODELS = "CORPUS_MODELS"
HERE = Path()
FAST = "--model test_resnet --no-pretrained --image-size 24 --batch-size 8 --workers 0 --epochs 1"
AV = "--model cmvqvae --hidden 8 --codes 8 --batch-size 12 --quantizer plain --epochs 1"
VCA = (
    "--model vca --clip tiny-clip.json --clip-weights random --batch-size 4 --epochs 1 --views 1 --workers 0 "
    "--monitor loss --data data/images --labels data/ratings.csv"
)
CONTAINERS = {"mp4": "libx264", "mkv": "libx264", "avi": "mpeg4", "mpg": "mpeg2video", "ts": "libx264"}


def cli(*words: object) -> None:
    """Run a command that must succeed, or leave faulty files out."""
    done = invoke(*words)
    assert done.returncode in (0, 4), f"{words}: {done.stderr}"


def make_models() -> None:
    """Checkpoints of three families, with their data; drawings left out."""
    from affectkit.evaluation import outputs
    from affectkit.reports import plots
    from affectkit.training import trainer

    trainer.draw_figures = outputs.draw_figures = plots.training_curves = lambda *args, **kwargs: None
    make_votes(HERE / "votes", train=9, valid=6, test=6)
    cli("train", "--data", "votes", "--output", "run", *FAST.split())
    make_folders(HERE / "folders", train=9, valid=6, test=6)
    cli("train", "--data", "folders", "--output", "classes", *FAST.split())
    make_ratings(HERE / "data", count=24, size=32)
    clip_config(HERE)
    cli("train", *VCA.split(), "--output", "vca", "--include-clip")
    make_cremad(HERE / "CREMA-D", actors=3, seconds=0.25, size=(64, 48))
    cli("prep", "cremad", "CREMA-D", "--output", "clips", "--size", 16, "--workers", 1, "--on-error", "skip")
    cli("train", "--data", "clips", "--output", "av", *AV.split())


def take(*names: str) -> None:
    """Copy files and folders of ``make_models`` here; ``name.safetensors`` is the best checkpoint of a run."""
    models = Path(os.environ[MODELS])
    for name in names:
        if name.endswith(".safetensors"):
            best = next((models / name.removesuffix(".safetensors")).rglob("best*.safetensors"))
            shutil.copy(best, name)
        elif (models / name).is_dir():
            shutil.copytree(models / name, name)
        else:
            shutil.copy(models / name, name)


def make_images() -> None:
    """One image in each format, a JPEG with EXIF."""
    take("run.safetensors")
    Path("images").mkdir()
    image = Image.open(io.BytesIO(picture(3, size=24)))
    for ending in ("png", "bmp", "gif", "webp", "tiff", "ppm", "jp2", "avif"):
        image.save(f"images/a.{ending}")
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a face"
    image.save("images/b.jpg", exif=exif, icc_profile=b"x" * 200, dpi=(72, 72))
    image.convert("CMYK").save("images/c.jpg")
    image.convert("P").save("images/d.png")
    image.save("images/e.gif", save_all=True, append_images=[image.rotate(90)] * 2)
    image.save("images/f.webp", save_all=True, append_images=[image.rotate(90)] * 2)
    image.save("images/g.tiff", save_all=True, append_images=[image.rotate(90)] * 2, compression="tiff_lzw")
    Image.fromarray(np.arange(576, dtype=np.uint16).reshape(24, 24) * 100).save("images/h.png")


def make_faces() -> None:
    class_folders(HERE / "faces", {"a": 4, "b": 3})
    class_folders(HERE / "jpegs", {"a": 4, "b": 3}, kind="jpg")


def make_videos() -> None:
    """Short videos in several containers, and a sound."""
    from scipy.io import wavfile

    take("run.safetensors")
    size = np.full((32, 48, 3), 90, np.uint8)
    Path("videos").mkdir()
    for ending, codec in (
        ("mp4", "libx264"),
        ("mkv", "libx264"),
        ("avi", "mpeg4"),
        ("mpg", "mpeg2video"),
        ("ts", "libx264"),
    ):
        write_film(
            Path(f"videos/a.{ending}"), 6, fps=25 if ending == "mpg" else 10, codec=codec, draw=lambda n: size + n
        )
    write_film(Path("videos/sound.mp4"), 6, draw=lambda n: size + n, clicks=[0.2])
    write_clip(Path("videos/b.flv"), seconds=0.2, size=(48, 32))
    wavfile.write("videos/c.wav", 16000, (tone(1, 0.2, rate=16000) * 20000).astype(np.int16))


def make_checkpoints() -> None:
    take("run.safetensors", "classes.safetensors", "vca.safetensors", "av.safetensors")
    Path("face.png").write_bytes(picture(3, size=24))


def make_onnx() -> None:
    """The built-in model, since writing a graph takes packages that users may not have."""
    from affectkit.core.assets import onnx_file

    shutil.copy(onnx_file("builtin"), "graph.onnx")
    Path("face.png").write_bytes(picture(3, size=24))


def make_published() -> None:
    write(Path("p.pth"), make_state(half=True, prefix="module."))
    write(Path("q.pth"), make_state(), zipped=False)
    Path("face.png").write_bytes(picture(3, size=24))


def make_run() -> None:
    """A run that has an epoch to go, as a user resumes it after --epochs was raised."""
    take("votes", "run")
    Path("face.png").write_bytes(picture(3, size=24))


def make_configs() -> None:
    take("votes", "run.safetensors")
    make_faces()
    done = invoke("train", "--data", "votes", "--output", "new", *FAST.split(), "--print-config")
    assert done.returncode == 0, done.stderr
    take("run")
    shutil.copy("run/config.yaml", "train.yaml")
    Path("infer.yaml").write_text("checkpoint: run.safetensors\nworkers: 0\nbatch_size: 4\nfaces: none\n")
    Path("split.yaml").write_text("train_split: 0.8\nseed: 3\nworkers: 1\nbalance: true\ndry_run: true\n")


def make_tables() -> None:
    take("votes", "run.safetensors", "vca.safetensors", "data")
    Path("labels.csv").write_text("filename,label\n" + "".join(f"{n:03}.png,{'abc'[n % 3]}\n" for n in range(9)))


def make_quantiles() -> None:
    rng = np.random.default_rng(0)
    rows = "".join(f"{a:.3f},{b:.3f}\n" for a, b in rng.uniform(1, 9, (60, 2)))
    Path("p.csv").write_text("Actual,Predicted\n" + rows)
    Path("q.csv").write_text("Image Name,Actual,Predicted\n" + "".join(
        f"{n}.png,{a:.3f},{b:.3f}\n" for n, (a, b) in enumerate(rng.uniform(1, 9, (40, 2)))))  # fmt: skip


def make_compared() -> None:
    """Results of two models of each of two kinds, and an older folder without recorded outputs."""
    for kind in ("classification", "ratings"):
        two_folders(Path(kind), count=20, kind=kind)
    shutil.copytree("classification/b", "classification/older")
    Path("classification/older/outputs.safetensors").unlink()


def make_list() -> None:
    take("run.safetensors")
    Path("images").mkdir()
    for number in range(4):
        Path(f"images/{number}.png").write_bytes(picture(number, size=24))
    Path("list.txt").write_text("".join(f"images/{number}.png\n" for number in range(4)))


def make_split() -> None:
    """A split in place, one into another folder, and one that was killed."""
    make_faces()
    os.sync = lambda: None
    cli("datasplit", "faces", "--balance", "--workers", 1)
    cli("datasplit", "jpegs", "--output-path", "out", "--workers", 1)
    class_folders(HERE / "killed", {"a": 4, "b": 3})
    in_child(lambda: invoke("datasplit", "killed", "--workers", 1), kill_at=30)


def make_relabelled() -> None:
    """Files moved to other classes, wholly and in part."""
    make_faces()
    os.sync = lambda: None
    Path("labels.csv").write_text("pth,label\na/s00_0000.png,b\na/s03_0003.png,b\nb/s00_0000.png,a\n")
    Path("more.csv").write_text("pth,label\na/s00_0000.jpg,b\na/s03_0003.jpg,b\nb/s00_0000.jpg,a\n")
    class_folders(HERE / "killed", {"a": 4, "b": 3})
    cli("relabel", "faces", "--labels-csv", "labels.csv")
    in_child(lambda: invoke("relabel", "killed", "--labels-csv", "labels.csv"), kill_at=20)


def make_prep_shards() -> None:
    for number in (1, 2):
        cli(
            "prep",
            "schematic",
            "parts",
            "--train",
            8,
            "--valid",
            8,
            "--test",
            8,
            "--size",
            24,
            "--shard",
            f"{number}/2",
        )


def make_shards() -> None:
    make_list()
    for number in (1, 2):
        cli("infer", "images", "--checkpoint", "run.safetensors", "--results", "results", "--shard", f"{number}/2",
            "--workers", 0)  # fmt: skip


def make_growing() -> None:
    """Results that another run can go on from: of images, whole and cut off, and of a video."""
    make_list()
    words = ("infer", "images", "--checkpoint", "run.safetensors", "--workers", 0, "--batch-size", 1)
    cli(*words, "--results", "results")
    write_film(Path("video/a.mp4"), 8, draw=lambda n: np.full((32, 48, 3), 90 + n, np.uint8))
    cli("infer", "video/a.mp4", "--checkpoint", "run.safetensors", "--workers", 0, "--results", "seen", "--every", 2,
        "--faces", "none")  # fmt: skip
    steps = 60
    while steps > 5 and not list(Path("cut").glob("*.part")):
        shutil.rmtree("cut", ignore_errors=True)
        in_child(lambda: invoke(*words, "--results", "cut"), kill_at=steps)
        steps -= 4


def make_features() -> None:
    """The cache of a frozen encoder, and a training that reads it."""
    take("data", "tiny-clip.json")
    os.environ["AFFECTKIT_CACHE"] = str(Path("cache").absolute())
    cli("train", *VCA.split(), "--output", "run")
    shutil.rmtree("run")


def make_clips() -> None:
    take("clips", "av.safetensors")


def make_cremad_source() -> None:
    take("CREMA-D")


def make_features_source() -> None:
    """Features that were computed elsewhere."""
    from safetensors.numpy import save_file

    rng, lines = np.random.default_rng(0), ["filename,label,user,split"]
    Path("source").mkdir()
    for number in range(3):
        values = {"image": rng.normal(0, 1, (16, 4096)), "audio": rng.normal(0, 1, (8, 64, 1024))}
        values = {name: value.astype(np.float32) for name, value in values.items()}
        if number % 2:
            np.savez(f"source/c{number}.npz", **values)
        else:
            save_file(values, f"source/c{number}.safetensors")
        lines.append(f"c{number},{'abc'[number % 3]},u{number % 3},{('train', 'valid', 'test')[number]}")
    Path("source/features.csv").write_text("\n".join(lines) + "\n")


def make_sources() -> None:
    """FER+ and AffectNetFused as they are downloaded."""
    from affectkit.prep.images.ferplus_download import COLUMNS

    root = Path("ferplus")
    (root / "train").mkdir(parents=True)
    lines, pixels = ["Usage,Image name," + ",".join(COLUMNS)], ["emotion,pixels,Usage"]
    for number in range(8):
        usage = "Training" if number < 5 else "PublicTest" if number < 7 else "PrivateTest"
        face = np.random.default_rng(number).integers(0, 256, (48, 48), dtype=np.uint8)
        Image.fromarray(face).save(root / "train" / f"fer{number:07}.png")
        lines.append(f"{usage},fer{number:07}.png,9,0,0,0,1,0,0,0,0,0")
        pixels.append(f"0,{' '.join(map(str, face.ravel()))},{usage}")
    (root / "fer2013new.csv").write_text("\n".join(lines) + "\n")
    shutil.copytree(root, "pixels", ignore=shutil.ignore_patterns("train"))
    Path("pixels/fer2013.csv").write_text("\n".join(pixels) + "\n")
    make_affectnet(HERE / "affectnet", train=4, valid=3)


def make_sweep() -> None:
    take("votes", "run.safetensors")
    words = ("eval-corruptions", "--checkpoint", "run.safetensors", "--data", "votes", "--corruptions", "contrast",
             "--severities", "1,2", "--workers", 0, "--results")  # fmt: skip
    cli(*words, "sweep")
    shutil.copy("sweep/corruptions.csv", "baseline.csv")


def make_pipeline() -> None:
    import albumentations

    make_faces()
    either = albumentations.OneOf([albumentations.GaussNoise(), albumentations.Blur()])
    flip, turn, light = (
        albumentations.HorizontalFlip(),
        albumentations.Rotate(),
        albumentations.RandomBrightnessContrast(),
    )
    albumentations.save(albumentations.Compose([flip, either, turn, light]), "mine.yaml", data_format="yaml")


def make_record() -> None:
    """A record of a server with its files; ``{url}`` is where they are."""
    Path("files").mkdir()
    for name in ("a.bin", "b.txt"):
        Path("files", name).write_bytes(name.encode() * 50)
    import hashlib

    entries = [
        {"key": one.name, "size": one.stat().st_size, "checksum": f"md5:{hashlib.md5(one.read_bytes()).hexdigest()}",
         "links": {"self": f"{{url}}/files/{one.name}"}}
        for one in sorted(Path("files").iterdir())
    ]  # fmt: skip
    record = {"id": 7, "metadata": {"title": "Weights", "access_right": "open"}, "files": entries}
    Path("record.json").write_text(json.dumps(record))
    rdm = {**record, "files": {"enabled": True, "entries": {one["key"]: one for one in entries}}}
    Path("other.json").write_text(json.dumps(rdm))


def make_everything() -> None:
    """Inputs of the commands whose options are drawn."""
    take("votes", "run.safetensors")
    make_faces()
    make_quantiles()
    write_film(Path("a.mp4"), 4, draw=lambda n: np.full((32, 48, 3), 90 + n, np.uint8))
    shutil.copytree("votes/images/test", "images")

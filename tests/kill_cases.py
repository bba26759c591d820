"""Every command that writes, on data small enough to be stopped hundreds of times."""

from __future__ import annotations

import csv
import functools
import shutil
from pathlib import Path

import numpy as np
from clips import make_cremad, pictures, tone, write_clip
from films import write_film
from kill_run import Case
from PIL import Image
from published_files import TINY_TOWER, make_state, write
from safetensors.numpy import save_file
from splitting import class_folders
from support import TINY, clip_config, make_affectnet, make_folders, make_ratings, settings

from affectkit.core.progress import Silent
from affectkit.data.media.spectrograms import write_wav
from affectkit.models.external.published import TOWERS
from affectkit.prep.images import schematic_dataset
from affectkit.prep.images.ferplus_download import COLUMNS
from affectkit.training.run import train

SCHEMATIC = ("--train", 8, "--valid", 8, "--test", 8, "--size", 24)
TRAINING = ("--model", TINY, "--no-pretrained", "--image-size", 24, "--batch-size", 8, "--workers", 0, "--epochs", 2,
            "--augment", "flip")  # fmt: skip
CODES = ("--model", "cmvqvae", "--hidden", 16, "--codes", 32, "--batch-size", 12, "--quantizer", "plain",
         "--workers", 0, "--epochs", 1)  # fmt: skip
MOVES = (("a/s00_0000.png", "b"), ("b/s00_0000.png", "a"), ("a/s01_0001.png", "c"), ("c/s01_0001.png", "new"),
         ("a/s04_0004.png", "new"), ("a/s03_0003.png", "a"))  # fmt: skip


def make_cases(shared: Path) -> dict[str, Case]:
    """The cases by name; what several of them read is made below ``shared``, once."""
    TOWERS[64] = TINY_TOWER
    schematic_dataset.PHOTOS, schematic_dataset.PHOTO_SIZE = 2, 48
    made = Shared(shared)
    cases = [*_splits(), *_preparations(made), *_merges(made), *_trainings(made), *_inferences(made), *_others(made)]
    return {case.name: case for case in cases}


class Shared:
    """What several cases read, made where the first of them asks for it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @functools.cached_property
    def faces(self) -> Path:
        """Class folders."""
        return make_folders(self.root / "faces", train=24, valid=12, test=12)

    @functools.cached_property
    def run(self) -> Path:
        """A run of a small network on the class folders."""
        train(settings(self.faces, self.root / "run", epochs=1), reporter=Silent())
        return self.root / "run"

    @functools.cached_property
    def cremad(self) -> Path:
        """Clips of six actors."""
        return make_cremad(self.root / "CREMA-D", actors=6, seconds=0.25, size=(160, 120))

    @functools.cached_property
    def clips(self) -> Path:
        """The same, prepared."""
        invoke("prep", "cremad", self.cremad, "--output", self.root / "clips", "--size", 32, "--workers", 1)
        return self.root / "clips"

    @functools.cached_property
    def codes(self) -> Path:
        """A run of an audio-visual model on the clips."""
        invoke("train", *CODES, "--data", self.clips, "--output", self.root / "codes")
        return self.root / "codes"

    @functools.cached_property
    def films(self) -> Path:
        """Two short videos."""
        for number, seconds in enumerate((1, 2)):
            write_film(self.root / "films" / f"{number}.mp4", 10 * seconds)
        return self.root / "films"


def invoke(*words: object) -> None:
    """Run affectkit in this process."""
    from support import invoke as started

    done = started(*words)
    assert done.returncode in (0, 4), done.stderr


# --- class folders ---------------------------------------------------------------------------------------------------


def _labels(work: Path) -> None:
    class_folders(work / "faces", {"a": 6, "b": 5, "c": 3})
    with (work / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["pth", "label"], *MOVES])


def _split(work: Path) -> None:
    class_folders(work / "faces", {"a": 8, "b": 5, "c": 3})


def _splits() -> list[Case]:
    more = ("--seed", 1, "--workers", 1, "--train-split", 0.7)

    def split(work: Path) -> list[object]:
        return ["datasplit", work / "faces", "--output-path", work / "out", *more]

    def inside(work: Path) -> list[object]:
        return ["datasplit", work / "faces", *more, "--balance"]

    def relabelled(work: Path) -> list[object]:
        return ["relabel", work / "faces", "--labels-csv", work / "labels.csv"]

    def split_there(work: Path) -> None:
        _split(work)
        invoke(*inside(work))

    def labelled_there(work: Path) -> None:
        _labels(work)
        invoke(*relabelled(work))

    def undo(words):
        return lambda work: [words(work)[0], work / "faces", "--undo"]

    return [
        Case("datasplit, copies", _split, split),
        Case("datasplit, links", _split, lambda work: [*split(work), "--link", "symlink"]),
        Case("datasplit, balanced copies", _split, lambda work: [*split(work), "--balance"]),
        Case("datasplit, in place, balanced", _split, inside),
        Case("datasplit, then --undo", _split, inside, undo=undo(inside)),
        Case("datasplit --undo", split_there, undo(inside)),
        Case("relabel", _labels, relabelled),
        Case("relabel, copies", _labels, lambda work: [*relabelled(work), "--output-path", work / "out"]),
        Case("relabel, then --undo", _labels, relabelled, undo=undo(relabelled)),
        Case("relabel --undo", labelled_there, undo(relabelled)),
    ]


# --- preparations ----------------------------------------------------------------------------------------------------


def _rml(work: Path) -> None:
    for number, (user, name) in enumerate((user, name) for user in ("s1", "s2", "s3") for name in ("an1", "su3")):
        write_clip(
            work / "rml" / user / "English" / f"{name}.avi", number, seconds=0.2, size=(160, 120), seed=number,
            codecs=("mpeg4", "libmp3lame"),
        )  # fmt: skip


def _emovoxceleb(work: Path) -> None:
    root, rng = work / "emo", np.random.default_rng(0)
    lines = ["utterance,frame,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt"]
    for number in range(6):
        name = f"id{number // 2}/v/{number:05}"
        (root / "frames" / name).mkdir(parents=True)
        for frame, image in enumerate(pictures(number, 3, size=(48, 48), seed=number), 1):
            Image.fromarray(image).save(root / "frames" / name / f"{frame:06}.jpg")
            lines.append(f"{name},{frame}," + ",".join(f"{value:.4f}" for value in rng.normal(0, 2, 8)))
        path = root / "audio" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wav(path, tone(number, 0.4, rate=16000, seed=number), 16000)
    (root / "labels.csv").write_text("\n".join(lines) + "\n")


def _features(work: Path) -> None:
    root, rng = work / "features", np.random.default_rng(0)
    root.mkdir()
    lines = ["filename,label,user,split"]
    for number in range(6):
        values = {
            "image": rng.normal(0, 1, (16, 4096)).astype(np.float32),
            "audio": rng.normal(0, 1, (8, 64, 1024)).astype(np.float32),
        }
        save_file(values, root / f"c{number}.safetensors")
        lines.append(f"c{number},{'ab'[number % 2]},u{number},{('train', 'valid', 'test')[number // 2]}")
    (root / "features.csv").write_text("\n".join(lines) + "\n")


def _ferplus(work: Path) -> None:
    rng, labels = np.random.default_rng(3), []
    (work / "fer" / "faces").mkdir(parents=True)
    for k in range(12):
        usage = "Training" if k < 6 else "PublicTest" if k < 9 else "PrivateTest"
        labels.append([usage, f"fer{k:07}.png", *rng.multinomial(10, rng.dirichlet(np.full(len(COLUMNS), 0.2)))])
        pixels = rng.integers(0, 256, (48, 48), dtype=np.uint8)
        Image.fromarray(pixels).save(work / "fer" / "faces" / f"fer{k:07}.png")
    with (work / "fer" / "fer2013new.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["Usage", "Image name", *COLUMNS], *labels])


def _preparations(made: Shared) -> list[Case]:
    def prepared(name: str, folder: str, *more: object):
        return lambda work: ["prep", name, work / folder, "--output", work / "out", "--workers", 1, *more]

    return [
        Case("prep schematic", _nothing, lambda work: ["prep", "schematic", work / "out", *SCHEMATIC]),
        Case("prep ferplus", _ferplus, lambda work: ["prep", "ferplus", work / "fer", "--output", work / "out"]),
        Case(
            "prep affectnet-fused",
            lambda work: make_affectnet(work / "affectnet", train=9, valid=4),
            lambda work: ["prep", "affectnet-fused", work / "affectnet", "--output", work / "out"],
        ),
        Case(
            "prep cremad",
            lambda work: shutil.copytree(made.cremad, work / "cremad"),
            prepared("cremad", "cremad", "--size", 16),
        ),
        Case("prep rml", _rml, prepared("rml", "rml", "--size", 16)),
        Case("prep emovoxceleb", _emovoxceleb, prepared("emovoxceleb", "emo", "--size", 16)),
        Case("prep av-features", _features, prepared("av-features", "features")),
    ]


# --- shards ----------------------------------------------------------------------------------------------------------


def _merges(made: Shared) -> list[Case]:
    def parts(work: Path) -> None:
        for number in (1, 2, 3):
            invoke("prep", "schematic", work / "out", *SCHEMATIC, "--shard", f"{number}/3")

    def predictions(work: Path) -> None:
        for number in (1, 2, 3):
            invoke(
                "infer", made.faces / "test", "--recursive", "--checkpoint", made.run, "--workers", 0,
                "--results", work / "out", "--shard", f"{number}/3",
            )  # fmt: skip

    def merge(*more: str):
        return lambda work: ["merge", work / "out", *more]

    sources = (("prep schematic", parts), ("infer", predictions))
    return [
        Case(f"merge {name}{', --remove-shards' if more else ''}", make, merge(*more))
        for name, make in sources
        for more in ((), ("--remove-shards",))
    ]


# --- models ----------------------------------------------------------------------------------------------------------


def _trainings(made: Shared) -> list[Case]:
    def ratings(work: Path) -> None:
        clip_config(make_ratings(work / "ratings", count=20, size=32))

    def vca(work: Path) -> list[object]:
        data = work / "ratings"
        return ["train", "--model", "vca", "--data", data / "images", "--labels", data / "ratings.csv", "--output",
                work / "out", "--clip", data / "tiny-clip.json", "--clip-weights", "random", "--batch-size", 8,
                "--epochs", 2, "--workers", 0, "--views", 2]  # fmt: skip

    def stores(work: Path) -> None:
        ratings(work)
        from kill_run import run

        assert run(vca(work), work).code == 0
        shutil.move(work / "cache", work / "store")

    tested = ("--checkpoint", made.root / "run", "--data", made.root / "faces", "--workers", 0)

    def with_run(work: Path) -> None:
        assert made.run.exists()

    return [
        Case("train", with_run, lambda work: ["train", "--data", made.faces, "--output", work / "out", *TRAINING]),
        Case("train, repeats", with_run, lambda work: [
            "train", "--data", made.faces, "--output", work / "out", *TRAINING, "--epochs", 1, "--repeat", 2,
        ], moments=10),
        Case("train vca (features)", ratings, vca),
        Case("train cmvqvae", _nothing, lambda work: ["train", *CODES, "--data", made.clips, "--output", work / "out"],
             moments=10),
        Case("test", with_run, lambda work: ["test", *tested, "--results", work / "out"]),
        Case("eval-corruptions", with_run, lambda work: [
            "eval-corruptions", *tested, "--results", work / "out", "--corruptions", "gaussian_noise,contrast",
        ]),
        Case("reconstruct", _nothing, lambda work: [
            "reconstruct", "--checkpoint", made.codes, "--data", made.clips, "--results", work / "out", "--clips", 2,
            "--sound", "--workers", 0,
        ], moments=10),
        Case("cache --clear", stores, lambda work: ["cache", "--clear"]),
        Case("verify-resume --keep-files", with_run, lambda work: [
            "verify-resume", "--data", made.faces, *TRAINING[:-4], "--keep-files", work / "out",
        ], moments=2),
    ]  # fmt: skip


def _inferences(made: Shared) -> list[Case]:
    def with_images(work: Path) -> None:
        assert made.run.exists()
        shutil.copytree(made.faces / "test", work / "images")

    def with_films(work: Path) -> None:
        assert made.run.exists()
        shutil.copytree(made.films, work / "films")

    def images(*more: object):
        return lambda work: [
            "infer", work / "images", "--recursive", "--checkpoint", made.run, "--workers", 0, "--batch-size", 2,
            *(work / one.removeprefix("@") if str(one).startswith("@") else one for one in map(str, more)),
        ]  # fmt: skip

    def films(*more: object):
        return lambda work: [
            "infer", work / "films", "--checkpoint", made.run, "--faces", "none", "--every", "0.2s",
            *(work / one.removeprefix("@") if str(one).startswith("@") else one for one in map(str, more)),
        ]  # fmt: skip

    def begun(make, words):
        def both(work: Path) -> None:
            make(work)
            invoke(*words(work))
            for path in list((work / "images").rglob("*.png"))[:3]:
                path.unlink()

        return both

    out = ("--results", "@out")
    return [
        Case("infer images", with_images, images(*out)),
        Case("infer images, jsonl", with_images, images(*out, "--format", "jsonl")),
        Case("infer images, parquet", with_images, images(*out, "--format", "parquet")),
        Case("infer images --resume", begun(with_images, images(*out)), images(*out, "--resume")),
        Case("infer images --force", begun(with_images, images(*out)), images(*out, "--force")),
        Case("infer images --annotate", with_images, images(*out, "--annotate", "@drawn", "--faces", "haar")),
        Case("infer images --labels", with_images, lambda work: [
            "infer", work / "images", "--checkpoint", made.run, "--workers", 0, "--results", work / "out",
            "--recursive", "--batch-size", 4,
        ]),
        Case("infer images, 2 workers", with_images, lambda work: [
            *images(*out)(work)[:-4], "--workers", 2, "--results", work / "out",
        ], moments=10),
        Case("infer images --shard", with_images, images(*out, "--shard", "1/2")),
        Case("infer videos", with_films, films(*out)),
        Case("infer videos --annotate", with_films, films(*out, "--annotate", "@drawn")),
        Case("infer one video --annotate", with_films, lambda work: [
            "infer", work / "films" / "0.mp4", "--checkpoint", made.run, "--faces", "none", "--results", work / "out",
            "--annotate", work / "drawn.mp4",
        ]),
        Case("infer clips", lambda work: shutil.copytree(made.cremad / "VideoFlash", work / "clips"), lambda work: [
            "infer", work / "clips", "--checkpoint", made.codes, "--results", work / "out", "--workers", 0,
        ], moments=10),
    ]  # fmt: skip


def _others(made: Shared) -> list[Case]:
    def table(work: Path) -> None:
        rng = np.random.default_rng(0)
        rows = [[f"{k}.png", a, a + b] for k, (a, b) in enumerate(rng.normal(0, 1, (60, 2)).round(3))]
        with (work / "test_results.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([["Image Name", "actual valence", "predicted valence"], *rows])

    def picture(work: Path) -> None:
        Image.fromarray(pictures(0, 1, size=(48, 48))[0]).save(work / "face.png")

    def with_run(work: Path) -> None:
        shutil.copy(made.run / "best.safetensors", work / "model.safetensors")

    return [
        Case("convert, published", lambda work: write(work / "p.pth", make_state()),
             lambda work: ["convert", work / "p.pth", work / "out.safetensors", "--clip-weights", "keep"]),
        Case("convert --half", with_run,
             lambda work: ["convert", work / "model.safetensors", work / "out.safetensors", "--half"]),
        Case("quantiles", table,
             lambda work: ["quantiles", work / "test_results.csv", "--bins", 5, "--actual", "actual valence",
                           "--predicted", "predicted valence", "--results", work / "out"]),
        Case("corruptions --preview", picture, lambda work: [
            "corruptions", work / "face.png", "--preview", work / "sheet.png", "--size", 48,
            "--corruptions", "gaussian_noise,contrast",
        ]),
        Case("datasplit --preview", _split, lambda work: [
            "datasplit", work / "faces", "--output-path", work / "out", "--balance", "--preview", work / "sheet.png",
            "--workers", 1,
        ]),
        Case("pipeline save", _nothing, lambda work: ["pipeline", "save", work / "p.yaml"]),
        Case("completions --write", _nothing, lambda work: ["completions", "--write", work / "out"]),
        Case("demo", _nothing, lambda work: ["demo", work / "out", "--epochs", 1], moments=2),
    ]  # fmt: skip


def download_case() -> Case:
    """``download`` of record 7 of the server that ``AFFECTKIT_ZENODO`` names."""
    return Case("download", _nothing, lambda work: ["download", "zenodo:7", "--output", work / "out"])


def _nothing(work: Path) -> None:
    """Leave the folder empty."""

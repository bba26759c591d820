"""Folders in the structure in which published datasets are distributed, with schematic contents or empty files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat


def touch(root: Path, *names: str) -> None:
    """Make empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def cut_short(path: Path) -> None:
    """Take the end off a picture: it can be opened, and not decoded."""
    path.write_bytes(path.read_bytes()[:-24])
    with Image.open(path) as picture, pytest.raises(OSError, match="truncated"):
        picture.load()


def rafdb(root: Path, *, train: Iterable[int], test: Iterable[int] = (), place: str = "Image/aligned") -> Path:
    """Make a part of RAF-DB; the labels are numbers as in its label file."""
    lines = []
    for split, digits, labels in (("train", 5, train), ("test", 4, test)):
        for number, label in enumerate(labels, 1):
            stem = f"{split}_{number:0{digits}d}"
            lines.append(f"{stem}.jpg {label}")
            touch(root, f"{place}/{stem}{'_aligned' if place.endswith('aligned') else ''}.jpg")
    (root / "EmoLabel").mkdir()
    (root / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines) + "\n")
    return root


def fer2013(
    root: Path, labels: dict[str, Iterable[int]], *, name: str = "fer2013.csv", blank: str = "", seed: int = 0
) -> Path:
    """Make FER-2013's table: labels by usage ("Training", ...); ``blank`` before the names of later columns."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    order = ("emotion", "pixels", "Usage") if not blank else ("emotion", "Usage", "pixels")
    lines = [",".join([order[0], *(blank + column for column in order[1:])])]
    for usage, numbers in labels.items():
        for number in numbers:
            pixels = " ".join(map(str, rng.integers(0, 256, 48 * 48)))
            cells = {"emotion": str(number), "pixels": pixels, "Usage": usage}
            lines.append(",".join(cells[column] for column in order))
    (root / name).write_text("\n".join(lines) + "\n")
    return root


def affectnet(root: Path, splits: dict[str, dict[str, tuple]], *, fields: Callable = str) -> Path:
    """Make AffectNet's later release: by folder ("train_set"), by number (expression, valence, arousal).

    Args:
        fields: makes the value in a .npy file of a number; it is text in the release.
    """
    for folder, rows in splits.items():
        (root / folder / "annotations").mkdir(parents=True)
        for stem, values in rows.items():
            touch(root / folder, f"images/{stem}.jpg")
            for kind, value in zip(("exp", "val", "aro"), values, strict=True):
                np.save(root / folder / "annotations" / f"{stem}_{kind}.npy", np.array(fields(value)))
            np.save(root / folder / "annotations" / f"{stem}_lnd.npy", np.zeros(136))
    return root


AFFECTNET_COLUMNS = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)


def affectnet_first(root: Path, lists: dict[str, dict[str, tuple]], *, header: bool = True, size: int = 40) -> Path:
    """Make AffectNet's first release: by list ("training"), by path (x, y, width, height, expression, valence,
    arousal). Every picture is blue with a red box where the face is.
    """
    place = root / "Manually_Annotated_file_lists"
    place.mkdir(parents=True)
    for name, rows in lists.items():
        lines = [AFFECTNET_COLUMNS] if header or name == "training" else []
        for path, (x, y, width, height, *values) in rows.items():
            lines.append(",".join(map(str, (path, x, y, width, height, "1.0;2.0;3.0;4.0", *values))))
            file = root / "Manually_Annotated" / "Manually_Annotated_Images" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.new("RGB", (size, size), (0, 0, 255))
            if isinstance(x, int) and width > 0:
                picture.paste((255, 0, 0), (x, y, x + width, y + height))
            picture.save(file, "PNG")
        (place / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return root


OASIS_COLUMNS = (
    '"","Theme","Category","Source","Valence_mean","Valence_SD","Valence_N","Arousal_mean","Arousal_SD","Arousal_N"'
)


def oasis(root: Path, rows: dict[str, tuple[object, object]], *, folder: str = "images") -> Path:
    """Make OASIS: valence and arousal by theme."""
    lines = [OASIS_COLUMNS]
    for number, (theme, (valence, arousal)) in enumerate(rows.items(), 1):
        lines.append(f'"I{number}","{theme}","Object","Pixabay",{valence},0.9,102,{arousal},1.6,101')
        touch(root / folder, f"{theme.strip()}.jpg")
    (root / "OASIS.csv").write_text("\n".join(lines) + "\n")
    return root


def iaps(
    root: Path, rows: list[tuple[str, object, object, int]], *, prose: bool = True, folder: str = "images"
) -> Path:
    """Make IAPS: number, valence, arousal and set of each row."""
    lines = ["Lang, P.J. et al.", "", "Means of all subjects \u2013 see the report", ""] if prose else []
    lines.append("desc\tIAPS\tvalmn\tvalsd\taromn\tarosd\tdom1mn\tdom1sd\tdom2mn\tdom2sd\tset")
    for number, valence, arousal, group in rows:
        lines.append("\t".join(map(str, ("Snake", number, valence, 2.3, arousal, 2.2, ".", ".", 4.1, 2.0, group))))
        touch(root / folder, f"{number}.jpg")
    (root / "AllSubjects_1-20.txt").write_bytes("\r\n".join(lines).encode("cp1252"))
    return root


def afew_va(root: Path, clips: dict[str, tuple[str, list[tuple[float, float]]]], *, size: int = 40) -> Path:
    """Make AFEW-VA: by clip the actor, and valence and arousal of each frame. Landmarks span 10 to 20 and 12 to 28."""
    for name, (actor, ratings) in clips.items():
        (root / name).mkdir(parents=True)
        frames = {}
        for number, (valence, arousal) in enumerate(ratings):
            landmarks = [[10.0, 12.0], [20.0, 28.0], *[[15.0, 20.0]] * 66]
            frames[f"{number:05d}"] = {"arousal": arousal, "landmarks": landmarks, "valence": valence}
            Image.new("RGB", (size, size), (number, 60, 90)).save(root / name / f"{number:05d}.png")
        about = {"actor": actor, "frames": frames, "video_id": name}
        (root / name / f"{name}.json").write_text(json.dumps(about))
    return root


def _struct(fields: dict[str, object]) -> np.ndarray:
    """Return a structure (1, 1) as MATLAB has it."""
    return np.array([[tuple(fields.values())]], dtype=[(name, object) for name in fields])


def _structs(rows: list[dict[str, object]]) -> np.ndarray:
    """Return an array (1, N) of structures."""
    dtype = [(name, object) for name in rows[0]]
    return np.array([[tuple(row.values()) for row in rows]], dtype=dtype)


def _cells(names: Iterable[str]) -> np.ndarray:
    found = np.empty((1, len(list(names))), dtype=object)
    found[0, :] = list(names)
    return found


def emotic_person(box: tuple, categories: tuple, ratings: tuple, *, combined: bool) -> dict[str, object]:
    """Return a person of Annotations.mat: valence, arousal, dominance; of training, or ``combined`` of annotators."""
    continuous = _struct(dict(zip(("valence", "arousal", "dominance"), map(float, ratings), strict=True)))
    given = _struct({"categories": _cells(categories)})
    person: dict[str, object] = {"body_bbox": np.array([box], dtype=float), "annotations_categories": given}
    if combined:
        person["combined_categories"] = _cells(categories)
    person["annotations_continuous"] = continuous
    if combined:
        person["combined_continuous"] = continuous
    return person | {"gender": "Female", "age": "Adult"}


def emotic(root: Path, splits: dict[str, dict[str, list[tuple]]], *, size: tuple[int, int] = (60, 40)) -> Path:
    """Make EMOTIC: by split ("train"), by picture ("mscoco/images/a.jpg") a list of persons (box, categories, ratings).

    Pictures are blue with a red box where the first person is.
    """
    found = {}
    for split, pictures in splits.items():
        rows = []
        for name, persons in pictures.items():
            folder, _, file = name.rpartition("/")
            made = [emotic_person(*person, combined=split != "train") for person in persons]
            rows.append({
                "filename": file, "folder": folder, "image_size": _struct({"n_col": size[0], "n_row": size[1]}),
                "original_database": _struct({"name": folder.split("/")[0]}), "person": _structs(made),
            })  # fmt: skip
            path = root / "emotic" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.new("RGB", size, (0, 0, 255))
            picture.paste((255, 0, 0), tuple(int(value) for value in persons[0][0]))
            picture.save(path, "PNG")
        found[split] = _structs(rows)
    (root / "Annotations").mkdir(parents=True)
    savemat(root / "Annotations" / "Annotations.mat", found)
    return root

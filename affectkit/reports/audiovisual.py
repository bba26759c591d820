"""Pictures of audio-visual models: private and shared channels, code use, reconstructions, the course of losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import save_file

from affectkit.core.files import whole_file
from affectkit.errors import DataError
from affectkit.reports.style import (
    BLUE,
    LABEL,
    MUTED,
    PALE,
    TICK,
    VERMILION,
    draw_legend,
    new_figure,
    plain_text,
    save_figure,
    set_heading,
    style_axes,
)

MODALITIES = {"image": "Image", "audio": "Sound"}
NAMES = {
    "classification": "Classification loss", "recon_image": "Reconstruction, image",
    "recon_audio": "Reconstruction, sound", "vq_image": "Quantisation, image", "vq_audio": "Quantisation, sound",
    "perplexity_image": "Perplexity, image", "perplexity_audio": "Perplexity, sound",
}  # fmt: skip
VALID = {"classification": "valid_loss"}
"""The column of the validation split for a part of the training loss, where it is not ``valid_<part>``."""


def draw_code_spaces(path: Path, *, mask: ArrayLike) -> Path:
    """Draw which channels of the codes are shared and which private, one cell for each channel, and how many.

    Args:
        mask: (2K,), the image's half first: 0 private, 1 shared, -1 shared with its sign turned.
    """
    values = np.asarray(mask, dtype=np.float64)
    if values.ndim != 1 or len(values) % 2:
        raise DataError(f"mask must have the shape (2K,); got {values.shape}.")
    half = len(values) // 2
    columns = 16 if half % 16 == 0 else half
    figure = new_figure(6.4, 1.6 + 0.28 * 2 * (half // columns))
    colours = ListedColormap([VERMILION, PALE, BLUE])
    for number, title in enumerate(MODALITIES.values()):
        part = values[number * half : (number + 1) * half]
        axes = figure.add_subplot(2, 1, number + 1)
        axes.imshow(np.sign(part).reshape(-1, columns), cmap=colours, vmin=-1, vmax=1, aspect="auto")
        axes.set_xticks(np.arange(-0.5, columns), minor=True)
        axes.set_yticks(np.arange(-0.5, half // columns), minor=True)
        axes.grid(which="minor", color="white", linewidth=1.2)
        axes.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
        for side in axes.spines.values():
            side.set_visible(False)
        shared, turned = int((part > 0).sum()), int((part < 0).sum())
        told = f"{shared + turned} shared" + (f" ({turned} with sign turned)" if turned else "")
        set_heading(axes, f"{title}: {told}, {half - shared - turned} private of {half} channels")
    handles = [_patch(BLUE), _patch(PALE)] + ([_patch(VERMILION)] if (values < 0).any() else [])
    labels = ["shared", "private", "shared, sign turned"][: len(handles)]
    box = figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=TICK, frameon=False)
    box.set_in_layout(True)
    return save_figure(figure, path)


def _patch(colour: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, edgecolor=MUTED, linewidth=0.5)


def draw_code_use(path: Path, *, counts: Mapping[str, ArrayLike]) -> Path:
    """Draw how often each code occurs, by rank, one line for each modality; codes that never do are counted in the
    legend.
    """
    figure = new_figure(6.4, 3.6)
    axes = figure.add_subplot()
    style_axes(axes)
    for (name, found), colour in zip(counts.items(), (BLUE, VERMILION), strict=False):
        values = np.sort(np.asarray(found, dtype=np.float64))[::-1]
        total = max(values.sum(), 1)
        dead = int((values == 0).sum())
        label = f"{MODALITIES[name]}: {len(values) - dead} of {len(values)} codes used"
        axes.plot(np.arange(1, len(values) + 1), 100 * values / total, color=colour, label=label, linewidth=1.6)
    axes.set_yscale("symlog", linthresh=0.01)
    axes.set_xlabel("code, by rank", fontsize=LABEL)
    axes.set_ylabel("share of all codes, %", fontsize=LABEL)
    set_heading(axes, "Use of the codebooks")
    draw_legend(axes)
    return save_figure(figure, path)


def draw_reconstructions(path: Path, *, values: Mapping[str, ArrayLike], names: Sequence[str]) -> Path:
    """Draw originals beside their reconstructions, one clip in each row.

    Args:
        values: ``original_image`` and ``made_image`` (N, 3, H, W) in [0, 1]; ``original_audio`` and ``made_audio``
            (N, 1, height, width) in decibels; one pair may be missing.
    """
    pairs = {
        title: (np.asarray(values[f"original_{name}"]), np.asarray(values[f"made_{name}"]))
        for name, title in MODALITIES.items()
        if f"made_{name}" in values
    }
    columns = [
        (title, kind, array)
        for title, both in pairs.items()
        for kind, array in zip(("original", "reconstructed"), both, strict=True)
    ]
    return draw_clip_grid(path, columns=columns, names=names)


def draw_clip_grid(path: Path, *, columns: Sequence[tuple[str, str, NDArray]], names: Sequence[str]) -> Path:
    """Draw images and spectrograms, one clip in each row.

    Args:
        columns: title, second line, and (N, 3, H, W) in [0, 1] or (N, 1, height, width) in decibels, each. Spectrograms
            of a row have one scale of colours: the range of the first of them.
    """
    if not columns or any(len(array) != len(names) for _, _, array in columns):
        raise DataError(f"each column needs {len(names)} pictures.")
    figure = new_figure(0.6 + 1.5 * len(columns), 0.5 + 1.5 * len(names))
    for row, name in enumerate(names):
        sounds = [array[row, 0] for _, _, array in columns if array.shape[1] == 1]
        low, high = (float(sounds[0].min()), float(sounds[0].max())) if sounds else (0.0, 1.0)
        for column, (title, kind, array) in enumerate(columns):
            axes = figure.add_subplot(len(names), len(columns), row * len(columns) + column + 1)
            _picture(axes, np.asarray(array[row]), low, high)
            if row == 0:
                axes.set_title(f"{title}\n{kind}", fontsize=TICK)
            if column == 0:
                axes.set_ylabel(plain_text(name, 20), fontsize=TICK - 1, rotation=90)
    return save_figure(figure, path)


def _picture(axes: Any, values: NDArray, low: float, high: float) -> None:
    if values.shape[0] == 1:
        axes.imshow(values[0], origin="lower", cmap="magma", vmin=low, vmax=high, aspect="equal")
    else:
        axes.imshow(np.clip(values.transpose(1, 2, 0), 0, 1))
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def draw_loss_parts(path: Path, *, history: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Path:
    """Draw one panel for each part of the loss: training and validation over the epochs.

    Args:
        history: rows with ``epoch``, ``train_<name>`` and, where it was computed, ``valid_<name>``.
    """
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure: Figure = new_figure(3.2 * columns, 2.4 * rows)
    epochs = [row["epoch"] for row in history]
    for number, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, number + 1)
        style_axes(axes)
        for key, label, colour in (
            (f"train_{name}", "training", MUTED),
            (VALID.get(name, f"valid_{name}"), "validation", BLUE),
        ):
            if key in history[0]:
                marker = "o" if len(epochs) == 1 else None
                axes.plot(epochs, [float(row[key]) for row in history], color=colour, label=label, marker=marker)
        set_heading(axes, NAMES.get(name, name))
        axes.set_xlabel("epoch", fontsize=LABEL)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if number == 0:
            draw_legend(axes)
    return save_figure(figure, path)


def save_values(path: Path, values: Mapping[str, ArrayLike]) -> Path:
    """Save arrays by name as safetensors, whole or not at all."""
    arrays = {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in values.items()}
    with whole_file(path) as part:
        save_file(arrays, str(part))
    return path

"""Train the face aligner that comes with affectkit, on FER+'s training faces alone, and write it as ONNX.

    python tests/benchmarks/train_face_aligner.py ferplus-train-valid.zip fer2013new.csv face-aligner.onnx

A face as FER-2013 frames it is seen through a round window that is turned, moved and scaled at random and stays inside
of its picture; the network tells from what it sees how. So it learns the mean framing of these faces, level and
centred, and no edge of a picture gives it away. What was drawn depends on the seed and the epoch.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

SIDE = 40
"""Pixels of the window."""
WINDOW = 0.72
"""Its side in sides of FER-2013's pictures."""
TURN, MOVE, SCALE = math.radians(60), 0.08, 0.15
"""By how much it is turned, in radians; moved, in these sides; and scaled, as an exponent: at most."""


class Aligner(nn.Module):
    """Window (B, 1, SIDE, SIDE), gray in [0, 255], to (B, 4): roll in radians clockwise, centre of the face (x, y) off
    the window's in its sides, and logarithm of the face's side in the window's, beyond that of the mean.
    """

    def __init__(self) -> None:
        super().__init__()
        y, x = torch.meshgrid(*[(torch.arange(SIDE) + 0.5) / SIDE * 2 - 1] * 2, indexing="ij")
        self.register_buffer("disc", (x**2 + y**2 <= 1).float()[None, None])
        widths = (1, 24, 32, 48, 64)
        blocks = []
        for before, after in zip(widths, widths[1:], strict=False):
            blocks += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            blocks += [nn.MaxPool2d(2)] if after != widths[-1] else []
        self.features = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(64 * 25, 96), nn.ReLU(), nn.Dropout(0.2), nn.Linear(96, 4))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        area = self.disc.sum()
        mean = (image * self.disc).sum((2, 3), keepdim=True) / area
        centred = (image - mean) * self.disc
        deviation = ((centred**2).sum((2, 3), keepdim=True) / area + 25.0).sqrt()
        return self.head(self.features(centred / deviation))


def windows(pictures: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a window of each of ``pictures`` (B, 1, 48, 48): windows (B, 1, SIDE, SIDE) and targets (B, 4)."""
    count = len(pictures)
    draw = torch.rand(count, 7, generator=generator) * 2 - 1
    turn, scale = draw[:, 0] * TURN, draw[:, 1] * SCALE
    radius, direction = MOVE * (draw[:, 2].abs()).sqrt(), draw[:, 3] * math.pi
    move = torch.stack([radius * direction.cos(), radius * direction.sin()], 1)
    # The window is turned against the face, which then seems turned clockwise by ``turn``.
    cosine, sine = turn.cos(), turn.sin()
    size = WINDOW * scale.exp()
    matrix = torch.stack(
        [
            torch.stack([size * cosine, size * sine, 2 * move[:, 0]], 1),
            torch.stack([-size * sine, size * cosine, 2 * move[:, 1]], 1),
        ],
        1,
    )
    grid = functional.affine_grid(matrix, [count, 1, SIDE, SIDE], align_corners=False)
    image = functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
    # Sharpness, light and noise of other cameras.
    blurred = functional.avg_pool2d(functional.pad(image, (1, 1, 1, 1), mode="replicate"), 3, 1)
    share = (draw[:, 4].clamp(min=0) * 1.0)[:, None, None, None]
    image = image + share * (blurred - image)
    gamma = (draw[:, 5] * 0.5).exp()[:, None, None, None]
    image = 255 * (image.clamp(0, 255) / 255) ** gamma
    image = image + torch.randn(image.shape, generator=generator) * (draw[:, 6].clamp(min=0) * 12)[:, None, None, None]
    # Where the face's centre lies in the window's own axes.
    x, y = -move[:, 0] / size, -move[:, 1] / size
    centre = torch.stack([cosine * x - sine * y, sine * x + cosine * y], 1)
    return image.clamp(0, 255), torch.cat([turn[:, None], centre, -scale[:, None]], 1)


def read(archive: Path, table: Path) -> dict[str, torch.Tensor]:
    """Return faces uint8 (N, 1, 48, 48) of FER+ by split, but those that half of the voters did not know or see."""
    with zipfile.ZipFile(archive) as stored, table.open(newline="") as lines:
        names = {name.rsplit("/", 1)[-1]: name for name in stored.namelist() if name.endswith(".png")}
        found: dict[str, list[np.ndarray]] = {}
        for row in csv.DictReader(lines):
            name = names.get(row["Image name"])
            if name and int(row["NF"]) + int(row["unknown"]) < 5:
                found.setdefault(row["Usage"], []).append(np.array(Image.open(io.BytesIO(stored.read(name)))))
    return {split: torch.from_numpy(np.stack(faces))[:, None] for split, faces in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("archive", "table", "output"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    torch.set_num_threads(1)
    data = read(given.archive, given.table)
    train, valid = data["Training"], data["PublicTest"].float()
    held, targets = windows(valid, torch.Generator().manual_seed(0))
    model = Aligner()
    batch, steps = 128, len(train) // 128
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=given.epochs * steps, pct_start=0.1)
    weights = torch.tensor([1.0, 3.0, 3.0, 1.5])
    started = time.perf_counter()
    for epoch in range(given.epochs):
        generator = torch.Generator().manual_seed(given.seed * 1000 + epoch)
        order = torch.randperm(len(train), generator=generator)
        model.train()
        for step in range(steps):
            pictures = train[order[step * batch : (step + 1) * batch]].float()
            flipped = torch.rand(len(pictures), generator=generator) < 0.5
            pictures[flipped] = pictures[flipped].flip(3)
            image, target = windows(pictures, generator)
            loss = (functional.smooth_l1_loss(model(image), target, beta=0.05, reduction="none") * weights).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            off = torch.cat([model(part) for part in held.split(512)]) - targets
        deviation = off.pow(2).mean(0).sqrt()
        print(
            f"epoch {epoch + 1}: roll {math.degrees(deviation[0]):.2f} degrees (median "
            f"{math.degrees(off[:, 0].abs().median()):.2f}), centre {deviation[1]:.3f} {deviation[2]:.3f}, "
            f"scale {deviation[3]:.3f}; {time.perf_counter() - started:.0f} s",
            flush=True,
        )
        torch.save(model.state_dict(), given.output.with_suffix(".pt"))
    torch.onnx.export(
        model,
        (torch.zeros(1, 1, SIDE, SIDE),),
        str(given.output),
        input_names=["image"],
        output_names=["framing"],
        dynamo=False,
        opset_version=17,
    )


if __name__ == "__main__":
    main()

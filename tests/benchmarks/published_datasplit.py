"""A balanced split written the published way: one process, a table grown row by row, one image at a time.

Run as a script: published_datasplit.py SOURCE OUTPUT SEED CLASS_SIZE. ``SOURCE`` is copied, test images move out of
train, and each class is augmented until it has CLASS_SIZE x 0.8 and x 0.2 images.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import sys

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations as A
import cv2
import pandas as pd

PIPELINE = A.Compose([
    A.HorizontalFlip(p=0.5),
    A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=1),
    A.OneOf([A.MotionBlur(p=1), A.GaussNoise(p=1), A.GaussianBlur(p=1)], p=0.5),
    A.PixelDropout(p=0.25),
    A.Rotate(limit=20, border_mode=cv2.BORDER_REPLICATE, p=1),
])  # fmt: skip


def augment(table: pd.DataFrame, root: str, side: str, target: int) -> pd.DataFrame:
    for label in sorted(table["label"].unique()):
        own = table[table["label"] == label]
        for _, row in own.sample(n=max(0, target - len(own)), replace=True).iterrows():
            image = cv2.imread(os.path.join(root, side, label, row["filename"]))
            image = PIPELINE(image=image)["image"]
            name = f"{random.randint(0, 1_000_000)}_{row['filename']}"
            cv2.imwrite(os.path.join(root, side, label, name), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
            table = pd.concat([table, pd.DataFrame([{"label": label, "filename": name}])], ignore_index=True)
    return table


def main(source: str, root: str, seed: int, largest: int) -> None:
    random.seed(seed)
    shutil.copytree(source, root)
    table = pd.DataFrame(columns=["label", "filename"])
    for label in os.listdir(os.path.join(root, "train")):
        for name in os.listdir(os.path.join(root, "train", label)):
            table = pd.concat([table, pd.DataFrame([{"label": label, "filename": name}])], ignore_index=True)
    train = table.groupby("label", group_keys=False).sample(frac=0.8, random_state=seed)
    test = table.drop(train.index)
    for _, row in test.iterrows():
        os.makedirs(os.path.join(root, "test", row["label"]), exist_ok=True)
        shutil.move(
            os.path.join(root, "train", row["label"], row["filename"]),
            os.path.join(root, "test", row["label"], row["filename"]),
        )
    wanted = math.ceil(largest * 0.8)
    train = augment(train.reset_index(drop=True), root, "train", wanted)
    test = augment(test.reset_index(drop=True), root, "test", largest - wanted)
    train.to_csv(os.path.join(root, "train.csv"), index=False)
    test.to_csv(os.path.join(root, "test.csv"), index=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

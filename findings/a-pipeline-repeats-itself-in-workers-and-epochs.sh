#!/bin/bash
# albumentations 2.0.8 (the last under MIT) in a DataLoader of torch 2.14.1, on Linux with Python 3.11 to 3.13.
#
# One would guess: without a seed augmentations differ by worker and by epoch, as torch gives each worker of each epoch other
# seeds, for `random` and NumPy, too.
#
# What happens: a pipeline of albumentations has generators of its own, which are made with it, in the main process. Each
# worker is forked with a copy of them in the same state, and the next epoch's workers with the same copy again, which
# nobody advanced: all workers draw the same numbers, and every epoch draws those of the first. No seed is involved.
#
# Why it matters: a training of fifty epochs with eight workers has, instead of fifty augmentations an image, an eighth of one:
# a list that each worker goes through in each epoch. An image gets what its place has, the same one in every epoch where
# the order stays; losses look well, and most of what augmentation is for is lost.
# Give each worker generators in worker_init_fn, by set_random_state, from torch.initial_seed(); or keep workers
# (persistent_workers=True), which mends the epochs and not the workers.
#
# Seen, of the angle drawn for each of 8 images in 3 epochs, which are 24 draws:
#   no workers: 24 angles
#   two workers, by default: 4 angles
#   two workers that are kept: 12 angles
#   two workers with worker_init_fn: 24 angles
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet torch==2.14.1 albumentations==2.0.8 "opencv-python-headless>=4.10,<5"
NO_ALBUMENTATIONS_UPDATE=1 "$place/env/bin/python" - > "$place/seen" <<'PY'
import random

import albumentations as A
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info


class Faces(Dataset):
    def __init__(self):
        self.pipeline = A.Compose([A.Rotate(limit=90, p=1)], save_applied_params=True)

    def __len__(self):
        return 8

    def __getitem__(self, index):
        done = self.pipeline(image=np.zeros((8, 8), np.uint8))["applied_transforms"]
        return dict(done)["Rotate"]["matrix"][1, 0]


def seeded(worker):
    seed = torch.initial_seed()
    get_worker_info().dataset.pipeline.set_random_state(np.random.default_rng(seed), random.Random(seed))


def angles(**options):
    loader = DataLoader(Faces(), multiprocessing_context="fork" if options else None, **options)
    return len({float(angle) for _ in range(3) for angle in loader})


print("no workers:", angles(), "angles")
print("two workers, by default:", angles(num_workers=2), "angles")
print("two workers that are kept:", angles(num_workers=2, persistent_workers=True), "angles")
print("two workers with worker_init_fn:", angles(num_workers=2, worker_init_fn=seeded), "angles")
PY
cat "$place/seen"
diff "$place/seen" - <<'SEEN'
no workers: 24 angles
two workers, by default: 4 angles
two workers that are kept: 12 angles
two workers with worker_init_fn: 24 angles
SEEN

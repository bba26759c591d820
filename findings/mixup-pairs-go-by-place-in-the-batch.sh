#!/bin/bash
# torchvision 0.29.1 (transforms.v2.MixUp and CutMix), timm 1.0.31 (data.Mixup), torch 2.14.1.
#
# One would guess: mixup mixes a batch with a random permutation of itself, as the paper's algorithm and its authors' code
# do, so that whatever order a sampler has given the batch is undone.
#
# What happens: neither draws a permutation. torchvision mixes each image with the one before it in the batch (the first
# with the last), timm the first with the last, the second with the last but one, and so on; only the share is random.
#
# Why it matters: rare emotions are trained with class-balanced samplers, which give batches an order. Where they take the
# classes in turn, timm mixes each class with one other and no more, in every batch of every epoch; where they take several
# images of a class after another, most of torchvision's images are mixed with their own class, which is no mixup of labels.
# Shuffle inside the batch (in the collate function, before mixing).
#
# Seen:
#   classes in turn, 0 1 2 ... 7 0 1 ...: of 36 pairs of classes mixed in 200 batches: torchvision 8, timm 4, permutation 36
#   four of a class after another: images mixed with their own class: torchvision 75%, timm 0%, permutation 12%
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet torch==2.14.1 torchvision==0.29.1 timm==1.0.31
"$place/env/bin/python" - > "$place/seen" <<'PY'
import torch
from timm.data import Mixup
from torchvision.transforms import v2

CLASSES, SIZE, BATCHES = 8, 32, 200
torch.manual_seed(0)


def by_torchvision(images, labels):
    return v2.MixUp(num_classes=CLASSES, alpha=1.0)(images, labels)[0]


def by_timm(images, labels):
    return Mixup(mixup_alpha=1.0, label_smoothing=0.0, num_classes=CLASSES)(images.clone(), labels)[0]


def by_permutation(images, labels):
    share = torch.rand(())
    return share * images + (1 - share) * images[torch.randperm(len(images))]


def partners(mix, labels):
    """With which image of the batch each was mixed: image k has a one in channel k alone."""
    images = torch.eye(SIZE)[:, :, None, None].expand(-1, -1, 2, 2).clone()
    shares = mix(images, labels)[:, :, 0, 0].clone()
    shares.fill_diagonal_(0)
    found = shares.argmax(1)
    return torch.where(shares.amax(1) > 0, found, torch.arange(SIZE))  # an image may be mixed with itself


def counts(labels):
    line = []
    for mix in (by_torchvision, by_timm, by_permutation):
        pairs, own = set(), 0
        for _ in range(BATCHES):
            other = labels[partners(mix, labels)]
            pairs |= {tuple(sorted(pair)) for pair in zip(labels.tolist(), other.tolist())}
            own += int((labels == other).sum())
        line.append((len(pairs), round(100 * own / (BATCHES * SIZE))))
    return line


turns = counts(torch.arange(SIZE) % CLASSES)
print("classes in turn: pairs of classes of 36: torchvision, timm, permutation:", [pairs for pairs, _ in turns])
fours = counts(torch.arange(SIZE) // (SIZE // CLASSES))
print("four of a class: % with their own: torchvision, timm, permutation:", [own for _, own in fours])
PY
cat "$place/seen"
diff "$place/seen" - <<'SEEN'
classes in turn: pairs of classes of 36: torchvision, timm, permutation: [8, 4, 36]
four of a class: % with their own: torchvision, timm, permutation: [75, 0, 12]
SEEN

#!/usr/bin/env bash
# scikit-learn 1.9.1
#
# One would guess: StratifiedGroupKFold(5, shuffle=True, random_state=S) deals the groups anew for each S, as KFold and
# StratifiedKFold do, so that a cross-validation repeated with twenty seeds averages over twenty ways to cut the persons.
#
# What happens: groups are dealt in the order of how uneven their classes are, the most uneven first, and shuffling only
# decides between groups that tie in that. The more unlike the persons are in number and kind of their recordings, the
# fewer tie: here all seeds give the same folds. With groups that are all alike, each seed gives others.
#
# Why it matters: repeated cross-validation by subject is how small emotion data sets are reported. Its repeats are then
# one cut of the persons over and over: their spread says how training varies and nothing of the choice of persons, and
# the mean is as lucky as that one cut.
#
# Seen (29 November 2026, Python 3.11): the two lines that are checked below.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet scikit-learn==1.9.1 numpy==2.3.5
"$place/venv/bin/python" - > "$place/seen" <<'PY'
import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

SEEDS = 20


def cuts(persons, labels):
    """Return how many different ways of cutting the persons the seeds give."""
    found = set()
    for seed in range(SEEDS):
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(persons, labels, persons)
        found.add(frozenset(frozenset(persons[held].tolist()) for _, held in folds))
    return len(found)


rng = np.random.default_rng(0)
clips = rng.integers(50, 300, 30)
habits = rng.dirichlet([3, 2, 1, 1], 30)
labels = np.concatenate([rng.choice(4, count, p=shares) for count, shares in zip(clips, habits)])
print(f"30 persons of 50 to 299 clips, who differ: {cuts(np.repeat(np.arange(30), clips), labels)} cut(s) of {SEEDS} seeds")
alike = np.repeat(np.arange(30), 40)
print(f"30 persons of 40 clips, 10 a class: {cuts(alike, np.tile(np.arange(4), 300))} cut(s) of {SEEDS} seeds")
PY
cat "$place/seen"
diff "$place/seen" - <<'SEEN'
30 persons of 50 to 299 clips, who differ: 1 cut(s) of 20 seeds
30 persons of 40 clips, 10 a class: 20 cut(s) of 20 seeds
SEEN

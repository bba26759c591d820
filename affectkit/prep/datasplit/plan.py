"""The plan of a split, as plain data and in linear time: sides, targets, draws and names, before a file is touched.

Everything random is addressed: test originals are those with the lowest hash of (seed, class, file name), and draw k of
a class takes the original that a hash of (seed, side, class, k) points at. Neither the order in which a file system
lists files nor the machine matters.
"""

from __future__ import annotations

import hashlib
import math
import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from affectkit.errors import DataError
from affectkit.prep.datasplit.groups import Grouping, choose_test, group_files

SIDES = ("train", "test")
MAX_NAME_BYTES = 255  # of ext4, APFS, NTFS and most others


@dataclass(frozen=True, kw_only=True)
class SplitRules:
    """Say what decides who goes where.

    Args:
        train_split: share of each class that trains, above 0.5 and below 1.
        seed: everything random follows from it.
        balance_train, balance_test: whether that side's classes grow to one size.
        multiplier: factor on that size, at least 1.
        group_by: regular expression with one group, searched in file names; files of one group stay on one side.
    """

    train_split: float = 0.8
    seed: int = 0
    balance_train: bool = False
    balance_test: bool = False
    multiplier: float = 1.0
    group_by: str | None = None

    def balances(self, side: str) -> bool:
        """Return whether the classes of ``side`` grow to one size."""
        return self.balance_train if side == "train" else self.balance_test


@dataclass(frozen=True)
class Augmented:
    """Name a file to be made: its original in the same class and side, its draw number, its own name."""

    source: str
    draw: int
    name: str


@dataclass(frozen=True)
class ClassPlan:
    """Plan one class: its originals by side, sorted by name, and what is made of them."""

    label: str
    originals: dict[str, list[str]]
    augmented: dict[str, list[Augmented]]


@dataclass(frozen=True)
class SplitPlan:
    """Plan the whole split: a ClassPlan per class, in the order of their names, and what a user should know."""

    classes: tuple[ClassPlan, ...]
    notes: tuple[str, ...] = ()
    targets: dict[str, int] = field(default_factory=dict)


def train_count(count: int, train_split: float) -> int:
    """Count how many of ``count`` originals train: pandas' ``sample(frac=train_split)``, which rounds half to even."""
    return round(count * train_split)


def balanced_sizes(largest: int, rules: SplitRules) -> dict[str, int]:
    """Compute the images in each class after balancing, by side; ``largest`` is the size of the largest class.

    >>> balanced_sizes(5126, SplitRules(balance_train=True, balance_test=True))
    {'train': 4101, 'test': 1025}
    """
    # In exact decimals: as floats, 100 * 0.55 is above 55, and its ceiling 56.
    train = math.ceil(largest * Fraction(str(rules.train_split)))
    factor = Fraction(str(rules.multiplier))
    grown = {"train": math.ceil(train * factor), "test": math.ceil((largest - train) * factor)}
    return {side: grown[side] for side in SIDES if rules.balances(side)}


def make_plan(classes: Mapping[str, Sequence[str]], rules: SplitRules, *, tag: str = "") -> SplitPlan:
    """Plan the split of ``classes`` (file names by label, in any order).

    Args:
        tag: what else the bytes of augmented files depend on (pipeline, quality); it goes into their names.

    Raises:
        DataError: a class has no image, or one is to be balanced on a side where it has no original.
        UsageError: ``rules.group_by`` is no pattern with one group, or matches nothing.
    """
    ordered = {label: sorted(classes[label]) for label in sorted(classes)}
    if not ordered or not all(ordered.values()):
        empty = [label for label, names in ordered.items() if not names]
        raise DataError(f"classes without an image: {', '.join(empty)}." if empty else "there are no classes.")
    grouping = group_files(ordered, rules.group_by) if rules.group_by is not None else None
    test, notes = _grouped_test(ordered, grouping, rules) if grouping else (_plain_test(ordered, rules), [])
    goals = balanced_sizes(max(map(len, ordered.values())), rules)
    sides = {
        label: {
            "train": [name for name in names if name not in test[label]],
            "test": [name for name in names if name in test[label]],
        }
        for label, names in ordered.items()
    }
    _check_sides(sides, goals, rules, grouping)
    if grouping:  # a kept-together class may be above what its share asks for; the others are brought up to it
        goals = {side: max(goal, *(len(own[side]) for own in sides.values())) for side, goal in goals.items()}
    notes += [
        f"class {label} has no test image: of {len(own['train'])} at --train-split {rules.train_split:g} none is left"
        for label, own in sides.items()
        if not own["test"]
    ]
    plans = [ClassPlan(label, own, _augmented(label, own, goals, rules, tag)) for label, own in sides.items()]
    return SplitPlan(tuple(plans), tuple(notes), goals)


def _plain_test(classes: Mapping[str, Sequence[str]], rules: SplitRules) -> dict[str, set[str]]:
    test = {}
    for label, names in classes.items():
        ranked = sorted(names, key=lambda name, label=label: (seeded_rank(rules.seed, f"{label}/{name}"), name))
        test[label] = set(ranked[: len(names) - train_count(len(names), rules.train_split)])
    return test


def _grouped_test(
    classes: Mapping[str, Sequence[str]], grouping: Grouping, rules: SplitRules
) -> tuple[dict[str, set[str]], list[str]]:
    wanted = {label: len(names) - train_count(len(names), rules.train_split) for label, names in classes.items()}
    order = sorted(grouping.counts, key=lambda group: (seeded_rank(rules.seed, f"group/{group}"), group))
    chosen = choose_test(grouping, order, wanted)
    test = {label: {name for name, group in grouping.of[label].items() if group in chosen} for label in classes}
    whole, train = sum(map(len, classes.values())), sum(len(classes[label]) - len(test[label]) for label in classes)
    worst = max(classes, key=lambda label: abs(len(test[label]) - wanted[label]) / len(classes[label]))
    share = 1 - len(test[worst]) / len(classes[worst])
    notes = [
        f"groups: {len(order):,}, each kept on one side; {train / whole:.4f} of the images train instead of "
        f"{rules.train_split:g}, furthest off in class {worst} with {share:.4f}"
    ]
    return test, notes


def _check_sides(
    sides: Mapping[str, Mapping[str, Sequence[str]]],
    goals: Mapping[str, int],
    rules: SplitRules,
    grouping: Grouping | None,
) -> None:
    """Raise a DataError where a class cannot grow on a side, since it has no original there."""
    bare = [label for label, own in sides.items() if goals.get("test") and not own["test"]]
    if not bare:
        return
    least = next(n for n in range(1, 10**9) if n > train_count(n, rules.train_split))
    sizes = ", ".join(f"{label} ({len(sides[label]['train'])})" for label in bare)
    if grouping and any(len(grouping.groups_of(label)) == 1 for label in bare):
        alone = [label for label in bare if len(grouping.groups_of(label)) == 1]
        raise DataError(
            f"--group-by {rules.group_by!r} puts all images of class {alone[0]} into one group, "
            f"{next(iter(grouping.groups_of(alone[0])))!r}: it has no test original to balance with.",
            "Use --balance-train alone, leave the class out, or group by something finer.",
        )
    raise DataError(
        f"classes without a test original: {sizes} images. An augmented test image is made of a test original only; "
        f"at --train-split {rules.train_split:g} a class needs {least} images for one.",
        "Add images, leave the class out, lower --train-split, or use --balance-train alone.",
    )


def _augmented(
    label: str, own: Mapping[str, Sequence[str]], goals: Mapping[str, int], rules: SplitRules, tag: str
) -> dict[str, list[Augmented]]:
    """Draw what each side of a class makes: with replacement from its own originals, numbered for each original."""
    made: dict[str, list[Augmented]] = {}
    taken = {case_folded(name) for side in SIDES for name in own[side]} if goals else set()
    for side in SIDES:
        pool = own[side]
        counts = [0] * len(pool)
        base = _hasher(b"draw", rules.seed, side, compose_unicode(label))
        for number in range(max(0, goals.get(side, 0) - len(pool))):
            drawn = base.copy()
            drawn.update(b"%d" % number)
            counts[int.from_bytes(drawn.digest(), "big") % len(pool)] += 1
        naming = _hasher(b"name", rules.seed, compose_unicode(label), tag)
        made[side] = [
            Augmented(name, draw, _name(name, draw, naming, taken))
            for name, count in zip(pool, counts, strict=True)
            for draw in range(count)
        ]
    return made


def _name(source: str, draw: int, naming: hashlib.blake2b, taken: set[str]) -> str:
    """Name a copy of ``face.png`` ``face-aug0-1f3a9c02.png``, as no file of the class in any case or composition."""
    stem, suffix = os.path.splitext(source)
    salt = 0
    while True:
        own = naming.copy()
        own.update(f"{compose_unicode(source)}\x1f{draw}\x1f{salt}".encode())
        tail = f"-aug{draw}-{own.hexdigest()[:8]}{suffix}"
        room = MAX_NAME_BYTES - len(tail.encode())
        name = (stem if len(stem) * 4 <= room else stem.encode()[:room].decode(errors="ignore")) + tail
        key = case_folded(name)
        if key not in taken:
            taken.add(key)
            return name
        salt += 1


def seeded_rank(seed: int, name: str) -> bytes:
    """Hash (seed, name), by which test originals are chosen."""
    return _hasher(b"rank", seed, compose_unicode(name)).digest()


def _hasher(purpose: bytes, seed: int, *parts: str) -> hashlib.blake2b:
    return hashlib.blake2b("\x1f".join((str(seed), *parts, "")).encode(), digest_size=16, person=purpose)


def compose_unicode(text: str) -> str:
    """Bring ``text`` into composed form: macOS stores names decomposed, Linux as they were typed."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def case_folded(name: str) -> str:
    """Return what two names have in common that a file system without case takes for one."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()

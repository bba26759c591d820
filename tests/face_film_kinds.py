"""Kinds of films with known faces: ``KINDS`` makes each of a number of people and a seed; see ``face_films``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from face_films import SIZE, Film, Part, Person, Place, Shot

WIDTH, HEIGHT = SIZE
SECONDS = 9.0


def cell(number: int, count: int) -> Place:
    """Where a person of ``count`` stands, in one row of up to four or two, and how large."""
    columns = min(count, 4)
    row, column = divmod(number, columns)
    rows = math.ceil(count / columns)
    side = min(86, 0.6 * WIDTH / columns)
    return WIDTH * (column + 0.5) / columns, HEIGHT * (row + 0.5) / rows, side


def wandering(person: Person, place: Place, far: float = 0.3) -> Callable[[float], Place]:
    """A path about ``place``: up to ``far`` sides away, faster and slower."""
    x, y, side = place

    def path(time: float) -> Place:
        across, down = person.wave(7, 1.3 * time), person.wave(6, 0.9 * time + 3)
        return x + far * side * across, y + far / 2 * side * down, side * (1 + 0.08 * person.wave(5, time + 5))

    return path


def walk(people: Sequence[Person], seed: int) -> tuple[Shot, ...]:
    parts = [Part(one.number, wandering(one, cell(one.number, len(people)))) for one in people]
    return (Shot(0, seed, tuple(parts)),)


def shake(people: Sequence[Person], seed: int) -> tuple[Shot, ...]:
    (shot,) = walk(people, seed)
    return (Shot(0, seed, shot.parts, shake=7.0),)


def zoom(people: Sequence[Person], seed: int) -> tuple[Shot, ...]:
    """Everyone comes nearer and goes away again."""

    def path(one: Person) -> Callable[[float], Place]:
        x, y, side = cell(one.number, len(people))
        return lambda time: (x, y, side * (0.75 + 0.45 * math.sin(1.6 * time + one.number)))

    return (Shot(0, seed, tuple(Part(one.number, path(one)) for one in people)),)


def cross(people: Sequence[Person], seed: int) -> tuple[Shot, ...]:
    """Pairs pass each other, one before the other, there and back."""
    rng = np.random.default_rng([seed, 1])
    lanes = math.ceil(len(people) / 2)
    side = min(84, 0.85 * HEIGHT / lanes)
    parts = []
    for one in people:
        lane, second = divmod(one.number, 2)
        middle, low, rate = HEIGHT * (lane + 0.5) / lanes, rng.uniform(-0.1, 0.1) * side, rng.uniform(0.9, 1.5)
        start = second * math.pi + rng.uniform(-0.4, 0.4)

        def path(time, *, middle=middle, low=low, rate=rate, start=start):
            return WIDTH / 2 + (WIDTH / 2 - side) * math.cos(rate * time + start), middle + low, side

        parts.append(Part(one.number, path))
    return (Shot(0, seed, tuple(parts)),)


def hide(people: Sequence[Person], seed: int) -> tuple[Shot, ...]:
    """Everyone goes behind a board in the middle, and comes out at the other side or at the same one."""
    (shot,) = cross(people, seed)
    return (Shot(0, seed, shot.parts, screens=((WIDTH / 2 - 65, 0, 130, HEIGHT),)),)


def leave(people: Sequence[Person], seed: int) -> tuple[Shot, ...]:
    """Everyone leaves for one to three seconds and comes back, to where he was or to another place."""
    rng = np.random.default_rng([seed, 2])
    parts = []
    for one in people:
        gone, away = rng.uniform(2, 4.5), rng.uniform(1, 3)
        other = rng.permutation(len(people))[0] if rng.random() < 0.5 else one.number
        here, there = cell(one.number, len(people)), cell(int(other), len(people))
        there = (there[0] + 0.4 * here[2], there[1] + 0.3 * here[2], here[2])
        parts += [
            Part(one.number, wandering(one, here), 0.0, gone),
            Part(one.number, wandering(one, there), gone + away, math.inf),
        ]
    return (Shot(0, seed, tuple(parts)),)


def cutaway(people: Sequence[Person], seed: int) -> tuple[Shot, ...]:
    """A second of something else, then the same people, from the same place or from another one."""
    rng = np.random.default_rng([seed, 3])
    (shot,) = walk(people, seed)
    places = rng.permutation(len(people))
    others = []
    for one in people:
        x, y, side = cell(int(places[one.number]), len(people))
        others.append(Part(one.number, wandering(one, (x, y, 0.85 * side)), turn=0.25))
    return (
        shot,
        Shot(2.5, seed + 1000, ()),
        Shot(3.5, seed, shot.parts),
        Shot(5.0, seed + 1000, ()),
        Shot(6.0, seed + 2000, tuple(others), light=0.85),
    )


def dialogue(people: Sequence[Person], seed: int) -> tuple[Shot, ...]:
    """One speaks, then another one, in the middle of the picture each: shot and countershot."""
    rng = np.random.default_rng([seed, 4])
    shots, since, speaker = [], 0.0, 0
    while since < SECONDS:
        one = people[speaker]
        x = WIDTH / 2 + rng.uniform(-25, 25)
        part = Part(speaker, wandering(one, (x, HEIGHT / 2, rng.uniform(120, 160)), 0.15))
        shots.append(Shot(since, seed + 100 * (speaker + 1), (part,), light=rng.uniform(0.85, 1.1)))
        since += rng.uniform(1.1, 2.1)
        speaker = (speaker + int(rng.integers(1, len(people)))) % len(people)
    return tuple(shots)


def strangers(people: Sequence[Person], seed: int) -> tuple[Shot, ...]:
    """A cut after which others stand where these stood."""
    half = len(people) // 2
    groups = people[:half], people[half:]
    return tuple(
        Shot(
            4.5 * place, seed + 100 * place,
            tuple(Part(one.number, wandering(one, cell(number, half))) for number, one in enumerate(group[:half])),
        )
        for place, group in enumerate(groups)
    )  # fmt: skip


KINDS = {
    kind.__name__: kind for kind in (walk, shake, zoom, cross, hide, leave, cutaway, dialogue, strangers)
}  # fmt: skip


def make_film(kind: str, people: Sequence[Person], seed: int, *, gray: bool = False) -> Film:
    """The film of ``KINDS[kind]``."""
    return Film(kind, tuple(people), KINDS[kind](people, seed), SECONDS, gray=gray, seed=seed)

"""Batches that threads read: in order, no further ahead than one batch, failures where they belong, ended at once."""

from __future__ import annotations

import threading
import time

import pytest

from affectkit.data.loading.thread_loader import AHEAD, open_threads


class Slow:
    """Gives the square of a key; the first keys take the longest."""

    def __init__(self):
        self.seen = set()

    def __getitem__(self, key):
        self.seen.add(key)
        assert len(self.seen) <= 100
        time.sleep(0.02 if key < 3 else 0)
        if key == 13:
            raise KeyError(key)
        return key * key, id(self), threading.get_ident()


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_order(workers):
    keys = [[0, 1, 2], [3, 4], [], [5]]
    with open_threads(Slow(), keys, workers=workers, collate=list) as batches:
        found = list(batches)
    assert [[value for value, *_ in batch] for batch in found] == [[0, 1, 4], [9, 16], [], [25]]
    threads = {thread for batch in found for *_, thread in batch}
    assert len(threads) <= max(workers, 1) and (threading.get_ident() in threads) == (workers == 0)


def test_each_thread_has_a_reader_of_its_own():
    with open_threads(Slow(), [list(range(12))], workers=3, collate=list) as batches:
        (batch,) = batches
    readers = {(reader, thread) for _, reader, thread in batch}
    assert len(readers) == len({thread for _, thread in readers}) == len({reader for reader, _ in readers}) > 1


def test_keys_are_asked_for_one_batch_ahead():
    asked = []

    def keys():
        for number in range(50):
            asked.append(number)
            yield [number + 20]

    with open_threads(Slow(), keys(), workers=2, collate=list) as batches:
        next(batches)
        assert len(asked) == 1 + AHEAD
        next(batches)
        assert len(asked) == 2 + AHEAD


@pytest.mark.parametrize("workers", [0, 2])
def test_a_fault_of_the_reader_is_raised_in_its_place(workers):
    with (
        pytest.raises(KeyError),
        open_threads(Slow(), [[1], [2], [13], [4]], workers=workers, collate=list) as batches,
    ):
        assert next(batches)[0][0] == 1 and next(batches)[0][0] == 4
        next(batches)


def test_threads_have_ended_when_it_is_closed():
    before = threading.active_count()
    with open_threads(Slow(), ([key] for key in range(20, 90)), workers=3, collate=list) as batches:
        next(batches)
        assert threading.active_count() > before
    assert threading.active_count() == before

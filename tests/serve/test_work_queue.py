"""The queue: order, places, long work between which short work is done, faults, the end."""

from __future__ import annotations

import threading

import pytest

from affectkit.serve.refusal import Refusal
from affectkit.serve.work_queue import WorkQueue


def test_short_work_is_done_in_order_by_one_thread():
    seen, threads = [], set()

    def work(number):
        seen.append(number)
        threads.add(threading.get_ident())
        return number

    with WorkQueue(50) as queue:
        futures = []
        for number in range(20):
            with queue.place() as place:
                futures.append(place.do(lambda number=number: work(number)))
        assert [one.result(10) for one in futures] == seen == list(range(20))
    assert len(threads) == 1 and threading.get_ident() not in threads


def test_short_work_is_done_between_the_steps_of_long_work():
    seen, gate = [], threading.Event()

    def steps():
        for number in range(3):
            assert gate.wait(10)
            seen.append(number)
            yield

    with WorkQueue(5) as queue:
        with queue.place() as place:
            long = place.take_steps(steps())
        with queue.place() as place:
            short = [place.do(lambda: seen.append("short")), place.do(lambda: seen.append("short"))]
            gate.set()
            for one in short:
                one.result(10)
            long.result(10)
    assert sorted(map(str, seen)) == ["0", "1", "2", "short", "short"]
    assert seen[-1] == 2 and seen.index("short") <= 2


def test_long_work_is_done_one_after_the_other():
    seen = []

    def steps(name):
        for _ in range(3):
            seen.append(name)
            yield

    with WorkQueue(5) as queue:
        futures = []
        for name in "ab":
            with queue.place() as place:
                futures.append(place.take_steps(steps(name)))
        for one in futures:
            one.result(10)
    assert "".join(seen) == "aaabbb"


def test_places():
    gate = threading.Event()
    with WorkQueue(2) as queue:
        with queue.place() as first, queue.place():
            waiting = first.do(gate.wait)
            with pytest.raises(Refusal) as told, queue.place():
                pass
            assert told.value.status == 503 and told.value.retry_after >= 1
            gate.set()
            waiting.result(10)
        assert queue.taken == 0
        with queue.place() as place:
            long = place.take_steps(iter([None]))
        long.result(10)
        assert queue.taken == 0


def test_long_work_leaves_room_for_short():
    gate = threading.Event()
    with WorkQueue(4) as queue:
        waiting = []
        for _ in range(2):
            with queue.place(long=True) as place:
                waiting.append(place.take_steps(gate.wait(10) for _ in range(1)))
        with pytest.raises(Refusal, match="2 jobs wait .* at most 2 may"), queue.place(long=True):
            pass
        with queue.place(), queue.place():
            assert queue.taken == 4
        gate.set()
        for one in waiting:
            one.result(10)
        assert queue.taken == 0
        with queue.place(long=True) as place:
            place.take_steps(one for one in ()).result(10)


def test_a_place_is_free_again_after_a_fault():
    with WorkQueue(1) as queue:
        for _ in range(2):
            with queue.place() as place:
                assert isinstance(place.do(lambda: 1 / 0).exception(10), ZeroDivisionError)
            with queue.place() as place:
                long = place.take_steps(1 / number for number in (2, 1, 0))
            assert isinstance(long.exception(10), ZeroDivisionError)
        with pytest.raises(ValueError, match="mine"), queue.place():
            raise ValueError("mine")
        with queue.place() as place:
            assert place.do(lambda: 7).result(10) == 7


def test_waiting_work_can_be_given_up():
    begun, gate, seen = threading.Event(), threading.Event(), []

    def steps(name):
        begun.set()
        assert gate.wait(10)
        seen.append(name)
        yield

    with WorkQueue(5) as queue:
        with queue.place() as place:
            first = place.take_steps(steps("first"))
        with queue.place() as place:
            second = place.take_steps(steps("second"))
        assert begun.wait(10)
        with queue.place() as place:
            short = place.do(lambda: seen.append("short"))
            assert queue.give_up(second) and not queue.give_up(second)
            assert short.cancel()
        assert queue.taken == 1
        gate.set()
        first.result(10)
        assert not queue.give_up(first)
    assert seen == ["first"]
    assert second.cancelled()


def test_the_end_refuses_what_waits_and_closes_what_is_in_hand():
    begun, gate, closed = threading.Event(), threading.Event(), []

    def steps():
        try:
            while True:
                begun.set()
                assert gate.wait(10)
                yield
        finally:
            closed.append(threading.get_ident())

    with WorkQueue(5) as queue:
        with queue.place() as place:
            long = place.take_steps(steps())
        assert begun.wait(10)
        with queue.place() as place:
            short = place.do(lambda: 1)
        threading.Timer(0.1, gate.set).start()
    assert closed and long.cancelled() and short.cancelled()
    with pytest.raises(Refusal), queue.place():
        pass


def test_the_thread_works_in_the_block_of_the_engine():
    import contextlib

    local = threading.local()

    @contextlib.contextmanager
    def computing():
        local.inside = True
        yield

    with WorkQueue(1, computing) as queue, queue.place() as place:
        assert place.do(lambda: local.inside).result(10)

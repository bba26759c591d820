from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.data.loading import loaders, worker_count
from affectkit.data.loading.loaders import (
    EVALUATION,
    SplitImages,
    TrainingKeys,
    choose_cache,
    close_loader,
    epoch_batches,
    evaluation_keys,
    hold_in_memory,
    make_loader,
)
from affectkit.data.loading.path_images import PathImages, collate_images
from affectkit.data.loading.read_failures import refuse_failures
from affectkit.data.loading.worker_count import choose_threads, choose_workers
from affectkit.data.split import Split
from affectkit.errors import DataError, UsageError

SPEC = InputSpec("classification", 16, 16, classes=("a", "b"))


@pytest.fixture
def split(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"{k:02}.png" for k in range(13)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(tmp_path / name)
    return Split("train", tmp_path, names, ("a", "b"), np.arange(13) % 2, None, None)


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 65, 100])
def test_batches_of_an_epoch_hold_every_index_once_and_are_nearly_equal(count):
    batches = epoch_batches(count, 32, seed=1, epoch=4)
    assert sorted(np.concatenate(batches)) == list(range(count))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) - min(sizes) <= 1 and max(sizes) <= 33 and (min(sizes) > 1 or count == 1)
    again = epoch_batches(count, 32, seed=1, epoch=4)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {tuple(np.concatenate(epoch_batches(50, 8, seed=s, epoch=e))) for s in range(3) for e in range(3)}
    assert len(orders) == 9


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_sample_becomes_does_not_depend_on_workers_or_on_where_the_epoch_was_entered(split, workers):
    def images(first, workers):
        keys = TrainingKeys()
        loader = make_loader(SplitImages(split, SPEC, augment="face-strong", seed=3), keys, workers=workers)
        found = {}
        for epoch in (0, 1):
            batches = epoch_batches(13, 4, seed=3, epoch=epoch)
            keys.set(epoch, batches[first:])
            for batch in loader:
                for index, image in zip(batch["index"], batch["image"], strict=True):
                    found[epoch, int(index)] = image
        return found

    whole, part = images(0, 0), images(1, workers)
    assert len(whole) == 26 and 0 < len(part) < 26
    assert all(torch.equal(image, whole[key]) for key, image in part.items())
    assert any(not torch.equal(whole[0, k], whole[1, k]) for k in range(13))


def test_making_batches_leaves_the_models_randomness_alone(split):
    keys = evaluation_keys(13, 4)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    for _ in make_loader(SplitImages(split, SPEC), keys, workers=0):
        pass
    assert torch.equal(torch.rand(3), expected)


def test_held_images_are_the_decoded_ones(split):
    held = hold_in_memory(split, SPEC, reporter=Silent())
    assert held.failures == {} and held.pixels.shape == (13, 16, 16, 3)
    fresh, stored = SplitImages(split, SPEC), SplitImages(split, SPEC, held=held)
    for index in range(13):
        assert torch.equal(fresh[EVALUATION, index][1], stored[EVALUATION, index][1])


def test_bad_images_are_named_and_skipped_or_fatal(split):
    (split.root / "03.png").write_bytes(b"not an image")
    held = hold_in_memory(split, SPEC, reporter=Silent())
    assert [failure.name for failure in held.failures.values()] == ["03.png"]
    with pytest.raises(DataError, match=r"03\.png"):
        refuse_failures(list(held.failures.values()), "fail")
    refuse_failures(list(held.failures.values()), "skip")
    assert SplitImages(split, SPEC, held=held)[EVALUATION, 3].name == "03.png"
    loader = make_loader(SplitImages(split, SPEC), evaluation_keys(13, 4), workers=0)
    batches = list(loader)
    assert sorted(int(k) for batch in batches for k in batch["index"]) == [k for k in range(13) if k != 3]
    assert [f.index for batch in batches for f in batch["failures"]] == [3]


def test_a_batch_of_nothing_but_bad_images_is_empty(tmp_path):
    (tmp_path / "x.png").write_bytes(b"")
    keys = [[(0, str(tmp_path / "x.png"))]]
    batch = next(iter(make_loader(PathImages(SPEC), keys, workers=0, collate_fn=collate_images)))
    assert len(batch["index"]) == 0 and len(batch["failures"]) == 1


def test_choices_of_workers_and_cache(monkeypatch):
    assert choose_workers(3, held=True) == (3, "asked for")
    assert choose_workers(None, held=True) == (0, "none needed")
    for there, own, shared, of_two in ((1, 1, 0, 1), (2, 1, 0, 1), (4, 2, 1, 1), (16, 8, 4, 4), (64, 8, 8, 8)):
        monkeypatch.setattr(worker_count, "count_processors", lambda there=there: there)
        assert choose_workers(None, held=False) == (own, f"of {there} processor{'s' * (there > 1)}")
        assert choose_workers(None, held=False, on_cpu=True)[0] == shared
        assert choose_workers(None, held=False, processes=2)[0] == of_two
        threads = [choose_threads(None, processes=processes)[0] for processes in (1, 2)]
        assert threads == [min(8, there), min(8, max(1, there // 2))] and choose_threads(0)[0] == 0
    free = type("Memory", (), {"available": 4 * 16 * 16 * 3 * 100})
    monkeypatch.setattr(loaders.psutil, "virtual_memory", lambda: free)
    assert choose_cache("auto", 100, SPEC) and not choose_cache("auto", 101, SPEC)
    assert choose_cache("ram", 300, SPEC) and not choose_cache("none", 1, SPEC)
    with pytest.raises(UsageError, match="--cache ram needs"):
        choose_cache("ram", 400, SPEC)


def test_a_process_that_keeps_a_loader_still_ends(split):
    """Workers are deaf to SIGTERM, so multiprocessing would wait for them at exit without an end."""
    script = f"""
from pathlib import Path
import numpy as np
from affectkit.core.spec import InputSpec
from affectkit.data.loading.loaders import SplitImages, evaluation_keys, make_loader
from affectkit.data.split import Split
split = Split("train", Path({str(split.root)!r}), {split.ids!r}, ("a", "b"), np.zeros(13, dtype=int), None, None)
spec = InputSpec("classification", 16, 16, classes=("a", "b"))
loader = make_loader(SplitImages(split, spec), evaluation_keys(13, 4), workers=2)
kept = iter(loader)
print(len(next(kept)["index"]), flush=True)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr


LISTED = """
import os, psutil
print(*(child.pid for child in psutil.Process().children() if child.status() != "zombie"), flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere workers look for their parent themselves")
def test_workers_die_with_a_parent_that_is_killed(split):
    script = f"""
from pathlib import Path
import numpy as np
from affectkit.core.spec import InputSpec
from affectkit.data.loading.loaders import SplitImages, evaluation_keys, make_loader
from affectkit.data.split import Split
split = Split("train", Path({str(split.root)!r}), {split.ids!r}, ("a", "b"), np.zeros(13, dtype=int), None, None)
spec = InputSpec("classification", 16, 16, classes=("a", "b"))
loader = make_loader(SplitImages(split, spec), evaluation_keys(13, 1), workers=2)
kept = iter(loader)
next(kept), next(kept)  # both have started
{LISTED}"""
    # To a file: a worker that lived on would hold a pipe open, and reading it would hide what is tested here.
    with (split.root / "out").open("w+") as out:
        subprocess.run([sys.executable, "-c", script], stdout=out, stderr=subprocess.STDOUT, timeout=300)
        out.seek(0)
        workers = [int(word) for word in out.read().split()]
    assert len(workers) == 2
    # torch's own watch takes 5 seconds and more.
    deadline = time.monotonic() + 2
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(alive, workers))


def alive(number):
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_more_workers_than_processors_are_no_warning_of_torch(split, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader = make_loader(SplitImages(split, SPEC), evaluation_keys(13, 4), workers=2)
        assert len(next(iter(loader))["index"]) == 4
    close_loader(loader)


def test_closing_ends_the_workers(split):
    loader = make_loader(SplitImages(split, SPEC), evaluation_keys(13, 4), workers=2)
    next(iter(loader))
    workers = loader._iterator._workers
    close_loader(loader)
    assert len(workers) == 2 and not any(worker.is_alive() for worker in workers)
    close_loader(loader)

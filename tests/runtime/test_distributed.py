"""Several processes: forked ones that talk over gloo, and what each of them comes to."""

from __future__ import annotations

import csv
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm  # noqa: F401 - seconds in every forked process, were it not here already
import torch
from support import Heard, in_ranks, make_votes, settings

from affectkit.checkpoints.checkpoint import load_model
from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.errors import AffectkitError, DataError, PeerLost, RunError, Stopped, UsageError
from affectkit.evaluation.test import test as run_test
from affectkit.runtime.distributed import ProcessGroup, current_group, init_process_group
from affectkit.settings.evaluation import TestSettings
from affectkit.training import run as runs
from affectkit.training.resume_state import newest_state
from affectkit.training.training_step import Learner

EXACT = {"model": "test_vit", "image_size": 32, "dropout": 0.0, "optimizer": "sgd", "lr": 0.05, "schedule": "cosine"}
"""A run without batch norm and dropout, which several processes compute like one but for rounding."""


pytestmark = pytest.mark.usefixtures("no_figures")


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def same_files(one: Path, two: Path, names) -> None:
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_what_processes_tell_each_other(tmp_path):
    def work():
        with init_process_group("cpu") as group:
            assert (group.world_size, group.is_distributed, group.is_main) == (3, True, group.rank == 0)
            assert group.all_reduce_max([group.rank, -group.rank]) == [2, 0]
            assert group.all_gather_bytes(b"x" * group.rank) == [b"", b"x", b"xx"]
            assert group.all_gather_values({"rank": group.rank})[2] == {"rank": 2}
            arrays = {"a": np.full((group.rank, 2), group.rank)} if group.rank else {}
            assert [part.get("a", np.empty(0)).shape for part in group.all_gather_arrays(arrays)] == [
                (0,),
                (1, 2),
                (2, 2),
            ]
            rows = np.arange(6.0).reshape(2, 3) + 10 * group.rank
            shapes = {"turned": rows.T, "steps": rows[:, ::2], "backwards": rows[::-1], "one": rows[1, 2]}
            for rank, part in enumerate(group.all_gather_arrays(shapes | {"spread": np.broadcast_to(rows[0], (2, 3))})):
                own = np.arange(6.0).reshape(2, 3) + 10 * rank
                assert np.array_equal(part["turned"], own.transpose()) and part["one"].shape == ()
                assert part["steps"].tolist() == [[own[0, 0], own[0, 2]], [own[1, 0], own[1, 2]]]
                assert part["backwards"].tolist() == [own[1].tolist(), own[0].tolist()] and part["one"] == own[1, 2]
                assert part["spread"].tolist() == [own[0].tolist()] * 2
            one, two = torch.full((2, 2), group.rank + 1.0), torch.tensor([group.rank], dtype=torch.float64)
            group.all_reduce_sum([one, two])
            assert one.tolist() == [[6.0, 6.0]] * 2 and two.tolist() == [3.0]
            begun = torch.full((3,), float(group.rank))
            group.broadcast_from_main([begun])
            assert begun.tolist() == [0.0] * 3
            order = tmp_path / "order"
            group.run_main_first(lambda: order.open("a").write(f"{group.rank}\n") and None)
            group.barrier()
            assert order.read_text()[0] == "0" and len(order.read_text().split()) == 3
            assert group.run_on_main(lambda: f"of {group.rank}") == "of 0"

    assert in_ranks(3, work) == [0, 0, 0]


def test_an_error_of_the_first_reaches_all_with_its_kind_and_hint():
    def work():
        with init_process_group("cpu") as group:
            with pytest.raises(DataError, match="bad table") as caught:
                group.run_on_main(lambda: (_ for _ in ()).throw(DataError("bad table", "mend it")))
            assert caught.value.hint == "mend it"
            with pytest.raises(OSError if group.is_main else RunError, match="No space"):
                group.run_on_main(lambda: (_ for _ in ()).throw(OSError(28, "No space left")))

    assert in_ranks(2, work) == [0, 0]


def test_gathered_rows_carry_gradients_to_their_own_process():
    def work():
        with init_process_group("cpu") as group:
            counts = [2, 0, 1]
            own = torch.arange(counts[group.rank] * 2.0).reshape(-1, 2).add_(10 * group.rank).requires_grad_()
            whole = group.all_gather_rows(own, counts)
            assert whole.tolist() == [[0, 1], [2, 3], [20, 21]]
            # A loss that is no mean over samples: the variance of all values.
            gradients = torch.autograd.grad(whole.var(), own, allow_unused=True)[0]
            values = torch.tensor([[0.0, 1], [2, 3], [20, 21]], requires_grad=True)
            expected = torch.autograd.grad(values.var(), values)[0]
            begin = sum(counts[: group.rank])
            assert torch.allclose(gradients, expected[begin : begin + counts[group.rank]])

    assert in_ranks(3, work) == [0, 0, 0]


@pytest.mark.parametrize("count", [1, 3, 17])
def test_the_result_table_is_the_same_for_any_number_of_processes(trained, tmp_path, count):
    data = make_votes(tmp_path / "data", train=1, valid=1, test=count)
    for ranks in (1, 2, 3):
        chosen = {"checkpoint": trained, "data": data, "results": tmp_path / str(ranks), "workers": 0, "batch_size": 4}

        def work(chosen=chosen):
            run_test(resolve(TestSettings, flags=chosen).settings, reporter=Silent())

        assert in_ranks(ranks, work) == [0] * ranks
        assert len(rows_of(tmp_path / str(ranks) / "test_results.csv")) == count
        names = ("test_results.csv", "confusion_matrix.csv", "per_class.csv", "results.json")
        same_files(tmp_path / "1", tmp_path / str(ranks), names)


def test_global_batches_give_the_run_of_one_process(votes, tmp_path):
    """Same batches, learning rates and, but for rounding, losses and weights; clipping and EMA too."""
    chosen = {**EXACT, "accumulate": 2, "clip_norm": 1.0, "ema": 0.9, "epochs": 2, "class_weights": "balanced"}
    for ranks in (1, 2, 3):
        work = lambda ranks=ranks: runs.train(settings(votes, tmp_path / str(ranks), **chosen), reporter=Silent())  # noqa: E731
        assert in_ranks(ranks, work) == [0] * ranks
    one = rows_of(tmp_path / "1" / "history.csv")
    weights = load_model(tmp_path / "1" / "last.safetensors").state_dict()
    for ranks in (2, 3):
        several = rows_of(tmp_path / str(ranks) / "history.csv")
        assert [row["lr"] for row in several] == [row["lr"] for row in one]
        for key in ("train_loss", "valid_loss", "valid_ece"):
            assert [float(row[key]) for row in several] == pytest.approx([float(row[key]) for row in one], abs=1e-5)
        other = load_model(tmp_path / str(ranks) / "last.safetensors").state_dict()
        assert all(torch.allclose(weights[name], other[name], atol=1e-5) for name in weights)
        record = json.loads((tmp_path / str(ranks) / "status.json").read_text())
        assert record["state"] == "done" and len(list((tmp_path / str(ranks) / "events").iterdir())) == 1


def test_a_batch_smaller_than_the_processes_leaves_none_waiting(votes, tmp_path):
    chosen = {**EXACT, "batch_size": 2, "epochs": 1, "train": 4}
    data = make_votes(tmp_path / "data", train=5, valid=1, test=1)
    chosen.pop("train")
    for ranks in (1, 3):
        work = lambda ranks=ranks: runs.train(settings(data, tmp_path / str(ranks), **chosen), reporter=Silent())  # noqa: E731
        assert in_ranks(ranks, work) == [0] * ranks
    losses = [float(rows_of(tmp_path / name / "history.csv")[0]["train_loss"]) for name in "13"]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_batch_norm_keeps_the_average_of_the_processes_statistics(votes, tmp_path):
    class Watched(Learner):
        def all_reduce_gradients(self):
            own = self.model.features.bn1.running_mean.clone()
            shares = self.group.all_gather_arrays({"mean": own.numpy()})
            super().all_reduce_gradients()
            mean = sum(part["mean"] for part in shares) / len(shares)
            assert len({part["mean"].tobytes() for part in shares}) == 2, (
                "shares differ, so there is something to average"
            )
            assert np.allclose(self.model.features.bn1.running_mean.numpy(), mean, atol=1e-6)

        def optimizer_step(self, number):
            super().optimizer_step(number)
            told = self.group.all_gather_arrays(dict(sorted(_plain(self.model).items())))
            assert all(np.array_equal(told[0][name], told[1][name]) for name in told[0]), "equal after every step"

    def _plain(model):
        return {name: value.numpy() for name, value in model.state_dict().items()}

    def work():
        import affectkit.training.trainer as module

        module.Learner = Watched
        runs.train(settings(votes, tmp_path / "run", epochs=1), reporter=Silent())

    assert in_ranks(2, work) == [0, 0]


def test_stopped_processes_go_on_to_the_same_bytes(votes, tmp_path):
    chosen = {"epochs": 2, "accumulate": 2, "ema": 0.9, "mixup": 0.4, "schedule": "plateau"}

    def stopped():
        step = Learner.optimizer_step

        def counted(self, number):
            step(self, number)
            if number == 4 and current_group().rank == 1:
                os.kill(os.getpid(), signal.SIGTERM)

        Learner.optimizer_step = counted
        with pytest.raises(Stopped) as caught:
            runs.train(settings(votes, tmp_path / "cut", **chosen), reporter=Silent())
        assert caught.value.exit_code == 75

    def resumed():
        runs.train(replace(settings(votes, tmp_path / "cut"), resume=tmp_path / "cut"), reporter=Silent())

    assert in_ranks(2, lambda: runs.train(settings(votes, tmp_path / "whole", **chosen), reporter=Silent())) == [0, 0]
    assert in_ranks(2, stopped) == [0, 0]
    assert json.loads((tmp_path / "cut" / "status.json").read_text())["state"] == "stopped"
    assert in_ranks(2, resumed) == [0, 0]
    same_files(
        tmp_path / "whole", tmp_path / "cut", ["history.csv", "last.safetensors", "best.safetensors", "metrics.json"]
    )


def test_another_number_of_processes_is_said_when_a_run_goes_on(votes, tmp_path, capfd):
    def stopped():
        Learner.optimizer_step = lambda self, number, step=Learner.optimizer_step: (
            step(self, number),
            os.kill(os.getpid(), signal.SIGTERM),
        )
        with pytest.raises(Stopped):
            runs.train(settings(votes, tmp_path / "run", epochs=1), reporter=Silent())

    assert in_ranks(2, stopped) == [0, 0]
    assert newest_state(tmp_path / "run" / "state")[0] is not None
    heard = Heard()
    runs.train(replace(settings(votes, tmp_path / "run"), resume=tmp_path / "run"), reporter=heard)
    assert any("had 2 processes and has 1 now" in text for text in heard.warnings)


@pytest.mark.parametrize("on_error", ["skip", "fail"])
def test_bad_images_are_met_by_all_processes_alike(tmp_path, on_error):
    data = make_votes(tmp_path / "data", train=24, valid=6, test=6)
    for name in ("train/007.png", "train/020.png", "valid/001.png"):
        (data / "images" / name).write_bytes(b"no image")
    chosen = {**EXACT, "epochs": 1, "on_error": on_error, "cache": "none"}
    results = tmp_path / "told"
    results.mkdir()

    def work():
        rank = os.environ["RANK"]
        try:
            found = runs.train(
                settings(data, tmp_path / f"run{current_group().world_size}", **chosen), reporter=Silent()
            )["skipped"]
        except AffectkitError as error:
            found = error.message
        (results / rank).write_text(json.dumps(found))

    assert in_ranks(2, work) == [0, 0]
    told = [json.loads((results / rank).read_text()) for rank in "01"]
    assert told[0] == told[1]
    if on_error == "skip":
        assert sorted(item["image"] for item in told[0]) == [
            "images/train/007.png", "images/train/020.png", "images/valid/001.png",
        ]  # fmt: skip
    else:
        assert "cannot be read" in told[0] and ".png" in told[0]


def test_a_process_that_dies_ends_the_others_with_a_reason(votes, tmp_path):
    def work():
        step = Learner.optimizer_step

        def counted(self, number):
            if number == 2 and current_group().rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            step(self, number)

        Learner.optimizer_step = counted
        with pytest.raises(PeerLost, match="one of the 3 processes of this run has ended") as caught:
            runs.train(settings(votes, tmp_path / "run"), reporter=Silent())
        assert "--resume" in caught.value.hint

    assert in_ranks(3, work, timeout=30) == [0, -9, 0]


def test_memory_that_does_not_suffice_ends_several_processes_in_words(votes, tmp_path):
    def work():
        def full(self, batch):
            raise torch.OutOfMemoryError("CUDA out of memory")

        if os.environ["RANK"] == "1":
            Learner.forward = full
        with pytest.raises(RunError, match="out of memory with its 4 images" if os.environ["RANK"] == "1" else "ended"):
            runs.train(settings(votes, tmp_path / "run"), reporter=Silent())

    assert in_ranks(2, work) == [0, 0]


def test_an_environment_that_does_not_say_enough_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with (
        pytest.raises(UsageError, match="WORLD_SIZE is 2, but RANK, MASTER_ADDR, MASTER_PORT are not set"),
        init_process_group(),
    ):
        pass
    assert current_group() == ProcessGroup()


@pytest.mark.parametrize("count", [1, 3, 17])
def test_the_rows_of_infer_are_the_same_for_any_number_of_processes(trained, tmp_path, count):
    import io

    from affectkit.inference.infer import infer
    from affectkit.settings.inference import InferSettings

    data = make_votes(tmp_path / "data", train=count, valid=1, test=1) / "images" / "train"
    if count == 17:
        (data / "005.png").write_bytes(b"no image")
    chosen = {"checkpoint": trained, "workers": 0, "batch_size": 4}
    for ranks in (1, 2, 3):

        def folder(ranks=ranks):
            values = {**chosen, "paths": [str(data)], "results": tmp_path / str(ranks)}
            infer(resolve(InferSettings, flags=values).settings, reporter=Silent(), listed=io.StringIO(), stdout=None)

        def listed(ranks=ranks):
            names = "".join(f"{data}/{name}\n" for name in ("000.png", "absent.png"))
            values = {**chosen, "paths": ["-"], "results": tmp_path / f"listed{ranks}"}
            names = io.StringIO(names if os.environ["RANK"] == "0" else "")
            infer(resolve(InferSettings, flags=values).settings, reporter=Silent(), listed=names, stdout=None)

        assert in_ranks(ranks, folder) == [0] * ranks
        assert in_ranks(ranks, listed) == [0] * ranks
        for folder in ("", "listed"):
            one, several = tmp_path / f"{folder}1", tmp_path / f"{folder}{ranks}"
            files = sorted(path.name for path in one.iterdir())
            assert files == sorted(path.name for path in several.iterdir())
            same_files(one, several, [name for name in files if name != "inference.json"])
            told = [json.loads((path / "inference.json").read_text()) for path in (one, several)]
            assert told[0] | {"results": 0, "skipped_list": 0} == told[1] | {"results": 0, "skipped_list": 0}
    assert len(rows_of(tmp_path / "3" / "inference_results.csv")) == count - (count == 17)


def test_a_stopped_inference_of_several_processes_goes_on_to_the_same_rows(trained, tmp_path, monkeypatch):
    import io

    from affectkit.inference import infer as module
    from affectkit.settings.inference import InferSettings

    data = make_votes(tmp_path / "data", train=17, valid=1, test=1) / "images" / "train"
    chosen = {"checkpoint": trained, "workers": 0, "batch_size": 4, "paths": [str(data)]}

    def run(**more):
        values = resolve(InferSettings, flags={**chosen, **more}).settings
        module.infer(values, reporter=Silent(), listed=io.StringIO(), stdout=None)

    def stopped():
        gathered = module.gather_batches

        def interrupted(*args):
            for number, batch in enumerate(gathered(*args)):
                if number == 1 and current_group().rank == 1:
                    os.kill(os.getpid(), signal.SIGUSR1)
                yield batch

        module.gather_batches = interrupted
        with pytest.raises(Stopped, match="8 images are done" if os.environ["RANK"] == "0" else "done") as caught:
            run(results=tmp_path / "cut")
        assert caught.value.exit_code == 75

    assert in_ranks(2, stopped) == [0, 0]
    assert in_ranks(3, lambda: run(results=tmp_path / "cut", resume=True)) == [0, 0, 0]
    run(results=tmp_path / "whole")
    same_files(tmp_path / "whole", tmp_path / "cut", ["inference_results.csv"])

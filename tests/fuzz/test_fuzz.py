"""Files of others, changed at random, given to the commands that read them: `pytest -m fuzz`.

Each kind of input is a test. A case is repeated alone by the seed and the number that a failure names:
``pytest -m fuzz --fuzz-seed 5 --fuzz-only "checkpoints:17"``.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest
from fuzz import corpus
from fuzz.cases import FAULTS, VERDICTS, Kind, preload, run_case
from fuzz.kinds import KINDS
from published_files import TINY_TOWER

from affectkit.models.external.published import TOWERS

pytestmark = pytest.mark.fuzz
CASES = 5200
"""In all, at ``--fuzz-scale 1``: about 15 minutes on two cores."""
PROCESSES = 2


def forked(work) -> int:
    """Exit code of ``work()`` in a forked process."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        os._exit(code)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the models that all inputs are made with; all of affectkit is imported."""
    preload()
    TOWERS[64] = TINY_TOWER  # published files stand on a CLIP that is small
    root = tmp_path_factory.mktemp("fuzz")
    (root / "models").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(corpus.MODELS, str(root / "models"))
        _made(root / "models", corpus.make_models)
        yield root
    shutil.rmtree(root, ignore_errors=True)


def _made(folder: Path, make) -> None:
    def work() -> None:
        os.chdir(folder)
        make()

    assert ended(forked(work)) == 0, f"{folder.name} could not be made"


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name.replace(" ", "-") for kind in KINDS])
def test_bad_input_is_told_in_words(kind: Kind, place: Path, request, record_property):
    seed, scale, only = (request.config.getoption(f"fuzz_{name}") for name in ("seed", "scale", "only"))
    name, _, number = only.partition(":")
    if only and name != kind.name:
        pytest.skip("another kind is asked for with --fuzz-only")
    count = max(2, round(CASES * scale * kind.share / sum(one.share for one in KINDS)))
    numbers = [int(number)] if number else range(count)
    # The paths of all folders that a case is run in are equally long: what is recorded of one holds in the other.
    first = place / "0" / "case"
    shutil.rmtree(first.parent, ignore_errors=True)
    first.mkdir(parents=True)
    begin = time.monotonic()
    _made(first, kind.make)
    for process in range(PROCESSES):
        _moved(first, place / f"valid{process}", first, place / str(process) / "case")
    shutil.rmtree(first.parent)

    def work(process: int) -> None:
        root = place / str(process)
        root.mkdir(exist_ok=True)
        with (place / f"told{process}").open("w") as told:
            for one in numbers[process::PROCESSES]:
                found = run_case(kind, root, place / f"valid{process}", seed, one)
                told.write(json.dumps([one, *vars(found).values()]) + "\n")
                told.flush()

    pids = [forked(lambda process=process: work(process)) for process in range(PROCESSES)]
    assert [ended(pid) for pid in pids] == [0] * PROCESSES
    lines = [line for process in range(PROCESSES) for line in (place / f"told{process}").read_text().splitlines()]
    outcomes = sorted(map(json.loads, lines))
    counts = Counter(outcome[1] for outcome in outcomes)
    record_property("fuzz", [kind.name, len(outcomes), *(counts[one] for one in VERDICTS), time.monotonic() - begin])
    assert len(outcomes) == len(numbers)
    if 0 in numbers:
        assert outcomes[0][1] == "accepted", f"the valid input is not accepted: {outcomes[0]}"
    faults = [one for one in outcomes if one[1] in FAULTS]
    told = "\n".join(
        f'--fuzz-seed {seed} --fuzz-only "{kind.name}:{one[0]}": {one[1]} ({one[2]}; affectkit {one[3]})\n{one[4]}'
        for one in faults
    )
    assert not faults, f"{len(faults)} of {len(outcomes)} cases:\n{told}"


def _moved(source: Path, target: Path, before: Path, after: Path) -> None:
    """Copy a folder to ``target`` with the path ``before`` changed to ``after`` in its files, of equal length."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
    for path in target.rglob("*"):
        if path.is_file() and not path.is_symlink() and bytes(before) in (data := path.read_bytes()):
            path.write_bytes(data.replace(bytes(before), bytes(after)))

"""How commands behave as batch jobs (``--slurm``). Importing this loads nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Batch:
    """How a command behaves as a job.

    Attributes:
        several: whether it runs in several processes.
        goes_on: what continues it: ``"same"``, the command itself; ``"run"``, ``--resume`` with its run folder alone;
            ``"resume"``, ``--resume`` added; ``"force"``, ``--force`` added, to replace what it left half-written.
        place: name of the setting with its output folder.
        record: file in that folder that exists once there is something to continue.
    """

    several: bool = False
    goes_on: str = "same"
    place: str = ""
    record: str = ""


TRAIN = Batch(several=True, goes_on="run", place="output", record="config.yaml")
INFER = Batch(several=True, goes_on="resume", place="results", record="inference.json")
TEST = Batch(several=True, goes_on="force", place="results")
PREP = Batch()
CORRUPTIONS = Batch(several=True, goes_on="same", place="results")

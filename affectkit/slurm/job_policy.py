"""Define how each command behaves as a batch job (``--slurm``). Importing this loads nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JobPolicy:
    """Define how a command behaves as a job.

    Attributes:
        supports_distributed: whether it runs in several processes.
        resumes_by: what resumes it: ``"same"``, the command itself; ``"run"``, ``--resume`` with its run folder alone;
            ``"resume"``, ``--resume`` added; ``"force"``, ``--force`` added, to replace what it left half-written.
        output_setting: name of the setting with its output folder.
        record: file in that folder that exists once there is something to continue.
    """

    supports_distributed: bool = False
    resumes_by: str = "same"
    output_setting: str = ""
    record: str = ""


TRAIN = JobPolicy(supports_distributed=True, resumes_by="run", output_setting="output", record="config.yaml")
INFER = JobPolicy(supports_distributed=True, resumes_by="resume", output_setting="results", record="inference.json")
TEST = JobPolicy(supports_distributed=True, resumes_by="force", output_setting="results")
PREP = JobPolicy()
CORRUPTIONS = JobPolicy(supports_distributed=True, resumes_by="same", output_setting="results")

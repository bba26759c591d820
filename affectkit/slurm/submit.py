"""Submit a command as a job with ``--slurm KEY=VALUE,...``, through submitit (extra ``slurm``).

submitit keeps a job in a folder of its own (``logs``, by default ./slurm): the batch script, the logs, and pickles,
which it alone writes and reads. Only its own files in that folder are unpickled, so the folder must not be one where
anybody can write. ``slurm.request`` reads the value of the option, ``slurm.job`` is what the job does.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from affectkit.config import option_name, value_of
from affectkit.core.assets import model_file
from affectkit.core.children import python_command
from affectkit.core.files import fresh_folder
from affectkit.core.progress import Reporter
from affectkit.core.shard_parts import is_complete
from affectkit.errors import DataError, RunError, UsageError
from affectkit.runtime.distributed import launched_processes
from affectkit.slurm.folds import folds_to_submit, with_fold
from affectkit.slurm.job import Job, Work, modified
from affectkit.slurm.job_policy import JobPolicy
from affectkit.slurm.request import Request, parse_request
from affectkit.training.run_folder import RunFolder


def check_paths(policy: JobPolicy, settings: Any, reporter: Reporter) -> None:
    """Refuse what the job would find hours later: inputs that are not there, an output that is taken or missing.

    The job runs in this folder, so what is named relative to it must be there; an absolute path may exist on the
    nodes alone, which is reported.

    Raises:
        UsageError, DataError, CheckpointError: as the command itself would.
    """
    if policy.resumes_by == "resume":
        if getattr(settings, policy.output_setting) is None:
            raise UsageError(
                f"--slurm needs --{policy.output_setting}: the standard output of a job is its log.",
                "Name a folder with it.",
            )
        if "-" in getattr(settings, "paths", ()):
            raise UsageError("--slurm: a job has no standard input to read a list from (-).", "Name a folder.")
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        named = value if entry.name == "paths" else [value] if isinstance(value, Path) else []
        if entry.name in ("output", "results", "annotate"):
            continue
        for path in map(Path, named):
            _check_input(path, option_name(entry), reporter)
    _check_output(policy, settings)


def _check_input(path: Path, name: str, reporter: Reporter) -> None:
    if path.exists() or re.search(r"[*?\[]", str(path)) or model_file(path):
        return
    if not path.is_absolute():
        raise DataError(f"{name} {path} does not exist in {Path.cwd()}, where the job would run.")
    reporter.warn(f"{name} {path} does not exist on this machine; the job fails unless its nodes have it.")


def _check_output(policy: JobPolicy, settings: Any) -> None:
    resume = getattr(settings, "resume", None)
    output = _output_folder(policy, settings)
    if policy.resumes_by == "run" and resume is not None:
        RunFolder(resume).read_config()
    elif output is None or resume or settings.force or getattr(settings, "fold", None) is not None:
        return
    elif policy.resumes_by == "resume":
        if not (output / policy.record).exists() or is_complete(output):
            return
        raise UsageError(f"{output} holds results.", "Add --resume to continue them, or --force to replace them.")
    elif policy.resumes_by == "force" or (
        policy.resumes_by == "run" and RunFolder(output).status().get("state") != "done"
    ):
        taken = policy.resumes_by == "run" and (output / policy.record).is_file()
        hint = f"Resume it: --resume {output} instead of --output; or add --force." if taken else ""
        fresh_folder(output, name=f"--{policy.output_setting}", hint=hint)


def _output_folder(policy: JobPolicy, settings: Any) -> Path | None:
    """Return the folder that the command writes into: of a shard, its own."""
    output = getattr(settings, policy.output_setting) if policy.output_setting else None
    shard = value_of(getattr(settings, "shard", None))
    return output if output is None or shard is None else output / shard.folder


def without_slurm(argv: Sequence[str]) -> tuple[str, ...]:
    """Return ``argv`` without ``--slurm`` and its value."""
    kept: list[str] = []
    rest = iter(argv)
    for word in rest:
        if word == "--":
            return (*kept, word, *rest)
        if word == "--slurm":
            next(rest, None)
        elif not word.startswith("--slurm="):
            kept.append(word)
    return tuple(kept)


def make_work(
    argv: Sequence[str],
    *,
    name: str,
    policy: JobPolicy,
    settings: Any,
    forced_by_file: bool = False,
    patience: float = 100.0,
    fold: int | None = None,
) -> Work:
    """Return the command and how it resumes after a stop.

    Args:
        argv: arguments of affectkit with ``--slurm``.
        name: the command's last word.
        policy: how it behaves as a job.
        settings: resolved and checked.
        forced_by_file: ``--force`` comes from a configuration file, whence ``--resume`` cannot take it away: then the
            command starts over.
        patience: seconds that it has to save.
        fold: train this one alone; None: as the settings say.
    """
    argv = without_slurm(argv)
    if fold is not None:
        argv = with_fold(argv, name, fold)
    elif policy.resumes_by == "run":
        fold = getattr(settings, "fold", None)
    at = argv.index(name) + 1
    head, tail = argv[:at], argv[at:]
    output, record = _output_folder(policy, settings), ""
    again = argv
    if policy.resumes_by == "run" and settings.resume is None:
        shown = [word for word in tail if word in ("--json", "--quiet", "-q", "--debug")]
        alone = () if fold is None else ("--fold", str(fold))
        again = (*head, "--resume", str(output.absolute()), *alone, *shown)
        record = str(output.absolute() / ("" if fold is None else f"fold-{fold}") / policy.record)
    elif policy.resumes_by == "resume" and not settings.resume and not forced_by_file:
        end = tail.index("--") if "--" in tail else len(tail)
        again = (*head, "--resume", *(word for word in tail[:end] if word != "--force"), *tail[end:])
        record = str(output.absolute() / policy.record)
    elif policy.resumes_by == "force" and output is not None and not settings.force:
        again = (*head, "--force", *tail)
    stamp = modified(Path(record)) if record else None
    return Work(argv, again, os.getcwd(), record, stamp, patience)


def submit(
    text: str,
    argv: Sequence[str],
    *,
    name: str,
    policy: JobPolicy,
    settings: Any,
    reporter: Reporter,
    forced_by_file: bool = False,
) -> dict[str, Any]:
    """Submit the command as a job instead of running it.

    Args:
        text: the value of ``--slurm``.
        argv: arguments of affectkit, ``--slurm`` among them.
        name: the command's last word.
        policy: how it behaves as a job.
        settings: resolved and checked.
        reporter: gets warnings.
        forced_by_file: see ``make_work``.

    Returns:
        ``job`` (id), ``name``, ``cluster``, ``command``, ``folder``, ``stdout``, ``stderr`` (logs of the first task),
        and the commands ``follow``, ``status`` and ``cancel``.

    Raises:
        UsageError: the value is wrong, submitit or sbatch is missing, or the command cannot run as it is asked to.
        RunError: sbatch refused the job.
    """
    request = parse_request(text)
    tasks = request.nodes * request.tasks
    if tasks > 1 and not policy.supports_distributed:
        raise UsageError(
            f"--slurm: {name} runs in one process; nodes and tasks must be 1, got {request.nodes} and {request.tasks}.",
            "Split the work over an array of jobs with --shard I/N instead.",
        )
    if launched_processes() > 1:
        raise UsageError("--slurm starts the processes itself (tasks, nodes); here torchrun has started several.")
    check_paths(policy, settings, reporter)
    if isinstance(request.gpus, int) and request.gpus > request.tasks:
        more = f"; add tasks={request.gpus} for one each" if policy.supports_distributed else ""
        reporter.warn(f"gpus={request.gpus} with tasks={request.tasks}: a process uses one GPU{more}.")
    shared = {
        "name": name, "policy": policy, "settings": settings, "forced_by_file": forced_by_file,
        "patience": max(request.signal_delay - 20.0, request.signal_delay / 2),
    }  # fmt: skip
    title = request.name or f"affectkit-{name}"
    spread = None
    if policy.resumes_by == "run" and request.cluster == "slurm":
        spread = folds_to_submit(settings, reporter=reporter)
    if spread is not None:
        works = [make_work(argv, fold=number, **shared) for number in spread[1]]
        return _submit_folds(request, title, works, *spread, reporter=reporter)
    if request.array is not None:
        raise UsageError("--slurm array is for train --folds, whose folds are the tasks of an array.", "Leave it out.")
    work = make_work(argv, **shared)
    job = _submit(Job(work), _executor(request, title, reporter))
    return _described(job, request, title, work)


def _described(job: Any, request: Request, title: str, work: Work) -> dict[str, Any]:
    """Return what a user needs of a submitted job."""
    return {
        "job": job.job_id,
        "name": title,
        "cluster": request.cluster,
        "command": shlex.join(["affectkit", *work.argv]),
        "folder": work.folder,
        "stdout": str(job.paths.stdout),
        "stderr": str(job.paths.stderr),
        "follow": shlex.join(["tail", "-F", str(job.paths.stderr)]),
        "status": f"squeue -j {job.job_id}" if request.cluster == "slurm" else f"ps -p {job.job_id}",
        "cancel": f"scancel {job.job_id}" if request.cluster == "slurm" else f"kill {job.job_id}",
    }


def _submit_folds(
    request: Request, title: str, works: Sequence[Work], root: Path, numbers: Sequence[int], *, reporter: Reporter
) -> dict[str, Any]:
    """Submit an array with a task for each fold, and a job that puts them together once all have ended."""
    executor = _executor(request, title, reporter)
    executor.update_parameters(array_parallelism=request.array or len(works))
    jobs = _submit([Job(work) for work in works], executor)
    array = jobs[0].job_id.partition("_")[0]
    after = _executor(replace(request, nodes=1, tasks=1), f"{title}-merge", reporter)
    # Whatever became of them: what is missing is then said in the log, where a job that waits for success would wait
    # for ever.
    after.update_parameters(additional_parameters={"requeue": True, "dependency": f"afterany:{array}"})
    argv = ("merge", str(root.absolute()))
    merge = _submit(Job(Work(argv, argv, works[0].folder, patience=works[0].patience)), after)
    return {
        **_described(jobs[0], request, title, works[0]),
        "job": array,
        "folds": {str(number): job.job_id for number, job in zip(numbers, jobs, strict=True)},
        "merge": merge.job_id,
        "merged": str(merge.paths.stdout),
        "status": f"squeue -j {array},{merge.job_id}",
        "cancel": f"scancel {array} {merge.job_id}",
    }


def _executor(request: Request, title: str, reporter: Reporter) -> Any:
    """Return submitit's executor for ``request``; its folder is made."""
    try:
        import submitit
    except ImportError as error:
        raise UsageError(
            "--slurm needs submitit, which is not installed.", 'Install it: pip install "affectkit[slurm]"'
        ) from error
    absent = [name for name in ("sbatch", "srun") if shutil.which(name) is None]
    if request.cluster == "slurm" and absent:
        raise UsageError(
            f"there is no {' and no '.join(absent)} on this machine.",
            "Submit where the cluster's Slurm commands are, or try the job here with --slurm cluster=local.",
        )
    _make_folder(request.logs)
    kind = submitit.SlurmExecutor if request.cluster == "slurm" else submitit.LocalExecutor
    executor = kind(folder=request.logs, max_num_timeout=request.requeues)
    executor.python = shlex.join(python_command())
    if request.cluster == "local":
        executor.update_parameters(
            timeout_min=request.minutes,
            signal_delay_s=request.signal_delay,
            tasks_per_node=request.tasks,
            gpus_per_node=request.gpus or 0,
        )
        idle = [key for key in ("partition", "cpus", "mem", "account", "qos", "constraint", "exclude", "gres")
                if getattr(request, key) is not None]  # fmt: skip
        if idle:
            reporter.note(f"cluster=local has no use for {', '.join(idle)}.")
        return executor
    same = ("partition", "time", "nodes", "mem", "account", "qos", "constraint", "exclude", "gres")
    values = {key: getattr(request, key) for key in (*same, "mail_user", "mail_type")}
    executor.update_parameters(
        **{key: value for key, value in values.items() if value is not None},
        job_name=title,
        ntasks_per_node=request.tasks,
        cpus_per_task=request.cpus,
        gpus_per_node=request.gpus,
        signal_delay_s=request.signal_delay,
        wckey=None,  # submitit's own word, which a cluster that checks them refuses
        additional_parameters={"requeue": True},
    )
    return executor


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--slurm logs {path} cannot be made: {error.strerror}.") from error
    if path.stat().st_mode & stat.S_IWOTH:
        raise UsageError(
            f"--slurm logs {path} can be written by everybody; the job itself is read from it.",
            f"Name another folder, or: chmod o-w {shlex.quote(str(path))}",
        )


def _submit(job: Job | list[Job], executor: Any) -> Any:
    """Submit a job; of a list, an array with a task for each."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        with _clean_surroundings(), contextlib.redirect_stderr(io.StringIO()):  # submitit prints what it then raises
            if not isinstance(job, list):
                return executor.submit(job)
            with executor.batch():
                jobs = [executor.submit(one) for one in job]
            return jobs
    except (FailedJobError, FailedSubmissionError) as error:
        raise RunError(
            f"sbatch refused the job: {' '.join(str(error).split()) or 'without a message'}",
            f"The script that it was given is the newest .submission_file_*.sh in {executor.folder}.",
        ) from error


@contextlib.contextmanager
def _clean_surroundings() -> Iterator[None]:
    """Keep variables of a job around this one, and the ends of a pipe, from the new job.

    submitit has clean_env for the former, which also hides SLURM_CONF and the user's SBATCH_ defaults.
    """
    kept = {"SLURM_CONF", "SLURM_CLUSTERS", "SUBMITIT_PREEMPT_SIGNAL", "SUBMITIT_LOG_LEVEL"}
    prefixes = ("SLURM_", "SLURMD_", "SRUN_", "SUBMITIT_")
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(prefixes) and name not in kept}
    with open(os.devnull, "r+b") as nothing:
        sys.stdout.flush()
        before = {number: os.dup(number) for number in (0, 1, 2)}
        try:
            for number in before:
                os.dup2(nothing.fileno(), number)
            yield
        finally:
            for number, copy in before.items():
                os.dup2(copy, number)
                os.close(copy)
            os.environ.update(hidden)

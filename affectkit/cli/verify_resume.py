"""``affectkit verify-resume``."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import folders
from affectkit.config import Parsed, Resolved, option_name, setting
from affectkit.settings.common import DATA, LEARNING, RUN
from affectkit.settings.training import TrainSettings
from affectkit.settings.values import Interval, parse_interval

UNUSED = "Without effect here."
SHORT_RUNS = "Short runs"


@dataclass(frozen=True, kw_only=True)
class VerifySettings(TrainSettings):
    """Settings of ``affectkit verify-resume``: those of training, so that a run's file can be given as it is."""

    output: Path | None = setting(None, UNUSED, group=DATA, metavar="FOLDER")
    resume: Path | None = setting(None, UNUSED, group=DATA, metavar="FOLDER")
    force: bool = setting(False, UNUSED, group=DATA)
    epochs: int = setting(20, UNUSED, low=1, group=LEARNING, default_text="2, always")
    checkpoint_every: Parsed[Interval] | None = setting(
        None, UNUSED, parse=parse_interval, group=RUN, default_text="1, always", metavar="STEPS|MINUTES"
    )
    keep: int = setting(2, UNUSED, low=1, group=RUN)
    repeat: int = setting(1, UNUSED, low=1, group=RUN)
    track: str = setting("none", UNUSED, choices=("none", "wandb"), group=RUN)

    steps: int = setting(6, "Optimizer steps of each short run, over two epochs.", low=4, high=10_000, group=SHORT_RUNS)
    images: int | None = setting(
        None,
        "At most so many training images.",
        low=2,
        group=SHORT_RUNS,
        default_text="what the steps need",
        renamed="max_images",
    )
    keep_files: Path | None = setting(
        None, "Keep the folders of the short runs in this new folder.", group=SHORT_RUNS, metavar="FOLDER"
    )

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        return TrainSettings.rules(replace(self, output=self.output or Path(), resume=None))


BRIEF = Brief(
    options={
        "Data": "data labels augment",
        "Model": "model task",
        "Training": "config batch_size seed device",
        "Short runs": "steps images keep_files",
    },
    required=("data",),
    unless={"data": "--config"},
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "verify-resume", VerifySettings, writes=folders("keep_files"), brief=BRIEF)
    def verify_resume(resolved: Resolved[VerifySettings], console: Console) -> None:
        """Prove that a killed run with these settings ends, resumed, with the same bytes.

        Takes the settings of train, or a run's --config RUN/config.yaml. Three short runs over a part of the data
        (schedules are shortened to two epochs): uninterrupted, the same again, and killed twice with SIGKILL and
        resumed. History, weights and metrics must be equal. Where they are not, the kernels or the option that is the
        cause are named, and the exit code is 1.

        Examples:
            affectkit verify-resume --config runs/first/config.yaml
            affectkit verify-resume --data faces --model resnet18 --mixup 0.2 --ema 0.99
            affectkit verify-resume --data faces --steps 12 --keep-files short-runs
        """
        from affectkit.training.resume_check.verify import verify

        settings = resolved.settings
        for entry in fields(settings):
            if entry.metadata["help"] == UNUSED and resolved.sources[entry.name] == "flag":
                console.warn(f"{option_name(entry)} has no effect here.")
        plain = TrainSettings(**{entry.name: getattr(settings, entry.name) for entry in fields(TrainSettings)})
        report = verify(plain, steps=settings.steps, images=settings.images, keep=settings.keep_files, reporter=console)
        console.result(report.to_dict())
        rows = [[name, report.again[name] or "equal", report.resumed[name] or "equal"] for name in report.again]
        console.table(["file", "the same run again", "killed and resumed"], rows)
        if settings.keep_files is not None:
            console.note(f"the short runs: {settings.keep_files}")
        if (error := report.error()) is not None:
            raise error
        if not console.json:
            console.line(report.describe())

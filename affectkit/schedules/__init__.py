"""Name the learning-rate schedules that ``--schedule`` takes.

The curves stand in ``schedules.curves``; stepping them is the trainer's part. Importing this loads nothing heavy.
"""

from __future__ import annotations

from affectkit.core.registry import Registry

CYCLIC = ("cyclic", "cyclic_plateau")
"""The schedules of VCA, which move from epoch to epoch in straight lines."""

SCHEDULES = Registry("schedule")
SCHEDULES.add("constant", "affectkit.schedules.curves:constant", "the same rate throughout")
SCHEDULES.add("step", "affectkit.schedules.curves:step", "times gamma every --step-size epochs")
SCHEDULES.add("multistep", "affectkit.schedules.curves:multistep", "times gamma at each epoch of --milestones")
SCHEDULES.add(
    "cosine",
    "affectkit.schedules.curves:cosine",
    "half a cosine to --lr-min, --cycles times; a value an iteration",
)
SCHEDULES.add(
    "plateau", "affectkit.schedules.curves:plateau", "times gamma after --lr-patience epochs without progress"
)
SCHEDULES.add("cyclic", "affectkit.schedules.curves:cyclic", "linear: up to --lr at --lr-peak, down to 0 at the end")
SCHEDULES.add(
    "cyclic_plateau",
    "affectkit.schedules.curves:cyclic_plateau",
    "linear: up to --lr at --lr-peak, down to --lr-min at --lr-cycle-end, then flat",
)

"""The commands by name and by what they are for, in the order in which help shows them.

A command is a module with ``register(app)``, which adds it to a Typer application, and a line here.
"""

from __future__ import annotations

from dataclasses import dataclass

from affectkit.core.registry import Entry, Registry


@dataclass(frozen=True)
class CommandEntry(Entry):
    """A command's entry, with the task under which help lists it; a command of others needs none."""

    task: str = ""


USE, TRAIN, PREPARE, KEEP = "Use a model", "Train and test", "Prepare data", "Look after runs"

COMMANDS = Registry("command", entry=CommandEntry)
for _task, _names in {
    USE: {
        "infer": "predict pictures, videos or a camera",
        "demo": "the built-in model and a training, on drawn faces and a film",
        "guide": "guides to tasks, with commands to copy",
        "serve": "a local page and an HTTP API that predict",
        "models": "list models, or show what a checkpoint holds",
        "export": "write a checkpoint as an ONNX file, which needs no torch",
        "convert": "turn a published checkpoint into one of affectkit's",
        "download": "fetch published files, with checksum and resume",
    },
    TRAIN: {
        "train": "train a model, or continue a run",
        "test": "test a checkpoint on labelled data",
        "compare": "is one model better than another, and how sure is that",
        "matrix": "several checkpoints on several datasets, classes matched",
        "eval_corruptions": "test a checkpoint under noise, blur, weather and the like",
        "corruptions": "list these corruptions, or draw them",
        "calibrate": "fit when a finished model abstains, and its temperature",
        "quantiles": "predicted and actual ratings in bins of equal count",
        "reconstruct": "what shared and private codes of clips hold",
        "report": "results as one HTML page",
    },
    PREPARE: {
        "describe": "what a dataset holds: counts, copies, unreadable files",
        "prep": "bring a published dataset into a layout that train reads",
        "datasplit": "split class folders into train and test, balance classes",
        "relabel": "move files to the classes of a table of corrections",
        "pipeline": "the augmentation of datasplit, shown or saved",
        "media_info": "what video files are, and what is wrong with them",
    },
    KEEP: {
        "merge": "put the shards or folds of a run together",
        "verify_resume": "prove that a killed run resumes to the last bit",
        "cache": "show or clear the features of frozen encoders",
        "doctor": "examine this machine: packages, devices, tools",
        "completions": "Tab completion for bash, zsh, fish and PowerShell",
    },
}.items():
    for _name, _summary in _names.items():
        COMMANDS.add(_name, f"affectkit.cli.{_name}:register", _summary, task=_task)

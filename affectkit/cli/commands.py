"""The commands by name, in the order in which help shows them.

A command is a module with ``register(app)``, which adds it to a Typer application, and a line here.
"""

from __future__ import annotations

from affectkit.core.registry import Registry

COMMANDS = Registry("command")
for _name, _summary in (
    ("prep", "bring data sets as their authors share them into a layout that is read"),
    ("datasplit", "split class folders"),
    ("relabel", "move images to the classes of a table"),
    ("describe", "what a dataset holds, its copies and what cannot be read"),
    ("pipeline", "augmentation specifications"),
    ("train", "train a model"),
    ("verify_resume", "prove that a run resumes to the last bit"),
    ("test", "test a checkpoint on labelled data"),
    ("compare", "compare models on the same items"),
    ("matrix", "models on data sets, classes matched"),
    ("eval_corruptions", "test a checkpoint under corruptions"),
    ("corruptions", "list and draw corruptions"),
    ("calibrate", "fit when a finished model abstains, and its temperature"),
    ("reconstruct", "what shared and private codes hold"),
    ("infer", "predict images, videos and cameras"),
    ("report", "results as one HTML page"),
    ("serve", "a local page and an HTTP API that predict"),
    ("merge", "put the shards of a run together"),
    ("quantiles", "quantile analysis of ratings"),
    ("convert", "bring published checkpoints into this format"),
    ("export", "write a checkpoint as an ONNX file"),
    ("guide", "guides to tasks, with commands to copy"),
    ("models", "list models"),
    ("download", "fetch published files"),
    ("cache", "caches of this machine"),
    ("demo", "the commands on faces that are drawn on the spot"),
    ("doctor", "examine this machine"),
    ("media_info", "examine video files"),
    ("completions", "scripts for shells"),
):
    COMMANDS.add(_name, f"affectkit.cli.{_name}:register", _summary)

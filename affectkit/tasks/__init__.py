"""Tasks by name: what is predicted. Importing this loads nothing heavy."""

from __future__ import annotations

from affectkit.core.registry import Registry

TASKS = Registry("task")
TASKS.add("distribution", "affectkit.tasks.distribution:DistributionTask", "a probability for every emotion")
TASKS.add("classification", "affectkit.tasks.classification:ClassificationTask", "one emotion label")
TASKS.add("audiovisual", "affectkit.tasks.audiovisual:AudiovisualTask", "one emotion label, from clips")
TASKS.add("ratings", "affectkit.tasks.ratings:RatingsTask", "valence and arousal, a number each")

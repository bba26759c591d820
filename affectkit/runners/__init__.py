"""Keep one module path that queued Slurm jobs of earlier versions name.

Nothing new belongs here: its former content stands in training, evaluation, inference and their like.
"""

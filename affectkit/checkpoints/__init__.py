"""Read, write and convert checkpoints in the format of affectkit.

The state from which a run resumes is no checkpoint: training.resume_state has it.
"""

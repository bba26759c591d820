"""Prove on a part of the user's data that a run repeats and resumes to the last bit.

The state from which runs resume is written and read by training.resume_state.
"""

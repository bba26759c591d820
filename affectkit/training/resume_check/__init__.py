"""Prove on a part of the user's data that a run repeats and resumes to the last bit."""

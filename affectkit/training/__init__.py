"""Set up a training run, run its loop, resume it exactly and evaluate its best epoch.

What a user can set stands in settings, a model on a split in evaluation, device and processes in runtime.
"""

"""Set up a training run, run its loop, resume it exactly and evaluate its best epoch."""

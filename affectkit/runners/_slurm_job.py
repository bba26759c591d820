"""Keep the name that jobs queued by affectkit before November 2026 were pickled under."""

from affectkit.slurm.job import Job, Work

__all__ = ["Job", "Work"]

"""Choose device, precision and torch's back ends, connect the processes of a run, and shut down gracefully.

Knows no settings, command, task or model: what a run computes with stands in ``context.RunContext``.
"""

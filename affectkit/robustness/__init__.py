"""Sweep a model over corruptions and severities, with baselines and previews.

The corruptions themselves stand in corruptions, the numbers that sum a sweep up in metrics.robustness.
"""

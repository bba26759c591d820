"""Sweep a model over corruptions and severities, with baselines and previews."""

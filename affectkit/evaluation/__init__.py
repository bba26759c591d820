"""Run a model over a split: outputs, metrics, tables, thresholds, quantiles and reconstructions.

Predictions of files without labels stand in inference, corrupted splits in robustness.
"""

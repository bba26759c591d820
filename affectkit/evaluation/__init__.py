"""Run a model over a split: outputs, metrics, tables, thresholds, quantiles and reconstructions."""

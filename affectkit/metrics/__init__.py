"""Metrics as pure functions of NumPy arrays, in float64. One file a kind of prediction; this one loads nothing."""

"""Pictures of results from plain arrays and lists: curves, calibration, confusion, distributions. Import is light."""

"""Predict videos and cameras: sampled frames, face tracks, prediction tables, annotated videos."""

"""Compute the features of frozen encoders once and cache them on disk."""

"""Compute the features of frozen encoders once and cache them on disk.

What the features are used for stands elsewhere: training.loaders takes them in place of images.
"""

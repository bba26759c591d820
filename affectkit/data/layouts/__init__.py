"""Find out how a dataset lies on the disk, and read its tables: classes, distributions, ratings, prepared clips.

The result is a ``data.split.Split``; no image is decoded here, and nothing is written but caches.
"""

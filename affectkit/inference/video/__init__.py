"""Predict videos and cameras: sampled frames, face tracks, prediction tables, annotated videos.

Decoding stands in data.media, detection and tracking of faces in data.faces.
"""

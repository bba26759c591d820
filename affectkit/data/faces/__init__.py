"""Detect faces in pictures, crop them and follow them through a video."""

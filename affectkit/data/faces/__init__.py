"""Detect faces in images, crop them, and follow them through a video as face tracks.

The network that recognises faces is in ``models``; what is drawn around a face is in ``reports``.
"""

"""Prepare image datasets: FER+, AffectNetFused and synthetic faces, as images and tables.

Clips are prepared in prep.clips; what is written here is read by data.layouts.
"""

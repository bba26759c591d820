"""Prepare image datasets: FER+, AffectNetFused and synthetic faces, as images and tables."""

"""Predict images and videos that a user names, and write prediction tables that resume and merge."""

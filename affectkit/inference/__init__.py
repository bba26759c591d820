"""Predict images and videos that a user names, and write prediction tables that resume and merge.

Nothing here needs labels, nor imports training or evaluation; files are decoded in data.media.
"""

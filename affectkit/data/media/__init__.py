"""Decode images, animations, videos, audio and cameras, strictly and upright, into arrays.

Which files there are and what they are labelled is in ``data.layouts``; batches are made in ``data.loading``.
"""

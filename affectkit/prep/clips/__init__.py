"""Prepare audio-visual datasets: clips decoded once into a store, divided into splits.

A prepared store is read by data.layouts.clip_store; a clip is decoded in data.media.
"""

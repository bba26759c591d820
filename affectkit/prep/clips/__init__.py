"""Prepare audio-visual datasets: clips decoded once into a store, divided into splits."""

"""Decode images, animations, videos, audio and camera pictures, strictly and upright."""

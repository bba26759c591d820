"""Build CM-VQVAE: audio-visual emotion from quantised codes of both modalities, private and shared.

Clips are read in data.loading, losses and metrics of the task stand in tasks.audiovisual.
"""

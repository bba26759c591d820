"""CM-VQVAE: audio-visual emotion from quantised codes of both modalities, divided into private and shared ones."""

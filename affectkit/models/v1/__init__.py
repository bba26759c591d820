"""Biologically constrained front ends of ResNet-50: components that work alone, and the networks made of them."""

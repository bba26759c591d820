"""Biologically constrained front ends of ResNet-50: components that can be used alone, and the networks made of them."""

"""Build biologically constrained front ends of ResNet-50: components that work alone, and networks of them.

Published checkpoints of the study are recognised and read by v1.published.
"""

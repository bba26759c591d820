"""Build networks by the name of their family.

Checkpoints are read and written in checkpoints, losses and metrics stand in rooms of their own.
"""

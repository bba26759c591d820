"""What computes a model's outputs: torch, or ONNX Runtime without torch; behind one written interface.

Files of models are read in checkpoints, and what outputs mean is said in tasks; this room names neither.
"""

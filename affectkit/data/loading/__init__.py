"""Make batches of images, face crops and clips for a DataLoader, with random transforms whose draws are addressed.

Decoding is in ``data.media``; where files and labels are is in ``data.layouts``.
"""

"""Make batches of images, face crops and clips, with random transforms whose draws are addressed."""

"""Read, write and convert checkpoints in the format of affectkit."""

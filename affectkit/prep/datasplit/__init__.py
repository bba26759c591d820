"""Split class folders into train and test with a journal that can be undone, and move relabelled files."""

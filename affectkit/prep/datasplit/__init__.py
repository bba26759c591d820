"""Split class folders into train and test with a journal that can be undone; move relabelled files.

The augmentation that balances classes stands in prep.augmentation.
"""

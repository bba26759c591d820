"""Read, check and run augmentation pipelines of Albumentations on images that keep their format.

Random transforms of training batches stand in data.loading.transforms.
"""

"""Read, check and run augmentation pipelines of Albumentations on images that keep their format."""

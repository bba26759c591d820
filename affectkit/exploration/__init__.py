"""What a dataset holds, found by reading it once: counts, targets, properties of images, copies and near copies.

Finding a dataset on the disk is ``data.layouts``' work, and nothing here trains, predicts or changes a file of it.
"""

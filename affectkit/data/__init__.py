"""Datasets on disk: reading images safely, finding layouts, splits, batches. Importing this loads nothing heavy."""

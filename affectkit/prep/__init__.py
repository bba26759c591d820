"""Datasets as their authors share them, brought into the layouts that ``data`` reads. Importing this is light."""

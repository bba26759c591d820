"""Bring datasets, as their authors share them, into the layouts that data reads.

Reading prepared data stands in data; importing this loads nothing heavy.
"""

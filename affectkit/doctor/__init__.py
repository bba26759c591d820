"""Examine the installation and the machine, and report what will go wrong.

Nothing that loads compiled code is imported here: it is tried in a process of its own.
"""

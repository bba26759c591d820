"""Examine the installation and the machine, and media files that a user names, and report what will go wrong.

Of the installation nothing that loads compiled code is imported here: it is tried in a process of its own.
"""

"""Define what a user can set: frozen data classes with parsed values and their help.

How flags and files are resolved onto them stands in config; importing this room loads nothing heavy.
"""

"""Read arguments, print, colour and exit: the only room that does.

A command parses, makes one call into the rooms below and renders what comes back.
"""

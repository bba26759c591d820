"""Examine the installation and the machine, and report what will go wrong."""

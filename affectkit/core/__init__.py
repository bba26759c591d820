"""Hold what every room stands on: text, names, files, tables, seeds, identities, shards, progress, input specs.

Nothing here knows a dataset, a model or a command, and nothing heavy is imported at the top.
"""

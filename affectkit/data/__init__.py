"""Read datasets and media: files into pixels and sound, folders and tables into splits, splits into batches.

Nothing here knows a model, a task or a command; what brings a shared data set into a layout is in ``prep``.
"""

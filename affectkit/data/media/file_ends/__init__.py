"""The ends of video files, one kind of container a file: whether one was cut off, by its structure alone.

Nothing is decoded, and kinds are told apart in ``data.media.file_end``; time stamps are judged where videos are read.
"""

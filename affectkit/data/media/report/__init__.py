"""Report what a media file is and what affectkit reads of it: tracks, times, first frame, levels of the sound, faults.

Files are read by the same code as for predictions; how a report is shown to a user is in ``cli.media_info``.
"""

"""Read weight files of other codes: papers' checkpoints, torch files without running code, state dicts.

Checkpoints in affectkit's own format stand in checkpoints.
"""

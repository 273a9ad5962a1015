"""Frames of clips and animated pictures, decoded in bounded processes: `flashweb.video.workers` is the one way in.

Nothing is imported here: the processes load this package, and no more of ours than what they decode with.
"""

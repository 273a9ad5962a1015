"""Processes of ours that read what strangers sent, and that it may make crash, hang or swell: `process.py` is the side
that asks, `limits.py` the side that answers.

Nothing is imported here: the processes load this package, and no more of ours than what they work with.
"""

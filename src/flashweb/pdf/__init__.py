"""Pages of PDF documents, drawn in bounded processes: `flashweb.pdf.workers` is the one way in.

Nothing is imported here: the processes load this package, and no more of ours than what they draw with.
"""

"""Structured output: what an answer must match, from the caller's words to a grammar that masks tokens.

    schema.py      which JSON Schema keywords can be enforced, and the 400 that names the one that cannot
    grammar.py     a `Structure` -> llguidance's grammar -> a matcher
    vocabulary.py  the checkpoint's tokens as llguidance wants them
    trial.py       the web side: proves in a process that can be killed that a structure compiles in time and memory

The engine's side is `engine/constraint.py`. Nothing here imports torch.
"""

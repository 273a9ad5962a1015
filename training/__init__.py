"""The recipe that makes the bundled model: pictures drawn on the fly, and the run that learns from them.

Not part of the wheel. The data half (page, charset, fonts, words, recipe, heldout) knows numpy and Pillow only.
"""

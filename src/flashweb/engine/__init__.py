"""The engine: one process that owns the model, and the web side's face to it."""

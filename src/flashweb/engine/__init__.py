"""The engine: one process that owns the model, and the web side's face to it.

This package's web half (`face`, `config`, `protocol`, `client`, `echo`) never imports torch; the other half lives
behind `worker` and is imported by name (`flashweb.engine.core.EngineCore`) by tests and offline benchmarks.
"""

from flashweb.engine.client import EngineClient
from flashweb.engine.config import EngineConfig
from flashweb.engine.echo import EchoEngine
from flashweb.engine.face import Engine, EnginePhase, EngineState

__all__ = ["EchoEngine", "Engine", "EngineClient", "EngineConfig", "EnginePhase", "EngineState"]

"""What an operator's probe should hear: one reading of the engine's phase, the warm-up and the closed door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flashweb.engine import EngineState

HealthStatus = Literal["ok", "loading", "draining", "stalled", "dead", "stopped"]


@dataclass(frozen=True, slots=True)
class Health:
    status: HealthStatus
    model_loaded: bool
    ready: bool
    detail: str = ""
    gave_up: bool = False  # the engine is not started again: only a new server helps


_OK = Health("ok", True, True)


def health_of(state: EngineState, *, closed: bool, lazy: bool, warmed_restarts: int) -> Health:
    """`lazy`: the model is loaded for the first request; `warmed_restarts`: the engine's count of restarts when it was
    last warmed up."""
    phase = state.phase
    if closed:
        return Health("draining", phase == "ready", False, "the server is shutting down")
    if lazy and _awaits_first_load(state):
        return Health("ok", False, True, state.error)  # of the last attempt: the next request makes another
    if phase == "ready":
        warmed = lazy or warmed_restarts == state.num_restarts
        return _OK if warmed else Health("loading", True, False, "warming up")
    if phase == "off" or phase == "loading":
        return Health("loading", False, False, state.stage)
    return Health(phase, False, False, state.error, state.gave_up)


def _awaits_first_load(state: EngineState) -> bool:
    """True also when a first load has failed and may be tried again; never for an engine that crashed later."""
    return state.phase in ("off", "loading", "dead") and not (state.was_ready or state.gave_up)


def not_ready_words(health: Health) -> str:
    match health.status:
        case "draining":
            return "The server is shutting down and takes no new requests; send it to another instance or later."
        case "loading":
            return f"The model is loading ({health.detail or 'starting'}); come back after the time in Retry-After."
        case "stalled":
            return "The engine has stopped making progress; come back after the time in Retry-After."
        case _ if health.gave_up:
            return "The engine has failed and is not started again; the server has to be restarted by its operator."
        case _:
            return "The engine is being restarted after a failure; come back after the time in Retry-After."

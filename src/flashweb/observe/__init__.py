"""What the server tells its operator."""

from flashweb.observe.log import configure_logging, event

__all__ = ["configure_logging", "event"]

"""What outlives a request: answers of the Responses API with their input and the pictures in it, and those of any POST
that came with an Idempotency-Key (`idempotency.py`)."""

from flashweb.stored.responses import ResponseStore, StoredResponse
from flashweb.stored.sqlite import SqliteResponses

__all__ = ["ResponseStore", "SqliteResponses", "StoredResponse"]

"""What outlives a request of the Responses API: answers, their input, and the pictures in it."""

from flashweb.stored.responses import ResponseStore, StoredResponse
from flashweb.stored.sqlite import SqliteResponses

__all__ = ["ResponseStore", "SqliteResponses", "StoredResponse"]

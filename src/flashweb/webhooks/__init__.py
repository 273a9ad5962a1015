"""Telling a receiver that a batch, a background response or a job has ended, by standardwebhooks.com."""

from flashweb.webhooks.courier import Courier
from flashweb.webhooks.events import JobEndings, ResponseEndings

__all__ = ["Courier", "JobEndings", "ResponseEndings"]

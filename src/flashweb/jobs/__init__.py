"""Work that outlives a request: the durable queue (`queue.py`, over SQLite, Postgres or Redis), what takes items from
it (`runner.py`), and the files that go in and come out (`files.py`)."""

from flashweb.jobs.queue import JobQueue, open_queue
from flashweb.jobs.records import Chore, Item, ItemState, Job, JobState, Lease, NewJob

__all__ = ["Chore", "Item", "ItemState", "Job", "JobQueue", "JobState", "Lease", "NewJob", "open_queue"]

"""One request from chat to deltas. `spine.py` is the only file that knows the whole row:

    admit -> pictures -> prompt -> engine -> text

door.py     how many requests may be inside, what is refused before any work is done for it, the drain at the end
health.py   what an operator's probe hears, and the words for who is sent away
life.py     the engine's start, and the first picture that makes it ready
context.py  what fits into the context, and what is said of what does not
choices.py  the answers of one request, side by side
reader.py   one answer's tokens -> what its caller may see
results.py  answers given again, and one generation for identical requests (result_store.py: where they are kept)

Knows nothing of HTTP, sockets or torch.
"""

from flashweb.pipeline.door import Ticket
from flashweb.pipeline.health import Health
from flashweb.pipeline.spine import Loader, Pipeline

__all__ = ["Health", "Loader", "Pipeline", "Ticket"]

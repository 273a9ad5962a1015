"""Values put aside and sorted later are in the same buckets as if the library had been told of each."""

from __future__ import annotations

import random
import threading

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest

from flashweb.observe.histogram import Observed

EDGES = (0.001, 0.5, 1.0, 10.0)


def test_what_is_shown_is_what_the_library_would_show() -> None:
    rng = random.Random(1)
    values = [*EDGES, 0.0, 11.0, *(rng.expovariate(1.0) for _ in range(500))]
    registries = [CollectorRegistry(), CollectorRegistry()]
    ours, theirs = (Histogram("h", "text", buckets=EDGES, registry=registry) for registry in registries)
    observed = Observed(ours)
    for index, value in enumerate(values):
        observed.observe(value)
        theirs.observe(value)
        if index % 7 == 0:
            observed.settle()
    observed.settle()
    shown, expected = (generate_latest(registry).decode().splitlines() for registry in registries)
    assert [line for line in shown if "le=" in line] == [line for line in expected if "le=" in line] != []
    assert abs(ours._sum.get() - theirs._sum.get()) < 1e-9 * theirs._sum.get()  # added in another order


def test_no_value_is_lost_or_counted_twice_when_several_threads_settle() -> None:
    histogram = Histogram("h", "text", buckets=EDGES, registry=CollectorRegistry())
    observed = Observed(histogram)

    def work() -> None:
        for _ in range(2000):
            observed.observe(0.75)
            observed.settle()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    observed.settle()
    assert histogram._buckets[2].get() == 8000

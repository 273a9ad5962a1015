"""A short run of benchmarks/memory.py: the web process stays small and nothing is left behind."""

from __future__ import annotations

import pytest

from benchmarks.memory import LIMIT_WEB_MB, TOLERANCE_MB, measure


@pytest.mark.slow
def test_requests_with_pictures_leave_nothing_behind() -> None:
    found = measure(requests=80, warm_up=60, concurrency=4)
    first, last = found["readings"][0], found["readings"][-1]
    assert max(entry["web_rss_mb"] for entry in found["readings"]) < LIMIT_WEB_MB
    assert last["web_anon_mb"] - first["web_anon_mb"] < TOLERANCE_MB
    assert last["num_free_blocks"] == found["at_start"]["num_free_blocks"]
    assert (last["num_running"], last["num_waiting"], last["num_inside"]) == (0, 0, 0)
    assert last["web_files"] <= first["web_files"]

"""glibc keeps a picture's memory for the next one: counted in page faults."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, sys
import numpy as np
from flashweb.media import keep_picture_memory
if sys.argv[1] == "keep":
    keep_picture_memory()
def one():
    parts = [np.full(800_000, 7, np.uint8) for _ in range(4)]
    return sum(int(part[-1]) for part in parts)
for _ in range(3):
    one()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    one()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 50)
"""


def faults(how: str, **environment: str) -> int:
    """Page faults per picture of about 448 px."""
    done = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, check=True, env=environment)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_memory_of_a_picture_is_kept_for_the_next_one_unless_the_operator_says_otherwise() -> None:
    assert faults("default") > 100
    assert faults("keep") < 10
    assert faults("keep", MALLOC_TRIM_THRESHOLD_="131072") > 100

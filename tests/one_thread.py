"""One thread for tests that compute: their matrices gain nothing from a second core, and lose much when it is busy.

A package's conftest takes part by importing `one_thread`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

"""What `GET /metrics` said, as Prometheus' own parser reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from prometheus_client.parser import text_string_to_metric_families

Samples: TypeAlias = Mapping[str, list[tuple[Mapping[str, str], float]]]


def read(text: str) -> Samples:
    """Labels and values by name. No family may come twice."""
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    names: list[str] = []
    for family in text_string_to_metric_families(text):
        names.append(family.name)
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    assert len(names) == len(set(names)), "a family came twice"
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    """Of the one series of this name that has these labels."""
    (found,) = (number for given, number in samples[name] if labels.items() <= given.items())
    return found

"""Shared by all tests: the development stack, started once for a whole run, and only when a test asks for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from mainstem import devstack
from tests.thorough import examples

REPOSITORY = Path(__file__).parent.parent

# Machines are shared and noisy: how long an example takes says nothing about the code.
settings.register_profile(
    "mainstem", max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("mainstem")


@pytest.fixture(scope="session")
def stack() -> Iterator[devstack.Stack]:
    """Kafka, the registry and PostgreSQL, shared by all workers of the run (pytest-xdist) and by runs at the same time.

    The last of them stops it, unless `devstack.ensure` on the same folder started it to stay. Its data outlives the
    run: a test makes its own topics, subjects and databases, under names that nobody else uses.
    """
    with devstack.shared(REPOSITORY / ".mainstem" / "test") as running:
        yield running.stack


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

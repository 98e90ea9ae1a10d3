"""Ports for several backbones of one test."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

HOST = "127.0.0.1"


@pytest.fixture
def free_ports() -> list[int]:
    """Three ports on which nobody listens."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(3)]
        for listener in listeners:
            listener.bind((HOST, 0))
        return [int(listener.getsockname()[1]) for listener in listeners]

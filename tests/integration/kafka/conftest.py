from __future__ import annotations

import uuid
from typing import Any

import pytest

from mainstem.devstack import Stack
from mainstem.kafka.topics import Admin, TopicSpec


@pytest.fixture
def config(stack: Stack) -> dict[str, Any]:
    return {"bootstrap.servers": stack.bootstrap}


@pytest.fixture
def topic(config: dict[str, Any]) -> str:
    """Three partitions."""
    name = f"test.t{uuid.uuid4().hex}.v1"
    Admin(config).create([TopicSpec(name, 3)])
    return name

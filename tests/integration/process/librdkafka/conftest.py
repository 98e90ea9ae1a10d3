from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mainstem.devstack import Stack
from tests.integration.process.librdkafka.field import Fault, Field

MakeField = Callable[..., Field]


@pytest.fixture
def make_field(stack: Stack, tmp_path: Path) -> Iterator[MakeField]:
    """`make_field(faults=[...], asleep_s=..., **settings of the worker)`; its workers are stopped in the end."""
    with ExitStack() as fields:

        def make(*, faults: list[Fault] | None = None, asleep_s: float = 0.0, **settings: Any) -> Field:
            field = Field(stack.bootstrap, tmp_path, settings, list(faults or []), asleep_s)
            fields.callback(field.stop)
            return field

        yield make

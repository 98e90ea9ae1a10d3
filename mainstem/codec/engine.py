"""Which code reads and writes Avro: the native extension where it was built, fastavro elsewhere.

MAINSTEM_CODEC chooses: `native`, which is the default, or `fastavro`. What is read and written is the same.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any, Final, Protocol

from mainstem.errors import Misconfigured
from mainstem.observe.logs import logger

try:
    from mainstem.codec.native import _avro
    from mainstem.codec.native.plan import Unsupported, compile_plan
except ImportError as missing:
    _missing: ImportError | None = missing
else:
    _missing = None

VARIABLE: Final = "MAINSTEM_CODEC"
NATIVE: Final = "native"
FASTAVRO: Final = "fastavro"

NOT_TAKEN: tuple[type[Exception], ...] = (_avro.AvroError,) if _missing is None else ()
"""What a plan raises for bytes or a value that it does not take: it has a path and an offset, and quotes no value."""


class Plan(Protocol):
    """A pair of schemas, compiled. Raises one of NOT_TAKEN."""

    def decode(self, value: bytes, start: int = 0, /) -> Any: ...
    def encode(self, value: object, before: bytes = b"", /) -> bytes: ...


def plan_of(writer: Any, reader: Any = None) -> Plan | None:
    """The plan that reads the writer's bytes as the reader's values; None where fastavro is to do it."""
    if engine() == FASTAVRO:
        return None
    try:
        return compile_plan(writer, reader)
    except Unsupported:
        return None


def engine() -> str:
    """NATIVE or FASTAVRO. Raises Misconfigured for any other choice."""
    wanted = os.environ.get(VARIABLE, NATIVE)
    if wanted not in (NATIVE, FASTAVRO):
        raise Misconfigured(f"{VARIABLE} is {wanted!r}, which is neither {NATIVE} nor {FASTAVRO}")
    if wanted == NATIVE and _missing is not None:
        _say_that_it_is_missing()
        return FASTAVRO
    return wanted


@cache
def _say_that_it_is_missing() -> None:
    logger("mainstem.codec").warning("the native codec was not built: Avro by fastavro", reason=str(_missing))

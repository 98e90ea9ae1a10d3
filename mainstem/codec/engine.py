"""Which code reads and writes Avro: the native extension where it was built, fastavro elsewhere.

MAINSTEM_CODEC chooses: `native`, which is the default, or `fastavro`. What is read and written is the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any, Final

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


def plan_of(writer: Any, reader: Any = None) -> _avro.Plan | None:
    """The plan that reads the writer's bytes as the reader's values; None where fastavro is to do it."""
    if engine() == FASTAVRO:
        return None
    try:
        return compile_plan(writer, reader)
    except Unsupported:
        return None


def decode_batch(
    values: list[bytes | None], plans: dict[int, _avro.Plan], otherwise: Callable[[bytes], Any], max_bytes: int
) -> list[Any]:
    """Framed values, read by the plans of their schemas' ids; `otherwise` gives what stands for any other value."""
    if plans:
        return _avro.decode_batch(values, plans, otherwise, max_bytes, False)
    return [None if value is None else otherwise(value) for value in values]


def encode_batch(
    values: list[Any], plan: _avro.Plan | None, frame: bytes, otherwise: Callable[[Any], Any]
) -> list[Any]:
    """The values' bytes behind the frame; `otherwise` gives what stands for one that the plan does not write."""
    if plan is not None:
        return _avro.encode_batch(values, plan, frame, otherwise)
    return [None if value is None else otherwise(value) for value in values]


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

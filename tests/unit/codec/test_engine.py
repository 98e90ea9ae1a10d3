"""Which engine is taken, and that one takes over where the other is not there or refuses."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from mainstem.codec import engine
from mainstem.codec.avro import Encoder
from mainstem.errors import Misconfigured

DAY = {"type": "int", "logicalType": "date"}


@pytest.fixture
def not_built(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(engine, "_missing", ImportError("no module"))
    engine._say_that_it_is_missing.cache_clear()
    yield
    engine._say_that_it_is_missing.cache_clear()


def record(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": "outer", "fields": [{"name": "value", "type": schema, **more}]}


@pytest.mark.skipif(
    not shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]) or sys.platform == "win32",
    reason="there is no compiler here",
)
def test_the_native_codec_is_built_where_a_compiler_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(engine.VARIABLE, raising=False)

    assert engine.engine() == engine.NATIVE


def test_fastavro_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(engine.VARIABLE, engine.FASTAVRO)

    assert engine.engine() == engine.FASTAVRO
    assert engine.plan_of(record("int")) is None


def test_another_choice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(engine.VARIABLE, "rust")

    with pytest.raises(Misconfigured, match="neither native nor fastavro"):
        engine.engine()


@pytest.mark.usefixtures("not_built")
def test_what_was_not_built_is_said_once_and_fastavro_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(engine.VARIABLE, engine.NATIVE)

    with capture_logs() as logs:
        values = [Encoder("t.t.v1", record("int"), 1).encode({"value": 7}) for _ in range(2)]

    assert values == [b"\0\0\0\0\x01\x0e"] * 2
    assert [entry["log_level"] for entry in logs] == ["warning"]


@pytest.mark.usefixtures("codec_engine")
@pytest.mark.parametrize(
    ("schema", "value", "encoded"),
    [
        (DAY, "1970-01-02", b"\x02"),
        ("double", 1, b"\x00\x00\x00\x00\x00\x00\xf0\x3f"),
        ("bytes", bytearray(b"a"), b"\x02a"),
        ({"type": "array", "items": "int"}, (1, 2), b"\x04\x02\x04\x00"),
        (["null", "int", "string"], "x", b"\x04\x02x"),
        (["null", DAY], date(1970, 1, 2), b"\x02\x02"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}, Decimal("1.000"), b"\x02\x64"),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2},
            Decimal("1E+6"),
            b"\x08\x05\xf5\xe1\x00",
        ),
    ],
)
def test_either_engine_writes_all_that_fastavro_takes(schema: Any, value: Any, encoded: bytes) -> None:
    assert Encoder("t.t.v1", record(schema), 1).encode({"value": value}) == b"\0\0\0\0\x01" + encoded


@pytest.mark.usefixtures("codec_engine")
def test_either_engine_fills_in_a_default() -> None:
    assert Encoder("t.t.v1", record("int", default=7), 1).encode({}) == b"\0\0\0\0\x01\x0e"

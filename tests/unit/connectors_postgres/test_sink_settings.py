from __future__ import annotations

import pytest
from pydantic import ValidationError

from connectors.postgres import PostgresSink
from mainstem import Misconfigured, Secret

CANARY = "canary-4711"


def test_the_settings_of_an_integration_are_read_as_they_stand_in_yaml() -> None:
    sink = PostgresSink.model_validate({"dsn": f"postgresql://u:{CANARY}@h/d", "table": "t", "key": ["a", "b"]})
    assert (sink.key, sink.replace_by) == (("a", "b"), None)
    assert CANARY not in f"{sink!r}{sink.model_dump_json()}"


def test_every_setting_is_documented() -> None:
    assert not [name for name, field in PostgresSink.model_fields.items() if not field.description]


def test_a_successor_waits_longer_than_a_stopped_owner_may_hold_on() -> None:
    sink = PostgresSink(dsn=Secret(""), table="t")
    assert sink.lock_timeout_s > sink.idle_timeout_s


@pytest.mark.parametrize("setting", ["statement_timeout_s", "lock_timeout_s", "idle_timeout_s", "connect_timeout_s"])
def test_no_timeout_may_be_switched_off(setting: str) -> None:
    with pytest.raises(ValidationError):
        PostgresSink.model_validate({"dsn": "", "table": "t", setting: 0})


async def test_a_dsn_that_does_not_parse_is_not_repeated() -> None:
    with pytest.raises(Misconfigured, match="not a connection string") as refused:
        await PostgresSink(dsn=Secret(f"{CANARY} at h"), table="t").check()
    assert CANARY not in f"{refused.value}{refused.value.__cause__}{refused.value.__context__}"

"""Where an answer says how it went. That it is the right place shows on a broker: tests/integration/kafka."""

from __future__ import annotations

import pytest

from tests.proxies.kafka_wire import Api, Asked, error_of, with_error

CORRELATION = (7).to_bytes(4, "big")
THROTTLE = (0).to_bytes(4, "big")
NO_TAGS = b"\0"
PLAIN_TOPIC = b"\0\0\0\1" + b"\0\5topic" + b"\0\0\0\1" + b"\0\0\0\2"
COMPACT_TOPIC = b"\2" + b"\6topic" + b"\2" + b"\0\0\0\2"
REST = b"\xff" * 12


@pytest.mark.parametrize(
    ("asked", "before"),
    [
        (Asked(Api.END_TXN, 1, 7), CORRELATION + THROTTLE),
        (Asked(Api.INIT_PRODUCER_ID, 4, 7), CORRELATION + NO_TAGS + THROTTLE),
        (Asked(Api.ADD_PARTITIONS_TO_TXN, 0, 7), CORRELATION + THROTTLE + PLAIN_TOPIC),
        (Asked(Api.TXN_OFFSET_COMMIT, 3, 7), CORRELATION + NO_TAGS + THROTTLE + COMPACT_TOPIC),
        (Asked(Api.PRODUCE, 8, 7), CORRELATION + PLAIN_TOPIC),
        (Asked(Api.PRODUCE, 10, 7), CORRELATION + NO_TAGS + COMPACT_TOPIC),
    ],
    ids=lambda value: f"{value.api}-v{value.version}" if isinstance(value, Asked) else "",
)
def test_an_answer_s_error_is_found_and_replaced_and_nothing_else_of_it(asked: Asked, before: bytes) -> None:
    answer = before + b"\0\x5a" + REST
    assert error_of(asked, answer) == 90
    assert with_error(asked, answer, 51) == before + b"\0\x33" + REST

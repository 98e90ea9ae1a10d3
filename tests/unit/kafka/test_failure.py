"""The library's errors, in mainstem's words."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from mainstem.errors import Fenced, MainstemError, Misconfigured, Rejected, Retryable, Unreachable
from mainstem.kafka.failure import MEMBERSHIP_LOST, TAKEN_OVER, failure
from mainstem.kafka.transaction_calls import told
from mainstem.kafka.transaction_state import Call, Told


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (KafkaError._TRANSPORT, Unreachable),
        (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, Unreachable),
        (KafkaError.MSG_SIZE_TOO_LARGE, Rejected),
        (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, Misconfigured),
        (KafkaError.INVALID_TRANSACTION_TIMEOUT, Misconfigured),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Misconfigured),
        (KafkaError._FENCED, Fenced),
        (KafkaError.UNKNOWN_MEMBER_ID, Fenced),
        (KafkaError.INVALID_TXN_STATE, Retryable),
    ],
)
def test_an_error_says_what_to_do(number: int, kind: type[MainstemError]) -> None:
    assert type(failure(KafkaError(number), "writing")) is kind


def test_a_lost_membership_is_not_a_lost_producer() -> None:
    assert not TAKEN_OVER & MEMBERSHIP_LOST
    for number in MEMBERSHIP_LOST:
        assert told(KafkaError(number, "x", False, False, True), Call.OFFSETS) is Told.ABORTABLE


@pytest.mark.parametrize("flags", [(True, False, False), (False, True, False), (False, False, True)])
def test_a_fence_is_a_fence_whatever_else_is_said_of_it(flags: tuple[bool, bool, bool]) -> None:
    for number in TAKEN_OVER:
        assert told(KafkaError(number, "x", *flags), Call.OFFSETS) is Told.FENCED


def test_an_error_without_a_flag_is_fatal_but_for_a_single_record_s() -> None:
    plain = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    assert told(plain, Call.COMMIT) is Told.FATAL
    assert told(plain, Call.WRITE) is Told.ABORTABLE

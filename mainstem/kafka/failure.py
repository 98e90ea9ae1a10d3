"""The client library's errors as mainstem's: what to do about each."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from mainstem.errors import (
    CREDENTIALS_REFUSED,
    FENCED,
    KAFKA_UNREACHABLE,
    MISCONFIGURED,
    REFUSED,
    TOO_LARGE,
    TOPIC_MISSING,
    Code,
    Fenced,
    MainstemError,
    Misconfigured,
    Refused,
    Rejected,
    Retryable,
    Unreachable,
)

PASSING = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}
"""What a consumer hears while a broker is away, and mends by itself."""

_UNREACHABLE = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.BROKER_NOT_AVAILABLE,
}
TAKEN_OVER = {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED}
"""A newer producer has the transactional id."""

MEMBERSHIP_LOST = {
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError._ASSIGNMENT_LOST,
}
"""The consumer group has given the partitions to others. A producer that hears it is as good as before."""
_MISSING = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}
_REFUSED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
}
_UNSUITABLE = {
    KafkaError.INVALID_TRANSACTION_TIMEOUT,
    KafkaError.INVALID_SESSION_TIMEOUT,
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    KafkaError.INVALID_RECORD,
    KafkaError.POLICY_VIOLATION,
    KafkaError._UNSUPPORTED_FEATURE,
    KafkaError._INVALID_ARG,
}
_BUSY = {KafkaError.NON_EMPTY_GROUP, KafkaError.GROUP_SUBSCRIBED_TO_TOPIC}
_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}

_KINDS: tuple[tuple[set[int], type[MainstemError], Code], ...] = (
    (TAKEN_OVER | MEMBERSHIP_LOST, Fenced, FENCED),
    (_TOO_LARGE, Rejected, TOO_LARGE),
    (_BUSY, Refused, REFUSED),
    (_MISSING, Misconfigured, TOPIC_MISSING),
    (_REFUSED, Misconfigured, CREDENTIALS_REFUSED),
    (_UNSUITABLE, Misconfigured, MISCONFIGURED),
    (_UNREACHABLE, Unreachable, KAFKA_UNREACHABLE),
)


def failure(error: KafkaError | KafkaException, doing: str) -> MainstemError:
    """The error to raise for what the library reported while `doing` something (`writing raw.till.basket.v1`)."""
    told: KafkaError = error.args[0] if isinstance(error, KafkaException) else error
    said = f"{doing}: {told.str()} ({told.name()})"
    number = told.code()
    for numbers, kind, code in _KINDS:
        if number in numbers:
            return kind(said, code=code)
    return Retryable(said, code=KAFKA_UNREACHABLE)

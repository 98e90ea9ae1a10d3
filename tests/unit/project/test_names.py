"""The names of conventions.md, exactly."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.project import names


def test_names_are_those_of_the_conventions() -> None:
    topic = "payments.payment_settled.v1"
    assert names.event_type(topic) == "payments.payment_settled"
    assert names.major(topic) == 1
    assert names.schema_path(topic) == PurePosixPath("schemas/payments/payment_settled.v1.avsc")
    assert names.value_subject(topic) == "payments.payment_settled.v1-value"
    assert names.key_subject(topic) == "payments.payment_settled.v1-key"
    assert names.sink_group("payments-to-accounting", "journal") == "mainstem.payments-to-accounting.journal"
    assert names.sources_group("payments-to-accounting") == "mainstem.payments-to-accounting.sources"
    assert names.stream_group("settle_payments") == "mainstem.settle_payments"
    assert names.sink_dead_letters("payments-to-accounting", "journal") == "payments-to-accounting.journal.dlq"
    assert names.sink_redrive("payments-to-accounting", "journal") == "payments-to-accounting.journal.redrive"
    assert names.stream_dead_letters("settle_payments") == "settle_payments.dlq"
    assert names.internal("positions") == "_mainstem.positions"


def test_the_schema_of_a_landing_topic_lies_in_its_systems_folder() -> None:
    assert names.schema_path("raw.till.basket.v12") == PurePosixPath("schemas/raw/till/basket.v12.avsc")


@pytest.mark.parametrize("topic", ["a.b.v1", "raw.till.basket.v1", "a.b.c.d.e.v1", "a_1.b_2.v10"])
def test_a_versioned_topic_in_lower_case_is_one(topic: str) -> None:
    assert names.topic_problem(topic) is None


@pytest.mark.parametrize(
    ("topic", "problem"),
    [
        ("payments", "a topic is <domain>"),
        ("Payments.x.v1", "a topic is <domain>"),
        ("payments.pay-ment.v1", "a topic is <domain>"),
        ("a.b.c.d.e.f.v1", "a topic is <domain>"),
        ("a..b.v1", "a topic is <domain>"),
        ("a.b.v1\n", "a topic is <domain>"),
        ("_mainstem.x.v1", "a topic is <domain>"),
        ("1a.b.v1", "a topic is <domain>"),
        ("a.b", "it does not end in its version"),
        ("a.b.v0", "it does not end in its version"),
        ("a.b.v01", "it does not end in its version"),
        ("a." + "b" * 250 + ".v1", "it has 255 characters, and Kafka takes 249"),
        ("orders.ledger.dlq", "it does not end in its version"),
    ],
)
def test_anything_else_is_told_why_not(topic: str, problem: str) -> None:
    assert (names.topic_problem(topic) or "").startswith(problem)


@given(st.from_regex(names.TOPIC + r"\.v[1-9]", fullmatch=True).filter(lambda topic: not names.topic_problem(topic)))
def test_a_schemas_path_gives_its_topic_back(topic: str) -> None:
    assert names.topic_of_schema(names.schema_path(topic).relative_to("schemas")) == topic


def test_no_derived_name_is_a_topic_and_each_is_recognised() -> None:
    letters, redrive = names.sink_dead_letters("a", "b"), names.sink_redrive("a", "b")
    for name in (letters, redrive, names.stream_dead_letters("a"), names.internal("jobs")):
        assert names.topic_problem(name) is not None
    assert names.is_dead_letters(letters)
    assert names.is_redrive(redrive)
    assert names.is_internal(names.internal("jobs"))
    assert not any(check("a.b.v1") for check in (names.is_dead_letters, names.is_redrive, names.is_internal))


@pytest.mark.parametrize("name", ["a", "payments-to-accounting", "a_b-c9"])
def test_a_name_has_single_hyphens_or_underscores_inside(name: str) -> None:
    assert names.name_problem(name) is None


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a--b", "a.b", "a b", "../a", "a\n", "a" * 81])
def test_other_names_are_refused(name: str) -> None:
    assert names.name_problem(name) is not None


@pytest.mark.parametrize("name", ["class", "a-b", "", "A", "a.b", "_a", "a" * 81])
def test_what_cannot_be_a_module_is_no_identifier(name: str) -> None:
    assert names.identifier_problem(name) is not None

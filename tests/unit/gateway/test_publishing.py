from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mainstem.codec.headers import as_dict
from mainstem.errors import KAFKA_UNREACHABLE, Unreachable
from mainstem.gateway.publishing import parse_events
from mainstem.project.gateway import ApiKey, GatewaySettings
from tests.unit.gateway.conftest import Served

PATH = "/api/v1/topics/raw.till.basket.v1/events"


def ids(served: Served) -> list[str]:
    return [as_dict(record.headers)["ce_id"].decode() for record in served.broker.durable]


async def test_an_event_is_published_with_its_own_attributes(served: Served, basket: dict[str, Any]) -> None:
    event = {"id": "e1", "key": "b1", "time": "2017-01-02T06:05:54+01:00", "subject": "basket/b1", "data": basket}

    status, receipt = await served.post(PATH, json=event)

    assert (status, receipt) == (200, {"ids": ["e1"], "duplicates": []})
    (record,) = served.broker.durable
    headers = as_dict(record.headers)
    assert record.key == b"b1"
    assert headers["ce_time"] == b"2017-01-02T05:05:54Z"
    assert headers["ce_subject"] == b"basket/b1"
    assert headers["ce_source"] == b"api.local"


async def test_an_event_without_key_and_id_gets_an_id_and_no_key(served: Served, basket: dict[str, Any]) -> None:
    _, receipt = await served.post(PATH, json={"data": basket})

    (record,) = served.broker.durable
    assert record.key is None
    assert ids(served) == receipt["ids"]
    assert len(receipt["ids"][0]) == 36


async def test_the_idempotency_key_is_the_id_of_an_event_without_one(served: Served, basket: dict[str, Any]) -> None:
    for _ in range(2):
        status, receipt = await served.post(PATH, json={"data": basket}, headers={"Idempotency-Key": "k1"})
        assert (status, receipt["ids"]) == (200, ["k1"])

    assert ids(served) == ["k1"]


async def test_in_a_list_the_idempotency_key_has_the_place_appended(served: Served, basket: dict[str, Any]) -> None:
    events = [{"data": basket}, {"id": "own", "data": basket}]

    await served.post(PATH, json=events, headers={"Idempotency-Key": "k1"})

    assert ids(served) == ["k1:0", "own"]


async def test_an_id_that_stands_twice_in_a_list_is_published_once(served: Served, basket: dict[str, Any]) -> None:
    _, receipt = await served.post(PATH, json=[{"id": "a", "data": basket}] * 2)

    assert ids(served) == ["a"]
    assert receipt == {"ids": ["a", "a"], "duplicates": ["a"]}


async def test_one_bad_event_refuses_the_whole_list_and_is_named(served: Served, basket: dict[str, Any]) -> None:
    bad = {**basket, "lines": [{**basket["lines"][0], "quantity": "many"}]}

    status, problem = await served.post(PATH, json=[{"data": basket}, {"data": bad}, {"data": {}}])

    assert status == 422
    named = [wrong["field"] for wrong in problem["fields"]]
    assert named[0] == "[1].data.lines[0].quantity"
    assert "[2].data.basket_id" in named
    assert "many" not in json.dumps(problem)
    assert served.broker.durable == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"data": 1}, "data"),
        ({}, "data"),
        ([{"data": {}}, {"id": 7, "data": {}}], "[1].id"),
        ({"data": {}, "time": 1483333554}, "time"),
        ({"data": {}, "time": "2017-01-02T05:05:54"}, "time"),
        ({"data": {}, "when": "now"}, "when"),
        ("text", ""),
        ([], ""),
        ([{"data": {}}] * 501, ""),
    ],
)
async def test_a_body_of_another_shape_is_refused_with_the_field(served: Served, body: object, field: str) -> None:
    status, problem = await served.post(PATH, json=body)

    assert (status, problem["fields"][0]["field"]) == (422, field)


async def test_what_is_not_json_is_refused(served: Served) -> None:
    headers = {"Content-Type": "application/json"}
    assert (await served.post(PATH, data=b"{", headers=headers))[0] == 400
    assert (await served.post(PATH, data=b"{}", headers={"Content-Type": "text/plain"}))[0] == 415


@pytest.mark.parametrize("key", ["", "k" * 191])
async def test_an_idempotency_key_without_sense_is_refused(served: Served, basket: dict[str, Any], key: str) -> None:
    assert (await served.post(PATH, json={"data": basket}, headers={"Idempotency-Key": key}))[0] == 400


@pytest.mark.parametrize("topic", ["_mainstem.positions", "payments.journal.dlq", "payments.journal.redrive"])
async def test_internal_topics_are_refused(served: Served, basket: dict[str, Any], topic: str) -> None:
    assert (await served.post(f"/api/v1/topics/{topic}/events", json={"data": basket}))[0] == 403


async def test_an_unknown_topic_is_not_found(served: Served, basket: dict[str, Any]) -> None:
    assert (await served.post("/api/v1/topics/raw.other.thing.v1/events", json={"data": basket}))[0] == 404


async def test_kafka_down_acknowledges_nothing(served: Served, basket: dict[str, Any]) -> None:
    served.broker.error = Unreachable("down", code=KAFKA_UNREACHABLE)

    assert (await served.post(PATH, json={"id": "e1", "data": basket}))[0] == 503

    served.broker.error = None
    assert (await served.post(PATH, json={"id": "e1", "data": basket}))[1]["duplicates"] == []


def test_parsing_keeps_every_attribute() -> None:
    (event,) = parse_events(b'{"id":"a","time":"2017-01-02T05:05:54Z","data":{"n":1}}', None)

    assert (event.id, event.time, event.data) == ("a", datetime(2017, 1, 2, 5, 5, 54, tzinfo=UTC), {"n": 1})


class TestWithKeys:
    @pytest.fixture
    def settings(self) -> GatewaySettings:
        def key(text: str, topics: str, expires: datetime | None = None) -> ApiKey:
            digest = hashlib.sha256(text.encode()).hexdigest()
            return ApiKey(name=text, sha256=digest, topics=(topics,), expires=expires)

        past = datetime(2020, 1, 1, tzinfo=UTC)
        keys = (key("tills", "raw.till.*"), key("others", "payments.*"), key("gone", "*", past))
        return GatewaySettings(port=0, api_keys=keys)

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Authorization": "Bearer tills"}, 200),
            ({"Authorization": "bearer tills"}, 200),
            ({"X-API-Key": "tills"}, 200),
            ({"Authorization": "Bearer others"}, 403),
            ({"Authorization": "Bearer gone"}, 401),
            ({"Authorization": "Bearer wrong"}, 401),
            ({"Authorization": "Basic tills"}, 401),
            ({}, 401),
        ],
    )
    async def test_only_a_living_key_that_allows_the_topic_publishes(
        self, served: Served, basket: dict[str, Any], headers: dict[str, str], status: int
    ) -> None:
        assert (await served.post(PATH, json={"data": basket}, headers=headers))[0] == status
        assert len(served.broker.durable) == (status == 200)

    async def test_the_caller_is_the_events_source(self, served: Served, basket: dict[str, Any]) -> None:
        await served.post(PATH, json={"data": basket}, headers={"X-API-Key": "tills"})

        assert as_dict(served.broker.durable[0].headers)["ce_source"] == b"api.tills"

    async def test_state_is_for_callers_with_a_key_and_probes_for_all(self, served: Served) -> None:
        assert (await served.get("/api/v1/status"))[0] == 401
        assert (await served.get("/api/v1/status", headers={"X-API-Key": "others"}))[0] == 200
        async with served.http.get(served.gateway.url + "/metrics") as answer:
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await served.get("/healthz"))[0] == 200
        assert (await served.get("/readyz"))[0] == 200

    async def test_a_key_is_never_logged(
        self, served: Served, basket: dict[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        await served.post(PATH, json={"data": basket}, headers={"X-API-Key": "s3cret-key"})

        logged = "".join(capsys.readouterr())
        assert "request refused" in logged
        assert "s3cret-key" not in logged

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp.web import Response

from mainstem.errors import TARGET_NOT_READY, Misconfigured, RequestRefused
from mainstem.gateway import Gateway
from mainstem.gateway.route import Access, Call, Route, Router
from mainstem.observe.board import Board, State
from mainstem.project.gateway import GatewaySettings
from tests.unit.gateway.conftest import Served

PATH = "/webhooks/payments/till"


async def test_ready_means_that_every_part_gets_on(served: Served) -> None:
    assert await served.get("/readyz") == (200, {"ready": True, "parts": served.board.as_json()})

    served.board.report("journal", State.PAUSED, Misconfigured("no table", code=TARGET_NOT_READY))

    status, said = await served.get("/readyz")
    assert (status, said["ready"]) == (503, False)
    assert said["parts"]["journal"]["code"] == "MS-204"
    assert said["parts"]["journal"]["reason"] == "no table"
    assert (await served.get("/healthz")) == (200, {"alive": True})


async def test_reasons_are_not_for_strangers(served: Served) -> None:
    served.gateway._rules.needs_key = True
    served.board.report("journal", State.PAUSED, Misconfigured("no table", code=TARGET_NOT_READY))

    _, said = await served.get("/readyz")

    assert "reason" not in said["parts"]["journal"]


async def test_the_status_has_parts_and_figures() -> None:
    board = Board()
    settings = GatewaySettings(port=0)
    gateway = Gateway(settings, board, sources={}, topics={}, figures=lambda: {"events_per_s": 7})
    async with gateway, aiohttp.ClientSession() as http, http.get(gateway.url + "/api/v1/status") as answer:
        said = await answer.json()

    assert said["figures"] == {"events_per_s": 7}
    assert said["parts"]["gateway"]["state"] == "running"


async def test_metrics_count_what_came_in(served: Served, basket: dict[str, Any]) -> None:
    await served.post(PATH, json=basket, headers={"webhook-id": "counted"})
    await served.post(PATH, json=basket, headers={"webhook-id": "counted"})
    await served.post(PATH, json={}, headers={"webhook-id": "refused"})

    async with served.http.get(served.gateway.url + "/metrics") as answer:
        text = await answer.text()

    counted = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}
    for outcome in ("published", "duplicate", "refused"):
        name = f'mainstem_records_total{{integration="payments",outcome="{outcome}",step="ingest"}}'
        assert counted[name] >= 1


async def test_the_document_describes_exactly_what_is_routed(served: Served) -> None:
    status, document = await served.get("/api/v1/openapi.json")

    assert status == 200
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in served.gateway.routes}
    for method, path in described:
        sent = path.replace("{integration}", "payments").replace("{source}", "till").replace("{topic}", "a.b.v1")
        async with served.http.request(method, served.gateway.url + sent) as answer:
            assert str(answer.status) in document["paths"][path][method.lower()]["responses"]


async def test_every_reference_of_the_document_leads_somewhere(served: Served) -> None:
    _, document = await served.get("/api/v1/openapi.json")

    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if "$ref" in part else []
            return own + [ref for value in part.values() for ref in references(value)]
        return [ref for value in part for ref in references(value)] if isinstance(part, list) else []

    assert references(document)
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


async def test_a_document_answer_fits_its_own_models(served: Served) -> None:
    _, document = await served.get("/api/v1/openapi.json")

    problem = document["components"]["schemas"]["ProblemOut"]["properties"]
    _, said = await served.post("/api/v1/topics/a.b.v1/events", json={"data": {}})
    assert set(said) <= set(problem)


def test_a_path_matches_whole_segments_only() -> None:
    async def handle(_: Call) -> Response:
        return Response()

    one = Route("GET", "/a/{x}/b", "one", "", Access.OPEN, handle, {})
    two = Route("GET", "/a/{x}/c", "two", "", Access.OPEN, handle, {})
    router = Router([one, two])

    assert router.find("GET", "/a/1/c") == (two, {"x": "1"})
    for path in ("/a//b", "/a/1/b/", "/a/1/2/b", "/a/1/B"):
        with pytest.raises(RequestRefused) as refused:
            router.find("GET", path)
        assert refused.value.status == 404


class TestStopping:
    async def test_what_is_under_way_is_answered_and_nothing_new_is_taken(
        self, served: Served, basket: dict[str, Any]
    ) -> None:
        served.broker.held = asyncio.Event()
        answering = asyncio.create_task(served.post(PATH, json=basket, headers={"webhook-id": "m1"}))
        async with asyncio.timeout(5):
            while not served.broker.asked:  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0)

        stopping = asyncio.create_task(served.gateway.stop())
        async with asyncio.timeout(5):
            while not await refuses(served.gateway.url):  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0)
        served.broker.held.set()

        assert (await answering)[0] == 200
        await stopping
        assert len(served.broker.durable) == 1
        assert served.board.parts()["gateway"].state is State.STOPPED


async def refuses(url: str) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    writer.close()
    return False


async def test_an_address_that_is_taken_is_said_so(served: Served) -> None:
    port = int(served.gateway.url.rsplit(":", 1)[1])

    with pytest.raises(Misconfigured, match="cannot listen"):
        async with Gateway(GatewaySettings(port=port), Board(), sources={}, topics={}):
            pass

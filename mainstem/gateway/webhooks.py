"""Webhooks in: the raw request goes to the push source that its path names."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from aiohttp.web import BaseRequest, Response

from mainstem.errors import RequestRefused, Unreachable
from mainstem.gateway.body import read_body
from mainstem.gateway.models import ProblemOut, ReceiptOut
from mainstem.gateway.problem import CONTENT_TYPE
from mainstem.gateway.route import Access, Answer, Call, Route
from mainstem.ingest.intake import Receipt
from mainstem.ingest.push import PushIngest
from mainstem.project.gateway import GatewaySettings
from mainstem.sdk.source import Request

START_S = 1.0
"""After which to try again what is about to start."""
JSON = {"Content-Type": "application/json"}
DURABLE = Answer("Every event is durable in Kafka.", ReceiptOut)
REFUSALS = {
    400: "The body is not what it should be.",
    401: "Nobody vouches for the caller.",
    403: "The caller may not do this.",
    404: "There is nothing at this path.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body is of a type that is not taken.",
    422: "The named fields are not what the topic's schema wants.",
    500: "Something unexpected happened; the log tells more.",
    503: "Nothing is acknowledged: send it again after Retry-After seconds.",
}


def refusals(*statuses: int) -> dict[int, Answer]:
    """What a route answers when it does not do what it is for."""
    return {status: Answer(REFUSALS[status], ProblemOut, CONTENT_TYPE) for status in statuses}


def not_open(name: str) -> Unreachable:
    """What is known and takes nothing yet, or no more: a 404 would make a sender give up what is only early."""
    fix = "send it again; /readyz says what it waits for"
    return Unreachable(f"{name} is not open", after_s=START_S, fix=fix)


def receipt_answer(receipt: Receipt) -> Response:
    """200 with the events' ids."""
    return Response(body=orjson.dumps({"ids": receipt.ids, "duplicates": receipt.duplicates}), headers=JSON)


class Webhooks:
    """Serves the push sources, by integration and name; None is one that is not open. The mapping may change."""

    def __init__(self, settings: GatewaySettings, sources: Mapping[tuple[str, str], PushIngest | None]) -> None:
        self._settings = settings
        self._sources = sources

    def routes(self) -> list[Route]:
        answers = {200: DURABLE, **refusals(400, 401, 404, 408, 413, 422, 500, 503)}
        summary = "Deliver a webhook, signed as its source asks; a repeated delivery is published once."
        path = "/webhooks/{integration}/{source}"
        return [Route("POST", path, "deliverWebhook", summary, Access.SIGNED, self._deliver, answers, bytes)]

    async def _deliver(self, call: Call) -> Response:
        name = (call.path["integration"], call.path["source"])
        if name not in self._sources:
            raise RequestRefused("no source takes webhooks at this path", status=404)
        ingest = self._sources[name]
        if ingest is None:
            raise not_open(".".join(name))
        settings = self._settings
        try:
            body = await read_body(call.request, max_bytes=settings.max_body_bytes, within_s=settings.body_timeout_s)
        except RequestRefused:
            ingest.count_refused()
            raise
        receipt = await ingest.receive(Request(call.request.method, call.request.path, _headers(call.request), body))
        return receipt_answer(receipt)


def _headers(request: BaseRequest) -> dict[str, str]:
    """By lower-case name; repeated ones are joined, as RFC 9110 (5.3) says that they mean the same."""
    given = request.headers
    headers = {name.lower(): value for name, value in given.items()}
    if len(headers) < len(given):
        headers = {name: ", ".join(given.getall(name)) for name in headers}
    return headers

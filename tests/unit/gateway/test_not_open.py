"""What is known and takes nothing yet is to be tried again: a 404 would make a sender give up."""

from __future__ import annotations

import aiohttp
import pytest

from mainstem.gateway import Gateway
from mainstem.observe.board import Board
from mainstem.project.gateway import GatewaySettings


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/webhooks/shop/till", 503),
        ("/webhooks/shop/nobody", 404),
        ("/api/v1/topics/shop.sold.v1/events", 503),
        ("/api/v1/topics/shop.other.v1/events", 404),
    ],
)
async def test_what_is_not_open_is_to_be_tried_again_and_what_is_unknown_is_not(path: str, status: int) -> None:
    settings = GatewaySettings(port=0)
    closed = Gateway(settings, Board(), sources={("shop", "till"): None}, topics={"shop.sold.v1": None})
    async with (
        closed as gateway,
        aiohttp.ClientSession() as http,
        http.post(f"{gateway.url}{path}", json={"data": {}}) as answer,
    ):
        assert answer.status == status
        assert answer.headers.get("Retry-After") == ("1" if status == 503 else None)

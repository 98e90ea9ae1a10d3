"""The gateway beside a bare aiohttp handler that verifies the same signature and produces with acks=all.

    python tests/bench/gateway.py                       # starts the development stack, or finds it running
    python tests/bench/gateway.py --bootstrap HOST:PORT

Both servers run in processes of their own on the same broker and get the same signed baskets of the demo from the same
load generator, in turns. Prints the median requests per second of each, and their ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import random
import statistics
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import cast

import uvloop
from aiohttp import web
from confluent_kafka import KafkaError, Producer

from connectors.webhook import WebhookSource
from mainstem import devstack
from mainstem.app import interpreter
from mainstem.codec.avro import Encoder
from mainstem.codec.coerce import Coercer
from mainstem.gateway import Gateway
from mainstem.ingest.intake import Intake
from mainstem.ingest.once import Once
from mainstem.ingest.push import PushIngest
from mainstem.ingest.watch import Watch
from mainstem.ingest.writing import EventWriter
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.topics import Admin, TopicSpec
from mainstem.observe.board import Board
from mainstem.project.gateway import GatewaySettings
from mainstem.sdk.secret import Secret
from mainstem.testing.payment_provider import baskets, sign

ROOT = Path(__file__).parents[2]
DATA = ROOT / "data/journey"
SCHEMA = ROOT / "schemas/raw/till/basket.v1.avsc"
KEY = b"the bench's own signing key, 32+"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
PATH = "/webhooks/payments-to-accounting/till"
TOLERANCE_S = 300
WANTED = 0.6
ROUND_WITHIN_S = 60


async def serve_bare(bootstrap: str, topic: str) -> None:
    """What one writes in an afternoon: read, verify, produce, wait, answer."""
    loop = asyncio.get_running_loop()
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    threading.Thread(target=_poll, args=(producer,), daemon=True).start()

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        headers = request.headers
        webhook_id, stamp = headers["webhook-id"], headers["webhook-timestamp"]
        signed = b"%b.%b.%b" % (webhook_id.encode(), stamp.encode(), body)
        right = b"v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest())
        if not hmac.compare_digest(right, headers["webhook-signature"].encode()):
            return web.Response(status=401)
        if abs(time.time() - int(stamp)) > TOLERANCE_S:
            return web.Response(status=401)
        durable: asyncio.Future[None] = loop.create_future()

        def delivered(error: KafkaError | None, _: object) -> None:
            loop.call_soon_threadsafe(durable.set_result, None) if error is None else loop.call_soon_threadsafe(
                durable.set_exception, RuntimeError(str(error))
            )

        producer.produce(topic, body, on_delivery=delivered)
        await durable
        return web.json_response({"id": webhook_id})

    app = web.Application()
    app.router.add_post(PATH, take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    await _announce(site.port)


def _poll(producer: Producer) -> None:
    while True:
        producer.poll(0.1)


async def serve_mainstem(bootstrap: str, topic: str) -> None:
    """The gateway as `mainstem run` puts it together."""
    definition = json.loads(SCHEMA.read_text())
    writer = EventWriter(Encoder(topic, definition, 1), Coercer(definition))
    source = WebhookSource(verify="standard-webhooks", secrets=(Secret(SECRET),), key="basket_id", time="purchased_at")
    settings, board = GatewaySettings(port=0), Board()

    async def probe() -> None:
        return None

    async with DurableProducer({"bootstrap.servers": bootstrap}) as producer, Watch(board, "till", probe) as watch:
        intake = Intake(writer, producer, Once(settings.dedupe_events))
        ingest = PushIngest("payments-to-accounting", "till", source, intake, watch)
        sources = {("payments-to-accounting", "till"): ingest}
        async with Gateway(settings, board, sources=sources, topics={}) as gateway:
            interpreter.settle()
            await _announce(int(gateway.url.rsplit(":", 1)[1]))


async def _announce(port: int) -> None:
    """Tells the parent the port, and serves until the parent closes our standard input."""
    print(port, flush=True)  # noqa: T201 - the parent reads it
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


class Client(asyncio.Protocol):
    """One connection that sends the next request when the last one is answered. Costs little beside the servers."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._seen = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class does not inherit from it
        self._next()

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, gap, body = self._seen.partition(b"\r\n\r\n")
        if not gap or len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self._seen.decode()))
            return
        self._seen = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(request)


def prepared(bodies: Sequence[bytes], count: int) -> list[bytes]:
    """Signed requests, each with an id of its own."""
    now, run = int(time.time()), uuid.uuid4().hex
    return [_request(f"msg_{run}_{n}", now, bodies[n % len(bodies)]) for n in range(count)]


def _request(webhook_id: str, now: int, body: bytes) -> bytes:
    headers = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **sign(SECRET, webhook_id, now, body),
    }
    lines = [f"POST {PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


async def measure(port: int, requests: Sequence[bytes], in_flight: int) -> float:
    """Requests per second."""
    waiting = iter(requests)
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    made = [await loop.create_connection(lambda: Client(waiting), "127.0.0.1", port) for _ in range(in_flight)]
    async with asyncio.timeout(ROUND_WITHIN_S):
        await asyncio.gather(*(client.done for _, client in made))
    return len(requests) / (time.perf_counter() - started)


@contextlib.asynccontextmanager
async def serving(kind: str, bootstrap: str) -> AsyncIterator[int]:
    """A server in its own process, on a topic of its own."""
    topic = f"bench.gateway{uuid.uuid4().hex}.v1"
    await asyncio.to_thread(Admin({"bootstrap.servers": bootstrap}).create, [TopicSpec(topic, 6)])
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", kind, "--bootstrap", bootstrap, "--topic", topic,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()
        await asyncio.to_thread(Admin({"bootstrap.servers": bootstrap}).delete, [topic])


async def compare(bootstrap: str, rounds: int, count: int, in_flight: int) -> float:
    """Prints the medians and gives the ratio."""
    bodies = [basket.body() for basket in baskets(DATA)]
    random.Random(7).shuffle(bodies)
    rates: dict[str, list[float]] = {"bare": [], "mainstem": []}
    async with serving("bare", bootstrap) as bare, serving("mainstem", bootstrap) as mainstem:
        ports = {"bare": bare, "mainstem": mainstem}
        for round_number in range(rounds + 1):
            for kind in sorted(ports, reverse=round_number % 2 == 0):
                rate = await measure(ports[kind], prepared(bodies, count), in_flight)
                if round_number:  # the first one warms up
                    rates[kind].append(rate)
    medians = {kind: statistics.median(rated) for kind, rated in rates.items()}
    for kind, rated in rates.items():
        print(f"{kind:9} {medians[kind]:7.0f} requests/s   of {', '.join(f'{rate:.0f}' for rate in rated)}")  # noqa: T201
    ratio = medians["mainstem"] / medians["bare"]
    print(f"ratio     {ratio:7.2f}              wanted: {WANTED}")  # noqa: T201
    return ratio


def main() -> int:
    """0 when the ratio is reached, 1 when it is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", help="a running Kafka; else the development stack")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=5000, help="of each server in each round")
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--serve", choices=["bare", "mainstem"], help=argparse.SUPPRESS)
    parser.add_argument("--topic", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve = serve_bare if args.serve == "bare" else serve_mainstem
        uvloop.run(serve(args.bootstrap, args.topic))
        return 0
    with contextlib.ExitStack() as stack:
        bootstrap = args.bootstrap
        if bootstrap is None:
            bootstrap = stack.enter_context(devstack.shared(ROOT / ".mainstem" / "test")).stack.bootstrap
        ratio = uvloop.run(compare(bootstrap, args.rounds, args.requests, args.in_flight))
    return 0 if ratio >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())

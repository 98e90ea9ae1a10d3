"""The examples of Faust's documentation as one app: `examples_app.py worker`, `examples_app.py send ...`.

All agents read the same orders and say in one topic what they made of them, under the example's name.
"""

from __future__ import annotations

import json
import os
from typing import Any

import faust

from mainstem.process.librdkafka import App, EngineOptions

SETTINGS: dict[str, str] = json.loads(os.environ["EXAMPLES"])
TAG = SETTINGS["tag"]

app = App(
    f"test.examples{TAG}",
    broker=f"librdkafka://{SETTINGS['bootstrap']}",
    processing_guarantee=SETTINGS["guarantee"],
    datadir=SETTINGS["datadir"],
    store="memory://",
    topic_partitions=3,
    broker_commit_interval=0.2,
    broker_session_timeout=6.0,
    engine=EngineOptions(member="w1"),
)


class Order(faust.Record):
    """What somebody bought."""

    number: int
    account: str
    amount: int


orders = app.topic(f"test.orders{TAG}.v1", key_type=str, value_type=Order)
passed_on = app.topic(f"test.through{TAG}.v1", key_type=str, value_type=Order)
told = app.topic(f"test.told{TAG}.v1", value_serializer="json")
accounts = app.Table("accounts", default=int, partitions=3)


async def tell(example: str, **what: Any) -> None:
    await told.send(value={"example": example, **what})


@app.agent(orders, concurrency=4)
async def concurrently(stream: Any) -> None:
    async for order in stream:
        await tell("concurrency", number=order.number)


@app.agent(orders)
async def several(stream: Any) -> None:
    async for group in stream.take(10, within=0.5):
        await tell("take", numbers=[order.number for order in group])


@app.agent(orders)
async def regrouped(stream: Any) -> None:
    async for event in stream.group_by(Order.account).events():
        accounts[event.value.account] += event.value.amount
        total = accounts[event.value.account]
        await tell(
            "group_by",
            number=event.value.number,
            account=event.value.account,
            place=event.message.partition,
            total=total,
        )


@app.agent(orders)
async def through(stream: Any) -> None:
    async for order in stream.through(passed_on):
        await tell("through", number=order.number)


@app.agent(orders)
async def large(stream: Any) -> None:
    async for order in stream.filter(lambda order: order.amount >= 5):
        await tell("filter", number=order.number)


@app.agent(orders)
async def counted(stream: Any) -> None:
    async for index, order in stream.enumerate():
        await tell("enumerate", number=order.number, index=index)


@app.agent(orders)
async def keyed(stream: Any) -> None:
    async for key, order in stream.items():
        await tell("items", number=order.number, key=key)


@app.agent(orders, isolated_partitions=True)
async def isolated(stream: Any) -> None:
    async for event in stream.events():
        await tell("isolated", number=event.value.number, stream=id(stream), place=event.message.partition)


@app.agent(orders, sink=[told])
async def yielding(stream: Any) -> Any:
    async for order in stream:
        yield {"example": "sink", "number": order.number}


@app.agent(value_type=int)
async def double(stream: Any) -> Any:
    async for number in stream:
        await tell("double", number=number)
        yield 2 * number


@app.timer(interval=0.3)  # type: ignore[untyped-decorator]
async def tick() -> None:
    await tell("timer")


@app.crontab("* * * * * *")
async def each_second() -> None:
    await tell("crontab")


@app.task  # type: ignore[untyped-decorator]
async def ask() -> None:
    await tell("ask", answer=await double.ask(21))
    await double.cast(100)
    await tell("map", answers=sorted([answer async for answer in double.map([1, 2, 3])]))


if __name__ == "__main__":
    app.main()

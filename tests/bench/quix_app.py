"""Quix Streams over a topic of orders, configured for speed. Runs in the environment that `quix` makes: nothing of
mainstem, nor what it needs, is there.

Bytes in and out, the same fastavro functions as everybody's, and the producer's properties of the plain loop; the rest
is Quix's own default, a commit every 5 s above all.
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application

from tests.bench.order_step import change, decode, encode


def run(settings: dict[str, Any]) -> None:
    """Until it is killed. `settings`: bootstrap, reads, writes, group, folder, guarantee, commit_every."""
    app = Application(
        settings["bootstrap"],
        consumer_group=settings["group"],
        auto_offset_reset="earliest",
        processing_guarantee=settings["guarantee"],
        commit_every=settings["commit_every"],
        producer_extra_config={"linger.ms": 5, "queue.buffering.max.messages": 500_000},
        state_dir=settings["folder"],
        use_changelog_topics=False,
        loglevel="ERROR",
    )
    reads = app.topic(settings["reads"], value_deserializer="bytes")
    writes = app.topic(settings["writes"], value_serializer="bytes")
    app.dataframe(reads).apply(lambda value: encode(change(decode(value)))).to_topic(writes)
    app.run()

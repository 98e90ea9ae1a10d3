"""A redrive that hangs with its transaction open, to be killed: `python -m ... BOOTSTRAP TRANSACTIONAL_ID TOPIC`."""

from __future__ import annotations

import sys
import time

from confluent_kafka import Producer

bootstrap, transactional_id, topic = sys.argv[1:]
producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": transactional_id})
producer.init_transactions(30)
producer.begin_transaction()
for number in range(5):
    producer.produce(topic, b"never to be seen", b"k", number % 3)
producer.flush(30)
sys.stdout.write("open\n")
sys.stdout.flush()
time.sleep(600)

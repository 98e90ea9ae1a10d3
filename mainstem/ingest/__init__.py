"""Outside systems -> Kafka: what is pushed to us (webhooks, the HTTP API) and what we read (files, polling, CDC)."""

"""Kafka: producers, transactions, consumers and topics. The only package that knows the client library."""

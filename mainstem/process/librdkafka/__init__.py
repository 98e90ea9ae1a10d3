"""Faust on librdkafka: a transport, and the classes of an app that make its promises hold."""

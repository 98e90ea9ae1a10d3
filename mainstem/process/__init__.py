"""Streams: a plain function over a topic, hosted in a supervised process of its own."""

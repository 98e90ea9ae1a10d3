"""Metrics, logs and the state of what runs."""

"""Publish and subscribe: for services and data teams that are not connectors."""

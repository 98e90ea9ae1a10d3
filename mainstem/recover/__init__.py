"""Recover: look at dead letters, redrive them, replay ranges; each into one target, with a plan first."""

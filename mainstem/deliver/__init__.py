"""Deliver: topic -> map -> write; what cannot be written is parked and dead-lettered."""

"""Wires the stages into a backbone; the only package that knows them all."""

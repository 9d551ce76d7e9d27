"""Reproducible measurements, each beside its limit."""

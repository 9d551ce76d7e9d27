"""The HTTP API: parse, start or ask, answer. Composition root: api/app.py."""

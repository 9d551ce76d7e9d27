"""The HTTP API: parse, start or ask, answer. Composition roots: app.py, parts.py, assembly.py."""

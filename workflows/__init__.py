"""The stories: which pictures, in which order, and what happens when one fails. Deterministic; no client library here."""

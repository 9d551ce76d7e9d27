"""Replicate's HTTP API, version 1: predictions, files, models, webhooks."""

"""Prompt templates and themes, as text files beside the strict loader that reads them."""

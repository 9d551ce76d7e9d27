"""What the reconciler looks for: one check a file, behind the Protocol in check.py."""

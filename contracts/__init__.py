"""What crosses a process border: requests, results, references, statuses, names. Frozen; unknown fields are refused."""

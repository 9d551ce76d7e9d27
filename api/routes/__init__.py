"""One noun a file; every route answers from rows, never from the engine."""

"""What workflows have done for them: thin classes over injected dependencies."""

"""What is asked of the engine, by whichever process: workflows to start, where they stand, the reconciler's schedule."""

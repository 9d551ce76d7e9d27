"""What holds for all tests."""

import gc

from hypothesis import HealthCheck, settings

# No test asserts a time: an example that a busy machine is slow with is not a wrong one. (Its own limits: 200 ms an example.)
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# What is collected stays to the end: looking through it for garbage again and again takes a fifth of the time that collecting takes.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on only what the tests themselves make is looked through."""
    gc.freeze()
    gc.enable()

"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# No test asserts a time: an example that a busy machine is slow with is not a wrong one. (Its own limits: 200 ms an example.)
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

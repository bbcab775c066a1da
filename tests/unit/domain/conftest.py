"""The random tests of the domain judge answers, not speed: a busy machine must not make them fail."""

from hypothesis import HealthCheck, settings

settings.register_profile("answers_only", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("answers_only")

from hypothesis import HealthCheck, settings

# A slow example on a busy machine is not a failure.
settings.register_profile("no_deadline", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no_deadline")

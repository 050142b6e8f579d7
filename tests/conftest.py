"""What every test shares: laws are tried the same way each time, and what is imported is compiled once."""

import os
import sys

from hypothesis import HealthCheck, settings

# A busy machine is slow with everything: that says nothing of the strategies.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")

# Some environments forbid it (as container images do): each of hundreds of children would compile savepath anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

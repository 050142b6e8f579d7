"""Drives the save path: plain Locust, everything else is in loadgen.

locust -f locustfiles/save_path.py --headless --scenario smoke --target casedesk
locust -f locustfiles/save_path.py
"""

from loadgen.plugin import ArrivalUser

__all__ = ["ArrivalUser"]

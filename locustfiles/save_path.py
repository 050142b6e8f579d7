"""Drives the save path: plain Locust, everything else is in loadgen.

locust -f locustfiles/save_path.py --headless --scenario smoke --target casedesk
locust -f locustfiles/save_path.py --web-host 127.0.0.1
"""

from loadgen.plugin import ArrivalUser

__all__ = ["ArrivalUser"]

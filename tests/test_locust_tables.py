"""Locust's own tables stay small, and its totals what they were."""

import json
import subprocess
import sys

CODE = """
import json, time
from locust.stats import RequestStats
from loadgen.locust_tables import trim

stats, now_s = RequestStats(), 1_000_000.0
time.time = lambda: now_s
for second in range(7200):
    now_s += 1
    stats.log_request("HTTP", "read_case", 20, 100)
    stats.log_error("HTTP", "read_case", "http 503")
    if second % 5 == 0:
        stats.history.append({"time": now_s})
    if second % 60 == 59:
        trim(stats, now_s)
entry = stats.get("read_case", "HTTP")
print(json.dumps([len(entry.num_reqs_per_sec), len(entry.num_fail_per_sec), len(stats.total.num_reqs_per_sec),
                  len(stats.history), entry.num_requests, entry.num_failures]))
"""


def test_two_hours_of_one_name_leave_a_minute_of_seconds_and_whole_totals():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [61, 61, 61, 1440, 7200, 7200]

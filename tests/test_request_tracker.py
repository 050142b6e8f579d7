"""What is peculiar to Request Tracker 5: scrips and their stage, written as RT's initial data."""

import re

from scenarios.library import parse_scenario
from targets.request_tracker_prepare import initial_data

SCENARIO = """\
name: field-sweep
cohorts:
  none: {custom_fields: 0}
  few: {custom_fields: 10, scripts_on_save: 2}
  some: {custom_fields: 50}
mix: {read_case: 1}
load: {rate_per_s: 1}
duration_s: 10
"""
DATA = initial_data(parse_scenario(SCENARIO, "s"))


def test_each_tenant_has_a_queue_and_its_fields():
    assert "{ Name => 'field-sweep-some-01' }, { Name => 'scriptrun' }" in DATA
    assert DATA.count("Queue => ['field-sweep-some-01']") == 1 + 50


def test_every_scrip_runs_once_per_save_and_not_once_per_field():
    scrips = re.findall(r"Description => '(.*?)', Stage => '(.*?)'", DATA)
    assert scrips == [("script-1", "TransactionBatch")] * 2 + [("script-2", "TransactionBatch")] + [
        ("script-1", "TransactionBatch"),
        ("mail", "TransactionBatch"),
    ]

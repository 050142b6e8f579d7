"""Disk profiles: what a YAML file may say, and what is said about one that is wrong."""

import pytest

from casedesk.disk import DiskProfile, check_profile, load_profile, packaged_names, packaged_profile, parse_profile
from casedesk.problems import ProfileError

GOOD = {"name": "mine", "read_ms": 1, "write_ms": 2, "sync_ms": 3}


def complaint(content):
    with pytest.raises(ProfileError) as caught:
        check_profile(content, where="mine.yaml")
    return str(caught.value)


def test_five_profiles_are_packaged():
    assert packaged_names() == ("degraded", "healthy", "ramping", "slow", "stalling")


@pytest.mark.parametrize("name", packaged_names())
def test_a_packaged_profile_is_named_like_its_file(name):
    assert packaged_profile(name).name == name


def test_the_slow_disk_lies_between_the_healthy_and_the_degraded_one():
    healthy, slow, degraded = (packaged_profile(name) for name in ("healthy", "slow", "degraded"))
    assert healthy.read_ms < slow.read_ms < degraded.read_ms
    assert healthy.write_ms < slow.write_ms < degraded.write_ms
    assert healthy.sync_ms < slow.sync_ms < degraded.sync_ms


def test_a_profile_is_read_from_a_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("{name: mine, read_ms: 1, write_ms: 2, sync_ms: 3, ramp: {over_s: 60, from: slow}}")
    profile = load_profile(str(file))
    assert (profile.read_ms, profile.ramp.over_s, profile.ramp.start) == (1, 60, "slow")


def test_a_profile_written_as_json_reads_back_as_itself():
    for name in packaged_names():
        profile = packaged_profile(name)
        assert DiskProfile.model_validate_json(profile.model_dump_json(by_alias=True)) == profile


def test_a_missing_key_is_named():
    assert complaint({"name": "mine", "read_ms": 1, "write_ms": 2}) == (
        "mine.yaml: sync_ms is missing; expected a value"
    )


def test_an_unknown_key_is_named_with_the_known_ones():
    found = complaint({**GOOD, "latency_ms": 3})
    assert found.startswith("mine.yaml: latency_ms is not a known key; expected one of name, read_ms,")


def test_a_negative_cost_is_told_with_what_was_found():
    found = complaint({**GOOD, "read_ms": -3})
    assert found == "mine.yaml: read_ms is -3; expected: Input should be greater than or equal to 0"


def test_a_key_inside_a_part_is_named_with_its_path():
    found = complaint({**GOOD, "stalls": {"every_s": 0, "for_s": 1}})
    assert found.startswith("mine.yaml: stalls.every_s is 0; expected:")


def test_every_wrong_key_is_told_at_once():
    assert len(complaint({**GOOD, "read_ms": "x", "queue_depth": 0}).splitlines()) == 2


def test_stalls_that_leave_no_time_to_work_are_refused():
    assert "for_s must be less than every_s" in complaint({**GOOD, "stalls": {"every_s": 2, "for_s": 2}})


def test_a_ramp_from_an_unknown_profile_is_refused():
    found = complaint({**GOOD, "ramp": {"over_s": 3, "from": "nowhere"}})
    assert "ramp.from is 'nowhere'; expected one of degraded, healthy" in found


@pytest.mark.parametrize("content", [None, [1], "text", 3])
def test_what_is_no_mapping_is_refused(content):
    assert "expected a mapping" in complaint(content)


def test_broken_yaml_is_told_with_its_place():
    with pytest.raises(ProfileError, match=r"mine.yaml: not valid YAML: .* line 2, column 1"):
        parse_profile("{name: x,\n", where="mine.yaml")


def test_a_profile_that_is_neither_packaged_nor_a_file_is_told_with_the_packaged_ones():
    with pytest.raises(ProfileError, match=r"nowhere.yaml is neither a file nor a disk profile; .*degraded"):
        load_profile("nowhere.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    file = tmp_path / "disk.yaml"
    file.write_bytes(b"name: \xff")
    with pytest.raises(ProfileError, match=r"disk.yaml: byte 6 is not UTF-8"):
        load_profile(str(file))

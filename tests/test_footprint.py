"""The footprint: on disk before anything is asked for, readable after a kill, nobody's while its writer works."""

import pytest
from misbehaving_server import Behaviour, Reply, misbehaving

from scenarios.errors import InputError, Refused
from scenarios.library import parse_scenario
from targets.footprint import (
    Footprint,
    Heading,
    Made,
    Making,
    Removed,
    Tokens,
    append,
    footprints_in,
    read_footprint,
    taken,
)
from targets.mapping import parse_target
from targets.provisioning import provision

SCENARIO = parse_scenario(
    "name: s\ncohorts: {some: {custom_fields: 1, tenants: 2, cases: 2}}\nmix: {save_custom: 1}\n"
    "load: {rate_per_s: 1}\nduration_s: 1\n",
    "s",
)
ONE, TWO = SCENARIO.tenant_keys
HEADING = Heading(scenario="s", tenants=SCENARIO.tenant_keys, mapping="t.yaml", address="http://127.0.0.1:1")
MAPPING = """\
name: t
base_url: http://127.0.0.1:1
operations: {save_custom: {request: {method: PATCH, path: "/cases/{{ case }}"}}}
provision:
  tenants:
    find: {request: GET /tenants}
    create: {request: {method: POST, path: /tenants, body: {kind: tenant, key: "{{ tenant.key }}"}}, id: id}
  fields:
    find: {request: "GET /fields?tenant={{ tenant.key }}"}
    create: {request: {method: POST, path: /fields, body: {kind: field, key: "{{ field.key }}"}}, id: id}
  cases:
    find: {request: "GET /cases?tenant={{ tenant.key }}", key: id}
    create: {request: {method: POST, path: "/cases?tenant={{ tenant.key }}", body: {kind: case}}, id: id}
"""


class Watcher(Behaviour):
    """Has one case of each tenant, makes what it is asked for, and looks first whether that was announced."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.unannounced = []

    def reply(self, asked):
        if asked.method == "GET":
            return Reply(200, [{"id": "there"}] if asked.path == "/cases" else [])
        (path,) = footprints_in(self.folder)
        kind, key, tenant = asked.json["kind"], asked.json.get("key"), asked.query.get("tenant", "")
        announced = [
            one for one in read_footprint(path).makings if one.kind == kind and tenant in ("", one.tenant)
        ]
        if not any(key in one.keys or (key is None and one.number) for one in announced):
            self.unannounced.append(asked.line)
        return Reply(201, {"id": f"{kind}-{len(self.asked)}"})


@pytest.fixture
def made(tmp_path):
    """What a footprint tells of a preparation, and what was asked for without being in it before."""
    watcher, footprint = Watcher(tmp_path), Footprint(tmp_path, "prepared", HEADING)
    with misbehaving(watcher) as url:
        target = parse_target(MAPPING, "t.yaml", {"base_url": url})
        provision(target, SCENARIO, {}, lambda *words: None, footprint)
        footprint.close()
    return read_footprint(footprint.path), watcher


def test_everything_is_announced_before_it_is_asked_for_and_known_by_its_id_when_it_is_answered(made):
    recorded, watcher = made
    assert watcher.unannounced == []
    assert len(recorded.made) == sum(asked.method == "POST" for asked in watcher.asked) == 2 + 2 + 2
    (announced,) = (one for one in recorded.makings if (one.kind, one.tenant) == ("case", ONE))
    assert (announced.number, announced.there) == (1, ("there",))
    assert all(one.id.startswith(one.kind) for one in recorded.made)


def test_nothing_is_asked_for_that_cannot_be_kept(tmp_path):
    (tmp_path / "file").touch()
    footprint = Footprint(tmp_path / "file", "prepared", HEADING)
    with misbehaving(watcher := Watcher(tmp_path)) as url:
        target = parse_target(MAPPING, "t.yaml", {"base_url": url})
        with pytest.raises(InputError, match="cannot be kept there"):
            provision(target, SCENARIO, {}, lambda *words: None, footprint)
    assert {asked.method for asked in watcher.asked} == {"GET"}


@pytest.fixture
def path(tmp_path):
    footprint = Footprint(tmp_path, "run", HEADING)
    footprint.announce(Tokens(run_key="0123456789", tenants={ONE: {"id": "1"}}))
    footprint.announce(Making(kind="case", tenant=ONE, number=1))
    footprint.note(Made(kind="case", tenant=ONE, id="7"))
    footprint.close()
    return footprint.path


def test_a_line_that_a_kill_cut_off_is_left_out_and_cut_away_by_whoever_goes_on(path):
    whole = path.read_bytes()
    for cut in range(1, len(whole.splitlines(keepends=True)[-1])):
        path.write_bytes(whole[:-cut])
        assert read_footprint(path).made == []
    with taken(path) as file:
        append(file, Removed(kind="case", tenant=ONE, name="7"))
    assert read_footprint(path).removed == {("case", ONE, "7")}


def test_a_writer_that_was_killed_before_its_heading_has_made_nothing(path):
    path.write_bytes(path.read_bytes()[:20])
    assert read_footprint(path) is None


@pytest.mark.parametrize("damage", [b"nonsense", b'{"line": "made"}', b"\xff\xfe", b"[" * 10_000])
def test_a_file_that_is_damaged_elsewhere_is_told_with_its_line(path, damage):
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], damage, *lines[2:]]) + b"\n")
    with pytest.raises(InputError, match=r"run\.jsonl:2: .*; the file is damaged"):
        read_footprint(path)


def test_nobody_removes_what_a_run_at_work_has_made(tmp_path):
    footprint = Footprint(tmp_path, "run", HEADING)
    footprint.announce(Tokens(run_key="0123456789", tenants={}))
    with pytest.raises(Refused, match="still at work"), taken(footprint.path):
        pass
    footprint.close()
    with taken(footprint.path):
        pass

"""Removing what a footprint names: nothing else, whatever the target answers, and not believing it."""

import pytest
from misbehaving_server import Behaviour, Reply, misbehaving

from scenarios.errors import Aborted
from targets.footprint import Heading, Made, Making, Recorded, Tokens
from targets.mapping import parse_target
from targets.removal import Fate, remove

T = "s-one-01"
HEADING = Heading(scenario="s", tenants=(T,), mapping="t.yaml", address="http://127.0.0.1:1")
MAPPING = """\
name: t
base_url: http://127.0.0.1:1
operations: {read_case: {request: "GET /cases/{{ case }}"}}
provision:
  tenants: {find: {request: GET /tenants}, create: {request: {method: POST, path: /tenants}}}
  fields: {find: {request: GET /fields}, create: {request: {method: POST, path: /fields}}}
  cases: {find: {request: GET /cases}, create: {request: {method: POST, path: /cases}}}
clean_up:
  tenant: DELETE /tenants/{{ tenant.remote.id }}
  field: DELETE /fields/{{ id }}
  case: DELETE /cases/{{ case }}
  remains:
    mails: {find: {request: "GET /mails?token={{ run.prefix }}"}, request: "DELETE /mails/{{ id }}"}
    runs: DELETE /runs/{{ run.prefix }}
"""
ALONE = MAPPING.replace("  tenant: DELETE /tenants/{{ tenant.remote.id }}\n", "")


class Shelf(Behaviour):
    """Things by kind; a DELETE is answered as told, and does what it says unless the shelf lies."""

    def __init__(self, *, answer=204, lies=False, **things):
        super().__init__()
        self.things = {"tenants": [], "fields": [], "cases": [], "mails": [], "runs": [], **things}
        self.answer = answer
        self.lies = lies

    def reply(self, asked):
        kind, _, name = asked.path.removeprefix("/").partition("/")
        if asked.method == "GET":
            return Reply(200, [one for one in self.things[kind] if one.startswith(asked.query.get("token", ""))])
        if kind == "runs":
            self.things[kind] = [one for one in self.things[kind] if not one.startswith(name)]
            return Reply(204)
        if name not in self.things[kind]:
            return Reply(404)
        if self.answer == 204 and not self.lies:
            self.things[kind].remove(name)
        return Reply(self.answer, {"error": "no"} if self.answer != 204 else b"")


def removed(shelf, *lines, text=MAPPING, gone=()):
    """What became of what these lines name."""
    recorded, fates = Recorded(HEADING), []
    for line in lines:
        {Making: recorded.makings, Made: recorded.made, Tokens: recorded.tokens}[type(line)].append(line)
    with misbehaving(shelf) as url:
        remove(parse_target(text, "t.yaml", {"base_url": url}), recorded, {}, fates.append, gone=gone)
    return fates


def cases(number, *there):
    return Making(kind="case", tenant=T, number=number, there=there)


def made(*ids):
    return [Made(kind="case", tenant=T, id=id_) for id_ in ids]


TENANT = Making(kind="tenant", keys=(T,), number=1)
FIELDS = Making(kind="field", tenant=T, keys=("f1", "f2"), number=2)
TOKENS = Tokens(run_key="0123456789", tenants={T: {}})


def test_what_was_there_before_stays():
    shelf = Shelf(cases=["1", "2", "3"])
    assert removed(shelf, cases(1, "1", "3"), *made("2")) == [Fate("case", T, "2", "removed")]
    assert shelf.things["cases"] == ["1", "3"]


def test_what_is_not_there_any_more_is_gone_and_no_complaint():
    assert removed(Shelf(), cases(1), *made("2")) == [Fate("case", T, "2", "gone")]


def test_cases_whose_creation_was_never_answered_are_found_among_those_that_are_new():
    shelf = Shelf(cases=["1", "2", "3", "4"])
    fates = removed(shelf, cases(5, "1"), *made("2"))
    assert {(fate.name, fate.word) for fate in fates} == {(id_, "removed") for id_ in "234"}
    assert shelf.things["cases"] == ["1"]


def test_where_more_cases_are_new_than_were_asked_for_only_those_that_were_answered_go():
    shelf = Shelf(cases=["1", "2", "3", "4"])
    fates = removed(shelf, cases(2, "1"), *made("2"))
    why = "one of 2 new cases, of which 1 at most are savepath's"
    assert fates == [
        Fate("case", T, "3", "unknown", why),
        Fate("case", T, "4", "unknown", why),
        Fate("case", T, "2", "removed"),
    ]
    assert shelf.things["cases"] == ["1", "3", "4"]


def test_a_field_whose_creation_was_never_answered_is_found_by_its_key():
    shelf = Shelf(fields=["f1", "f2", "theirs"])
    fates = removed(shelf, FIELDS, Made(kind="field", tenant=T, key="f1", id="f1"))
    assert {(fate.name, fate.word) for fate in fates} == {("f1", "removed"), ("f2", "removed")}
    assert shelf.things["fields"] == ["theirs"]


def test_a_tenant_takes_along_all_that_it_has():
    shelf = Shelf(tenants=[T, "theirs"], cases=["1"])
    assert removed(shelf, TENANT, cases(1), *made("1"), TOKENS) == [Fate("tenant", "", T, "removed")]
    assert [line for line in shelf.lines if line.startswith("DELETE")] == [f"DELETE /tenants/{T}"]
    assert shelf.things["tenants"] == ["theirs"]


def test_cases_that_would_outlast_their_tenant_go_before_it():
    shelf = Shelf(tenants=[T], cases=["1"], fields=["f1"])
    removed(shelf, TENANT, FIELDS, cases(1), *made("1"), text=MAPPING + "  cases_first: true\n")
    deleted = [line for line in shelf.lines if line.startswith("DELETE")]
    assert deleted == ["DELETE /cases/1", "DELETE /fields/f1", f"DELETE /tenants/{T}"]


def test_without_a_way_to_remove_a_tenant_its_cases_are_removed_and_it_is_told():
    shelf = Shelf(tenants=[T], cases=["1"])
    fates = removed(shelf, TENANT, cases(1), *made("1"), text=ALONE)
    assert fates == [
        Fate("tenant", "", T, "left", "the mapping has no clean_up.tenant"),
        Fate("case", T, "1", "removed"),
    ]


@pytest.mark.parametrize("kind", ["mails", "runs"])
def test_what_saves_and_mails_left_is_found_by_the_tokens_of_the_run_and_no_other(kind):
    shelf = Shelf(**{kind: ["sp-0123456789-0000001", "sp-9999999999-0000001"]})
    assert Fate(kind, T, "0123456789", "removed") in removed(shelf, TOKENS)
    assert shelf.things[kind] == ["sp-9999999999-0000001"]


def test_what_a_removed_tenant_took_along_is_not_looked_for():
    shelf = Shelf()
    assert removed(shelf, TOKENS, gone=[T]) == []
    assert shelf.lines == []


def test_a_mapping_that_does_not_say_how_remains_are_removed_leaves_them_and_says_so():
    text = MAPPING.partition("  remains:")[0]
    (fate,) = removed(Shelf(), TOKENS, text=text)
    assert (fate.word, "no clean_up.remains" in fate.why) == ("left", True)


def test_an_answer_is_no_evidence_what_is_still_listed_is_left():
    (fate,) = removed(Shelf(cases=["1"], lies=True), cases(1), *made("1"))
    assert (fate.word, "still listed" in fate.why) == ("left", True)


def test_what_the_target_refuses_is_left_and_told_with_its_answer():
    (fate,) = removed(Shelf(cases=["1"], answer=403), cases(1), *made("1"))
    assert fate.word == "left"
    assert fate.why.endswith("""/cases/1: http 403 (application/json): '{"error":"no"}'""")


class Saved(Shelf):
    """A late script saves each thing so often between its reading and its removal."""

    def __init__(self, saves, **things):
        super().__init__(**things)
        self.saves = saves

    def reply(self, asked):
        if asked.method == "DELETE" and self.saves:
            self.saves -= 1
            return Reply(412, {"error": "edit conflict"})
        return super().reply(asked) if asked.path.count("/") == 1 or asked.method != "GET" else Reply(200, {})


@pytest.mark.parametrize(("saves", "word", "asked"), [(2, "removed", 6), (3, "left", 6)])
def test_what_was_saved_since_it_was_read_is_read_again(saves, word, asked):
    shelf = Saved(saves, cases=["1"])
    text = MAPPING.replace(
        "  case: DELETE /cases/{{ case }}\n",
        "  case:\n    precondition: GET /cases/{{ case }}\n    request: DELETE /cases/{{ case }}\n",
    )
    (fate,) = removed(shelf, cases(1), *made("1"), text=text)
    assert fate.word == word
    assert sum(line.endswith("/cases/1") for line in shelf.lines) == asked


def test_a_target_that_is_not_there_is_no_reason_to_forget_anything():
    with pytest.raises(Aborted, match="does not answer"):
        remove(parse_target(MAPPING, "t.yaml"), Recorded(HEADING, [TENANT]), {}, pytest.fail)

"""The API over HTTP, against a desk that runs as a process of its own."""

import httpx
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casedesk.endpoints import ENDPOINTS
from casedesk.openapi import DOCUMENT
from casedesk.process import running_desk

FIELDS = [
    {"key": "note", "label": "Note", "type": "text", "choices": []},
    {"key": "story", "label": "Story", "type": "long_text", "choices": []},
    {"key": "amount", "label": "Amount", "type": "number", "choices": []},
    {"key": "due", "label": "Due", "type": "date", "choices": []},
    {"key": "size", "label": "Size", "type": "choice", "choices": ["S", "M", "L"]},
    {"key": "tags", "label": "Tags", "type": "multi_choice", "choices": ["a", "b", "c"]},
    {"key": "paid", "label": "Paid", "type": "checkbox", "choices": []},
    {"key": "parent", "label": "Parent", "type": "reference", "choices": []},
]
VALUES = {
    "note": "A note: ü 😀 'quoted' \"twice\"\n",
    "story": "s" * 5000,
    "amount": 12.5,
    "due": "2024-02-29",
    "size": "M",
    "tags": ["c", "a"],
    "paid": True,
    "parent": 17,
}


@pytest.fixture(scope="module")
def desk():
    with running_desk() as desk:
        yield desk


@pytest.fixture(scope="module")
def client(desk):
    with httpx.Client(base_url=desk.url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def tenant(client, request):
    """The path of a fresh tenant with one case type; deleted afterwards."""
    key = f"t{abs(hash(request.node.nodeid))}"
    assert client.post("/tenants", json={"key": key, "name": "Town"}).status_code == 201
    body = {"key": "request", "name": "Request", "scripts_on_save": 2, "fields": FIELDS}
    assert client.post(f"/tenants/{key}/case-types", json=body).status_code == 201
    yield f"/tenants/{key}"
    assert client.delete(f"/tenants/{key}").status_code == 204


@pytest.fixture
def case(client, tenant):
    """The path of a fresh case with a value in every field."""
    body = {"case_type": "request", "title": "A case", "description": "d", "fields": VALUES}
    answer = client.post(f"{tenant}/cases", json=body)
    assert answer.status_code == 201
    assert answer.json()["version"] == 1
    return f"{tenant}/cases/{answer.json()['id']}"


def complaint(answer):
    found = answer.json()
    return answer.status_code, found["error"], found.get("field")


def test_health_says_ok(client):
    assert client.get("/health").json() == {"status": "ok"}


def test_version_tells_what_runs_and_how(client):
    found = client.get("/version").json()
    assert (found["name"], found["version"], found["disk"]) == ("casedesk", "1", "healthy")
    assert found["sqlite"].startswith("3.")
    assert found["settings"]["synchronous"] == "full"


def test_a_tenant_is_listed_with_its_number_of_cases(client, tenant, case):
    key = tenant.rsplit("/", 1)[1]
    assert {"key": key, "name": "Town", "cases": 1} in client.get("/tenants").json()["tenants"]


def test_a_tenant_that_is_there_is_a_conflict(client, tenant):
    body = {"key": tenant.rsplit("/", 1)[1], "name": "Again"}
    assert complaint(client.post("/tenants", json=body)) == (409, "exists", None)


def test_a_case_type_is_listed_as_it_was_given(client, tenant):
    expected = {"key": "request", "name": "Request", "scripts_on_save": 2, "fields": FIELDS}
    assert client.get(f"{tenant}/case-types").json() == {"case_types": [expected]}


def test_a_case_type_put_again_gains_the_missing_fields(client, tenant, case):
    more = {"key": "more", "label": "More", "type": "number", "choices": []}
    body = {"key": "request", "name": "Renamed", "scripts_on_save": 0, "fields": [more]}
    answer = client.put(f"{tenant}/case-types/request", json=body)
    assert answer.json() == body | {"fields": [*FIELDS, more]}
    assert client.get(case).json()["fields"] == VALUES


def test_a_field_cannot_change_its_type(client, tenant):
    changed = {"key": "note", "label": "Note", "type": "number", "choices": []}
    body = {"key": "request", "name": "Request", "fields": [changed]}
    answer = client.put(f"{tenant}/case-types/request", json=body)
    assert complaint(answer) == (409, "type_conflict", "note")


def test_a_case_reads_back_as_it_was_created(client, case):
    found = client.get(case).json()
    assert found["fields"] == VALUES
    assert (found["title"], found["description"], found["status"], found["priority"]) == (
        "A case",
        "d",
        "open",
        "normal",
    )
    assert found["save_id"] is None


def test_a_save_reads_back_and_makes_a_new_version(client, case):
    changes = {"title": "New", "fields": {"amount": 3, "tags": [], "paid": None}}
    answer = client.patch(case, json=changes, headers={"X-Save-Id": "s1"})
    saved = answer.json()
    assert (answer.status_code, saved["version"], saved["save_id"]) == (200, 2, "s1")
    found = client.get(case)
    assert found.headers["etag"] == answer.headers["etag"] == '"2"'
    expected = {**VALUES, "amount": 3, "tags": []}
    del expected["paid"]
    assert found.json()["fields"] == expected
    assert (found.json()["title"], found.json()["save_id"]) == ("New", "s1")
    assert found.json()["updated_at"] == saved["saved_at"]


def test_a_save_without_a_token_is_given_one(client, case):
    first, second = (client.patch(case, json={}).json()["save_id"] for _ in range(2))
    assert first
    assert first != second


def test_a_save_of_the_current_version_passes_and_of_a_stale_one_is_refused(client, case):
    assert client.patch(case, json={"title": "B"}, headers={"If-Match": '"1"'}).status_code == 200
    answer = client.patch(case, json={"title": "C"}, headers={"If-Match": '"1"'})
    assert complaint(answer)[:2] == (412, "version_conflict")
    assert client.get(case).json()["title"] == "B"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("note", 3),
        ("note", "x" * 1001),
        ("amount", "3"),
        ("amount", True),
        ("amount", 1e300),
        ("due", "2024-02-30"),
        ("due", "20240229"),
        ("size", "XL"),
        ("tags", ["a", "a"]),
        ("tags", ["z"]),
        ("tags", "a"),
        ("paid", 1),
        ("parent", 1.5),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_field(client, case, field, value):
    answer = client.patch(case, json={"title": "never", "fields": {field: value}})
    assert complaint(answer) == (422, "wrong_type", field)
    assert client.get(case).json()["version"] == 1


def test_an_unknown_field_is_refused(client, case):
    answer = client.patch(case, json={"fields": {"nope": 1}})
    assert complaint(answer) == (422, "unknown_field", "nope")


def test_an_unknown_key_is_refused(client, case):
    assert complaint(client.patch(case, json={"colour": "red"})) == (422, "invalid", "colour")


@pytest.mark.parametrize("content", [b"", b"{", b'{"title": "a"', b"\xff\xfe", b"nonsense"])
def test_broken_json_is_a_bad_request(client, case, content):
    assert complaint(client.patch(case, content=content))[:2] == (400, "bad_json")


@pytest.mark.parametrize(
    "path", ["/nope", "/tenants/none/cases/1", "{t}/cases/999", "{t}/cases/x", "{t}/email-batches/9"]
)
def test_what_does_not_exist_is_not_found(client, tenant, path):
    answer = client.get(path.format(t=tenant))
    assert complaint(answer)[:2] == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_case_of_another_tenant_is_not_found(client, case):
    client.post("/tenants", json={"key": "foreign", "name": "Foreign"})
    number = case.rsplit("/", 1)[1]
    assert client.get(f"/tenants/foreign/cases/{number}").status_code == 404
    assert client.patch(f"/tenants/foreign/cases/{number}", json={"title": "x"}).status_code == 404
    assert client.delete(f"/tenants/foreign/cases/{number}").status_code == 404


def test_a_deleted_case_is_gone(client, case):
    assert client.delete(case).status_code == 204
    assert client.get(case).status_code == 404


def test_history_tells_each_changed_field_of_a_save(client, case):
    client.patch(case, json={"title": "B", "fields": {"amount": 1}}, headers={"X-Save-Id": "h1"})
    saved = client.patch(case, json={"fields": {"tags": ["b"]}}, headers={"X-Save-Id": "h2"}).json()
    row = {"version": 3, "save_id": "h2", "field": "tags", "before": ["c", "a"], "after": ["b"]}
    row["at"] = saved["saved_at"]
    assert client.get(f"{case}/history?save_id=h2").json() == {"history": [row]}
    fields = [row["field"] for row in client.get(f"{case}/history").json()["history"]]
    assert fields == ["amount", "title", "tags"]


def test_the_history_of_several_cases_tells_whose_each_change_is(client, tenant, case):
    other = client.post(f"{tenant}/cases", json={"case_type": "request", "title": "T"}).json()["id"]
    number = int(case.rsplit("/", 1)[1])
    client.patch(f"{tenant}/cases/{other}", json={"title": "U"}, headers={"X-Save-Id": "hs1"})
    client.patch(case, json={"title": "V"}, headers={"X-Save-Id": "hs2"})
    rows = client.get(f"{tenant}/history?case_ids={number},{other},999").json()["history"]
    assert [(row["case_id"], row["save_id"], row["after"]) for row in rows] == [
        (number, "hs2", "V"),
        (other, "hs1", "U"),
    ]


def test_a_history_can_be_cut_to_the_newest_saves_that_made_so_many_changes(client, tenant, case):
    for number in range(4):
        client.patch(case, json={"title": f"N {number}", "status": f"s{number}"})
    number = case.rsplit("/", 1)[1]
    rows = client.get(f"{tenant}/history?case_ids={number}&changes=3").json()["history"]
    assert [row["after"] for row in rows] == ["s2", "N 2", "s3", "N 3"]


def test_script_runs_and_mails_are_deleted_by_the_beginning_of_their_token(client, tenant, case):
    for token in ("run1-a", "run2-a"):
        client.patch(case, json={"title": token}, headers={"X-Save-Id": token})
        client.post(f"{tenant}/emails", json={"to": "a@b.test", "subject": "S", "body": "B", "token": token})
    both = "run1-a,run2-a"
    found = set()
    while found != {"run1-a", "run2-a"}:
        found = {run["save_id"] for run in client.get(f"{tenant}/script-runs?save_ids={both}").json()["runs"]}
    assert client.delete(f"{tenant}/script-runs?prefix=run1-").status_code == 204
    assert client.delete(f"{tenant}/outbox?prefix=run1-").status_code == 204
    runs = client.get(f"{tenant}/script-runs?save_ids={both}").json()["runs"]
    mails = client.get(f"{tenant}/outbox?tokens={both}").json()["mails"]
    assert {run["save_id"] for run in runs} == {mail["token"] for mail in mails} == {"run2-a"}
    assert complaint(client.delete(f"{tenant}/outbox")) == (400, "bad_query", "prefix")


def test_a_case_type_is_deleted_once_no_case_is_of_it(client, tenant, case):
    assert complaint(client.delete(f"{tenant}/case-types/request"))[:2] == (409, "in_use")
    client.delete(case)
    assert client.delete(f"{tenant}/case-types/request").status_code == 204
    assert client.get(f"{tenant}/case-types").json() == {"case_types": []}
    assert complaint(client.delete(f"{tenant}/case-types/request"))[:2] == (404, "not_found")


def test_saves_are_found_by_token_in_their_own_tenant_only(client, tenant, case):
    client.patch(case, json={"title": "W"}, headers={"X-Save-Id": "found-1"})
    (row,) = client.get(f"{tenant}/saves?save_ids=found-1,never").json()["saves"]
    assert (row["save_id"], row["case_id"]) == ("found-1", int(case.rsplit("/", 1)[1]))
    client.post("/tenants", json={"key": "stranger", "name": "S"})
    assert client.get("/tenants/stranger/saves?save_ids=found-1").json() == {"saves": []}


def test_cases_are_listed_page_by_page(client, tenant):
    ids = [
        client.post(f"{tenant}/cases", json={"case_type": "request", "title": f"C {n}"}).json()["id"]
        for n in range(5)
    ]
    found, cursor, pages = [], "", 0
    while cursor is not None:
        page = client.get(f"{tenant}/cases", params={"case_type": "request", "limit": 2, "cursor": cursor or 0})
        found += [case["id"] for case in page.json()["cases"]]
        cursor, pages = page.json()["next"], pages + 1
    assert (found, pages) == (ids, 3)


def test_a_bad_query_is_a_bad_request(client, tenant):
    assert complaint(client.get(f"{tenant}/cases?limit=x")) == (400, "bad_query", "limit")
    assert complaint(client.get(f"{tenant}/script-runs")) == (400, "bad_query", "save_ids")
    assert complaint(client.get(f"{tenant}/outbox?tokens=")) == (400, "bad_query", "tokens")


@pytest.mark.parametrize(
    ("header", "value"), [("If-Match", "three"), ("X-Save-Id", "a,b"), ("X-Save-Id", "x" * 201)]
)
def test_a_bad_header_is_a_bad_request(client, case, header, value):
    assert complaint(client.patch(case, json={}, headers={header: value})) == (400, "bad_header", header)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": "nobody"}, "to"),
        ({"to": "a@example.com\nBcc: b@example.com"}, "to"),
        ({"subject": "a\nBcc: b@example.com"}, "subject"),
        ({"token": "a b"}, "token"),
        ({"case_id": "1"}, "case_id"),
    ],
)
def test_a_mail_that_could_not_be_sent_is_refused(client, tenant, change, field):
    body = {"to": "a@example.com", "subject": "S", "body": "B", "token": "m", **change}
    assert complaint(client.post(f"{tenant}/emails", json=body)) == (422, "invalid", field)


def test_the_operations_that_change_something_are_not_answered_to_get(client):
    assert client.get("/admin/move-host").status_code == 405


def test_a_disk_is_switched_by_name_and_by_profile(client):
    assert client.put("/admin/disk", json={"profile": "slow"}).json()["profile"]["name"] == "slow"
    mine = {"name": "mine", "read_ms": 0, "write_ms": 0, "sync_ms": 0.5, "cache_pages": 900}
    found = client.put("/admin/disk", json=mine).json()["profile"]
    assert {key: found[key] for key in mine} == mine
    assert client.get("/version").json()["disk"] == "mine"
    client.put("/admin/disk", json={"profile": "healthy"})


@pytest.mark.parametrize("body", [{"profile": "nowhere"}, {"name": "x"}, [], {"profile": "slow", "read_ms": 1}])
def test_a_wrong_disk_is_refused_and_the_old_one_stays(client, body):
    assert complaint(client.put("/admin/disk", json=body))[:2] == (422, "invalid")
    assert client.get("/version").json()["disk"] == "healthy"


def test_the_counters_of_the_disk_grow_with_the_work(client, case):
    before = client.get("/admin/disk").json()["counters"]
    client.patch(case, json={"title": "B"})
    after = client.get("/admin/disk").json()["counters"]
    assert after["syncs"] >= before["syncs"] + 1
    assert after["writes"] > before["writes"]
    assert after["reads"] > before["reads"]
    assert after["busy_s"] > before["busy_s"]


@pytest.mark.parametrize("body", [{"script_lost": 2}, {"nothing": 0.1}, {"mail_lost": "1"}])
def test_a_wrong_share_of_faults_is_refused(client, body):
    assert complaint(client.put("/admin/faults", json=body))[:2] == (422, "invalid")


def test_a_body_that_is_too_large_is_refused(client, case):
    assert complaint(client.patch(case, content=b" " * 4_000_001))[:2] == (413, "too_large")


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["title", "fields", "note", "tags", "amount", "to", "key"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)
BODIES = ["PATCH case", "POST cases", "POST case-types", "POST emails", "POST email-batches", "PUT faults"]


@given(target=st.sampled_from(BODIES), body=ANY_JSON)
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_no_json_whatever_is_a_server_error(client, case, target, body):
    import orjson

    tenant = case.rsplit("/", 2)[0]
    method, name = target.split()
    path = {"case": case, "faults": "/admin/faults"}.get(name, f"{tenant}/{name}")
    try:
        content = orjson.dumps(body)
    except TypeError:  # an integer beyond 64 bits, or half of a surrogate pair
        content = str(body).encode("utf-8", "surrogatepass")
    assert client.request(method, path, content=content).status_code < 500


@pytest.mark.parametrize(
    "content",
    [
        b'{"title": "\\ud800"}',
        b'{"title": NaN}',
        b'{"fields": {"amount": NaN}}',
        b'{"fields": {"amount": 1e999}}',
        b'{"fields": {"amount": ' + b"9" * 400 + b"}}",
        b'{"fields": {"parent": 99999999999999999999999}}',
        b'{"title": "a\\u0000b"}',
        b"[" * 5000,
        b'{"title": "a", "title": "b"}',
    ],
)
def test_odd_json_is_never_a_server_error(client, case, content):
    assert client.patch(case, content=content).status_code < 500
    assert client.get(case).status_code == 200


# -- the OpenAPI document ------------------------------------------------------------------------------


def test_every_route_is_described_and_nothing_else():
    described = {(method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations}
    assert described == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


def test_the_document_is_served(client):
    assert client.get("/openapi.json").json() == DOCUMENT


def test_every_path_parameter_is_declared():
    for path, operations in DOCUMENT["paths"].items():
        names = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        for operation in operations.values():
            declared = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert declared == names, path


def test_every_operation_has_its_own_id():
    ids = [op["operationId"] for operations in DOCUMENT["paths"].values() for op in operations.values()]
    assert len(set(ids)) == len(ids)


def references(part):
    if isinstance(part, dict):
        yield from ([part["$ref"]] if "$ref" in part else [])
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_every_reference_leads_to_a_schema():
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(references(DOCUMENT)) <= known


def answer_schema(path, method, status):
    responses = DOCUMENT["paths"][path][method]["responses"]
    (content,) = responses[str(status)]["content"].values()
    return {**content["schema"], "components": DOCUMENT["components"]}


def test_every_schema_is_a_valid_schema():
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_real_answers_fit_the_document(client, tenant, case):
    client.patch(case, json={"title": "B"}, headers={"X-Save-Id": "o1"})
    client.post(f"{tenant}/emails", json={"to": "a@example.com", "subject": "S", "token": "o2"})
    t = "/tenants/{tenant}"
    for path, url in {
        "/health": "/health",
        "/version": "/version",
        "/tenants": "/tenants",
        "/admin/disk": "/admin/disk",
        "/admin/faults": "/admin/faults",
        f"{t}/cases/{{case_id}}": case,
        f"{t}/cases/{{case_id}}/history": f"{case}/history",
        f"{t}/history": f"{tenant}/history?case_ids={case.rsplit('/', 1)[1]}",
        f"{t}/saves": f"{tenant}/saves?save_ids=o1",
        f"{t}/cases": f"{tenant}/cases",
        f"{t}/case-types": f"{tenant}/case-types",
        f"{t}/script-runs": f"{tenant}/script-runs?save_ids=o1",
        f"{t}/outbox": f"{tenant}/outbox?tokens=o2",
    }.items():
        jsonschema.validate(client.get(url).json(), answer_schema(path, "get", 200))
    missing = client.get(f"{tenant}/cases/1").json()
    jsonschema.validate(missing, answer_schema(f"{t}/cases/{{case_id}}", "get", 404))

"""What each route does: the handlers and the table of routes.

A handler takes a call and returns an answer, or raises :class:`Problem`. The table says on
which threads it works: saves and reads have threads of their own (see ``api``).
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from typing import Final

import apsw

from casedesk import cases, logs, mail, tenancy
from casedesk.api import Answer, Endpoint
from casedesk.bodies import (
    BatchBody,
    CaseBody,
    CaseTypeBody,
    MailBody,
    SaveBody,
    TenantBody,
    read_body,
)
from casedesk.call import Call
from casedesk.disk import check_profile, packaged_profile
from casedesk.faults import FaultShares
from casedesk.jobs import read_runs
from casedesk.openapi import DOCUMENT
from casedesk.problems import Problem, ProfileError, not_found
from casedesk.saves import save_case
from casedesk.store import CACHE_PAGES


def _health(_call: Call) -> Answer:
    return Answer(200, {"status": "ok"})


def _openapi(_call: Call) -> Answer:
    return Answer(200, DOCUMENT)


def _version(call: Call) -> Answer:
    settings = {
        "page_size": 4096,
        "cache_pages": CACHE_PAGES,
        "journal_mode": "wal",
        "synchronous": "full",
        "deadline_s": call.desk.settings.deadline_s,
        "seed": call.desk.settings.seed,
        "mail": "smtp" if call.desk.settings.smtp else "internal sink",
    }
    version = {
        "name": "casedesk",
        "version": "1",
        "sqlite": apsw.sqlite_lib_version(),
        "disk": call.desk.device.profile.name,
        "cases": sum(tenancy.count_cases(call.desk).values()),
        "settings": settings,
    }
    return Answer(200, version)


def _create_tenant(call: Call) -> Answer:
    tenant = tenancy.create_tenant(call.desk, read_body(TenantBody, call.body), deadline=call.deadline)
    return Answer(201, {"key": tenant.key, "name": tenant.name, "cases": 0})


def _list_tenants(call: Call) -> Answer:
    counts = tenancy.count_cases(call.desk)
    tenants = [{"key": t.key, "name": t.name, "cases": counts.get(t.id, 0)} for t in call.desk.catalogue.tenants()]
    return Answer(200, {"tenants": tenants})


def _delete_tenant(call: Call) -> Answer:
    tenancy.delete_tenant(call.desk, call.tenant())
    return Answer(204)


def _create_case_type(call: Call) -> Answer:
    body = read_body(CaseTypeBody, call.body)
    created = tenancy.create_case_type(call.desk, call.tenant(), body, deadline=call.deadline)
    return Answer(201, created.as_json())


def _list_case_types(call: Call) -> Answer:
    return Answer(200, {"case_types": [t.as_json() for t in call.tenant().case_types.values()]})


def _update_case_type(call: Call) -> Answer:
    tenant, key = call.tenant(), call.path["case_type"]
    case_type = tenant.case_types.get(key)
    if case_type is None:
        raise not_found(f"case type {key!r}")
    body = read_body(CaseTypeBody, call.body)
    if body.key != key:
        raise Problem(422, "invalid", f"key is {body.key!r}; expected {key!r} as in the path", field="key")
    updated = tenancy.update_case_type(call.desk, tenant, case_type, body, deadline=call.deadline)
    return Answer(200, updated.as_json())


def _delete_case_type(call: Call) -> Answer:
    tenancy.delete_case_type(call.desk, call.tenant(), call.path["case_type"], deadline=call.deadline)
    return Answer(204)


def _create_case(call: Call) -> Answer:
    body = read_body(CaseBody, call.body)
    case_id = cases.create_case(call.desk, call.tenant(), body, deadline=call.deadline)
    return Answer(201, {"id": case_id, "version": 1}, {"ETag": '"1"'})


def _list_cases(call: Call) -> Answer:
    limit = call.query_number("limit", default=100, least=1, most=500)
    cursor = call.query_number("cursor", default=0, least=0, most=2**62)
    found = cases.list_cases(
        call.desk, call.tenant(), case_type=call.query.get("case_type"), limit=limit, after_id=cursor
    )
    following = str(found[-1]["id"]) if len(found) == limit else None
    return Answer(200, {"cases": found, "next": following})


def _read_case(call: Call) -> Answer:
    case = cases.read_case(call.desk, call.tenant(), call.number("case_id"))
    return Answer(200, case, {"ETag": f'"{case["version"]}"'})


def _save_case(call: Call) -> Answer:
    body = read_body(SaveBody, call.body)
    saved = save_case(
        call.desk,
        call.tenant(),
        call.number("case_id"),
        body,
        if_match=call.if_match(),
        save_id=call.save_token(),
        deadline=call.deadline,
    )
    return Answer(200, asdict(saved), {"ETag": f'"{saved.version}"'})


def _delete_case(call: Call) -> Answer:
    cases.delete_case(call.desk, call.tenant(), call.number("case_id"), deadline=call.deadline)
    return Answer(204)


def _read_history(call: Call) -> Answer:
    save_id = call.query.get("save_id")
    return Answer(200, {"history": cases.read_history(call.desk, call.tenant(), call.number("case_id"), save_id)})


def _read_histories(call: Call) -> Answer:
    case_ids = [int(text) for text in call.tokens("case_ids") if re.fullmatch("[0-9]{1,18}", text)]
    changes = call.query_number("changes", default=2**62, least=1, most=2**62)
    return Answer(200, {"history": cases.read_histories(call.desk, call.tenant(), case_ids, changes=changes)})


def _find_saves(call: Call) -> Answer:
    return Answer(200, {"saves": cases.find_saves(call.desk, call.tenant(), call.tokens("save_ids"))})


def _read_script_runs(call: Call) -> Answer:
    return Answer(200, {"runs": read_runs(call.desk.store, call.tenant().id, call.tokens("save_ids"))})


def _delete_script_runs(call: Call) -> Answer:
    logs.delete_runs(call.desk.store, call.tenant(), call.prefix(), deadline=call.desk.late_deadline())
    return Answer(204)


def _send_mail(call: Call) -> Answer:
    desk, body = call.desk, read_body(MailBody, call.body)
    mail_id = mail.queue_mail(desk.store, desk.faults, call.tenant(), body, deadline=call.deadline)
    desk.mail.wake()
    return Answer(202, {"id": mail_id})


def _send_batch(call: Call) -> Answer:
    desk, body = call.desk, read_body(BatchBody, call.body)
    batch_id = mail.queue_batch(desk.store, desk.faults, call.tenant(), body, deadline=call.deadline)
    desk.mail.wake()
    return Answer(202, {"id": batch_id, "messages": len(body.messages)})


def _read_batch(call: Call) -> Answer:
    return Answer(200, mail.read_batch(call.desk.store, call.tenant(), call.number("batch_id")))


def _read_outbox(call: Call) -> Answer:
    return Answer(200, {"mails": mail.read_outbox(call.desk.store, call.tenant(), call.tokens("tokens"))})


def _delete_mails(call: Call) -> Answer:
    logs.delete_mails(call.desk.store, call.tenant(), call.prefix(), deadline=call.desk.late_deadline())
    return Answer(204)


def _read_disk(call: Call) -> Answer:
    desk = call.desk
    served, cached = desk.device.counters(), desk.pages.counters()
    counters = {
        "reads": cached.reads,
        "misses": cached.misses,
        "writes": served.writes,
        "syncs": served.syncs,
        "busy_s": served.busy_s,
        "queue_wait_s": served.queue_wait_s,
        "cached_pages": cached.held,
        "dirty_pages": cached.dirty,
        "writer_busy_s": desk.store.writer.busy_s(),
        "writer_wait_s": desk.store.writer.wait_s(),
        "writer_waiting": desk.store.writer.waiting(),
        "process_cpu_s": time.process_time(),
    }
    profile = desk.device.profile.model_dump(mode="json", by_alias=True, exclude_none=True)
    return Answer(200, {"profile": profile, "counters": counters})


def _switch_disk(call: Call) -> Answer:
    content = call.json()
    try:
        if isinstance(content, dict) and set(content) == {"profile"}:
            profile = packaged_profile(str(content["profile"]))
        else:
            profile = check_profile(content, where="body")
    except ProfileError as error:
        raise Problem(422, "invalid", str(error)) from error
    call.desk.set_disk(profile)
    return _read_disk(call)


def _move_host(call: Call) -> Answer:
    call.desk.move_host()
    return Answer(202, {"status": "moving"})


def _read_faults(call: Call) -> Answer:
    return Answer(200, call.desk.faults.shares.model_dump())


def _switch_faults(call: Call) -> Answer:
    call.desk.faults.shares = read_body(FaultShares, call.body)
    return _read_faults(call)


def _read_planted(call: Call) -> Answer:
    return Answer(200, [planted.as_json() for planted in call.desk.faults.planted()])


ENDPOINTS: Final = (
    Endpoint("GET", "/health", "loop", _health),
    Endpoint("GET", "/openapi.json", "loop", _openapi),
    Endpoint("GET", "/version", "read", _version),
    Endpoint("POST", "/tenants", "write", _create_tenant),
    Endpoint("GET", "/tenants", "read", _list_tenants),
    Endpoint("DELETE", "/tenants/{tenant}", "write", _delete_tenant),
    Endpoint("POST", "/tenants/{tenant}/case-types", "write", _create_case_type),
    Endpoint("GET", "/tenants/{tenant}/case-types", "loop", _list_case_types),
    Endpoint("PUT", "/tenants/{tenant}/case-types/{case_type}", "write", _update_case_type),
    Endpoint("DELETE", "/tenants/{tenant}/case-types/{case_type}", "write", _delete_case_type),
    Endpoint("POST", "/tenants/{tenant}/cases", "write", _create_case),
    Endpoint("GET", "/tenants/{tenant}/cases", "read", _list_cases),
    Endpoint("GET", "/tenants/{tenant}/cases/{case_id}", "read", _read_case),
    Endpoint("PATCH", "/tenants/{tenant}/cases/{case_id}", "write", _save_case),
    Endpoint("DELETE", "/tenants/{tenant}/cases/{case_id}", "write", _delete_case),
    Endpoint("GET", "/tenants/{tenant}/cases/{case_id}/history", "read", _read_history),
    Endpoint("GET", "/tenants/{tenant}/history", "read", _read_histories),
    Endpoint("GET", "/tenants/{tenant}/saves", "read", _find_saves),
    Endpoint("GET", "/tenants/{tenant}/script-runs", "read", _read_script_runs),
    Endpoint("DELETE", "/tenants/{tenant}/script-runs", "write", _delete_script_runs),
    Endpoint("POST", "/tenants/{tenant}/emails", "write", _send_mail),
    Endpoint("POST", "/tenants/{tenant}/email-batches", "write", _send_batch),
    Endpoint("GET", "/tenants/{tenant}/email-batches/{batch_id}", "read", _read_batch),
    Endpoint("GET", "/tenants/{tenant}/outbox", "read", _read_outbox),
    Endpoint("DELETE", "/tenants/{tenant}/outbox", "write", _delete_mails),
    Endpoint("GET", "/admin/disk", "loop", _read_disk),
    Endpoint("PUT", "/admin/disk", "read", _switch_disk),
    Endpoint("POST", "/admin/move-host", "loop", _move_host),
    Endpoint("GET", "/admin/faults", "loop", _read_faults),
    Endpoint("PUT", "/admin/faults", "loop", _switch_faults),
    Endpoint("GET", "/admin/planted", "loop", _read_planted),
)

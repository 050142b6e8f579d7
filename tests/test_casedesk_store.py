"""The store on its disk: what a transaction costs, what it keeps, and who waits for whom."""

import threading
import time

import pytest

from casedesk.bodies import CaseBody, CaseTypeBody, FieldBody, MailBody, SaveBody, TenantBody
from casedesk.cases import create_case, read_case, read_history
from casedesk.catalogue import Catalogue
from casedesk.desk import DeskSettings, open_desk
from casedesk.disk import DiskProfile
from casedesk.jobs import read_runs
from casedesk.mail import queue_mail, read_outbox
from casedesk.problems import DeadlinePassed, StartError
from casedesk.saves import save_case
from casedesk.tenancy import create_case_type, create_tenant, delete_tenant

FREE = {"name": "free", "read_ms": 0, "write_ms": 0, "sync_ms": 0, "cache_pages": 4096}


def soon():
    return time.monotonic() + 60


def until(happened):
    """Poll until it is true, for a minute at most; what it said."""
    deadline = soon()
    while not (said := happened()):
        assert time.monotonic() < deadline, "it did not happen within 60 s"
        time.sleep(0.005)
    return said


@pytest.fixture
def desk():
    """A desk on a disk that costs nothing, so that only what a test sets costs."""
    with open_desk(DeskSettings()) as desk:
        desk.set_disk(DiskProfile.model_validate(FREE))
        yield desk


def tenant_with_case(desk, *, custom_fields=3, scripts=0, key="town"):
    create_tenant(desk, TenantBody(key=key, name=key), deadline=soon())
    fields = [FieldBody(key=f"f{n}", label=f"F {n}", type="text") for n in range(custom_fields)]
    body = CaseTypeBody(key="request", name="Request", scripts_on_save=scripts, fields=fields)
    create_case_type(desk, desk.catalogue.tenant(key), body, deadline=soon())
    tenant = desk.catalogue.tenant(key)
    values = {field.key: "old " * 10 for field in fields}
    body = CaseBody(case_type="request", title="old", fields=values)
    return tenant, create_case(desk, tenant, body, deadline=soon())


def save(desk, tenant, case_id, save_id=None, deadline=None, **changes):
    body = SaveBody.model_validate(changes)
    return save_case(desk, tenant, case_id, body, if_match=None, save_id=save_id, deadline=deadline or soon())


def _count(desk, table):
    with desk.store.read() as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def cost(desk, work):
    """Pages missed, pages written and syncs that this work caused."""
    before, missed = desk.device.counters(), desk.pages.counters().misses
    work()
    after = desk.device.counters()
    return {
        "misses": desk.pages.counters().misses - missed,
        "writes": after.writes - before.writes,
        "syncs": after.syncs - before.syncs,
    }


def test_a_save_costs_one_sync_and_a_read_none(desk):
    tenant, case_id = tenant_with_case(desk)
    assert cost(desk, lambda: save(desk, tenant, case_id, title="new"))["syncs"] == 1
    assert cost(desk, lambda: read_case(desk, tenant, case_id))["syncs"] == 0


def test_a_repeated_read_costs_nothing_though_another_connection_wrote(desk):
    tenant, case_id = tenant_with_case(desk)
    save(desk, tenant, case_id, title="new")
    read_case(desk, tenant, case_id)
    found = cost(desk, lambda: read_case(desk, tenant, case_id))
    assert found == {"misses": 0, "writes": 0, "syncs": 0}


def test_a_cold_read_misses_more_pages_the_more_custom_fields_there_are(tmp_path):
    misses = {}
    for count in (0, 500):
        settings = DeskSettings(data=tmp_path / str(count))
        with open_desk(settings) as desk:
            desk.set_disk(DiskProfile.model_validate(FREE))
            _, case_id = tenant_with_case(desk, custom_fields=count)
        # Started again and without its workers: nobody else reads, and no log is folded into the cache meanwhile.
        with open_desk(settings) as desk:
            desk.scripts.stop()
            desk.mail.stop()
            desk.pages.forget()
            tenant = desk.catalogue.tenant("town")
            misses[count] = cost(desk, lambda d=desk, t=tenant, c=case_id: read_case(d, t, c))["misses"]
    # 500 values of 40 characters fill at least five pages of 4 KiB.
    assert misses[500] >= misses[0] + 5


def test_a_custom_save_writes_many_more_pages_than_a_standard_save(desk):
    tenant, case_id = tenant_with_case(desk, custom_fields=500)
    standard = cost(desk, lambda: save(desk, tenant, case_id, title="new"))
    fields = {f"f{n}": "new " * 10 for n in range(500)}
    custom = cost(desk, lambda: save(desk, tenant, case_id, fields=fields))
    assert custom["writes"] > 4 * standard["writes"]
    assert custom["syncs"] == standard["syncs"] == 1


def test_only_changed_values_are_written_to_the_history(desk):
    tenant, case_id = tenant_with_case(desk)
    save(desk, tenant, case_id, save_id="s", title="old", fields={"f0": "new", "f1": "old " * 10})
    history = read_history(desk, tenant, case_id, "s")
    assert [(row["field"], row["before"], row["after"]) for row in history] == [("f0", "old " * 10, "new")]


def test_a_value_set_to_null_is_gone(desk):
    tenant, case_id = tenant_with_case(desk)
    save(desk, tenant, case_id, fields={"f1": None})
    assert set(read_case(desk, tenant, case_id)["fields"]) == {"f0", "f2"}


def test_a_save_that_does_not_get_the_writer_in_time_changes_nothing(desk):
    tenant, case_id = tenant_with_case(desk)
    desk.store.writer.acquire(float("inf"))
    with pytest.raises(DeadlinePassed):
        save(desk, tenant, case_id, deadline=time.monotonic() + 0.05, title="new")
    desk.store.writer.release()
    assert read_case(desk, tenant, case_id)["title"] == "old"


def test_a_save_whose_work_passes_the_deadline_is_rolled_back_as_a_whole(desk):
    tenant, case_id = tenant_with_case(desk, custom_fields=300, scripts=1)
    # 300 values of 1,000 characters fill more pages than SQLite's own cache (64) holds.
    save(desk, tenant, case_id, fields={f"f{n}": "b" * 1000 for n in range(300)})
    until(lambda: _count(desk, "script_runs") == 1)
    before = read_case(desk, tenant, case_id)
    desk.set_disk(DiskProfile.model_validate({**FREE, "read_ms": 5, "cache_pages": 1}))
    fields = {f"f{n}": "c" * 1000 for n in range(300)}
    with pytest.raises(DeadlinePassed):
        save(desk, tenant, case_id, deadline=time.monotonic() + 0.02, title="new", fields=fields)
    desk.set_disk(DiskProfile.model_validate(FREE))
    assert read_case(desk, tenant, case_id) == before
    assert _count(desk, "saves") == 1
    assert _count(desk, "jobs") == 0


def test_after_a_rollback_the_next_save_succeeds(desk):
    tenant, case_id = tenant_with_case(desk)
    with pytest.raises(DeadlinePassed):
        save(desk, tenant, case_id, deadline=time.monotonic() - 1, title="new")
    assert save(desk, tenant, case_id, title="newer").version == 2


def test_a_reader_does_not_wait_for_the_writer(desk):
    tenant, case_id = tenant_with_case(desk)
    with desk.store.write(soon()) as connection:
        connection.execute("UPDATE cases SET title = 'half done'")
        assert read_case(desk, tenant, case_id)["title"] == "old"


def test_a_reader_of_cached_pages_does_not_wait_for_the_disk(desk):
    tenant, case_id = tenant_with_case(desk)
    read_case(desk, tenant, case_id)
    desk.set_disk(DiskProfile.model_validate({**FREE, "sync_ms": 60_000}))
    saving = threading.Thread(target=save, args=(desk, tenant, case_id), kwargs={"title": "new"})
    served = desk.device.counters().syncs
    saving.start()
    until(lambda: desk.device.counters().syncs > served)
    # The save now sleeps for a minute in the middle of its commit.
    assert read_case(desk, tenant, case_id)["title"] == "old"
    assert saving.is_alive()
    desk.hurry()
    saving.join(10)
    assert read_case(desk, tenant, case_id)["title"] == "new"


def test_eight_clients_on_one_case_lose_no_save_and_run_each_script_once(desk):
    tenant, case_id = tenant_with_case(desk, scripts=2)
    tokens = [f"client{client}-{number}" for client in range(8) for number in range(10)]

    def work(client):
        for number in range(10):
            token = f"client{client}-{number}"
            save(desk, tenant, case_id, save_id=token, fields={"f0": token})

    threads = [threading.Thread(target=work, args=(client,)) for client in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    runs = until(lambda: len(found := read_runs(desk.store, tenant.id, tokens)) >= 160 and found)
    expected = sorted((token, f"script-{number}") for token in tokens for number in (1, 2))
    assert sorted((run["save_id"], run["script"]) for run in runs) == expected
    assert read_case(desk, tenant, case_id)["version"] == 81
    history = read_history(desk, tenant, case_id, None)
    # Each save saw the one before it: the chain of values has no gap.
    assert [row["before"] for row in history[1:]] == [row["after"] for row in history[:-1]]


def test_scripts_run_in_the_order_of_their_saves(desk):
    tenant, case_id = tenant_with_case(desk, scripts=3)
    for number in range(5):
        save(desk, tenant, case_id, save_id=f"s{number}")
    tokens = [f"s{number}" for number in range(5)]
    runs = until(lambda: len(found := read_runs(desk.store, tenant.id, tokens)) == 15 and found)
    assert [(run["save_id"], run["script"]) for run in runs] == [
        (token, f"script-{number}") for token in tokens for number in (1, 2, 3)
    ]
    assert all(run["queued_at"] <= run["started_at"] <= run["finished_at"] for run in runs)


def test_a_script_whose_transaction_fails_on_the_deadline_is_retried_and_runs_once():
    with open_desk(DeskSettings(deadline_s=0.05)) as desk:
        desk.set_disk(DiskProfile.model_validate(FREE))
        tenant, case_id = tenant_with_case(desk, scripts=1)
        save(desk, tenant, case_id, save_id="s")
        desk.store.writer.acquire(float("inf"))
        save_again = threading.Thread(target=save, args=(desk, tenant, case_id, "t"))
        save_again.start()
        until(lambda: desk.store.writer.waiting() >= 1)
        desk.store.writer.release()
        save_again.join(10)
        desk.store.writer.acquire(float("inf"))
        until(lambda: desk.store.writer.waiting() == 1 or read_runs(desk.store, tenant.id, ["t"]))
        until(lambda: desk.store.writer.waiting() == 0)  # the worker has given up for now
        desk.store.writer.release()
        until(lambda: read_runs(desk.store, tenant.id, ["t"]))
        assert len(read_runs(desk.store, tenant.id, ["s", "t"])) == 2


def test_the_log_does_not_grow_without_bound(desk, tmp_path):
    with open_desk(DeskSettings(data=tmp_path)) as here:
        here.set_disk(DiskProfile.model_validate(FREE))
        tenant, case_id = tenant_with_case(here, custom_fields=500)
        for number in range(60):
            save(here, tenant, case_id, fields={f"f{n}": f"{number} " * 10 for n in range(500)})
        # 60 such saves are about 2,000 frames of 4 KiB; the log is begun anew every 100 or so.
        assert (tmp_path / "casedesk.sqlite-wal").stat().st_size < 1500 * 4120


def test_everything_is_there_again_after_a_restart(tmp_path):
    with open_desk(DeskSettings(data=tmp_path)) as desk:
        tenant, case_id = tenant_with_case(desk)
        save(desk, tenant, case_id, title="kept", fields={"f0": "kept"})
        before = read_case(desk, tenant, case_id)
    with open_desk(DeskSettings(data=tmp_path)) as desk:
        assert read_case(desk, desk.catalogue.tenant("town"), case_id) == before


def test_a_temporary_data_folder_is_removed(desk):
    with open_desk(DeskSettings()) as other:
        ledger = other.faults.ledger
        assert ledger.parent.is_dir()
    assert not ledger.parent.exists()


def test_a_data_folder_that_is_a_file_is_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StartError, match=r"data folder .* cannot be used"), open_desk(DeskSettings(data=file)):
        pass


def test_deleting_a_tenant_leaves_nothing_of_it_and_all_of_the_others(desk):
    tenant, case_id = tenant_with_case(desk, scripts=1)
    other, other_case = tenant_with_case(desk, key="other")
    save(desk, tenant, case_id, save_id="s", fields={"f0": "new"})
    mail = MailBody(to="a@example.com", subject="S", token="m")
    queue_mail(desk.store, desk.faults, tenant, mail, deadline=soon())
    until(lambda: read_runs(desk.store, tenant.id, ["s"]))
    until(lambda: read_outbox(desk.store, tenant, ["m"])[0]["status"] == "sent")
    delete_tenant(desk, tenant)
    with desk.store.read() as connection:
        tables = ("cases", "field_values", "saves", "history", "scores", "script_runs", "outbox", "jobs")
        left = {t: connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables}
    assert left == dict.fromkeys(tables, 0) | {"cases": 1, "field_values": 3}
    assert read_case(desk, other, other_case)["title"] == "old"


class Reading:
    """A snapshot that holds these tenants; its reader pauses where it is told to."""

    def __init__(self, *keys, begun=None, go=None):
        self.keys, self.begun, self.go = keys, begun, go

    def execute(self, statement):
        if "FROM tenants" not in statement:
            return []
        if self.begun:
            self.begun.set()
            assert self.go.wait(10)
        return [(number, key, key) for number, key in enumerate(self.keys, start=1)]


def test_a_reading_of_definitions_that_is_overtaken_does_not_undo_the_newer_one():
    catalogue, begun, go = Catalogue(Reading()), threading.Event(), threading.Event()
    older = threading.Thread(target=catalogue.reload, args=[Reading("a", begun=begun, go=go)])
    newer = threading.Thread(target=catalogue.reload, args=[Reading("a", "b")])
    older.start()
    assert begun.wait(10)
    newer.start()
    newer.join(0.2)  # it may have to wait for the older one; if it does not, it must not be undone
    go.set()
    older.join()
    newer.join()
    assert [tenant.key for tenant in catalogue.tenants()] == ["a", "b"]

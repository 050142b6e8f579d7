"""The slow disk reaches what it is said to reach, and a dead one is noticed."""

import subprocess
import sys
import time

import pytest

from scenarios.model import Operation
from tests import postgres_server, slow_disk
from tests.real_system import Driven
from tests.roundup_server import ENVIRON, running_roundup
from tests.slow_disk import DeadInjectorError, SlowDisk, with_shim

pytestmark = [pytest.mark.live, pytest.mark.skipif(bool(slow_disk.obstacle()), reason=slow_disk.obstacle())]

SYNC_MS = 20

#: Commits, reads or closes at each word on stdin, and answers with a line.
_SQLITE = """\
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute(f"pragma journal_mode={sys.argv[2]}")
db.execute(f"pragma synchronous={sys.argv[3]}")
db.execute("create table if not exists t (x)")
words = {"save": "insert into t values (1)", "read": "select count(*) from t"}
print("ready", flush=True)
for word in map(str.strip, sys.stdin):
    db.close() if word == "close" else db.execute(words[word]).fetchall()
    print("done", flush=True)
"""


@pytest.fixture(scope="module")
def disk():
    with slow_disk.slow_disk() as made:
        yield made


@pytest.fixture(autouse=True)
def fast_again(disk):
    yield
    disk.set_delay()


class Database:
    """SQLite inside a Python that runs under the shim."""

    def __init__(self, disk, folder, journal, synchronous):
        self._disk = disk
        self.child = subprocess.Popen(
            [sys.executable, "-c", _SQLITE, str(folder / f"{journal}-{synchronous}"), journal, synchronous],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=with_shim(disk),
        )
        assert self.child.stdout.readline() == "ready\n"

    def slowed(self, word):
        """How many of its calls were slowed during one save or read."""
        before = self._disk.slowed
        self.child.stdin.write(f"{word}\n")
        self.child.stdin.flush()
        assert self.child.stdout.readline() == "done\n"
        return self._disk.slowed - before

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.child.stdin.close()
        self.child.wait(10)
        self.child.stdout.close()


def test_a_delay_is_measured_when_it_is_set(disk):
    found = disk.set_delay(sync_ms=SYNC_MS)
    assert found.fsync_ms >= SYNC_MS
    assert found.fdatasync_ms >= SYNC_MS


def test_writes_to_files_are_delayed_when_asked_for(disk):
    found = disk.set_delay(write_ms=2)
    assert found.write_ms >= 2
    assert found.pwrite_ms >= 2


def test_without_a_delay_no_call_is_slowed(disk):
    before = disk.slowed
    disk.set_delay()
    assert disk.slowed == before


def test_a_dead_injector_is_an_error(disk, tmp_path):
    (tmp_path / "delays").write_bytes(bytes(24))
    (tmp_path / "empty.c").write_text("")
    subprocess.run(["gcc", "-shared", "-o", tmp_path / "dead.so", tmp_path / "empty.c"], check=True, timeout=60)
    dead = SlowDisk(tmp_path / "dead.so", tmp_path / "delays")
    try:
        with pytest.raises(DeadInjectorError, match=r"fsync takes .* ms, but 20 ms were to be added"):
            dead.set_delay(sync_ms=SYNC_MS)
    finally:
        dead.close()


@pytest.mark.parametrize(("journal", "synchronous"), [("wal", "full"), ("delete", "full"), ("delete", "normal")])
def test_pythons_sqlite_syncs_through_libc(disk, tmp_path, journal, synchronous):
    with Database(disk, tmp_path, journal, synchronous) as database:
        disk.set_delay(sync_ms=SYNC_MS)
        assert database.slowed("save") > 0
        assert database.slowed("read") == 0


def test_sqlite_with_a_wal_and_synchronous_normal_does_not_feel_a_slow_sync(disk, tmp_path):
    with Database(disk, tmp_path, "wal", "normal") as database:
        disk.set_delay(sync_ms=SYNC_MS)
        assert database.slowed("save") == 0


def test_who_lets_go_of_a_wal_last_waits_for_the_disk_though_it_only_read(disk, tmp_path):
    with Database(disk, tmp_path, "wal", "full") as reader:
        with Database(disk, tmp_path, "wal", "full") as writer:
            disk.set_delay(sync_ms=1)
            assert writer.slowed("save") > 0
            assert reader.slowed("read") == 0
            assert writer.slowed("close") == 0
        assert reader.slowed("close") > 0


def test_a_delay_reaches_a_process_that_runs_already_and_leaves_it_again(disk, tmp_path):
    with Database(disk, tmp_path, "wal", "full") as database:
        assert database.slowed("save") == 0
        disk.set_delay(sync_ms=1)
        assert database.slowed("save") > 0
        disk.set_delay()
        assert database.slowed("save") == 0


def test_a_save_in_roundup_takes_the_delay_of_its_syncs_longer_and_a_read_makes_none(disk, tmp_path):
    scenario = tmp_path / "one.yaml"
    scenario.write_text(
        "name: one\nseed: 1\ncohorts: {few: {custom_fields: 10, cases: 1}}\nmix: {read_case: 1, save_custom: 1}\n"
        "load: {rate_per_s: 1}\nduration_s: 10\n"
    )
    with running_roundup(scenario, tmp_path / "home", disk.environment) as url:
        desk = Driven("roundup", {"base_url": url}, scenario, ENVIRON)
        with desk.client:
            disk.set_delay(sync_ms=SYNC_MS)
            slowed, took_s = {}, {}
            for operation in (Operation.READ_CASE, Operation.SAVE_CUSTOM):
                before, started = disk.slowed, time.perf_counter()
                assert desk.do(operation, desk.call("few")).outcome == "ok"
                slowed[operation], took_s[operation] = disk.slowed - before, time.perf_counter() - started
    assert slowed[Operation.READ_CASE] == 0
    assert slowed[Operation.SAVE_CUSTOM] > 0
    assert took_s[Operation.SAVE_CUSTOM] >= slowed[Operation.SAVE_CUSTOM] * SYNC_MS / 1000


@pytest.mark.skipif(bool(postgres_server.obstacle()), reason=postgres_server.obstacle())
def test_a_commit_in_postgresql_is_slowed_and_a_read_is_not(disk):
    with postgres_server.running_postgres(disk.environment) as cluster:
        cluster.ask("create table t (x int)", "checkpoint")
        disk.set_delay(sync_ms=SYNC_MS)
        before = disk.slowed
        assert cluster.ask("select count(*) from t") == ["0"]
        after_read = disk.slowed
        cluster.ask("insert into t values (1)")
        after_commit = disk.slowed
        disk.set_delay()
    assert after_read == before
    assert after_commit > after_read

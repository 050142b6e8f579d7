"""The cost law of the disk: what the device charges for, with a clock made by hand."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casedesk.device import Device
from casedesk.disk import DiskProfile
from casedesk.pagecache import PAGE_BYTES, PageCache
from casedesk.problems import DeadlinePassed
from casedesk.writer import WriterLock


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def until(happened):
    """Poll until it has happened, for ten seconds at most."""
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "it did not happen within 60 s"
        time.sleep(0.001)


def profile(**changes):
    plain = {"name": "test", "read_ms": 10, "write_ms": 4, "sync_ms": 100, "queue_depth": 1, "cache_pages": 100}
    return DiskProfile.model_validate({**plain, **changes})


def device(clock, **changes):
    return Device(profile(**changes), clock=clock, sleep=clock.sleep)


def elapsed_ms(clock, work):
    before = clock.now
    work()
    return round(1000 * (clock.now - before), 6)


@pytest.mark.parametrize(("kind", "cost_ms"), [("read", 10), ("write", 4), ("sync", 100)])
def test_an_operation_on_an_idle_device_takes_its_cost(kind, cost_ms):
    clock = Clock()
    disk = device(clock)
    assert elapsed_ms(clock, lambda: disk.operate(kind)) == cost_ms


@given(count=st.integers(0, 60), depth=st.integers(1, 20))
def test_equal_operations_asked_for_together_use_the_whole_depth(count, depth):
    clock = Clock()
    disk = device(clock, queue_depth=depth)
    rounds = -(-count // depth)
    assert elapsed_ms(clock, lambda: disk.operate("read", count)) == pytest.approx(10 * rounds)


def test_who_comes_second_waits_for_the_first():
    # Nobody's sleep advances this clock: both ask at the same moment.
    disk = Device(profile(), clock=Clock(), sleep=lambda _s: time.sleep(0.001))
    threads = []
    for number in range(2):
        threads.append(threading.Thread(target=disk.operate, args=("read",)))
        threads[-1].start()
        until(lambda number=number: disk.counters().reads == number + 1)
    assert disk.counters().queue_wait_s == pytest.approx(0.010)
    disk.release()
    for thread in threads:
        thread.join(10)


def test_busy_time_is_the_sum_of_the_costs():
    clock = Clock()
    disk = device(clock, queue_depth=4)
    disk.operate("read", 3)
    disk.operate("write", 5)
    disk.operate("sync")
    assert disk.counters().busy_s == pytest.approx((3 * 10 + 5 * 4 + 100) / 1000)


def test_jitter_leaves_the_mean_cost_as_it_is():
    clock = Clock()
    disk = device(clock, jitter=0.5)
    took_ms = elapsed_ms(clock, lambda: disk.operate("read", 20_000))
    # The standard error of the mean of 20,000 lognormal factors with sigma 0.5 is 0.4 %.
    assert took_ms / 20_000 == pytest.approx(10, rel=0.02)


def test_the_same_seed_jitters_the_same():
    times = []
    for _ in range(2):
        clock = Clock()
        disk = Device(profile(jitter=0.5), seed=7, clock=clock, sleep=clock.sleep)
        times.append(elapsed_ms(clock, lambda disk=disk: disk.operate("read", 10)))
    assert times[0] == times[1]


def test_nothing_starts_during_a_stall():
    clock = Clock()
    disk = device(clock, stalls={"every_s": 20, "for_s": 2})
    clock.now += 20.5
    assert elapsed_ms(clock, lambda: disk.operate("read")) == pytest.approx(1500 + 10)


def test_before_the_first_stall_and_between_stalls_the_device_works():
    clock = Clock()
    disk = device(clock, stalls={"every_s": 20, "for_s": 2})
    assert elapsed_ms(clock, lambda: disk.operate("read")) == pytest.approx(10)
    clock.now = 1000 + 22.5
    assert elapsed_ms(clock, lambda: disk.operate("read")) == pytest.approx(10)


@pytest.mark.parametrize(("after_s", "cost_ms"), [(0, 0.1), (50, 0.1 + 0.5 * 9.9), (100, 10), (500, 10)])
def test_a_ramp_goes_linearly_from_the_start_to_the_end(after_s, cost_ms):
    clock = Clock()
    disk = device(clock, ramp={"over_s": 100, "from": "healthy"})  # healthy reads cost 0.1 ms
    clock.now += after_s
    assert elapsed_ms(clock, lambda: disk.operate("read")) == pytest.approx(cost_ms)


def test_a_switch_changes_the_cost_from_then_on():
    clock = Clock()
    disk = device(clock)
    disk.switch(profile(read_ms=50))
    assert elapsed_ms(clock, lambda: disk.operate("read")) == pytest.approx(50)


def test_the_repair_is_due_when_its_time_has_come():
    clock = Clock()
    disk = device(clock, repaired_after_s=60)
    assert not disk.repair_due()
    clock.now += 60
    assert disk.repair_due()


def test_a_released_device_costs_nothing():
    clock = Clock()
    disk = device(clock)
    disk.release()
    assert elapsed_ms(clock, lambda: disk.operate("sync", 5)) == 0


# -- the host's page cache -----------------------------------------------------------------------------


def test_a_first_read_costs_each_page_and_a_second_nothing():
    clock = Clock()
    cache = PageCache(device(clock))
    assert elapsed_ms(clock, lambda: cache.read("db", 0, 3 * PAGE_BYTES)) == pytest.approx(30)
    assert elapsed_ms(clock, lambda: cache.read("db", 0, 3 * PAGE_BYTES)) == 0


def test_a_read_across_a_page_boundary_costs_both_pages():
    clock = Clock()
    cache = PageCache(device(clock))
    assert elapsed_ms(clock, lambda: cache.read("wal", PAGE_BYTES - 1, 2)) == pytest.approx(20)


def test_the_least_recently_used_page_is_pushed_out():
    clock = Clock()
    cache = PageCache(device(clock, cache_pages=2))
    for page in (0, 1, 0, 2):  # 1 is the oldest when 2 comes
        cache.read("db", page * PAGE_BYTES, 1)
    assert elapsed_ms(clock, lambda: cache.read("db", 0, 1)) == 0
    assert elapsed_ms(clock, lambda: cache.read("db", PAGE_BYTES, 1)) == pytest.approx(10)


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 10))
def test_the_cost_of_reads_is_the_misses_of_an_lru_cache(pages, capacity):
    held, misses = [], 0
    for page in pages:
        misses += page not in held
        held = [*(p for p in held if p != page), page][-capacity:]
    clock = Clock()
    cache = PageCache(device(clock, cache_pages=capacity))
    took_ms = elapsed_ms(clock, lambda: [cache.read("db", p * PAGE_BYTES, PAGE_BYTES) for p in pages])
    assert took_ms == pytest.approx(10 * misses)
    assert (cache.counters().reads, cache.counters().misses) == (len(pages), misses)


def test_a_write_is_paid_for_at_the_sync_once_per_page():
    clock = Clock()
    cache = PageCache(device(clock))
    assert elapsed_ms(clock, lambda: [cache.write("db", 0, 3 * PAGE_BYTES) for _ in range(5)]) == 0
    assert elapsed_ms(clock, lambda: cache.sync("db")) == pytest.approx(3 * 4 + 100)
    assert elapsed_ms(clock, lambda: cache.sync("db")) == pytest.approx(100)


def test_a_sync_pays_for_its_own_file_only():
    clock = Clock()
    cache = PageCache(device(clock))
    cache.write("db", 0, PAGE_BYTES)
    assert elapsed_ms(clock, lambda: cache.sync("wal")) == pytest.approx(100)
    assert cache.counters().dirty == 1


def test_a_written_page_is_read_for_nothing():
    clock = Clock()
    cache = PageCache(device(clock))
    cache.write("db", 0, PAGE_BYTES)
    assert elapsed_ms(clock, lambda: cache.read("db", 0, PAGE_BYTES)) == 0


def test_who_pushes_a_dirty_page_out_pays_for_its_write():
    clock = Clock()
    cache = PageCache(device(clock, cache_pages=1))
    cache.write("db", 0, PAGE_BYTES)
    assert elapsed_ms(clock, lambda: cache.read("db", PAGE_BYTES, 1)) == pytest.approx(10 + 4)
    assert elapsed_ms(clock, lambda: cache.sync("db")) == pytest.approx(100)


def test_a_smaller_cache_holds_fewer_pages_at_once():
    cache = PageCache(device(Clock()))
    cache.read("db", 0, 10 * PAGE_BYTES)
    cache.resize(3)
    assert cache.counters().held == 3


def test_pages_of_a_truncated_file_are_forgotten():
    clock = Clock()
    cache = PageCache(device(clock))
    cache.write("db", 0, 4 * PAGE_BYTES)
    cache.drop("db", 1)
    assert (cache.counters().held, cache.counters().dirty) == (1, 1)


# -- the writer's turn ---------------------------------------------------------------------------------


def test_a_free_writer_is_had_at_once_even_after_the_deadline():
    writer = WriterLock(clock=lambda: 5.0)
    writer.acquire(deadline=0.0)
    writer.release()


def test_a_writer_that_does_not_come_free_is_given_up_at_the_deadline():
    clock = Clock()
    writer = WriterLock(clock=clock)
    writer.acquire(clock.now)
    with pytest.raises(DeadlinePassed, match="nothing was saved"):
        writer.acquire(clock.now)


def test_turns_come_in_the_order_of_asking():
    writer = WriterLock()
    order, threads = [], []
    writer.acquire(float("inf"))

    def take(number):
        writer.acquire(float("inf"))
        order.append(number)
        writer.release()

    for number in range(5):
        threads.append(threading.Thread(target=take, args=(number,)))
        threads[-1].start()
        until(lambda number=number: writer.waiting() == number + 1)
    writer.release()
    for thread in threads:
        thread.join(10)
    assert order == [0, 1, 2, 3, 4]


def test_a_closed_writer_refuses_who_waits():
    writer = WriterLock()
    writer.acquire(float("inf"))
    refused = []

    def wait():
        try:
            writer.acquire(float("inf"))
        except DeadlinePassed as error:
            refused.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: writer.waiting() == 1)
    writer.close()
    thread.join(10)
    assert refused == ["the service is stopping; nothing was saved"]


def test_busy_time_is_the_time_held():
    clock = Clock()
    writer = WriterLock(clock=clock)
    writer.acquire(clock.now)
    clock.now += 3
    assert writer.busy_s() == 3
    writer.release()
    clock.now += 5
    assert writer.busy_s() == 3

"""The run folder: what is written is read back, and what is unfinished is refused by name."""

import math
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from analysis_examples import as_values
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.samples import EFFECT_COLUMNS, EFFECT_OUTCOMES, OPERATIONS, OUTCOMES, SAMPLE_COLUMNS
from analysis.slices import fold, width_for
from loadgen.recorder import Effect, Recorder, Sample
from loadgen.run_folder import RunFolder
from loadgen.run_info import Asked, Cell, Generator, IntegrityLimit, Ledger, RunInfo
from loadgen.runs import find_runs, read_info
from loadgen.shards import by_seq, read_shard
from loadgen.tables import compress_samples, restore_samples
from scenarios.errors import InputError, Refused

MICRO = 1_000_000


FIRST_ROWS = """
import sys
from pathlib import Path
from loadgen.shards import ShardWriter
shard = ShardWriter(Path(sys.argv[1]), {"seq": "uint32", "took_s": "float64", "outcome": "dictionary"})
before = set(sys.modules)
shard.append([(1, 0.5, "ökay")])
shard.close()
print(sorted(set(sys.modules) - before), "pandas" in sys.modules)
"""


def info(**changes) -> RunInfo:
    return RunInfo(
        **{
            "schema": "savepath.run/1",
            "id": "one",
            "key": "0123456789",
            "scenario": "smoke",
            "target": "casedesk",
            "plan_digest": "d" * 64,
            "started_at": "2026-11-23T19:00:00.000+00:00",
            "warmup_s": 1.0,
            "duration_s": 10.0,
            "ended_s": 11.5,
            "status": "complete",
            "offered_per_s": 3.0,
            "fired": 3,
            "ledger": Ledger(scheduled=3, recorded=3, aborted=0, unsent=0),
            "question": Asked(
                tolerance=0.1,
                required=(Cell(operation="save_custom", custom_fields=10),),
                limits=(IntegrityLimit(kind="script", outcome="late", share=0.001),),
            ),
            **changes,
        }
    )


def whole(path: Path) -> RunFolder:
    folder = RunFolder(path)
    folder.create()
    Recorder(folder).close()
    folder.compact()
    folder.finish(info())
    return folder


times = st.integers(-100 * MICRO, 30 * 86_400 * MICRO)  # microseconds: what a stored time can tell
samples = st.builds(
    lambda seq, op, fields, scheduled, waited, served, status, outcome, detail, out, back: Sample(
        seq, 0, "", f"t-{fields}", fields, op, scheduled / MICRO, (scheduled + waited) / MICRO,
        (scheduled + waited + served) / MICRO, status, outcome, detail, out, back,
    ),
    st.integers(0, 2**32 - 1), st.sampled_from(OPERATIONS), st.integers(0, 5000), times,
    st.integers(0, 60 * MICRO), st.integers(0, 600 * MICRO), st.integers(0, 599), st.sampled_from(OUTCOMES),
    st.sampled_from(["", "http 503", "no answer in time"]), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1),
)  # fmt: skip
unknowable = st.one_of(st.just(math.nan), st.floats(-1e6, 1e6))
effects = st.sampled_from(sorted(EFFECT_OUTCOMES)).flatmap(
    lambda kind: st.builds(
        Effect, st.integers(0, 2**32 - 1), st.sampled_from(["a", "b"]), st.integers(0, 5000),
        st.sampled_from(OPERATIONS), st.just(kind), st.sampled_from(["", "script-1"]), st.integers(0, 9),
        st.integers(0, 9), unknowable, unknowable, unknowable, st.sampled_from(EFFECT_OUTCOMES[kind]),
    )
)  # fmt: skip


def as_counted(rows: list[tuple]) -> Counter[tuple]:
    return Counter(tuple("nan" if value != value else value for value in row) for row in rows)


def test_what_a_busy_second_recorded_is_written_in_portions_between_which_others_have_their_turn(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    recorder = Recorder(folder)
    for seq in range(600):
        recorder.sample(Sample(seq, 0, "", "t", 0, "read_case", 0.0, 0.0, 0.1, 200, "ok", "", 0, 2))
    assert [(recorder.flush_some(), recorder.written) for _ in range(3)] == [
        (True, 256),
        (True, 512),
        (False, 600),
    ]
    recorder.close()
    folder.compact()
    assert sorted(folder.read_samples()["seq"]) == list(range(600))


@given(st.lists(samples, max_size=20), st.lists(effects, max_size=20), st.integers(0, 20))
@settings(max_examples=15)
def test_what_was_recorded_is_what_is_read_back(tmp_path_factory, rows, more, cut):
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "one")
    folder.create()
    recorder = Recorder(folder, arm="after")
    for row in rows[:cut]:
        recorder.sample(row)
    recorder.flush()
    for row in rows[cut:]:
        recorder.sample(row)
    for row in more:
        recorder.effect(row)
    recorder.close()
    folder.compact()
    found, effect_rows = folder.read_samples(), folder.read_effects()
    assert list(found.columns) == list(SAMPLE_COLUMNS)
    assert list(effect_rows.columns) == list(EFFECT_COLUMNS)
    assert as_counted(list(found.itertuples(index=False, name=None))) == as_counted(rows)
    assert as_counted(list(effect_rows.itertuples(index=False, name=None))) == as_counted(
        [(*row, "after") for row in more]
    )
    assert found["seq"].is_monotonic_increasing
    width_s = width_for(found["scheduled_s"].max() if rows else 0.0)
    assert as_values(folder.read_slices()) == as_values(fold(found, width_s))


def recorded(path: Path) -> RunFolder:
    """A run with two samples, 0.1 and 0.2 s long."""
    folder = RunFolder(path)
    folder.create()
    recorder = Recorder(folder)
    for seq in (0, 1):
        row = Sample(seq, 0, "", "t", 0, "read_case", seq, seq, seq + 0.1 + seq / 10, 200, "ok", "", 0, 9)
        recorder.sample(row)
    recorder.close()
    folder.compact()
    folder.finish(info())
    return folder


def test_slices_are_read_without_the_samples(tmp_path):
    folder = recorded(tmp_path / "one")
    (folder.path / "samples.parquet").unlink()
    assert folder.read_slices()["ok"].tolist() == [2]


def test_a_run_without_slices_is_folded_when_it_is_read_and_left_as_it_was(tmp_path):
    folder = recorded(tmp_path / "one")
    before = as_values(folder.read_slices())
    (folder.path / "slices.parquet").unlink()
    assert as_values(folder.read_slices()) == before
    assert not (folder.path / "slices.parquet").exists()


def test_slices_of_another_version_are_folded_again(tmp_path):
    folder = recorded(tmp_path / "one")
    pq.write_table(pa.table({"ok": [77]}), folder.path / "slices.parquet")
    assert folder.read_slices()["ok"].tolist() == [2]


def test_damaged_slices_are_named_with_the_way_out(tmp_path):
    folder = recorded(tmp_path / "one")
    (folder.path / "slices.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(InputError, match=r"slices\.parquet cannot be read .*delete it"):
        folder.read_slices()


@pytest.mark.parametrize("table", ["samples", "effects"])
def test_a_run_of_before_a_column_was_there_is_named_with_it(tmp_path, table):
    folder = recorded(tmp_path / "one")
    path = folder.path / f"{table}.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["arm"]), path)
    with pytest.raises(InputError, match=rf"{table}\.parquet has no column .*arm.*: another version of savepath"):
        folder.read_samples() if table == "samples" else folder.read_effects()


def test_columns_have_the_types_that_the_analysis_expects(tmp_path):
    found = whole(tmp_path / "one").read_samples()
    assert {name: str(found[name].dtype) for name in ("seq", "scheduled_s", "custom_fields")} == {
        "seq": "uint32",
        "scheduled_s": "float64",
        "custom_fields": "uint16",
    }
    assert isinstance(found["operation"].dtype, pd.CategoricalDtype)


@given(st.builds(Generator, lag_p50_s=st.one_of(st.just(math.nan), st.floats(0, 9)), cpu=st.just(math.nan)))
@settings(max_examples=10)
def test_run_json_is_read_back_as_it_was_and_unknown_is_null(tmp_path_factory, generator):
    folder = whole(tmp_path_factory.mktemp("runs") / "one")
    folder.finish(info(generator=generator, labels={"side": "NaN"}))
    assert '"cpu": null' in (folder.path / "run.json").read_text()
    assert folder.read().to_json() == info(generator=generator, labels={"side": "NaN"}).to_json()
    assert math.isnan(folder.read().generator.cpu)


def test_the_question_of_a_run_is_told_by_cell_and_by_effect():
    asked = info().question
    assert asked.required_cells == {("save_custom", 10)}
    assert asked.integrity_limits == {("script", "late"): 0.001}


@pytest.mark.parametrize(("recorded", "closes"), [(7, True), (6, False), (8, False)])
def test_the_ledger_closes_when_nothing_was_lost(recorded, closes):
    ledger = Ledger(scheduled=10, recorded=recorded, aborted=1, unsent=2)
    assert (ledger.closes, "IS NOT" in str(ledger)) == (closes, not closes)


def test_a_folder_that_holds_something_is_not_written_over(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        RunFolder(tmp_path).create()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_may_be_used(tmp_path):
    RunFolder(tmp_path).create()
    assert (tmp_path / "shards").is_dir()


def spoil_nothing_there(path: Path) -> Path:
    return path / "nowhere"


def spoil_file(path: Path) -> Path:
    (path / "file").write_text("")
    return path / "file"


def spoil_unfinished(path: Path) -> Path:
    RunFolder(path / "cut").create()
    return path / "cut"


def spoil_failed(path: Path) -> Path:
    RunFolder(path / "cut").create()
    (path / "cut" / "failure.json").write_text('{"exit_code": 4, "message": "the target is down"}')
    return path / "cut"


def spoil_json(path: Path) -> Path:
    folder = whole(path / "one")
    (folder.path / "run.json").write_text('{"schema": "savepath.run/1",\n "id": ')
    return folder.path


def spoil_schema(path: Path) -> Path:
    folder = whole(path / "one")
    text = (folder.path / "run.json").read_text()
    (folder.path / "run.json").write_text(text.replace("savepath.run/1", "savepath.run/9"))
    return folder.path


def spoil_key(path: Path) -> Path:
    folder = whole(path / "one")
    text = (folder.path / "run.json").read_text()
    (folder.path / "run.json").write_text(text.replace('"recorded": 3', '"recorded": "three"'))
    return folder.path


def spoil_tables(path: Path) -> Path:
    folder = whole(path / "one")
    (folder.path / "effects.parquet").unlink()
    return folder.path


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_nothing_there, "is not there; expected a run folder"),
        (spoil_file, "is a file; expected a run folder"),
        (spoil_unfinished, "has no run.json: the run is unfinished .* it holds shards"),
        (spoil_failed, "could not begin: the target is down"),
        (spoil_json, "run.json:2:.*not valid JSON"),
        (spoil_schema, "the schema is 'savepath.run/9'; this savepath reads 'savepath.run/1'"),
        (spoil_key, "ledger.recorded"),
        (spoil_tables, "has a run.json but no effects.parquet"),
    ],
)
def test_what_is_no_whole_run_is_refused_with_what_was_found(tmp_path, spoil, message):
    path = spoil(tmp_path)
    with pytest.raises(InputError, match=message) as refused:
        read_info(path)
    assert str(path) in str(refused.value)


def test_runs_are_found_alone_and_as_subfolders(tmp_path):
    one, two = whole(tmp_path / "side" / "one").path, whole(tmp_path / "side" / "two").path
    (tmp_path / "side" / "notes").mkdir()
    assert find_runs([tmp_path / "side"]) == [one, two]
    assert find_runs([two]) == [two]


def test_an_unfinished_run_among_others_is_named(tmp_path):
    whole(tmp_path / "side" / "one")
    RunFolder(tmp_path / "side" / "two").create()
    with pytest.raises(InputError, match=r"two has no run\.json"):
        find_runs([tmp_path / "side"])


def test_a_folder_with_neither_runs_nor_remains_gives_none(tmp_path):
    assert find_runs([tmp_path]) == []


def test_a_killed_writer_leaves_every_flushed_row(tmp_path):
    code = f"""
import sys, time
from pathlib import Path
from loadgen.recorder import Recorder, Sample
from loadgen.run_folder import RunFolder
folder = RunFolder(Path({str(tmp_path / "one")!r}))
folder.create()
recorder = Recorder(folder)
for batch in range(3):
    for i in range(100):
        row = Sample(100 * batch + i, 0, "", "t", 0, "read_case", 0.0, 0.0, 1.0, 200, "ok", "", 0, 9)
        recorder.sample(row)
    recorder.flush()
recorder.sample(row)
print("flushed", flush=True)
time.sleep(60)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == "flushed\n"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    shard = RunFolder(tmp_path / "one").shard(0, "samples")
    assert read_shard(shard, SAMPLE_COLUMNS)["seq"].to_pylist() == list(range(300))


def test_a_shard_that_was_cut_in_a_batch_gives_the_batches_before_it(tmp_path):
    folder = RunFolder(tmp_path / "one")
    folder.create()
    recorder = Recorder(folder)
    sizes = []
    for seq in range(3):
        recorder.sample(Sample(seq, 0, "", "t", 0, "read_case", 0.0, 0.0, 1.0, 200, "ok", "", 0, 9))
        recorder.flush()
        sizes.append(folder.shard(0, "samples").stat().st_size)
    recorder.close()
    shard = folder.shard(0, "samples")
    os.truncate(shard, (sizes[1] + sizes[2]) // 2)
    assert read_shard(shard, SAMPLE_COLUMNS)["seq"].to_pylist() == [0, 1]


def test_shards_end_after_an_hour_and_are_compacted_together(tmp_path):
    folder, now_s = RunFolder(tmp_path / "one"), [0.0]
    folder.create()
    recorder = Recorder(folder, clock=lambda: now_s[0])
    for seq in range(5):
        recorder.sample(Sample(seq, 0, "", "t", 0, "read_case", 0.0, 0.0, 1.0, 200, "ok", "", 0, 9))
        recorder.flush()
        now_s[0] += 1800
    recorder.close()
    rows = [
        read_shard(folder.shard(0, "samples", part=part), SAMPLE_COLUMNS)["seq"].to_pylist() for part in range(3)
    ]
    assert (rows, recorder.written) == ([[0, 1, 2], [3, 4], []], 5)
    folder.compact()
    assert folder.read_samples()["seq"].tolist() == [0, 1, 2, 3, 4]


def test_shards_of_several_workers_are_compacted_in_pieces_to_the_table_that_they_are_at_once(tmp_path):
    folder = RunFolder(tmp_path / "one")
    folder.create()
    recorders = [Recorder(folder, worker) for worker in (0, 1)]
    for n in range(100):
        seq = (37 * n) % 100  # each once, in no order
        row = (float(seq), seq + 0.5, seq + 1.0, 200, "ok", f"detail {seq // 7}", 0, 9)
        recorders[seq % 2].sample(Sample(seq, seq % 2, "", f"t{seq % 3}", 0, "read_case", *row))
        if n % 9 == 0:
            recorders[seq % 2].flush()
    for recorder in recorders:
        recorder.close()
    pieces = list(by_seq(sorted(folder.shards.glob("*-samples*")), SAMPLE_COLUMNS, 30))
    assert [sorted(piece["seq"].to_pylist()) for piece in pieces] == [
        [*range(30)], [*range(30, 60)], [*range(60, 90)], [*range(90, 100)]
    ]  # fmt: skip
    compress_samples(pieces, tmp_path / "in-pieces.parquet")
    folder.compact()
    in_pieces = restore_samples(pq.read_table(tmp_path / "in-pieces.parquet"))
    assert in_pieces.to_dict("records") == folder.read_samples().to_dict("records")
    assert in_pieces["detail"].tolist() == [f"detail {seq // 7}" for seq in range(100)]


def test_a_disk_that_is_too_small_for_a_run_is_refused_with_numbers(tmp_path):
    folder = RunFolder(tmp_path / "one")
    folder.create()
    folder.refuse_small_disk(1)
    with pytest.raises(Refused, match=r"will write about 1,000,000,000 MB and 200 MB must be left; free some"):
        folder.refuse_small_disk(10**15)


def test_reading_runs_imports_neither_locust_nor_gevent_and_driving_them_no_pandas():
    code = (
        "import sys, loadgen.run_folder, loadgen.plan, loadgen.part, loadgen.ending\n"
        "print([m for m in ('locust', 'gevent', 'geventhttpclient', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_outages_are_kept_with_the_run_and_found_again_where_they_are_not(tmp_path):
    folder = RunFolder(tmp_path)
    folder.create()
    recorder = Recorder(folder, worker=0)
    for seq in range(60):
        gone = 20 <= seq < 30
        times = (seq / 10, seq / 10, seq / 10 + 0.01)
        outcome = (0, "refused", "gone") if gone else (200, "ok", "")
        recorder.sample(Sample(seq, 0, "", "t", 5, "read_case", *times, *outcome, 10, 10))
    recorder.close()
    folder.compact()
    (outage,) = folder.read_outages()[""]
    assert (outage.begun_s, outage.ended_s, outage.failed) == (2.0, 3.0, 10)
    (tmp_path / "outages.parquet").unlink()
    assert repr(folder.read_outages()) == repr({"": (outage,)})  # NaN is not equal to itself
    (tmp_path / "outages.parquet").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"outages\.parquet cannot be read .* delete it"):
        folder.read_outages()


def test_nothing_is_imported_while_rows_are_written_and_pandas_not_at_all(tmp_path):
    told = subprocess.run(
        [sys.executable, "-c", FIRST_ROWS, str(tmp_path / "shard.arrow")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "[] False\n"
    written = read_shard(tmp_path / "shard.arrow", {"seq": "uint32", "took_s": "float64", "outcome": "dictionary"})
    assert written.to_pylist() == [{"seq": 1, "took_s": 0.5, "outcome": "ökay"}]

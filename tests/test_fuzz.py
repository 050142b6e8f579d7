"""Broken files, a few of each kind; ``make bench-fuzz`` tries a hundred thousand, guided by coverage."""

import random

import pytest

from benchmarks.fuzz import Found, feed, inputs_of
from benchmarks.fuzz_readers import OF_THE_HOUSE, Reader, readers
from casedesk.problems import ProfileError
from scenarios.errors import InputError

NAMES = (
    "scenario", "target", "disk profile", "results.json", "shard", "samples.parquet", "slices.parquet",
    "effects.parquet", "import k6 json", "import k6 csv", "import locust csv", "import jtl csv", "import jtl xml",
    "import vegeta json", "import vegeta csv", "label map", "recording", "run.json", "footprint",
    "watch watch.json", "watch baseline.jsonl", "watch decisions.jsonl", "watch status.json",
)  # fmt: skip
EACH = 20
LONG, DEEP, NOW = b"9" * 5000, b"[" * 100_000, b"1763900000000000000"
#: What ended in a traceback once, and how it is told now.
MENDED = {
    "a date that is none": ("disk profile", b"name: 2026-13-45", "not valid YAML: month must be in 1..12"),
    "a tag that does not fit": ("disk profile", b"name: !!timestamp x", "not valid YAML"),
    "brackets without end": ("disk profile", b"[\n" * 900, "not valid YAML: maximum recursion depth"),
    "such a tag in a scenario": ("scenario", b"name: !!timestamp x", r"1:7: cannot read this value as timestamp"),
    "a word that is no truth": ("scenario", b"name: !!bool x", r"1:7: cannot read this value as bool: 'x'"),
    "a number of nothing": ("disk profile", b"name: !!int ''", "not valid YAML: string index out of range"),
    "a character that is none": ("scenario", rb'name: "a\U0011F4A5"', r"1:11: .* a number that is too large"),
    "one far beyond them": ("disk profile", rb'name: "\UFFFFFFFF"', "not valid YAML: "),
    "a long number": ("results.json", LONG, "a number is too long"),
    "a long number of a run": ("run.json", LONG, "run.json: no JSON that savepath writes"),
    "a deep run": ("run.json", DEEP, "run.json: no JSON that savepath writes"),
    "a deep line": ("watch baseline.jsonl", DEEP, "baseline.jsonl cannot be read"),
    "a deep decision": ("watch decisions.jsonl", DEEP + b"\n", "decisions.jsonl:1: no line of a watch"),
    "a block of no length": (
        "watch baseline.jsonl", b'{"start_s":0,"length_s":0.0}', r"0\.0 is no length of time in seconds\); it is",
    ),
    "a decision about no time": (
        "watch decisions.jsonl", b'{"kind":"decision","block":{"start_s":0,"length_s":false}}\n',
        "False is no length of time in seconds",
    ),
    "a block before all calendars": (
        "watch decisions.jsonl", b'{"kind":"decision","block":{"start_s":-9223372036854775808}}\n',
        "-9223372036854775808 is no time in seconds since 1970",
    ),
    "no shifts": (
        "watch decisions.jsonl", b'{"kind":"decision","at_s":1,"block":{"counts":[]},"shifts":[1]}\n',
        "a line cannot be read",
    ),
    "a long time": ("import jtl csv", b"timeStamp,elapsed,label\n%b,5,a\n" % LONG, "expected milliseconds since"),
    "a long status": (
        "import vegeta csv", b"%b,200,5,1,2,,,a,0\n%b,%b,5,1,2,,,a,1\n" % (NOW, NOW, LONG), "expected nanoseconds",
    ),
    "columns without a name": (
        "import jtl csv", b"timeStamp,elapsed,label,,,bytes\n1763900000000,9,a,1,2\n", "found 5 fields",
    ),
    "no duration": (
        "import k6 csv", b"metric_name,timestamp,metric_value\nhttp_req_duration,1763900000,nan\n",
        ":2: metric_value is 'nan'; expected a number",
    ),
    "tags that are none": (
        "import k6 json",
        b'{"type":"Metric"}\n{"metric":"http_req_duration","type":"Point","data":{"time":"x","value":1,"tags":[1]}}\n',
        ":2: a Point of http_req_duration without time, value and tags",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return {reader.name: reader for reader in readers(tmp_path_factory.mktemp("fuzz"))}


def fed(reader, seed):
    """What comes of some inputs that no coverage guides."""
    found, inputs = Found(), inputs_of(reader, random.Random(seed))
    for _ in range(EACH):
        feed(reader, next(inputs), found)
    return found


def test_every_reader_has_its_turn(known):
    assert tuple(known) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_broken_files_are_told_without_a_traceback(known, name):
    for whole in known[name].seeds:
        known[name].read(whole)
    assert fed(known[name], f"test {name}").tracebacks == {}


@pytest.mark.parametrize("what", MENDED)
def test_what_was_a_traceback_is_told(known, what):
    name, data, said = MENDED[what]
    with pytest.raises(OF_THE_HOUSE, match=said):
        known[name].read(data)


def test_a_reader_that_lets_an_error_through_is_found_out():
    def careless(data):
        if data != b"whole":
            raise (InputError("said"), ProfileError("said"), KeyError("not said"))[len(data) % 3]

    found = fed(Reader("careless", [b"whole"], careless), 1)
    assert 0 < found.refused < found.inputs == EACH
    assert 0 < sum(found.tracebacks.values()) <= EACH - found.refused
    assert all(place.startswith("KeyError") for place in found.tracebacks)
    assert found.examples.keys() == found.tracebacks.keys()

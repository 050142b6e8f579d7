"""Broken files, a few of each kind; ``make bench-fuzz`` tries as many as half a minute each allows."""

import random

import pytest

from benchmarks.fuzz import Reader, fuzz, readers
from casedesk.problems import ProfileError
from scenarios.errors import InputError

NAMES = (
    "scenario", "target", "disk profile", "label map", "results.json", "run.json", "samples.parquet",
    "slices.parquet", "shard", "footprint", "import k6", "import locust", "import jtl", "import vegeta",
)  # fmt: skip
EACH = 25


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return {reader.name: reader for reader in readers(tmp_path_factory.mktemp("fuzz"))}


def test_every_reader_has_its_turn(known):
    assert tuple(known) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_broken_files_are_told_without_a_traceback(known, name):
    found = fuzz(known[name], random.Random(f"test {name}"), seconds=60, at_most=EACH)
    assert (found.inputs, dict(found.tracebacks), found.hangs) == (EACH, {}, 0)


def test_a_reader_that_lets_an_error_through_is_found_out():
    def careless(data):
        if data != b"whole":
            raise (InputError("said"), ProfileError("said"), KeyError("not said"))[len(data) % 3]

    found = fuzz(Reader("careless", [b"whole"], careless), random.Random(1), seconds=60, at_most=EACH)
    assert 0 < found.refused < found.inputs
    assert 0 < found.tracebacks.total() <= EACH - found.refused
    assert all(place.startswith("KeyError") for place in found.tracebacks)

"""casedesk does what its OpenAPI document promises; ``make bench-promises`` asks all of it, and more often."""

import copy

import pytest

from benchmarks.promises import ask
from casedesk.openapi import DOCUMENT

pytestmark = pytest.mark.live


def test_what_takes_a_body_answers_as_the_document_says_to_what_fits_it_and_to_what_does_not():
    paths = {
        path: {method: told for method, told in methods.items() if "requestBody" in told}
        for path, methods in DOCUMENT["paths"].items()
    }
    found = dict(ask(1, {**DOCUMENT, "paths": {path: methods for path, methods in paths.items() if methods}}))
    assert len(found) == 9
    assert {name: asked.broken for name, asked in found.items() if asked.broken} == {}
    assert {200, 201, 202, 400} <= {status for asked in found.values() for status in asked.statuses}


def test_a_promise_that_is_not_kept_is_found_with_its_request():
    version = copy.deepcopy(DOCUMENT["paths"]["/version"])
    version["get"]["responses"]["200"]["content"]["application/json"]["schema"]["required"].append("colour")
    ((name, asked),) = ask(1, {**DOCUMENT, "paths": {"/version": version}})
    ((promise, request),) = asked.broken.items()
    assert (name, "colour" in promise) == ("GET /version", True)
    assert request.startswith("curl -X GET http://127.0.0.1:")

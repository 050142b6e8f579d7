"""Asking a target for things and making them: pages of a list, jobs that take their time, ids that are told late.

Every answer is mistrusted: lists that do not end, jobs that are never done and addresses on another
host end the preparation with a clear word.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from pydantic import BaseModel

from targets.control import ControlClient, retry_after_s
from targets.credentials import Credentials
from targets.extraction import find_items, find_text, whole
from targets.forms import Place, compile_form
from targets.http import Request, Response
from targets.model import Target
from targets.provision_mapping import Creation, Job, Listing
from targets.request_mapping import RequestMapping
from targets.templates import TemplateError

#: A listing has at most so many pages, and at most so many in a row that bring nothing new.
_PAGES_MAX: Final = 10_000
_PAGES_WITHOUT_NEWS_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Asking:
    """Speaks to one target, for the tenant in the context where there is one."""

    target: Target
    credentials: Credentials
    client: ControlClient

    def fill(self, mapping: RequestMapping, context: Mapping[str, Any], place: Place | None = None) -> Request:
        """A request for the tenant in the context, signed with a token that is fresh."""
        tenant = context["tenant"]["key"] if "tenant" in context else None
        base = {"base_url": self.credentials.base_url_for(tenant), "variables": self.target.variables}
        self.client.log_in()
        authorisation = self.credentials.headers_for(tenant)
        form = compile_form(mapping, self.target.headers)
        try:
            return form.fill({**base, **context}, place, authorisation=authorisation)
        except TemplateError as error:
            raise self.client.complaints.unfillable(mapping, error) from None

    def create(
        self, creation: Creation, context: Mapping[str, Any], key: str | None, place: Place | None = None
    ) -> str:
        """Make one thing; what the target calls it, or the key if the mapping does not say where to find that."""
        request = self.fill(creation.request, context, place)
        response = self.client.expect(request)
        if creation.job and response.status == 202:
            request, response = self._await_job(creation.job, request, response)
        if creation.read:
            request = self.fill(creation.read, {**context, "made": whole(response)})
            response = self.client.expect(request)
        if creation.id is None:
            return key or ""
        with self.client.complaints.reading(request, response, creation, "id"):
            id_ = creation.id.text(response)
        self._refuse_secrets([id_], request, response, creation, "id")
        return id_

    def _await_job(self, job: Job, request: Request, response: Response) -> tuple[Request, Response]:
        """The last look at a job: what was asked, and the answer that says that it is done."""
        until_s = time.monotonic() + job.deadline_s
        with self.client.complaints.reading(request, response, job, "location"):
            asked = self._elsewhere(request, job.location.text(response))
        while True:
            response = self.client.expect(asked, (*range(200, 300), 303))
            if job.failed and job.failed.holds(response):
                said = self.client.complaints.beginning(response)
                raise self.client.complaints.given_up(asked, f"the job has failed: {said}")
            if job.done.holds(response):
                return asked, response
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                said = self.client.complaints.beginning(response)
                raise self.client.complaints.given_up(
                    asked, f"the job is not done after {job.deadline_s:g} s: {said}"
                )
            self.client.pause(min(max(retry_after_s(response) or 0.0, job.every_s), left_s))

    def list_all(
        self, listing: Listing, context: Mapping[str, Any], *, absent: Collection[int] = ()
    ) -> dict[str, tuple[str, Any]]:
        """Everything on all pages: key -> (remote id, the item itself), in the order of the target.

        An answer of a status in ``absent`` says that there is nothing to list. Raises Aborted for pages that lead
        in a circle or do not end.
        """
        reading = self.client.complaints.reading
        found: dict[str, tuple[str, Any]] = {}
        names = compile_form(listing.request).names
        asked: set[str] = set()
        request = self.fill(listing.request, {**context, "cursor": None, "page": 1})
        without_news = 0
        for page in itertools.count(1):
            asked.add(request.url + str(request.body))
            before = len(found)
            response = self.client.expect(request, (*range(200, 300), *absent))
            if response.status in absent:
                return found
            data = self.client.readable(request, response)
            with reading(request, response, listing, "items"):
                items = find_items(data, listing.items)
            with reading(request, response, listing, "key"):
                keys = [find_text(item, listing.key) for item in items]
            with reading(request, response, listing, "id"):
                ids = [find_text(item, listing.id) for item in items] if listing.id else keys
            self._refuse_secrets(ids, request, response, listing, "id" if listing.id else "key")
            with reading(request, response, listing, "next"):
                following = listing.next.look(response)
            found |= {key: (id_, item) for key, id_, item in zip(keys, ids, items, strict=True)}
            if not items if "page" in names else following in (None, "", False):
                return found
            without_news = 0 if len(found) > before else without_news + 1
            if page >= _PAGES_MAX or without_news >= _PAGES_WITHOUT_NEWS_MAX:
                what = f"{without_news} pages in a row brought nothing new" if without_news else f"{page} pages"
                raise self.client.complaints.given_up(request, f"the listing does not end: {what}")
            if not names & {"page", "cursor"} and not isinstance(following, str):
                what = f"{listing.next}: expected the URL of the next page"
                raise self.client.complaints.unfit(request, response, what, listing, "next")
            request = self._next_page(listing, context, names, request, page + 1, following)
            if request.url + str(request.body) in asked:
                what = "the listing goes in a circle: this page was read before"
                raise self.client.complaints.given_up(request, what)
        raise AssertionError("unreachable")

    def _refuse_secrets(
        self, ids: Iterable[str], request: Request, response: Response, part: BaseModel, key: str
    ) -> None:
        """Raises Aborted for an id with a secret in it: it would be kept with the run, and masked it is none."""
        if any(map(self.credentials.are_in, ids)):
            what = "this id is or holds one of your secrets, and ids are kept with the run; let it find another"
            raise self.client.complaints.unfit(request, response, what, part, key)

    def _next_page(
        self,
        listing: Listing,
        context: Mapping[str, Any],
        names: frozenset[str],
        request: Request,
        page: int,
        following: Any,
    ) -> Request:
        if names & {"page", "cursor"}:
            return self.fill(listing.request, {**context, "cursor": following, "page": page})
        return self._elsewhere(request, following)

    def _elsewhere(self, request: Request, url: str) -> Request:
        """A read of a URL that an answer gave; only on the host that was asked, for it is signed alike."""
        try:
            there = urljoin(request.url, url)
            same = urlsplit(there)[:2] == urlsplit(request.url)[:2]
        except ValueError:
            told = self.client.complaints.masked(url)[:200]
            raise self.client.complaints.given_up(request, f"{told!r} is not a URL") from None
        if not same:
            told = self.client.complaints.masked(there)[:200]
            raise self.client.complaints.given_up(request, f"leads to another host, {told}; that is not followed")
        signed = {name: value for name, value in request.headers.items() if name.lower() != "content-type"}
        return Request("GET", there, signed)

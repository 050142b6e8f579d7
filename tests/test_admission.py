"""Who is let in by a secret, and how those are slowed down who guess it."""

import asyncio
import base64

import httpx
import pytest
from starlette.responses import PlainTextResponse

from loadgen.admission import FORGIVEN_S, REMEMBERED, SLIPS, Door, TurnedAway, said_in
from savepath.watching.guarding import Guard


class Clock:
    """Stands still until it is told."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def guess(door: Door, times: int, address: str = "10.0.0.7") -> None:
    for _ in range(times):
        door.turned_away("wrong", address)


def test_after_three_wrong_ones_each_further_one_doubles_the_wait_up_to_ten_seconds():
    clock = Clock()
    door = Door("open", clock)
    guess(door, 3)
    waits = []
    for _ in range(6):
        assert door.turned_away("wrong", "10.0.0.7") == TurnedAway()  # looked at, and answered at once
        waits.append(door.turned_away("wrong", "10.0.0.7").wait_s)
        clock.now_s += waits[-1]
    assert waits == [1, 2, 4, 8, 10, 10]


def test_until_the_wait_is_over_the_right_one_is_not_looked_at_either():
    clock = Clock()
    door = Door("open", clock)
    guess(door, SLIPS + 1)
    clock.now_s += 0.75
    assert door.turned_away("open", "10.0.0.7") == TurnedAway(0.25)
    clock.now_s += 0.25
    assert door.turned_away("open", "10.0.0.7") is None


def test_what_is_not_looked_at_does_not_lengthen_the_wait():
    door = Door("open", Clock())
    guess(door, SLIPS + 1)
    guess(door, 100)
    assert door.turned_away("open", "10.0.0.7") == TurnedAway(1.0)


def test_who_says_nothing_does_not_guess():
    door = Door("open", Clock())
    for _ in range(10):
        assert door.turned_away("", "10.0.0.7") == TurnedAway()
    assert door.turned_away("open", "10.0.0.7") is None


def test_who_was_quiet_for_ten_minutes_has_a_clean_slate():
    clock = Clock()
    door = Door("open", clock)
    guess(door, SLIPS + 1)
    clock.now_s += 1.0 + FORGIVEN_S + 0.1
    guess(door, SLIPS)
    assert door.turned_away("open", "10.0.0.7") is None


@pytest.mark.parametrize(
    ("other", "waits"),
    [
        ("10.0.0.7", True),
        ("10.0.0.8", False),
        ("::ffff:10.0.0.7", True),
        ("::ffff:10.0.0.8", False),
        ("fd00::7", False),
        ("no address", False),
    ],
)
def test_an_address_waits_for_itself_alone(other, waits):
    door = Door("open", Clock())
    guess(door, SLIPS + 1)
    assert (door.turned_away("open", other) is not None) is waits


def test_the_addresses_of_one_ipv6_network_wait_together():
    door = Door("open", Clock())
    guess(door, SLIPS + 1, "fd00:20::7")
    assert door.turned_away("open", "fd00:20::ffff:8") == TurnedAway(1.0)
    assert door.turned_away("open", "fd00:20:0:1::7") is None


def test_only_so_many_places_are_remembered_and_the_latest():
    door = Door("open", Clock())
    guess(door, SLIPS, "10.9.0.1")
    guess(door, SLIPS + 1, "10.9.0.2")
    guess(door, 1, "10.9.0.1")
    for number in range(REMEMBERED - 1):
        guess(door, 1, f"10.0.{number // 256}.{number % 256}")
    assert door.turned_away("open", "10.9.0.2") is None
    assert door.turned_away("open", "10.9.0.1") == TurnedAway(1.0)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("Bearer open", "open"),
        ("bearer  open ", "open"),
        ("Basic " + base64.b64encode(b"me:a:b").decode(), "a:b"),
        ("Basic !", ""),
        ("Basic " + base64.b64encode(b"\xff").decode(), ""),
        ("Digest open", ""),
        ("", ""),
    ],
)
def test_a_secret_is_said_as_bearer_or_as_the_password_of_basic(header, said):
    assert said_in(header) == said


def test_the_service_of_a_watch_turns_away_who_guesses_its_token():
    app = Guard(PlainTextResponse("yes"), door=Door("open", Clock()), names=None)

    async def statuses() -> list[int]:
        transport = httpx.ASGITransport(app, client=("10.0.0.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://watch.test") as client:
            said = ["wrong"] * (SLIPS + 1) + ["open"]
            answers = [await client.get("/", headers={"Authorization": f"Bearer {one}"}) for one in said]
            assert answers[-1].headers["Retry-After"] == "1"
            return [one.status_code for one in answers] + [(await client.get("/healthz")).status_code]

    assert asyncio.run(statuses()) == [401] * (SLIPS + 1) + [429, 200]

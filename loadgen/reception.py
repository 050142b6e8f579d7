"""Where workers of other machines come in: who knows the token gets the next place, or its own after a break."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import gevent
from gevent import socket
from gevent.event import Event

from loadgen.admission import Door
from loadgen.hands import Guest
from loadgen.listening import listener_at
from loadgen.messages import LINE_MAX, Channel, Got, Hello, Refused
from scenarios.errors import Aborted, InputError

#: So long are those who come to say who they are, and in so few bytes.
GREETING_S: Final = 10.0
GREETING_BYTES: Final = 4096
#: So long are workers awaited before a run.
AWAITED_S: Final = 300.0


class Reception:
    """Listens at ``address`` (HOST:PORT) for the workers of one run, who come by the ``door``."""

    def __init__(
        self, address: str, door: Door, guests: Sequence[Guest], version: str, say: Callable[[str], None]
    ) -> None:
        host, _, port = address.rpartition(":")
        try:
            self._listener = listener_at(host, int(port))
        except (OSError, ValueError) as error:
            raise InputError(f"--listen {address} cannot be used: {error}; choose another address") from None
        self._host = host
        self.port = int(self._listener.getsockname()[1])
        self._door = door
        self._guests = guests
        self._version = version
        self._say = say
        self._all_here = Event()
        self._hear: Callable[[Guest], None] = lambda _: None
        self._greeter: Any = None

    def await_all(self, hear: Callable[[Guest], None]) -> None:
        """Wait until each place is taken; ``hear`` listens to a worker from now on. Raises Aborted."""
        self._hear = hear
        where = f"{self._host}:{self.port}"
        self._say(f"waiting for {len(self._guests)} workers at {where}")
        self._greeter = gevent.spawn(self._greet_all)
        if not self._all_here.wait(AWAITED_S):
            here = sum(1 for guest in self._guests if guest.channel)
            raise Aborted(
                f"{here} of {len(self._guests)} workers came to {where} within {AWAITED_S:g} s; start "
                "savepath worker --master there on as many machines"
            )

    def close(self) -> None:
        """Let nobody in any more."""
        if self._greeter is not None:
            self._greeter.kill()
        self._listener.close()

    def _greet_all(self) -> None:
        while True:
            sock, where = self._listener.accept()
            gevent.spawn(self._greet, sock, where[0])

    def _greet(self, sock: socket.socket, address: str) -> None:
        channel = Channel(sock, line_max=GREETING_BYTES)
        sock.settimeout(GREETING_S)
        try:
            hello = next(channel.messages(), None)
        except ValueError:
            hello = None
        if not isinstance(hello, Hello):
            channel.close()
            return
        away = self._door.turned_away(hello.token, address)
        guest = None if away else self._place_of(hello)
        if away and away.wait_s:
            # Hung up on without a word, a worker of the same place that does know the token comes again.
            gevent.sleep(away.wait_s)
            channel.close()
            return
        if guest is None:
            why = "the token is missing or wrong" if away else self._why_not(hello)
            channel.send(Refused(exit_code=3, message=why))
            channel.close()
            return
        sock.settimeout(None)
        channel.line_max = LINE_MAX
        back = guest.channel is not None
        if guest.channel is not None:
            guest.channel.close()
        guest.channel, guest.host = channel, hello.host
        channel.send(Got(sizes=dict(guest.shelf.sizes), again=True) if back else guest.order)
        self._hear(guest)
        if all(one.channel for one in self._guests):
            self._all_here.set()

    def _place_of(self, hello: Hello) -> Guest | None:
        if hello.version != self._version:
            return None
        if hello.worker is None:
            return next((guest for guest in self._guests if guest.channel is None), None)
        mine = [one for one in self._guests if one.order.worker == hello.worker and not one.over.is_set()]
        return mine[0] if mine and mine[0].order.run_key == hello.run_key and mine[0].channel else None

    def _why_not(self, hello: Hello) -> str:
        if hello.version != self._version:
            return f"this is savepath {hello.version}, and the run is led by {self._version}; install the same"
        return "the run has its workers, or does not know this one any more"

"""Wires a run into Locust, so that plain ``locust -f locustfiles/save_path.py`` makes whole runs.

Locust starts, shows, and ends; what is measured never passes through it. The moments in use:
arguments (``init_command_line_parser``), signals (``init``), preparation (``test_start``, where
blocking is allowed), drain (``test_stopping`` and ``quitting``, which Locust waits for).
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import traceback
from typing import Any

import gevent
import locust
from locust import User, task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import LocalRunner
from locust.web import WebUI

from loadgen.admission import Door
from loadgen.arguments import add_arguments, settings_of
from loadgen.ending import Ending
from loadgen.live import Live
from loadgen.live_tabs import fill, tabs
from loadgen.locust_tables import trim_for_ever
from loadgen.recorder import Sample
from loadgen.session import Session
from loadgen.web_guard import guard, password_for
from scenarios.errors import Aborted, InputError, SavepathError, Unauthorised

log = logging.getLogger(__name__)

#: Locust's hooks carry no types.
hooks: Any = locust.events

EXIT_BY_SIGNAL = {signal.SIGINT: 130, signal.SIGTERM: 143}


class ArrivalUser(User):
    """The one user: it walks the schedule of arrivals. Further ones that Locust spawns leave at once."""

    @task
    def arrive(self) -> None:
        """Drive the run that was prepared, to its end."""
        plugin = Plugin.of(self.environment)
        session = plugin.session
        if session is None or session.started:
            raise StopUser
        session.start()
        limit = gevent.spawn(plugin.limit, session)
        try:
            session.finished.wait()
        finally:
            limit.kill()
            session.stop(Ending("interrupted", "Locust stopped its user"))
        raise StopUser


class Plugin:
    """The runs of one Locust process, one after the other."""

    def __init__(self, environment: Environment) -> None:
        self.session: Session | None = None
        self._preparing: Session | None = None
        self._environment = environment
        # Locust would count --run-time from its own start, the making of tenants and cases included.
        self._run_time_s: float | None = None
        if environment.web_ui is None and environment.parsed_options is not None:
            self._run_time_s = environment.parsed_options.run_time
            environment.parsed_options.run_time = None
        self._signals = 0
        self._leaving = False
        self._prepared = 0

    @staticmethod
    def of(environment: Environment) -> Plugin:
        """The plugin of a Locust environment."""
        plugin = environment.savepath  # type: ignore[attr-defined]
        assert isinstance(plugin, Plugin)  # noqa: S101  # set in on_init
        return plugin

    def begin(self, environment: Environment, **_: Any) -> None:
        """``test_start``: prepare the next run. What cannot begin is told, and Locust ends."""
        if self.session is not None and not self.session.finished.is_set():
            self.session.finished.wait()
        self.session = None
        options = environment.parsed_options
        assert options is not None  # noqa: S101  # Locust's own start always parses them
        session: Session | None = None
        try:
            settings = settings_of(options, self._prepared)
            self._prepared += 1
            # Where savepath leads, it shows the run, and nobody reads Locust's tables: a twentieth of a request.
            listener = None if options.stop_with_parent else self._tell_locust
            session = self._preparing = Session(settings, listener=listener)
            if options.stop_with_parent and self._prepared == 1:
                gevent.spawn(self._end_with_parent, options.stop_with_parent)
            session.prepare()
        except SavepathError as error:
            self._refuse(session, error.exit_code, str(error), unauthorised=isinstance(error, Unauthorised))
        except Exception as error:
            log.exception("a mistake in savepath")
            self._refuse(session, 1, "".join(traceback.format_exception_only(error)).strip())
        else:
            self.session = session
            gevent.spawn(self._await_end, session)
        finally:
            self._preparing = None

    @property
    def live(self) -> Live:
        """What there is to see of the latest run."""
        session = self.session or self._preparing
        return session.live if session is not None else Live()

    def limit(self, session: Session) -> None:
        """End the run after ``--run-time``; its own greenlet."""
        if self._run_time_s is not None:
            gevent.sleep(self._run_time_s)
            session.stop(Ending("interrupted", "--run-time was over before the schedule was through"))

    def stopping(self, **_: Any) -> None:
        """``test_stopping``: Locust waits here until the run is whole, as after the stop button."""
        session = self.session
        early = self._preparing or (session if session is not None and not session.started else None)
        if early is not None and not self._leaving:
            message = "stopped before the run began: tenants and cases were still being looked at or made"
            self._fail(early, Aborted.exit_code, message)
        if session is not None and session.started:
            session.stop(Ending("interrupted", "stopped before the schedule was through"))
            session.finished.wait()

    def quitting(self, environment: Environment, **_: Any) -> None:
        """``quitting``: the last moment; whatever made Locust quit, the run is finished first."""
        self.stopping()
        self._leaving = True
        finished = self.session is not None and self.session.finished.is_set()
        if self.session is not None and finished and environment.process_exit_code is None:
            environment.process_exit_code = self.session.ending.exit_code

    def on_signal(self, number: signal.Signals) -> None:
        """The first Ctrl-C ends the run in order, the second at once."""
        code = EXIT_BY_SIGNAL[number]
        self._signals += 1
        if self._signals > 1:
            if self.session is not None:
                self.session.save_what_there_is()
            os._exit(code)
        self._interrupt(number.name, code)

    def _interrupt(self, what: str, code: int) -> None:
        session = self.session
        if session is not None and session.started and not session.finished.is_set():
            session.stop(Ending("interrupted", what, code))
        else:
            self._leave(code)

    def _await_end(self, session: Session) -> None:
        session.finished.wait()
        if self._environment.web_ui is None or session.ending.exit_code in EXIT_BY_SIGNAL.values():
            self._leave(session.ending.exit_code)
        elif self._environment.runner is not None:
            self._environment.runner.stop()

    def _leave(self, code: int) -> None:
        """End Locust with this exit code."""
        self._environment.process_exit_code = code
        if self._leaving or self._environment.runner is None:
            return
        self._leaving = True
        self._environment.runner.quit()
        if self._environment.web_ui is not None:
            web_ui: Any = self._environment.web_ui
            web_ui.stop()

    def _refuse(self, session: Session | None, code: int, message: str, *, unauthorised: bool = False) -> None:
        """The run cannot begin: Locust ends, or its web interface waits for another try."""
        self._fail(session, code, message, unauthorised=unauthorised)
        if self._environment.web_ui is None:
            gevent.spawn(self._leave, code)
        elif self._environment.runner is not None:
            gevent.spawn(self._environment.runner.stop)

    def _fail(self, session: Session | None, code: int, message: str, *, unauthorised: bool = False) -> None:
        """Say why there is no run, and leave it where the parent process looks: in a folder of our own."""
        for line in message.splitlines():
            sys.stderr.write(f"savepath: {line}\n")
        if self._environment.process_exit_code is None and self._environment.web_ui is None:
            self._environment.process_exit_code = code
        folder = session.failure_folder if session is not None else None
        if folder is not None:
            told = {"exit_code": code, "message": message, "unauthorised": unauthorised}
            folder.write_whole("failure.json", json.dumps(told).encode())

    def _end_with_parent(self, parent: int) -> None:
        while os.getppid() == parent:
            gevent.sleep(1)
        self._interrupt("the parent process ended", EXIT_BY_SIGNAL[signal.SIGTERM])

    def _tell_locust(self, row: Sample) -> None:
        """For the live figures of Locust alone: the name is the operation, so that its tables stay small."""
        hooks.request.fire(
            request_type="HTTP",
            name=row.operation,
            response_time=(row.done_s - row.scheduled_s) * 1000,
            response_length=row.bytes_in,
            exception=None if row.outcome == "ok" else (row.detail or row.outcome),
            context={},
        )


def on_init(environment: Environment, runner: Any, **_: Any) -> None:
    """Set up the plugin and the signals; refuse what is not there yet."""
    if not isinstance(runner, LocalRunner):
        sys.stderr.write(
            "savepath: a run is not led by Locust's master; instead of --master, --worker and --processes take "
            "--workers N\n"
        )
        sys.exit(2)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each case that is made
    plugin = Plugin(environment)
    environment.savepath = plugin  # type: ignore[attr-defined]
    if environment.web_ui is not None:
        _open(environment.web_ui, plugin)
    gevent.spawn(trim_for_ever, environment.stats)
    hooks.test_start.add_listener(plugin.begin)
    hooks.test_stopping.add_listener(plugin.stopping)
    hooks.quitting.add_listener(plugin.quitting)
    # Not Python's own handlers: a KeyboardInterrupt would end whichever greenlet is running, and lose its sample.
    for number in EXIT_BY_SIGNAL:
        gevent.signal_handler(number, plugin.on_signal, number)


def _open(web_ui: WebUI, plugin: Plugin) -> None:
    """Guard the web interface and show our own tabs there; with no password where one is needed, Locust ends."""
    options = web_ui.environment.parsed_options
    assert options is not None  # noqa: S101  # Locust's own start always parses them
    try:
        password = password_for(options.web_host, options.web_password_env)
    except InputError as error:
        sys.stderr.write(f"savepath: {error}\n")
        sys.exit(error.exit_code)
    app = web_ui.app
    assert app is not None  # noqa: S101  # Locust makes it before the plugin hears of it
    guard(app, Door(password) if password else None)
    web_ui.template_args |= tabs()
    fill(app, lambda: plugin.live)


hooks.init_command_line_parser.add_listener(add_arguments)
hooks.init.add_listener(on_init)

"""What the documentation offers to deploy: commands that exist, names that lead somewhere, rules that fire."""

import json
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import click
import pytest
import yaml
from window_examples import state_folder

from savepath.cli import cli
from savepath.watching.history import History
from savepath.watching.metrics import exposition
from savepath.watching.status import status_of

DEPLOY = Path(__file__).parent.parent / "docs" / "deploy"
RULES = DEPLOY / "prometheus-rules.yaml"
BOARD = DEPLOY / "grafana-board.json"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here; Debian has it in prometheus")


def unit_command():
    """The command line of the systemd unit."""
    text = (DEPLOY / "savepath-watch@.service").read_text()
    return shlex.split(re.search(r"^ExecStart=\S+/savepath (.*)$", text, re.M)[1])


def job():
    """The Job among the documents of the Kubernetes file."""
    found = list(yaml.safe_load_all((DEPLOY / "savepath-watch.yaml").read_text()))
    assert [one["kind"] for one in found] == ["PersistentVolumeClaim", "Job", "Service"]
    return found[1]["spec"]


def job_command():
    """The command line of the Job's container."""
    container = job()["template"]["spec"]["containers"][0]
    return [*container["command"][1:], *container["args"]]


def expressions():
    """Every expression of the board."""
    return [one["expr"] for panel in json.loads(BOARD.read_text())["panels"] for one in panel["targets"]]


@pytest.mark.parametrize("words", [unit_command(), job_command()], ids=["systemd", "Kubernetes"])
def test_the_command_is_one_that_exists_with_these_flags(words):
    name, *rest = words
    context = click.Context(cli)
    found = cli.get_command(context, name).make_context(name, rest, parent=context).params
    assert found["lasts_s"] == 72 * 3600
    assert found["webhook_env"] == "CHAT_WEBHOOK"
    assert found["listen"].is_loopback or found["token_env"]


def test_answers_end_the_job_and_kills_do_not():
    rules = job()["podFailurePolicy"]["rules"]
    assert rules[0] == {
        "action": "FailJob", "onExitCodes": {"containerName": "watch", "operator": "In", "values": [2, 3, 10, 20]},
    }  # fmt: skip
    assert job()["template"]["spec"]["restartPolicy"] == "Never"  # without it there is no podFailurePolicy


def served(tmp_path):
    """The metrics of a watch that escalated."""
    history = History(state_folder(tmp_path / "state", "HE", last_s=time.time()))
    return exposition(history, status_of(history, time.time()))


def test_every_metric_that_is_asked_for_is_served(tmp_path):
    text = served(tmp_path).decode()
    asked = set(re.findall(r"savepath_watch_\w+", RULES.read_text() + " ".join(expressions())))
    assert len(asked) >= 8
    assert [name for name in sorted(asked) if not re.search(rf"^{name}(\{{| )", text, re.M)] == []


def promtool(*words, cwd=None, given=b""):
    """What promtool says; it must find nothing wrong."""
    done = subprocess.run([PROMTOOL, *words], cwd=cwd, input=given, capture_output=True)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stderr.decode()


@needs_promtool
def test_promtool_finds_nothing_wrong_with_rules_board_and_metrics(tmp_path):
    rules = [
        {"record": f"board:{number}", "expr": expr.replace("$instance", ".*")}
        for number, expr in enumerate(expressions())
    ]
    (tmp_path / "board.yaml").write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))
    promtool("check", "rules", RULES, tmp_path / "board.yaml")
    assert promtool("check", "metrics", given=served(tmp_path)) == ""


def alerting(alert, expected, **values):
    """A case for ``promtool test rules``: after 20 minutes of these values the alert fires, or not."""
    plain = {"verdict": 0, "last_decision_timestamp_seconds": 0, "block_seconds": 300, "ended": 0} | values
    labels = dict.fromkeys(plain, '{instance="w"}') | {"verdict": '{instance="w",verdict="ESCALATE"}'}
    series = [
        {"series": f"savepath_watch_{name}{labels[name]}", "values": f"{value}x60"}
        for name, value in plain.items()
    ]
    alerts = [{"exp_labels": {"instance": "w", **expected}}] if expected else []
    return {
        "interval": "1m",
        "input_series": series,
        "alert_rule_test": [{"alertname": alert, "eval_time": "20m", "exp_alerts": alerts}],
    }


@needs_promtool
def test_the_alerts_fire_when_they_should_and_only_then(tmp_path):
    cases = [
        alerting("SavepathWatchEscalates", {"severity": "page", "verdict": "ESCALATE"}, verdict=1),
        alerting("SavepathWatchEscalates", {}),
        alerting("SavepathWatchIsSilent", {"severity": "ticket"}),
        alerting("SavepathWatchIsSilent", {}, ended=1),
        alerting("SavepathWatchIsSilent", {}, last_decision_timestamp_seconds=600),
    ]
    rules = yaml.safe_load(RULES.read_text())
    for rule in rules["groups"][0]["rules"]:
        del rule["annotations"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": cases}))
    promtool("test", "rules", "tests.yaml", cwd=tmp_path)

"""From the README's commands to a verdict, on real parts: the demonstration, and a system nobody here wrote."""

import html
import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from command_line import savepath, spawned
from roundup_server import ENVIRON, running_roundup
from test_loadgen_launch import free_ports, is_free

from loadgen.run_folder import RunFolder

#: ``savepath demo`` with a scenario of one's own.
DEMONSTRATE = """\
import sys
from pathlib import Path
from savepath.demo import Demonstration, demonstrate
demo = Demonstration(Path(sys.argv[2]), scenario=sys.argv[1])
sys.exit(not demo.succeeded(demonstrate(demo)))
"""


def shortened(name, shorter):
    """A scenario that comes with savepath, with some of its words replaced."""
    text = Path(f"scenarios/{name}.yaml").read_text()
    for long, short in shorter.items():
        assert long in text
        text = text.replace(long, short)
    return text


@pytest.mark.alone
@pytest.mark.timeout(330)
def test_the_demonstration_finds_the_planted_incident_and_names_its_cause(tmp_path):
    """Its own scenario in runs of half the length: each range is wide, and what it surely shows is asked."""
    scenario, out = tmp_path / "demo.yaml", tmp_path / "demo"
    scenario.write_text(shortened("demo", {"duration_s: 11": "duration_s: 6"}))
    done = subprocess.run(
        [sys.executable, "-c", DEMONSTRATE, str(scenario), str(out)], capture_output=True, text=True, timeout=320
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((out / "results.json").read_text())
    page = (out / "report.html").read_text()
    grown = [slope["operation"] for slope in results["slopes"] if slope["low"] is not None and slope["low"] > 0]
    blamed = {(cell["operation"], cell["custom_fields"]) for cell in results["cells"] if "slower" in cell["word"]}
    assert results["verdict"] == "ESCALATE"
    assert any("save_custom" in operation for operation in grown), results["slopes"]  # or with its scripts
    assert ("save_custom", 500) in blamed
    assert ("read_case", 0) not in blamed
    # It varies which operation leads the sentence, and whether growth is beyond its limit or 500 fields alone.
    headline = re.search(r"^\*\*(.+)\*\*$", (out / "summary.md").read_text(), re.MULTILINE)[1]
    assert re.search("saving custom fields", headline, re.IGNORECASE)
    assert re.search(
        "the more custom fields the more so|grew with the number of custom fields|at 500 custom", headline
    )
    assert html.escape(headline) in page
    assert (out / "summary.md").stat().st_size > 1000
    assert (out / "junit.xml").stat().st_size > 1000


def test_a_folder_that_no_demonstration_made_is_not_replaced(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    done = savepath("demo", "--out", tmp_path)
    assert (done.returncode, (tmp_path / "mine.txt").read_text()) == (2, "precious")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The field sweep on Roundup, for five seconds and with more mails; and the ports of its mail sink."""
    shorter = {"tenants: 2, cases: 30": "tenants: 1, cases: 4", "warmup_s: 10": "warmup_s: 1"}
    shorter |= {"duration_s: 120": "duration_s: 5", "rate_per_s: 30": "rate_per_s: 6"}
    shorter |= {"send_email: 10, send_batch: 1": "send_email: 25"}
    room, ports = tmp_path_factory.mktemp("swept"), free_ports(2)
    scenario, out, (smtp_port, http_port) = room / "sweep.yaml", room / "run", ports
    scenario.write_text(shortened("field-sweep", shorter))
    with running_roundup(scenario, room / "home", smtp_port=smtp_port) as url:
        settings = {"base_url": url, "mail_sink": f"http://127.0.0.1:{http_port}", "smtp_port": smtp_port}
        pairs = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        done = spawned("run", scenario, "--target", "targets/roundup.yaml", *pairs, "--out", out, env=ENVIRON)
    assert done.returncode == 0, done.stderr
    return RunFolder(out), ports


def test_the_field_sweep_runs_on_roundup_and_every_script_is_found_by_its_token(swept):
    run, _ = swept
    info, samples, effects = run.read(), run.read_samples(), run.read_effects()
    saves = samples[samples["operation"].isin(["save_standard", "save_custom", "run_script"])]
    scripts = effects[effects["kind"] == "script"]
    once = set(scripts.loc[scripts["outcome"] == "once", "seq"])
    assert info.ledger.closes
    assert set(saves.loc[saves["outcome"] == "ok", "seq"]) <= once
    assert set(pd.unique(scripts["outcome"])) == {"once"}
    assert set(effects.loc[effects["kind"] == "value", "outcome"]) <= {"identical", "superseded"}
    assert set(samples["custom_fields"]) == {0, 10, 50, 200, 500}


def test_a_run_starts_the_sink_finds_each_mail_once_and_ends_the_sink(swept):
    run, ports = swept
    samples, effects = run.read_samples(), run.read_effects()
    sent = samples[(samples["operation"] == "send_email") & (samples["outcome"] == "ok")]
    mails = effects[effects["kind"] == "mail"]
    assert len(sent) > 3
    assert sorted(mails["seq"]) == sorted(sent["seq"])
    assert set(mails["outcome"]) == {"once"}
    assert all(map(is_free, ports))


def test_the_makefile_calls_what_is_tested_here():
    text = Path("Makefile").read_text()
    assert re.search(r"^demo:.*\n\t\$\(BIN\)/savepath demo ", text, re.MULTILINE)
    assert re.search(r"^test:.*\n\t\$\(BIN\)/python -m pytest", text, re.MULTILINE)

"""From files of other tools to a verdict, by way of the label map and the run folder."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from loadgen.run_folder import RunFolder
from savepath.cli import cli
from savepath.importing.folder import make_run, read_files
from savepath.importing.label_map import Meaning, load_label_map, own_names, parse_label_map
from scenarios.errors import InputError

HERE = Path(__file__).parent / "imported"
MAP = HERE / "cases.yaml"
AT_MS = 1_795_623_481_000
HOUR_MS = 3_600_000

SAVES = "labels: [{label: 'save {custom_fields} fields of {tenant}', operation: save_custom}]"


def jtl(path, at_ms, *, factor=1.0, n=60, label="save_custom", every_ms=100):
    """A JTL of ``n`` samples, lognormal without chance around 100 ms times ``factor``."""
    took_ms = 100 * factor * np.exp(0.3 * np.linspace(-1.96, 1.96, n)[(np.arange(n) * 17) % n])
    rows = [f"{at_ms + i * every_ms},{round(took)},{label},200,true" for i, took in enumerate(took_ms)]
    path.write_text("\n".join(["timeStamp,elapsed,label,responseCode,success", *rows]) + "\n")
    return path


def imported(tmp_path, path, name="run", label_map=None, tool="jtl"):
    out = tmp_path / name
    label_map = label_map or own_names()
    make_run(read_files(tool, [path], label_map), out, label_map, labels={})
    return out


def savepath(*words):
    """Exit code and all that was said."""
    done = CliRunner().invoke(cli, [str(word) for word in words], standalone_mode=False)
    if isinstance(done.exception, InputError):
        return 2, str(done.exception)
    assert done.exception is None, done.exception
    return done.return_value, done.output


def problems(text):
    with pytest.raises(InputError) as caught:
        parse_label_map(text, "map.yaml")
    return str(caught.value).splitlines()


def test_a_label_tells_the_cohort_and_the_tenant():
    found = parse_label_map(SAVES, "map.yaml").meaning_of("save 200 fields of acme (eu)")
    assert found == Meaning("save_custom", 200, "acme (eu)")


@pytest.mark.parametrize("label", ["save x fields of acme", "save 200 fields of ", "GET save 200 fields of acme"])
def test_a_label_matches_as_a_whole_or_not_at_all(label):
    assert parse_label_map(SAVES, "map.yaml").meaning_of(label) is None


def test_what_is_special_elsewhere_stands_for_itself_in_a_label():
    label_map = parse_label_map("labels: [{label: 'GET /a.b?c={id}*', operation: read_case}]", "map.yaml")
    assert label_map.meaning_of("GET /a.b?c={id}&d") == Meaning("read_case", 0, "")
    assert label_map.meaning_of("GET /axb?c={id}") is None


def test_the_first_entry_that_matches_counts():
    text = "labels: [{label: a*, operation: read_case}, {label: ab, operation: send_email}]"
    assert parse_label_map(text, "map.yaml").meaning_of("ab") == Meaning("read_case", 0, "")


def test_a_wrong_operation_is_told_with_its_place_and_what_was_meant():
    (said,) = problems("labels:\n  - label: a\n    operation: save_costum\n")
    assert said.startswith("map.yaml:3:16: labels[0].operation is 'save_costum'; expected read_case")
    assert said.endswith("(did you mean save_custom?)")


def test_a_misspelt_placeholder_is_told():
    assert problems("labels:\n  - {label: 'save {custom_field}', operation: save_custom}") == [
        "map.yaml:2:13: {custom_field} is no placeholder (did you mean custom_fields?)"
    ]


def test_a_label_without_a_cohort_among_others_is_no_tenant_without_fields():
    text = (
        "labels:\n  - {label: a, operation: save_custom, custom_fields: 5}\n  - {label: b, operation: read_case}\n"
    )
    (said,) = problems(text)
    assert said.startswith("map.yaml:3:5: labels[1].custom_fields is missing, though other labels tell theirs")


def test_times_in_the_run_folder_are_the_files_to_the_microsecond(tmp_path):
    path = tmp_path / "a.jtl"
    path.write_text("timeStamp,elapsed,label\n1795623481722,250,save_custom\n1795623481700,5,read_case\n")
    folder = RunFolder(imported(tmp_path, path))
    samples = folder.read_samples()
    assert samples["operation"].tolist() == ["read_case", "save_custom"]  # in the order of sending
    assert samples["scheduled_s"].tolist() == [0.0, 0.022]
    assert samples["sent_s"].tolist() == [0.0, 0.022]
    assert samples["done_s"].tolist() == [0.005, 0.272]
    assert folder.read().started_at == "2026-11-25T16:18:01.700+00:00"


def test_the_warm_up_lies_before_second_zero(tmp_path):
    label_map = parse_label_map("warmup_s: 2\nlabels: [{label: save_custom, operation: save_custom}]", "map.yaml")
    folder = RunFolder(imported(tmp_path, jtl(tmp_path / "a.jtl", AT_MS), label_map=label_map))
    assert folder.read_samples()["scheduled_s"].tolist()[0] == -2.0
    assert (folder.read().warmup_s, folder.read().duration_s) == (2.0, 3.9)


def test_the_run_says_what_it_lacks_and_what_was_left_out(tmp_path):
    path = jtl(tmp_path / "a.jtl", AT_MS)
    path.write_text(path.read_text() + f"{AT_MS},7,login,200,true\n" * 3)
    origin = RunFolder(imported(tmp_path, path)).read().origin
    assert (origin.tool, origin.lacks) == ("jtl", ("schedule", "generator", "cohorts", "effects"))
    assert origin.unmapped == {"login": 3}
    assert origin.notes == (
        "3 requests (4.8%) are left out, since the label map does not name their labels: 'login' 3.",
    )


def test_cohorts_are_not_lacking_where_labels_tell_them(tmp_path):
    path = jtl(tmp_path / "a.jtl", AT_MS, label="save 50 fields of acme")
    folder = RunFolder(imported(tmp_path, path, label_map=parse_label_map(SAVES, "map.yaml")))
    assert "cohorts" not in folder.read().origin.lacks
    assert set(folder.read_samples()["tenant"]) == {"acme"}
    assert set(folder.read_samples()["custom_fields"]) == {50}


def test_the_layout_of_the_map_does_not_change_its_digest_and_its_content_does():
    digests = [
        parse_label_map(text, "map.yaml").digest("jtl")
        for text in (SAVES, f"# a comment\n{SAVES}\n", SAVES.replace("of", "for"))
    ]
    assert digests[0] == digests[1] != digests[2]
    assert digests[0] != parse_label_map(SAVES, "map.yaml").digest("k6")


@pytest.mark.parametrize("breaks", ["1795623481000,x,save_custom,200,true\n", "cut off"])
def test_nothing_is_left_of_an_import_that_failed(tmp_path, breaks):
    path = jtl(tmp_path / "a.jtl", AT_MS)
    path.write_text(path.read_text() + breaks)
    with pytest.raises(InputError, match=r"a\.jtl:62"):
        imported(tmp_path, path)
    assert [one.name for one in tmp_path.iterdir()] == ["a.jtl"]


@pytest.mark.parametrize(
    ("at", "message"), [(1_795_623_481, "sent at 1970-01-21"), (10**30, "beyond the year 2262")]
)
def test_times_in_another_unit_are_told(tmp_path, at, message):
    path = tmp_path / "a.jtl"
    path.write_text(f"timeStamp,elapsed,label\n{at},5,save_custom\n")
    with pytest.raises(InputError, match=message):
        imported(tmp_path, path)


def test_nothing_is_left_where_the_samples_cannot_be_written(tmp_path):
    path = tmp_path / "a.jtl"
    rows = "".join(f"{AT_MS},5,save {n}\n" for n in range(2**15))
    path.write_text("timeStamp,elapsed,label\n" + rows)
    label_map = parse_label_map("labels: [{label: 'save {tenant}', operation: save_custom}]", "map.yaml")
    with pytest.raises(InputError, match="the labels tell 32,768 tenants; the most is 32,767"):
        imported(tmp_path, path, label_map=label_map)
    assert [one.name for one in tmp_path.iterdir()] == ["a.jtl"]


def test_a_folder_in_use_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").touch()
    code, said = savepath("import", "jtl", tmp_path / "missing.jtl", "--out", tmp_path / "run")
    assert code == 2
    assert "is there already and not empty" in said


@pytest.mark.parametrize(
    ("label", "kept"),
    [
        ("GET http://me:pl4nted@desk.test/a?b=1", "GET http://***@desk.test/a?b=1"),
        ("GET /a?access_token=pl4nted&b=1&apiKey=pl4nted", "GET /a?access_token=***&b=1&apiKey=***"),
        ("GET /a?token_count=3&author=me", "GET /a?token_count=3&author=me"),
        ("mail to a@b = c", "mail to a@b = c"),
    ],
)
def test_a_secret_in_a_label_that_is_a_url_is_neither_kept_nor_said(tmp_path, label, kept):
    path = jtl(tmp_path / "a.jtl", AT_MS, label=label)
    label_map = parse_label_map(f"labels: [{{label: '{kept}', operation: read_case}}]", "map.yaml")
    run = imported(tmp_path, path, label_map=label_map)
    whole = [file.read_bytes() for file in run.rglob("*") if file.is_file()]
    assert not any(b"pl4nted" in content for content in whole)
    code, said = savepath("import", "jtl", path, "--out", tmp_path / "run2")
    assert (code, f"{kept!r} 60" in said, "pl4nted" in said) == (2, True, False)


def test_labels_that_nobody_named_are_listed_with_what_to_do(tmp_path):
    path = jtl(tmp_path / "a.jtl", AT_MS, label="Save the case")
    code, said = savepath("import", "jtl", path, "--out", tmp_path / "run")
    assert code == 2
    assert "the label map names none of the labels found: 'Save the case' 60" in said
    assert "labels: [{label: 'Save the case', operation: ...}]" in said


def test_list_labels_counts_and_says_what_the_map_makes_of_each():
    _, said = savepath("import", "k6", HERE / "k6-before-1.json.gz", "--map", MAP, "--list-labels")
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "1 0 GET login -> left out" in lines
    assert [line for line in lines if line.endswith("POST save 200 fields -> save_custom, 200 custom fields")]


def test_an_entry_that_no_label_matched_is_told_with_the_one_that_was_meant(tmp_path):
    label_map = parse_label_map("labels:\n- {label: save_costum, operation: save_custom}", "map.yaml")
    assert label_map.unused(["save_custom"]) == [
        "map.yaml:2:11: no label matches 'save_costum' (did you mean save_custom?)"
    ]


@pytest.mark.parametrize(("tool", "ending"), [("k6", "json.gz"), ("locust", "csv.gz")])
def test_real_runs_of_a_target_that_became_slower_with_its_fields_are_escalated(tmp_path, tool, ending):
    for side in ("before", "after"):
        for number in (1, 2, 3):
            path = HERE / f"{tool}-{side}-{number}.{ending}"
            out = tmp_path / side / str(number)
            code, _ = savepath("import", tool, path, "--map", MAP, "--out", out)
            assert code in (0, None)
    code, said = savepath("compare", "--before", tmp_path / "before", "--after", tmp_path / "after")
    text = " ".join(said.split())
    assert code == 20, said
    assert "Saving custom fields became much slower" in text
    assert "tells when requests were sent, not when they were due" in text
    assert "nobody looked at what became of saves, scripts and e-mails" in text
    assert "fail" in text


def test_one_run_on_each_side_is_a_hold_that_needs_data(tmp_path):
    for number, factor in enumerate((1.0, 3.0)):
        imported(tmp_path, jtl(tmp_path / f"{number}.jtl", AT_MS + number * 60_000, factor=factor), f"run{number}")
    code, said = savepath("compare", "--before", tmp_path / "run0", "--after", tmp_path / "run1")
    text = " ".join(said.split())
    assert code == 10
    assert "one pair cannot tell a change from the noise between runs" in text


def test_alternating_runs_of_the_same_system_are_never_clear_but_say_what_was_not_looked_at(tmp_path):
    for number in range(12):
        factor = 1 + 0.01 * np.sin(7 * number)
        path = jtl(tmp_path / f"{number}.jtl", AT_MS + number * 120_000, factor=factor, n=120)
        imported(tmp_path, path, f"{'before' if number % 2 else 'after'}/{number}")
    code, said = savepath("compare", "--before", tmp_path / "before", "--after", tmp_path / "after")
    text = " ".join(said.split())
    assert code == 10, said
    assert "No required part became slower by 10 % or more, but not all that CLEAR claims was looked at" in text
    assert "integrity: nobody looked" in text
    assert "The label map gives no number of custom fields: whether times grow with them cannot be seen" in text


def test_results_of_two_tools_are_not_compared(tmp_path):
    first = imported(tmp_path, jtl(tmp_path / "a.jtl", AT_MS), "a")
    path = tmp_path / "b.csv"
    path.write_text("start_time,request_type,name,response_time,exception\n1795623481,,save_custom,12,\n")
    second = imported(tmp_path, path, "b", tool="locust")
    code, said = savepath("compare", "--before", first, "--after", second)
    assert code == 2
    assert "were not imported in the same way" in said


def test_the_parts_of_one_run_become_one_run_with_a_worker_each(tmp_path):
    files = [jtl(tmp_path / f"{i}.jtl", AT_MS + i) for i in range(2)]
    label_map = own_names()
    make_run(read_files("jtl", files, label_map), tmp_path / "run", label_map, labels={"release": "24.3"})
    folder = RunFolder(tmp_path / "run")
    assert folder.read_samples()["worker"].value_counts().to_dict() == {0: 60, 1: 60}
    assert folder.read().labels == {"release": "24.3"}


def test_the_map_of_the_tests_is_the_one_of_the_documentation():
    page = (HERE.parent.parent / "docs" / "importing.md").read_text()
    block = page.split("```yaml\n", 1)[1].split("```", 1)[0]
    assert parse_label_map(block, "docs").document == load_label_map(MAP).document

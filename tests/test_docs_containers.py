"""The containers that the documentation offers: commands that exist, names and secrets that are there."""

import itertools
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest
import yaml
from test_docs import ROOT, blocks

from savepath.cli import cli
from scenarios.library import load_scenario
from targets.mapping import load_target
from targets.safety import refuse_unsafe

DEPLOY = ROOT / "docs" / "deploy"


@dataclass
class Container:
    """What a container of either kind is."""

    name: str
    image: str
    words: list[str]
    number: int = 1
    secrets: set[str] = field(default_factory=set)  # variables that it is given
    mounts: dict[str, str] = field(default_factory=dict)  # by path: of which volume

    @property
    def said(self):
        """Its command as the command line reads it."""
        name, *rest = self.words
        context = click.Context(cli)
        return cli.get_command(context, name).make_context(name, rest, parent=context).params


def of_compose():
    """The containers, and under which names and ports they are found."""
    found = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    containers = [
        Container(
            name, one["image"], one["command"], one.get("deploy", {}).get("replicas", 1),
            {word.partition("=")[0] for word in one["environment"]},
            {word.split(":")[1]: word.split(":")[0] for word in one.get("volumes", [])},
        )
        for name, one in found["services"].items()
    ]  # fmt: skip
    assert {one.mounts["/runs"] for one in containers if one.mounts} == set(found["volumes"])
    return containers, None


def of_kubernetes():
    """The same of the Kubernetes file; a port must be that of a Service which finds a pod."""
    documents = list(yaml.safe_load_all((DEPLOY / "savepath-run.yaml").read_text()))
    pods = {}
    for one in documents:
        if one["kind"] in ("Deployment", "Job"):
            template = one["spec"]["template"]
            pods[template["metadata"]["labels"]["app"]] = one["spec"], template["spec"]
    containers, reached = [], set()
    for spec, pod in pods.values():
        (one,) = pod["containers"]
        program, *words = [*one["command"], *one.get("args", [])]
        assert program == "savepath"
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounts = {mount["mountPath"]: mount["name"] for mount in one["volumeMounts"]}
        assert set(mounts.values()) == volumes
        assert [source["secretRef"]["name"] for source in one["envFrom"]] == ["savepath-run"]
        secrets = {"SAVEPATH_TOKEN", "CASEDESK_KEY"}  # what the file says of that Secret
        containers.append(Container(one["name"], one["image"], words, spec.get("parallelism", 1), secrets, mounts))
    for one in documents:
        if one["kind"] == "Service":
            (port,) = one["spec"]["ports"]
            (container,) = pods[one["spec"]["selector"]["app"]][1]["containers"]
            (open_port,) = container["ports"]
            assert port["targetPort"] == open_port["name"]
            assert port["port"] == open_port["containerPort"]
            reached.add((one["metadata"]["name"], port["port"]))
    return containers, reached


KINDS = {"compose": of_compose(), "Kubernetes": of_kubernetes()}
ALL = [pytest.param(one, id=f"{kind}-{one.name}") for kind, (found, _) in KINDS.items() for one in found]


@pytest.fixture(params=KINDS)
def kind(request):
    """The containers by what they do, and the names under which they are found."""
    containers, reached = KINDS[request.param]
    return {one.words[0]: one for one in containers}, reached


@pytest.mark.parametrize("container", ALL)
def test_the_command_is_one_that_exists_and_is_given_the_secrets_that_it_names(container):
    said = container.said
    named = {said.get("token_env"), said.get("api_key_env")} - {None}
    assert named
    assert named <= container.secrets
    for path in (said.get("target"), said.get("out")):
        assert path is None or any(Path(path).is_relative_to(mount) for mount in container.mounts)


def test_the_workers_are_as_many_as_are_awaited_and_come_where_the_lead_listens(kind):
    by_command, reached = kind
    lead, worker = by_command["run"].said, by_command["worker"].said
    assert lead["workers"] == by_command["worker"].number
    assert (lead["listen"].host, lead["listen"].port) == ("0.0.0.0", worker["master"].port)
    where = (worker["master"].host, worker["master"].port)
    assert where in reached if reached else where[0] == by_command["run"].name


def test_the_target_is_the_desk_that_is_started_there(kind):
    by_command, reached = kind
    desk = by_command["desk"].said
    host, port = dict(by_command["run"].said["settings"])["base_url"].removeprefix("http://").split(":")
    assert (desk["host"], desk["port"]) == ("0.0.0.0", int(port))
    assert (host, int(port)) in reached if reached else host == by_command["desk"].name


def test_all_are_of_one_image_which_one_of_them_builds():
    assert [len({one.image for one in found}) for found, _ in KINDS.values()] == [1, 1]
    built = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["desk"]["build"]
    context = (DEPLOY / built["context"]).resolve()
    assert (context, (context / built["dockerfile"]).is_file()) == (ROOT, True)


def test_the_mapping_that_the_page_makes_is_accepted_for_a_desk_on_another_machine(tmp_path):
    block = next(one for one in blocks(ROOT / "docs" / "workers.md", "sh") if "docker compose" in one)
    lines = block.replace("\\\n", " ").splitlines()
    (tmp_path / "targets").symlink_to(ROOT / "targets")
    making = [line for line in lines if not line.startswith(("docker", "export"))]
    subprocess.run(["sh", "-euc", "\n".join(making)], cwd=tmp_path, check=True)
    target = load_target(str(tmp_path / "docs/deploy/config/target.yaml"), {"base_url": "http://desk:8700"})
    refuse_unsafe(target, load_scenario("field-sweep").tenant_keys, production=False)
    assert (target.environment, target.auth.header.value_env) == ("test", "CASEDESK_KEY")


def instructions(name):
    """What follows this instruction of the Dockerfile, line by line."""
    return re.findall(rf"^{name} (.*)$", (DEPLOY / "Dockerfile").read_text(), re.M)


def test_the_image_is_built_of_files_that_are_there_and_of_all_that_the_package_needs():
    copied = set(itertools.chain.from_iterable(line.split()[:-1] for line in instructions("COPY")))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {"pyproject.toml", project["project"]["readme"], "requirements.txt", "requirements-build.txt"}
    assert copied == needed | set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert [name for name in copied if not (ROOT / name).exists()] == []
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    assert ignored[0] == "*"
    assert {name.removeprefix("!") for name in ignored if name.startswith("!")} >= {
        re.sub(r"requirements.*", "requirements*.txt", name) for name in copied
    }
    assert instructions("ENTRYPOINT") == ['["savepath"]']
    assert "savepath" in project["project"]["scripts"]
    assert instructions("USER") == ["10001"]


def test_kubernetes_validate_finds_nothing_wrong():
    pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not here; pip install it")
    files = sorted(map(str, DEPLOY.glob("savepath-*.yaml")))
    done = subprocess.run(
        [sys.executable, "-m", "kubernetes_validate", "--strict", *files],
        capture_output=True, text=True, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr

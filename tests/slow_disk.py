"""A disk that can be made slow under a real system: an LD_PRELOAD shim, compiled where it is used.

    with slow_disk() as disk:
        subprocess.Popen(server, env={**os.environ, **disk.environment})
        disk.set_delay(sync_ms=20)

The delay may be changed at any time. Before each use a small child measures it: an injector that
does nothing is an error, not a fast system. Reaches what calls libc: Python, SQLite, PostgreSQL; a
statically linked program (PocketBase) calls the kernel itself and is not slowed.
"""

from __future__ import annotations

import mmap
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("slow_disk.c")
_COMPILE_S: Final = 60
_CALLS: Final = 5
#: Prints the milliseconds that each of some calls took; the file is where the systems' files are.
_CALIBRATE: Final = """\
import os, sys, tempfile, time
with tempfile.TemporaryFile(dir=sys.argv[1]) as file:
    for call in (os.fsync, os.fdatasync, lambda fd: os.write(fd, b"x"), lambda fd: os.pwrite(fd, b"x", 0)):
        for _ in range(int(sys.argv[2])):
            started = time.perf_counter()
            call(file.fileno())
            print(1000 * (time.perf_counter() - started))
"""


class DeadInjectorError(AssertionError):
    """The delay that was asked for does not arrive."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What calls take under the shim, medians in milliseconds, the disk's own time included."""

    fsync_ms: float
    fdatasync_ms: float
    write_ms: float
    pwrite_ms: float


class SlowDisk:
    """The shim and its delays. ``environment`` is for the system under test."""

    def __init__(self, shim: Path, shared: Path) -> None:
        self.environment = {"LD_PRELOAD": str(shim), "SLOW_DISK": str(shared)}
        self._folder = shared.parent
        with shared.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)

    @property
    def slowed(self) -> int:
        """How many calls have been slowed so far, the calibrations included."""
        (count,) = struct.unpack_from("q", self._memory, 16)
        return int(count)

    def set_delay(self, *, sync_ms: float = 0, write_ms: float = 0) -> Calibration:
        """Make every sync, and every write to a file, take so much longer from now on.

        Measured at once. Raises DeadInjectorError if a call is shorter than what was asked for.
        """
        struct.pack_into("qq", self._memory, 0, round(sync_ms * 1000), round(write_ms * 1000))
        found = self.calibrate()
        wanted = Calibration(sync_ms, sync_ms, write_ms, write_ms)
        for name in Calibration.__slots__:
            if getattr(found, name) < getattr(wanted, name):
                raise DeadInjectorError(
                    f"{name.removesuffix('_ms')} takes {getattr(found, name):.2f} ms, "
                    f"but {getattr(wanted, name):g} ms were to be added"
                )
        return found

    def calibrate(self) -> Calibration:
        """What the calls take now, by a child that makes them under the shim."""
        child = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _CALIBRATE, str(self._folder), str(_CALLS)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_COMPILE_S,
            check=True,
        )
        took = [float(line) for line in child.stdout.split()]
        return Calibration(*(statistics.median(took[i : i + _CALLS]) for i in range(0, len(took), _CALLS)))

    def close(self) -> None:
        """Take every delay away, then let go."""
        struct.pack_into("qq", self._memory, 0, 0, 0)
        self._memory.close()


def obstacle() -> str:
    """Why there can be no slow disk here, or nothing."""
    if not sys.platform.startswith("linux"):
        return "LD_PRELOAD is Linux's"
    return "" if shutil.which("gcc") else "gcc is not there to compile the slow disk"


@contextmanager
def slow_disk() -> Iterator[SlowDisk]:
    """A disk as fast as ever, until ``set_delay``. Raises DeadInjectorError if gcc cannot make the shim."""
    with tempfile.TemporaryDirectory(prefix="slow-disk-") as room:
        # Others may map it: PostgreSQL runs as a user of its own.
        Path(room).chmod(0o755)
        shim, shared = Path(room) / "slow_disk.so", Path(room) / "delays"
        words = [
            "gcc",
            "-shared",
            "-fPIC",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-o",
            str(shim),
            str(SOURCE),
            "-ldl",
        ]
        made = subprocess.run(words, capture_output=True, text=True, timeout=_COMPILE_S, check=False)
        if made.returncode:
            raise DeadInjectorError(f"gcc: {made.stderr}")
        shared.write_bytes(bytes(24))
        shared.chmod(0o666)
        disk = SlowDisk(shim, shared)
        try:
            yield disk
        finally:
            disk.close()


def with_shim(disk: SlowDisk) -> dict[str, str]:
    """This process's environment with the shim in it."""
    return {**os.environ, **disk.environment}

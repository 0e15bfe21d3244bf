"""No failed allocation ends the process. tests/soak/allocations.py fails all of them in turn."""

import os
import platform
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="replaces the malloc of glibc"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler"),
    pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="asan has its own"),
]

ALLOCATIONS = Path(__file__).parents[2] / "soak" / "allocations.py"
# Together these reach the faults of pybind11 that docs/reliability.md lists.
DANGEROUS = ["loss", "scopes", "construct, a new class", "refused: no argument"]


@pytest.mark.parametrize(
    ("operations", "one_in"),
    [(DANGEROUS, 4), pytest.param([], 20, marks=pytest.mark.sweep, id="all")],
)
def test_no_failed_allocation_ends_the_process(operations, one_in):
    pytest.importorskip("_testcapi")
    seed = random.randrange(10**6)
    command = [sys.executable, str(ALLOCATIONS), f"--one-in={one_in}", f"--seed={seed}"]
    command += [f"--only={operation}" for operation in operations]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    print(*command)
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr

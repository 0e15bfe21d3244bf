"""Where the system refuses threads, calls run on the threads there are, with the same bits."""

import os
import subprocess
import sys
import textwrap

import pytest

import fastmlp

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux"),
    pytest.mark.skipif(not fastmlp._core.has_openmp(), reason="this build runs on one thread"),
    pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="asan maps terabytes"),
]

PROGRAM = """
import os, resource, threading, time
os.environ |= {"FASTMLP_MIN_WORK": "0", "OPENBLAS_NUM_THREADS": "1"}
import numpy as np
import fastmlp

fastmlp.set_num_threads(1)
network = fastmlp.Network([64, 64, 1], seed=0)
X = np.linspace(-1, 1, 600 * 64, dtype=np.float32).reshape(600, 64)

def team(size):
    fastmlp.set_num_threads(size)
    assert network.forward(X).tobytes() == expected
    return fastmlp._core._last_team_size()

def limit(what, soft):
    resource.setrlimit(what, (soft, resource.getrlimit(what)[1]))

def allow_memory(more):
    now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    limit(resource.RLIMIT_AS, now + more)

expected = network.forward(X).tobytes()
"""


def run(code: str, **environment: str) -> list[int]:
    """The numbers that a program in its own process prints; an empty list if it exits with 77."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + textwrap.dedent(code)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (0, 77), done.stderr
    return [int(number) for number in done.stdout.split()]


def test_too_little_memory_for_stacks_makes_smaller_teams_for_a_while():
    first, other_thread, soon, later = run("""
        allow_memory(30 << 20)
        print(team(8))
        def on_another_thread():
            print(team(8))
        allow_memory(30 << 20)
        thread = threading.Thread(target=on_another_thread)
        thread.start()
        thread.join()
        limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)
        print(team(8))
        time.sleep(1.1)
        print(team(8))
    """)
    assert 1 < first < 8
    assert 1 <= other_thread < 8
    assert soon == first, "a second trial comes after a second"
    assert later == 8


def test_the_stacks_that_are_tried_are_those_of_openmp():
    (small,) = run("allow_memory(100 << 20); print(team(4))", OMP_STACKSIZE="2 m")
    (large,) = run("allow_memory(100 << 20); print(team(4))", OMP_STACKSIZE="40000")
    assert small == 4
    assert 1 <= large < 4


def test_a_limit_on_the_number_of_threads_makes_smaller_teams():
    sizes = run("""
        try:
            os.setresuid(54321, 54321, 54321)  # the limit is not for root
        except OSError:
            raise SystemExit(77)
        limit(resource.RLIMIT_NPROC, 3)
        for size in (2, 8, 3, 8):
            print(team(size))
    """)
    if not sizes:
        pytest.skip("only root can become a user without other processes")
    assert sizes == [2, 3, 3, 3]

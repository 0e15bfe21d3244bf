"""The long tests: `python tests/soak/run.py [PART ...]`, by default all of them, about two hours.

Start it with the Python that fastmlp[test] is installed for. Each part is a command; what it prints
goes to build/soak/PART.log, and its last line to the terminal. README.md says what each part needs.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "build" / "soak"
PYTHON = sys.executable

PARTS = {
    "end": [PYTHON, "tests/python/runtime/test_end_of_process.py", "200"],
    "kills": [PYTHON, "tests/python/training/test_checkpoint.py", "200"],
    "memory": [PYTHON, "tests/soak/memory.py"],
    "allocations": [PYTHON, "tests/soak/allocations.py"],
    "objects": [PYTHON, "tests/python/helpers/abuse.py", "1000", "1"],
    "fuzzing": ["tests/soak/fuzzing.sh"],
    "asan": ["tests/soak/asan.sh"],
    "systems": [PYTHON, "tests/check_systems.py"],
}


def run(name: str) -> bool:
    """Run one part; return whether it passed."""
    log, start = LOGS / f"{name}.log", time.monotonic()
    with log.open("w") as file:
        done = subprocess.run(
            PARTS[name],
            cwd=ROOT,
            env=os.environ | {"PYTHON": PYTHON},  # for the scripts of the shell
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    last = (log.read_text(errors="replace").split("\n")[-2:-1] or [""])[0]
    state = "passed" if done.returncode == 0 else f"FAILED ({done.returncode})"
    print(f"{name}: {state} in {time.monotonic() - start:.0f} s; {last}", flush=True)
    return done.returncode == 0


def main() -> int:
    names = sys.argv[1:] or list(PARTS)
    if unknown := set(names) - set(PARTS):
        print(f"{', '.join(sorted(unknown))}: unknown; the parts are {', '.join(PARTS)}")
        return 2
    LOGS.mkdir(parents=True, exist_ok=True)
    passed = [run(name) for name in names]
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main())

"""CI runs the commands that the README gives; no wheel is built that is not safe."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CI = ROOT / ".ci" / "run"


def commands_in_readme(readme: str) -> list[str]:
    """The lines of shell blocks that install packages or make an environment."""
    blocks = re.findall(r"(?ms)^```sh\n(.*?)^```", readme)
    lines = "".join(blocks).splitlines()
    return [line for line in lines if re.match(r"sudo apt install |python3 -m venv ", line)]


def commands_in_ci(script: str) -> list[str]:
    """What `.ci/run` assigns to the variables that end in `_command`."""
    return [line[1] for line in re.finditer(r"""(?m)^\w+_command=["'](.*)["']$""", script)]


@pytest.mark.skipif(not CI.is_file(), reason="the sdist leaves .ci out")
def test_ci_runs_the_commands_of_the_readme():
    found = commands_in_ci(CI.read_text(encoding="utf-8"))
    assert len(found) == 3
    assert sorted(found) == sorted(commands_in_readme((ROOT / "README.md").read_text("utf-8")))


@pytest.mark.skipif(not CI.is_file(), reason="the sdist leaves .ci out")
def test_ci_runs_the_sweep():
    assert re.search(r"(?m)^\S+ -m pytest -m sweep$", CI.read_text(encoding="utf-8"))


def test_wheels_for_python_without_the_gil_run_the_tests_of_threads():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    cibuildwheel = settings["tool"]["cibuildwheel"]
    built = {names for names in cibuildwheel["build"].split() if re.search(r"\dt-", names)}
    tested = {
        part["select"]
        for part in cibuildwheel["overrides"]
        if "tests/python/runtime" in part.get("test-command", "")
    }
    assert built == tested == {"cp314t-*"}

"""The code on the page "Works with" runs (packages: serving.txt)."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastmlp

pytestmark = pytest.mark.client
DOCS = Path(__file__).parents[3] / "docs"
NEEDS = re.search("needs: (.+) -->", (DOCS / "works_with.md").read_text(encoding="utf-8"))
assert NEEDS is not None
for package in NEEDS[1].split():
    if importlib.util.find_spec(package) is None:  # pytest then fails, having run nothing
        pytest.skip(f"{package} is not installed", allow_module_level=True)


def test_the_recipes_run(tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(Path(fastmlp.__file__).parents[1]),
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_TRACKING_URI": (tmp_path / "runs").as_uri(),
    }
    command = [sys.executable, "-W", "ignore", str(DOCS / "check_examples.py"), "works_with"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "outputs as the page says" in run.stdout

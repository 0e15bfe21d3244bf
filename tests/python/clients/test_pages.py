"""The code on the pages about other libraries runs, and prints what the pages say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastmlp

pytestmark = pytest.mark.client
os.environ.setdefault("KERAS_BACKEND", "jax")
for package in ("torch", "jax", "keras", "onnx", "onnxruntime"):
    pytest.importorskip(package)  # of the whole file: pytest then fails, having run nothing
DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("page", ["arrays", "autograd", "from_keras", "from_pytorch", "onnx"])
def test_the_code_of_a_page_runs(tmp_path: Path, page: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(fastmlp.__file__).parents[1])}
    command = [sys.executable, "-W", "ignore", str(DOCS / "check_examples.py"), page]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "as the page says" in run.stdout

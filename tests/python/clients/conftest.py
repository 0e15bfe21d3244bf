"""Only `pytest -m client` imports these tests: an import alone starts the threads of JAX."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if config.option.markexpr in ("client", "") else True

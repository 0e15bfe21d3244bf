"""Mark parameters of a test as part of the sweep, which a plain `pytest` leaves out."""

from typing import Any

import pytest


def sweep(*values: Any) -> Any:
    """One set of parameters for `pytest.mark.parametrize` that belongs to the sweep."""
    return pytest.param(*values, marks=pytest.mark.sweep)

"""A registration with another library runs when that library is imported, before or after us."""

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

from fastmlp._when_imported import when_imported


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The name of a module that can be imported, and the registrations made with it."""
    (tmp_path / "a_library.py").write_text("value = 1\n")
    (tmp_path / "broken_library.py").write_text("raise ImportError('broken')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield
    sys.modules.pop("a_library", None)


def test_it_runs_once_after_the_import(library: Any) -> None:
    calls: list[int] = []
    finders = list(sys.meta_path)
    when_imported("a_library", lambda: calls.append(sys.modules["a_library"].value))
    assert calls == []
    assert importlib.util.find_spec("a_library") is not None
    assert calls == []
    module = importlib.import_module("a_library")
    assert calls == [1]
    assert inspect.getsource(module) == "value = 1\n"
    assert sys.meta_path == finders


def test_it_runs_at_once_if_the_library_is_there(library: Any) -> None:
    importlib.import_module("a_library")
    calls: list[int] = []
    when_imported("a_library", lambda: calls.append(1))
    assert calls == [1]


def test_an_error_is_a_warning(library: Any) -> None:
    when_imported("a_library", lambda: [][0])
    with pytest.warns(UserWarning, match="not register itself with a_library: IndexError"):
        assert importlib.import_module("a_library").value == 1


@pytest.mark.parametrize("name", ["broken_library", "no_such_library"])
def test_a_failing_import_fails_as_before(library: Any, name: str) -> None:
    calls: list[int] = []
    when_imported(name, lambda: calls.append(1))
    with pytest.raises(ImportError, match=r"broken|No module named 'no_such_library'"):
        importlib.import_module(name)
    assert calls == []

"""Calls a function when another library is imported: now, if it has been, or later.

So fastmlp registers itself with a library that may be imported before it or after it, and loads
nothing itself. Start reading at `when_imported`.
"""

from __future__ import annotations  # `import fastmlp` loads no more modules for annotations

import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def when_imported(name: str, register: Callable[[], None]) -> None:
    """Call `register` when the module `name` is imported; at once, if it has been.

    If `register` fails, because that library has changed, there is a warning: neither import fails.
    """
    if name in sys.modules:
        attempt(name, register)
    else:
        watcher: Any = Watcher(name, register)
        sys.meta_path.insert(0, watcher)


class Watcher:
    """Finds one module as the other finders do, and adds a call to the end of its import."""

    def __init__(self, name: str, register: Callable[[], None]) -> None:
        self.name = name
        self.register = register

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Return the module's spec, whose loader calls `register` after it has run the module."""
        if fullname != self.name:
            return None
        others = (finder for finder in list(sys.meta_path) if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            run = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                if module.__name__ == self.name and self in sys.meta_path:
                    sys.meta_path.remove(self)
                    attempt(self.name, self.register)

            loader.exec_module = exec_module
        return spec


def attempt(name: str, register: Callable[[], None]) -> None:
    """Call `register`; turn an error into a warning."""
    try:
        register()
    except Exception as error:
        warnings.warn(f"fastmlp could not register itself with {name}: {error!r}", stacklevel=2)

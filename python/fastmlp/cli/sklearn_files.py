"""Estimators of scikit-learn in files of skops and in pickles. Start at `load_estimator`."""

import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastmlp.cli.errors import CommandError
from fastmlp.network import Network

ENDINGS = {".joblib", ".pickle", ".pkl"}  # of pickles, which may be compressed: .joblib.gz
# What a file of skops may hold beside the types that skops itself trusts.
TRUSTED = {
    "fastmlp.sklearn.estimators.MLPClassifier",
    "fastmlp.sklearn.estimators.MLPRegressor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
}


def load_estimator(path: str, trust_pickle: bool) -> Network | None:
    """Return the network of an estimator in a file; None if the file is of another kind."""
    with open(path, "rb") as file:
        start = file.read(9)
    if start[8:] == b"{":  # a safetensors file
        return None
    if start.startswith(b"PK") and _is_skops(path):
        return _converted(path, _from_skops)
    if start[:1] != b"\x80" and not ENDINGS.intersection(Path(path).suffixes):
        return None
    if not trust_pickle:
        raise CommandError(
            f"{path} is a pickle, which can run any code while it is read; add --trust-pickle if "
            "you trust its source, or save the estimator with skops.io.dump"
        )
    return _converted(path, _from_pickle)


def _is_skops(path: str) -> bool:
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        return "schema.json" in archive.namelist()
    return False


def _from_skops(path: str) -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise CommandError(f"{path} is a file of skops: pip install skops") from error
    untrusted = skops.io.get_untrusted_types(file=path)
    if unknown := [name for name in untrusted if name not in TRUSTED]:
        raise CommandError(
            f"{path} holds {', '.join(unknown)}, which may not be safe to load; if you trust its "
            "source, load it in Python and use Network.from_sklearn"
        )
    return skops.io.load(path, trusted=untrusted)


def _from_pickle(path: str) -> Any:
    try:
        import joblib
    except ImportError as error:
        raise CommandError("a pickle of scikit-learn: pip install 'fastmlp[sklearn]'") from error
    return joblib.load(path)


def _converted(path: str, load: Callable[[str], Any]) -> Network:
    try:
        estimator = load(path)
    except (CommandError, MemoryError):
        raise
    except Exception as error:  # a damaged file, a class that is not installed …
        raise CommandError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    try:
        return Network.from_sklearn(estimator)
    except (TypeError, ValueError) as error:
        raise CommandError(f"{path}: {str(error).removeprefix('from_sklearn: ')}") from error

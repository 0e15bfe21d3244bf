"""The private names of scikit-learn: all listed, and present in every supported version."""

import ast
import inspect
import os
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sklearn
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

import fastmlp
import fastmlp.sklearn
from fastmlp.sklearn import _private

FOLDER = Path(fastmlp.sklearn.__file__).parent
ROOT = Path(__file__).parents[3]


def other_modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(FOLDER.glob("*.py")):
        if path.name != "_private.py":
            yield path.name, ast.parse(path.read_text(encoding="utf-8"))


def test_private_names_are_imported_in_one_file_only() -> None:
    for name, tree in other_modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
                full = [f"{node.module}.{alias.name}" for alias in node.names]
                private = [n for n in full if "._" in n or n.startswith("sklearn.callback")]
                assert not private, f"{name}:{node.lineno}: import {private} from _private.py"


def names_in(tree: ast.AST) -> set[str]:
    """The attributes that code uses, and the methods and attributes that its classes define."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) != "np":
            found.add(node.attr)
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Constant):  # as getattr takes it
            found.add(str(node.value))
    return found


def test_every_private_name_that_is_used_is_listed() -> None:
    callbacks = {*_private.CALLBACK_NAMES, *_private.CONTEXT_NAMES}
    listed = {*_private.METHODS, *_private.ATTRIBUTES}
    theirs = _private.names_used_by(MLPClassifier) | _private.names_used_by(MLPRegressor)
    used = set().union(*(names_in(tree) for _, tree in other_modules()))
    assert {name for name in used & theirs if re.match("_[a-z]", name)} <= listed | callbacks
    assert listed | callbacks <= used  # or the list has an entry too many


@pytest.mark.parametrize(
    ("own", "theirs", "names"),
    [
        ("NativeSGD", SGDOptimizer, _private.SGD_NAMES),
        ("NativeAdam", AdamOptimizer, _private.ADAM_NAMES),
    ],
)
def test_every_name_of_an_optimizer_is_listed(own: str, theirs: type, names: Any) -> None:
    tree = dict(other_modules())["_stochastic.py"]
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "est._optimizer"
    }
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in (own, "NativeOptimizer"):
            used |= names_in(node)
    listed = {*names, *_private.SHARED_BY_OPTIMIZERS}
    shared = {name for name in used & _private.names_used_by(theirs) if name[:2] != "__"}
    assert shared == listed


def import_private() -> None:
    runpy.run_path(str(FOLDER / "_private.py"))


def test_the_installed_version_has_every_name() -> None:
    import_private()


@pytest.mark.parametrize(
    ("place", "name", "lacking"),
    [
        (
            BaseMultilayerPerceptron,
            "_init_coef",
            "MLPClassifier._init_coef(fan_in, fan_out, dtype)",
        ),
        (MLPRegressor, "_score", "MLPRegressor._score(X, y, sample_weight)"),
        (SGDOptimizer, "trigger_stopping", "SGDOptimizer.trigger_stopping"),
        (sklearn.utils.validation, "_check_sample_weight", "cannot import name '_check_sample_"),
        (sklearn.utils._param_validation, "Interval", "cannot import name 'Interval'"),
    ],
)
def test_a_missing_name_is_an_error_that_names_the_supported_versions(
    place: Any, name: str, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for holder in (place, *getattr(place, "__mro__", ())[1:]):
        if name in vars(holder):
            monkeypatch.delattr(holder, name)
    with pytest.raises(ImportError) as error:
        import_private()
    message = str(error.value)
    assert message.startswith("fastmlp.sklearn supports scikit-learn 1.7 to 1.9; the installed ")
    assert sklearn.__version__ in message
    assert lacking in message
    assert message.endswith(f"pip install '{_private.REQUIREMENT}'")


def test_a_method_with_other_parameters_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(self: Any, X: Any, y: Any, sample_weight: Any, callback: Any) -> None: ...

    monkeypatch.setattr(BaseMultilayerPerceptron, "_fit_stochastic", changed)
    with pytest.raises(ImportError, match=r"lacks MLPClassifier\._fit_stochastic\(X, y, sample"):
        import_private()


def test_a_missing_attribute_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = BaseMultilayerPerceptron._fit_stochastic

    def without_an_optimizer(self: Any, *others: Any) -> None: ...

    without_an_optimizer.__signature__ = inspect.signature(theirs)  # type: ignore[attr-defined]
    monkeypatch.setattr(BaseMultilayerPerceptron, "_fit_stochastic", without_an_optimizer)
    with pytest.raises(ImportError, match=r"lacks MLPClassifier\._optimizer, MLPRegressor\._opt"):
        import_private()


def test_an_older_version_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sklearn, "__version__", "1.6.1")
    with pytest.raises(ImportError, match=r"1\.7 to 1\.9; the installed 1\.6\.1 is older"):
        import_private()


def test_the_import_of_the_estimators_checks_the_version() -> None:
    code = (
        "from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron\n"
        "del BaseMultilayerPerceptron._unpack\n"
        "try:\n    import fastmlp.sklearn\n"
        "except ImportError as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "lacks MLPClassifier._unpack(packed_parameters)" in run.stdout


def test_the_package_asks_for_the_supported_versions() -> None:
    lowest, newest = _private.LOWEST, _private.NEWEST
    bounds = f">={lowest[0]}.{lowest[1]},<{newest[0]}.{newest[1] + 1}"
    assert f"scikit-learn{bounds}" == _private.REQUIREMENT
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra, packages in extras["optional-dependencies"].items():
        for package in packages:
            if package.startswith("scikit-learn"):
                assert package == _private.REQUIREMENT, extra


SHORT_FITS = """
import sys
import numpy as np
import sklearn, sklearn.neural_network as theirs
import fastmlp.sklearn as ours
assert sklearn.__version__.startswith(sys.argv[1]), sklearn.__version__
X = np.random.RandomState(0).normal(size=(60, 4))
for name, y in (("MLPClassifier", X[:, 0] > 0), ("MLPRegressor", X[:, 0])):
    for solver in ("sgd", "adam", "lbfgs"):
        stops = solver != "lbfgs"
        for settings in ({}, {"early_stopping": stops}, {"warm_start": True}):
            settings = {**settings, "solver": solver, "max_iter": 4, "random_state": 0}
            settings["hidden_layer_sizes"] = (5, 3)
            a, b = (getattr(m, name)(**settings) for m in (theirs, ours))
            for _ in range(2):
                a.fit(X, y, sample_weight=np.ones(60)), b.fit(X, y, sample_weight=np.ones(60))
                if stops and not settings.get("early_stopping"):
                    a.partial_fit(X, y), b.partial_fit(X, y)
                for p, q in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_):
                    np.testing.assert_allclose(q, p, rtol=1e-5, atol=1e-8)
                np.testing.assert_allclose(b.predict(X), a.predict(X), rtol=1e-5)
print("fitted with", sklearn.__version__)
"""


def version_text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


# Python 3.14 has no wheel of the first release.
FIRST = "0" if sys.version_info < (3, 14) else "*"


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("series", "release"), [(_private.LOWEST, FIRST), (_private.NEWEST, "*")], ids=str
)
def test_the_estimators_work_with(series: tuple[int, int], release: str, tmp_path: Path) -> None:
    """Importing them checks all private names; then both are fitted with every solver."""
    wanted = f"scikit-learn=={version_text(series)}.{release}"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    pip += ["--no-deps", "--only-binary", ":all:", "--target", str(tmp_path), wanted]
    subprocess.run(pip, check=True)
    package = Path(fastmlp.__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(package)])}
    command = [sys.executable, "-W", "ignore", "-c", SHORT_FITS, version_text(series) + "."]
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"fitted with {version_text(series)}." in run.stdout

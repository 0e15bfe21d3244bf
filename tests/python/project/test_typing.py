"""A user's script passes mypy strict, mypy sees mistakes in another one; the stubs are right."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastmlp

RIGHT = '''
"""Train, compare with the twin, save and load."""

import sys
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import fastmlp
from fastmlp import SGD, EarlyStopping, History, Network, ops, reference


def stop_early(network: Any, epoch: int, logs: dict[str, float]) -> bool:
    print(epoch, logs["loss"], logs.get("val_loss"))
    return logs["loss"] < 1e-3


def train(X: NDArray[np.float64], y: NDArray[np.int64]) -> Network:
    net = Network([3, 8, 1], hidden="tanh", output="sigmoid", dtype="float64", seed=0)
    history = net.fit(X, y, epochs=2, batch_size=8, learning_rate=0.1)
    assert_type(history, History)
    assert_type(history.loss, list[float])
    assert_type(history.epochs, int)
    net.fit(
        X,
        y,
        epochs=3,
        optimizer=SGD(learning_rate=0.05),
        sample_weight=np.ones(len(X)),
        validation_data=(X, y),
        early_stopping=EarlyStopping(2, min_delta=1e-4),
        callbacks=[stop_early],
        seed=np.random.default_rng(1),
    )
    assert_type(net.loss(X, y), float)
    assert_type(net.loss_and_gradients(X, y), float)
    assert_type(net.step(X[:4], y[:4], 0.1), float)
    assert_type(net.seed, int)
    for W, b in zip(net.weights, net.biases, strict=True):
        print(W.shape, b.shape, W.dtype)
    net.parameters[:] = net.parameters - 0.1 * net.gradients
    return net


def agrees_with_the_twin(net: Network, X: NDArray[np.float64], y: NDArray[np.int64]) -> bool:
    twin = reference.Network(net.layers, hidden=net.hidden, dtype=net.dtype, seed=net.seed)
    twin.parameters[:] = net.parameters
    assert_type(twin.fit(X, y, epochs=1, shuffle=False), History)
    net.fit(X, y, epochs=1, shuffle=False)
    return bool(np.allclose(net.parameters, twin.parameters))


def operations() -> None:
    A = np.ones((2, 3))
    out = np.empty((2, 2))
    ops.matmul(A, A.T, out=out)
    dZ = ops.relu_backward(np.ones((2, 2)), ops.relu(out))
    ops.sigmoid_backward(dZ, ops.sigmoid(out))
    print(dZ.sum(), ops.binary_cross_entropy(out, np.ones((2, 2))))
    ops.sgd_update(out, dZ, 0.1)


def main(path: str) -> None:
    X = np.random.default_rng(0).normal(size=(32, 3))
    y = np.asarray(X[:, 0] > 0, dtype=np.int64)
    fastmlp.set_num_threads(2)
    with fastmlp.threads(1):
        net = train(X, y)
    assert_type(fastmlp.get_num_threads(), int)
    assert_type(fastmlp.isa(), str)
    assert agrees_with_the_twin(net, X, y)
    operations()
    net.save(path)
    loaded = Network.load(path)
    assert_type(loaded, Network)
    assert np.array_equal(loaded.predict(X), net.predict(X))
    assert np.array_equal(loaded.forward([[0.0, 1.0, 2.0]]), net.forward([[0.0, 1.0, 2.0]]))


if __name__ == "__main__":
    main(sys.argv[1])
'''

# A line that is wrong ends with the code of the error that mypy must give there.
WRONG = """
import numpy as np
import fastmlp
from fastmlp import SGD, Network, ops, reference

X, y = np.ones((4, 3)), np.ones(4)
net = Network([3, 1], hiden="relu")  # call-arg
net = Network()  # call-arg
net.fit(X, y)  # call-arg
net.fit(X, y, 10)  # call-arg
history = net.fit(X, y, epochs=1)
history.losses  # attr-defined
net.fit(X, y, epochs=1, optimizer=0.1)  # arg-type
name: str = net.loss(X, y)  # assignment
net.step(X, y)  # call-arg
net.n_parameters = 3  # misc
net.wieghts  # attr-defined
SGD(learning_rate="fast")  # arg-type
SGD().momentum = 0.5  # assignment
share: str = SGD().momentum  # assignment
ops.relu()  # call-arg
ops.matmul(X, X.T, out=[1.0])  # arg-type
fastmlp.set_num_threads("4")  # arg-type
with fastmlp.threads():  # call-arg
    pass
reference.Network([3, 1]).fit(X, y)  # call-arg
Network.load(3)  # arg-type
"""


# pybind11's metaclass has no stub.
STUBTEST_ALLOWS = """
fastmlp\\._core\\.(Network|Objective|Optimizer|Scope)
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scripts")
    (folder / "right.py").write_text(RIGHT.lstrip(), encoding="utf-8")
    (folder / "wrong.py").write_text(WRONG.lstrip(), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def errors(scripts: Path) -> dict[str, set[tuple[int, str]]]:
    """Per script the (line, code) of mypy's errors; one run for both, since a run takes long."""
    environment = dict(os.environ)
    package = Path(fastmlp.__file__).parent.parent
    if package.name != "site-packages":  # an editable install, which mypy does not follow
        environment["MYPYPATH"] = str(package)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache"]
    run = subprocess.run(
        [*command, "right.py", "wrong.py"],
        cwd=scripts,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode in (0, 1), run.stdout + run.stderr
    found: dict[str, set[tuple[int, str]]] = {"right.py": set(), "wrong.py": set()}
    for file, line, code in re.findall(r"(?m)^(.+?):(\d+): error: .*\[([\w-]+)\]$", run.stdout):
        assert file in found, run.stdout  # else the error is in fastmlp itself
        found[file].add((int(line), code))
    return found


@pytest.mark.sweep
def test_a_users_script_passes_mypy_strict(errors: dict[str, set[tuple[int, str]]]) -> None:
    assert errors["right.py"] == set()


def test_the_same_script_runs(scripts: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(scripts / "right.py"), str(tmp_path / "model.safetensors")]
    subprocess.run(command, check=True, timeout=120)


@pytest.mark.sweep
def test_mypy_reports_each_mistake(errors: dict[str, set[tuple[int, str]]]) -> None:
    expected = {
        (number, mistake[1])
        for number, line in enumerate(WRONG.lstrip().split("\n"), start=1)
        if (mistake := re.search(r"# ([\w-]+)$", line))
    }
    assert errors["wrong.py"] == expected


def stubtest(folder: Path) -> subprocess.CompletedProcess[str]:
    """Compare the stubs with the built module, both in the package under the folder."""
    (folder / "allowlist").write_text(STUBTEST_ALLOWS, encoding="utf-8")
    command = [sys.executable, "-m", "mypy.stubtest", "fastmlp._core", "--allowlist", "allowlist"]
    paths = {"PYTHONPATH": str(folder), "MYPYPATH": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=os.environ | paths, capture_output=True, text=True, check=False
    )


@pytest.mark.sweep
def test_the_stubs_are_those_of_the_built_module(tmp_path: Path) -> None:
    assert fastmlp._core.__file__ is not None
    # In an editable install the module lies apart from the Python files.
    for source in {Path(fastmlp.__file__).parent, Path(fastmlp._core.__file__).parent}:
        shutil.copytree(source, tmp_path / "fastmlp", dirs_exist_ok=True)
    libraries = Path(fastmlp._core.__file__).parent.parent / "fastmlp.libs"  # auditwheel's
    if libraries.is_dir():
        shutil.copytree(libraries, tmp_path / "fastmlp.libs")
    # One run takes seconds, so the same one shows that stubtest finds an error.
    with (tmp_path / "fastmlp" / "_core.pyi").open("a", encoding="utf-8") as stub:
        stub.write("def invented() -> int: ...\n")
    run = stubtest(tmp_path)
    errors = re.findall(r"(?m)^error: .*", run.stdout)
    expected = ["error: fastmlp._core.invented is not present at runtime"]
    assert errors == expected, run.stdout + run.stderr


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(fastmlp.__file__).parent / "py.typed").is_file()

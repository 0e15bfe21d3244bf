"""The command line and its demo."""

import os
import re
import signal
import subprocess
import sys
import types

import numpy as np
import pytest

import fastmlp
from fastmlp import demo
from fastmlp.__main__ import main
from fastmlp.datasets import load_breast_cancer
from sweeps import sweep


@pytest.fixture
def quick(monkeypatch):
    """One timed run: the times are not what is tested."""
    monkeypatch.setattr(demo, "TIMED_RUNS", 1)


@pytest.fixture
def short(quick, monkeypatch):
    """Ten epochs, for what does not depend on the training."""
    monkeypatch.setattr(demo, "EPOCHS", 10)
    monkeypatch.setattr(demo, "LOWEST_ACCURACY", 0.9)


def test_python_m_fastmlp_runs_the_demo():
    pytest.importorskip("sklearn")
    environment = {name: text for name, text in os.environ.items() if name != "FASTMLP_MIN_WORK"}
    done = subprocess.run(
        [sys.executable, "-m", "fastmlp"],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    end = done.stdout.partition("\nOK: ")[2]
    found = re.search(r"right answers   fastmlp (\S+)%   scikit-learn (\S+)%\n", end)
    assert abs(float(found[1]) - float(found[2])) <= 3
    assert re.search(r"time to train   fastmlp \d+ ms   scikit-learn \d+ ms\n", end)
    assert len(re.findall(r"tumour \d is (?:benign|malignant), says the network ", end)) == 3
    assert re.fullmatch(r"This demo took \d+\.\d s\.", done.stdout.splitlines()[-1])
    assert max(map(len, done.stdout.splitlines())) < 80
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [[], sweep(["demo"])])
def test_the_demo_shows_what_it_compares(quick, capsys, arguments):
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert shown.isascii()  # a terminal may know no other characters
    for name in ("native", "twin"):
        progress = [f"{name}: epoch {epoch}/{demo.EPOCHS}" for epoch in (10, demo.EPOCHS)]
        assert [shown.count(line) for line in progress] == [2, 2]
    accuracies = re.findall(r"test accuracy +native (\S+) +twin (\S+)", shown)
    assert len(accuracies) == 2
    assert min(float(accuracy) for pair in accuracies for accuracy in pair) >= 0.95
    assert len(re.findall(r"largest difference +\d\.\de[-+]\d\d of", shown)) == 2
    assert len(re.findall(r"native is \d+\.\d times faster", shown)) == 2
    assert shown.index("float64") < shown.index("float32")


def test_the_demos_limits_are_the_promised_ones():
    assert demo.LARGEST_DIFFERENCE == {"float64": 1e-10, "float32": 1e-4}
    assert demo.LOWEST_ACCURACY == 0.95
    assert demo.LAYERS == [30, 64, 32, 1]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LOWEST_ACCURACY", 1.01, r"FAILED float32: twin test accuracy is 0\.9\d+ < 1\.01"),
        ("LARGEST_DIFFERENCE", {"float64": -1.0, "float32": 1.0}, "FAILED float64: parameters"),
    ],
)
def test_the_demo_fails_when_a_limit_is_not_kept(short, monkeypatch, capsys, name, value, message):
    monkeypatch.setattr(demo, name, value)
    assert main([]) == 1
    shown = capsys.readouterr().out
    assert re.search(message, shown)
    assert "OK" not in shown


@pytest.mark.parametrize("field", ["difference", "accuracy", "twin_accuracy"])
def test_nan_keeps_no_limit(field):
    good = {"difference": 0.0, "accuracy": 1.0, "twin_accuracy": 1.0}
    common = {"dtype": "float64", "loss": [1.0], "seconds": 1.0, "twin_seconds": 2.0}
    common["network"] = fastmlp.Network([1, 1])
    assert demo.Result(**common, **good).failures == []
    assert len(demo.Result(**common, **{**good, field: float("nan")}).failures) == 1


# Its end


def test_the_demo_works_without_scikit_learn(short, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn.neural_network", None)  # import then fails
    assert main([]) == 0
    end = capsys.readouterr().out.partition("\nOK: ")[2]
    assert re.search(r"right answers   fastmlp \d+\.\d%\ntime to train   fastmlp \d+ ms\n", end)
    assert "pip install 'fastmlp[sklearn]' to compare" in end


def test_three_predictions_are_one_of_each_class_and_the_least_certain():
    network = fastmlp.Network([1, 1], seed=0)
    network.weights[0][...] = 1
    rows = np.array([[-9.0], [0.4], [9.0], [-0.2], [-1.0]])  # probability 0, 0.6, 1, 0.45, 0.27
    split = demo.Split(rows, rows[:, 0], rows, np.array([0.0, 1.0, 1.0, 1.0, 0.0]))
    assert demo.three_predictions(network, split) == [
        "benign, says the network (more than 99% sure): right",
        "malignant, says the network (60% sure): right",
        "benign, says the network (55% sure): wrong, it is malignant",
    ]


# Ctrl-C


def test_ctrl_c_prints_one_line():
    command = [sys.executable, "-m", "fastmlp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()  # the demo is running
        process.send_signal(signal.SIGINT)
        printed = process.communicate()[1]
    assert printed == b"fastmlp: interrupted\n"
    assert process.returncode == 130


@pytest.mark.parametrize("step", ["prepare", "compare", "conclude"])
def test_ctrl_c_ends_every_step_alike(short, monkeypatch, capsys, step):
    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, step, interrupted)
    assert main([]) == 130
    assert capsys.readouterr().err == "fastmlp: interrupted\n"


# The plot


class FakeFigure:
    """What the demo needs of matplotlib."""

    def __init__(self):
        self.lines = []

    def subplots(self):
        return types.SimpleNamespace(
            plot=lambda *given, label: self.lines.append(label),
            set=lambda **given: None,
            legend=lambda: None,
        )

    def savefig(self, path, format):
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{format} {self.lines}")


@pytest.mark.parametrize("arguments", [sweep(["--plot", "FILE"]), ["demo", "--plot", "FILE"]])
def test_plot_writes_a_png_of_both_curves(short, monkeypatch, tmp_path, arguments):
    path = tmp_path / "curve.png"
    monkeypatch.setitem(sys.modules, "matplotlib.figure", types.SimpleNamespace(Figure=FakeFigure))
    assert main([argument.replace("FILE", str(path)) for argument in arguments]) == 0
    assert path.read_text() == "png ['float64', 'float32']"


def test_plot_without_matplotlib_is_an_error_before_any_training(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # import then fails
    assert main(["--plot", str(tmp_path / "curve.png")]) == 2
    shown = capsys.readouterr()
    assert "--plot needs matplotlib: pip install 'fastmlp[plot]'" in shown.err
    assert shown.out == ""


def test_a_plot_that_cannot_be_written_is_an_error(short, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", types.SimpleNamespace(Figure=FakeFigure))
    assert main(["--plot", str(tmp_path / "none" / "curve.png")]) == 2
    assert "the plot cannot be written" in capsys.readouterr().err


# Other commands


def test_info_prints_the_configuration(capsys):
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    fastmlp.show_config()
    assert shown == capsys.readouterr().out
    assert fastmlp.__version__ in shown


def test_an_unknown_command_is_an_error(capsys):
    assert main(["fly"]) == 2
    assert "fly" in capsys.readouterr().err


# Its parts


def test_the_data_set_is_the_published_one():
    X, y = load_breast_cancer()
    assert (X.shape, X.dtype, y.shape, y.dtype) == ((569, 30), np.float64, (569,), np.float64)
    assert X.flags.c_contiguous
    assert y.flags.c_contiguous
    assert np.isfinite(X).all()
    assert ((y == 1).sum(), (y == 0).sum()) == (212, 357)
    assert X[0, :3].tolist() == [17.99, 10.38, 122.8]
    assert y[0] == 1


def test_the_split_takes_the_same_part_of_each_class():
    _, y = load_breast_cancer()
    train, test = demo.stratified_split(y, 0.2, 0)
    assert sorted([*train, *test]) == list(range(569))
    assert (y[test] == 1).sum() == round(0.2 * 212)
    assert (y[test] == 0).sum() == round(0.2 * 357)


def test_the_split_is_drawn_from_its_seed():
    _, y = load_breast_cancer()
    splits = [demo.stratified_split(y, 0.2, seed)[1].tolist() for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]
    rows = np.flatnonzero(y == 1)
    first = rows[fastmlp.reference.permutation(len(rows), 0, 1)[0]]
    assert first in splits[0]


def test_features_are_standardised_by_the_training_part_alone():
    X, y = load_breast_cancer()
    X[:, 4] = 7.0  # its deviation is 0
    train, test = demo.stratified_split(y, demo.TEST_PART, demo.SEED)
    X[test, 0] += 1000.0
    split = demo.prepare(X, y)
    assert np.isfinite(split.X_train).all()
    assert not split.X_train[:, 4].any()
    assert not split.X_test[:, 4].any()
    others = np.delete(split.X_train, 4, axis=1)
    np.testing.assert_allclose(others.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(others.std(axis=0), 1, rtol=1e-12)
    assert split.X_test[:, 0].min() > 50
    np.testing.assert_array_equal(split.y_train, y[train])
    np.testing.assert_array_equal(split.y_test, y[test])


def test_the_curve_has_a_star_per_epoch_from_the_highest_loss_down():
    lines = demo.text_curve([1.0, 0.5, 0.0]).splitlines()
    assert len(lines) == demo.CURVE_ROWS + 2
    assert lines[0].startswith("  1.0000 | *")
    assert lines[demo.CURVE_ROWS - 1] == "  0.0000 |   *"
    assert sum(line.count("*") for line in lines) == 3
    assert lines[-1].split() == ["1", "3"]


@pytest.mark.parametrize("loss", [[0.0], [0.3], [2.0, 1.0] * 300])
def test_any_curve_fits_the_terminal(loss):
    assert max(map(len, demo.text_curve(loss).splitlines())) < 80


def test_a_reader_that_goes_away_is_no_traceback():
    command = [sys.executable, "-m", "fastmlp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141

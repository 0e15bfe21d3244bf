"""`fastmlp.callbacks`, what `fit` does with callbacks, and what it logs."""

import csv
import json
import logging
import math
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import fastmlp
from fastmlp import reference
from fastmlp.callbacks import (
    CSVLogger,
    MLflow,
    ModelCheckpoint,
    TensorBoard,
    TerminateOnNaN,
    per_member,
)
from fastmlp.sklearn import MLPClassifier
from fastmlp.tabular import TabularRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(float)
BOTH = pytest.mark.parametrize("network_class", [fastmlp.Network, reference.Network])


def make(network_class=fastmlp.Network, **options):
    return network_class([3, 4, 1], **{"dtype": "float64", "seed": 1, **options})


def fit(network, *callbacks, **options):
    return network.fit(X, Y, **{"epochs": 4, "callbacks": callbacks, **options})


def rows(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


class HaltError(Exception):
    pass


def raising_at(epoch):
    def callback(network, at, logs):
        if at == epoch:
            raise HaltError

    return callback


# CSVLogger


@BOTH
def test_the_csv_file_has_the_numbers_of_the_history(tmp_path, network_class):
    history = fit(
        make(network_class),
        CSVLogger(tmp_path / "log.csv"),
        validation_split=0.2,
        metrics="accuracy",
    )
    names, *lines = rows(tmp_path / "log.csv")
    assert names == ["epoch", "loss", "val_loss", "val_accuracy"]
    assert [[float(cell) for cell in line] for line in lines] == [
        list(epoch)
        for epoch in zip(
            range(4), history.loss, history.val_loss, history.metrics["val_accuracy"], strict=True
        )
    ]


@pytest.mark.parametrize(("stopped_at", "cut"), [(1, 0), (3, 3), (4, 0), (5, 3)])
def test_the_csv_file_of_a_resumed_run_is_that_of_one_that_never_stopped(tmp_path, stopped_at, cut):
    fit(make(), CSVLogger(tmp_path / "whole.csv"), epochs=8)
    path, state = tmp_path / "log.csv", tmp_path / "state"
    with pytest.raises(HaltError):
        fit(
            make(),
            CSVLogger(path),
            raising_at(stopped_at),
            epochs=8,
            checkpoint=state,
            every=2,
        )
    if cut:  # the last line is not whole
        os.truncate(path, path.stat().st_size - cut)
    logger = CSVLogger(path)
    resume = state if stopped_at >= 2 else None
    fit(make(), logger, epochs=8, checkpoint=state, every=2, resume=resume)
    assert path.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_one_logger_serves_a_run_and_its_resumption(tmp_path):
    fit(make(), CSVLogger(tmp_path / "whole.csv"), epochs=8)
    log, state = CSVLogger(tmp_path / "log.csv"), tmp_path / "state"
    with pytest.raises(HaltError):
        fit(make(), log, raising_at(5), epochs=8, checkpoint=state, every=2)
    fit(make(), log, epochs=8, resume=state)
    assert (tmp_path / "log.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_new_run_replaces_the_csv_file_and_append_adds_to_it(tmp_path):
    path = tmp_path / "log.csv"
    network, log = make(), CSVLogger(path)
    fit(network, log)
    fit(network, log)
    assert [line[0] for line in rows(path)] == ["epoch", "0", "1", "2", "3"]
    fit(network, CSVLogger(path, append=True), epochs=2)
    assert [line[0] for line in rows(path)] == ["epoch", "0", "1", "2", "3", "0", "1"]


def test_a_line_that_is_not_whole_is_cut_off_before_others_are_added(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"epoch,loss\n0,0.5\n1,0.4\n1")  # the begin of line 10, after a full disk
    fit(make(), CSVLogger(path, append=True), epochs=1)
    assert [line[0] for line in rows(path)] == ["epoch", "0", "1", "0"]


def test_lines_are_not_added_to_a_file_with_other_columns(tmp_path):
    path = tmp_path / "log.csv"
    fit(make(), CSVLogger(path))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"begins with .*val_loss.* give another file"):
        fit(make(), CSVLogger(path, append=True), validation_split=0.2, epochs=1, metrics=())
    assert path.read_bytes() == before


def test_a_killed_program_leaves_the_line_of_each_epoch_and_whole_networks(tmp_path):
    program = f"""
        import os, signal
        import fastmlp
        from fastmlp.callbacks import CSVLogger, ModelCheckpoint
        X, y = fastmlp.datasets.load_breast_cancer()
        kill = lambda network, epoch, logs: epoch == 2 and os.kill(os.getpid(), {signal.SIGTERM})
        fastmlp.Network([30, 1], seed=0).fit(
            X, y, epochs=9, standardize=True,
            callbacks=[CSVLogger("log.csv"), ModelCheckpoint("{{epoch}}.safetensors"), kill])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=tmp_path)
    assert done.returncode != 0
    assert [line[0] for line in rows(tmp_path / "log.csv")] == ["epoch", "0", "1", "2"]
    found = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert found == ["1.safetensors", "2.safetensors", "3.safetensors"]
    assert fastmlp.Network.load(tmp_path / found[-1]).epochs_trained == 3


# Faults


@pytest.mark.parametrize("make_callback", [CSVLogger, ModelCheckpoint])
def test_a_path_that_cannot_be_written_is_refused_before_training(tmp_path, make_callback):
    with pytest.raises(FileNotFoundError, match=f"{make_callback.__name__}: cannot write the file"):
        make_callback(tmp_path / "none" / "file")
    with pytest.raises(IsADirectoryError, match=make_callback.__name__):
        make_callback(tmp_path)
    with pytest.raises(TypeError, match=f"{make_callback.__name__}: path is 3"):
        make_callback(3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_ends_the_run_and_the_network_keeps_its_parameters():
    network, expected = make(), make()
    fit(expected, epochs=1)
    with pytest.raises(OSError, match="No space left"):
        fit(network, CSVLogger("/dev/full"))
    np.testing.assert_array_equal(network.parameters, expected.parameters)


def test_a_callback_that_changes_the_working_directory_moves_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other {epoch}").mkdir()
    log, save = CSVLogger("log.csv"), ModelCheckpoint("{epoch}.safetensors")
    fit(make(), lambda *_: os.chdir(tmp_path / "other {epoch}"), log, save, epochs=2)
    assert (tmp_path / "log.csv").exists()
    assert (tmp_path / "2.safetensors").exists()
    save = ModelCheckpoint("x.safetensors")  # the braces of the folder are no fields
    fit(make(), save, epochs=1)
    assert (tmp_path / "other {epoch}" / "x.safetensors").exists()
    with pytest.raises(FileNotFoundError):
        ModelCheckpoint("none/x.safetensors")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (fastmlp.EarlyStopping(3), r"EarlyStopping\(patience=3.*give it as early_stopping="),
        (fastmlp.schedules.Plateau(), r"Plateau\(.*give it as schedule="),
        (fastmlp.schedules.Cosine(5), r"Cosine\(.*give it as schedule="),
        (CSVLogger, "the class CSVLogger; give an object"),
        (3, "sequence of callables"),
    ],
)
def test_what_is_no_callback_is_refused_before_training(given, message):
    network = make()
    before = network.parameters.copy()
    with pytest.raises(TypeError, match=message):
        fit(network, given)
    np.testing.assert_array_equal(network.parameters, before)


# ModelCheckpoint


def test_every_file_holds_the_network_of_its_epoch(tmp_path):
    seen = {}
    save = ModelCheckpoint(tmp_path / "{epoch:02d}-{val_loss:.3f}.safetensors", every=2)
    network = make()
    fit(
        network,
        lambda network, epoch, logs: seen.update({epoch + 1: (logs, network.parameters.copy())}),
        save,
        epochs=5,
        validation_split=0.2,
    )
    names = {
        number: f"{number:02d}-{seen[number][0]['val_loss']:.3f}.safetensors" for number in (2, 4)
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names.values())
    for number, name in names.items():
        loaded = fastmlp.Network.load(tmp_path / name)
        np.testing.assert_array_equal(loaded.parameters, seen[number][1])
        assert json.loads(loaded.metadata["ModelCheckpoint"]) == {
            "epoch": number,
            **seen[number][0],
        }
    assert network.metadata == {}


def scripted(values):
    """A metric with these values, epoch by epoch."""
    left = list(values)

    def score(y, outputs):
        return left.pop(0)

    return score


@pytest.mark.parametrize(
    ("mode", "values", "saved"),
    [
        ("max", [0.1, 0.3, 0.2, 0.3, math.nan, 0.4], [1, 2, 6]),
        ("min", [0.4, 0.4, 0.5, math.nan, 0.3, 0.3], [1, 5]),
        ("min", [math.nan, math.inf, 2.0, -math.inf, 0.0, math.nan], [2, 3, 4]),
    ],
)
def test_only_better_networks_are_saved(tmp_path, mode, values, saved):
    save = ModelCheckpoint(tmp_path / "{epoch}", monitor="score", mode=mode, save_best_only=True)
    fit(make(), save, epochs=len(values), metrics=[scripted(values)])
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == saved
    assert save.best == values[saved[-1] - 1]


@pytest.mark.parametrize(
    ("monitor", "sign"),
    [(None, 1), ("loss", 1), ("val_loss", 1), ("val_roc_auc", -1), ("val_accuracy", -1)],
)
def test_the_direction_of_known_names_is_known(tmp_path, monitor, sign):
    save = ModelCheckpoint(tmp_path / "x", monitor=monitor, save_best_only=True)
    assert save.sign == sign
    history = fit(make(), save, validation_split=0.2, metrics=["accuracy", "roc_auc"])
    name = monitor or "val_loss"
    values = {"loss": history.loss, "val_loss": history.val_loss, **history.metrics}[name]
    assert save.best == (min if sign > 0 else max)(values)


def test_without_validation_rows_the_loss_is_compared(tmp_path):
    save = ModelCheckpoint(tmp_path / "x", save_best_only=True)
    assert save.best is None
    history = fit(make(), save)
    assert save.best == min(history.loss)


@pytest.mark.parametrize("fixed", [True, False])
def test_a_resumed_run_does_not_replace_a_better_network(tmp_path, fixed):
    values = [0.5, 0.9, 0.1, 0.2, 0.3, 0.95][: 5 if fixed else 6]
    path, state = tmp_path / ("best" if fixed else "best-{epoch}"), tmp_path / "state"
    options = {"monitor": "score", "mode": "max", "save_best_only": True}
    with pytest.raises(HaltError):
        fit(
            make(),
            ModelCheckpoint(path, **options),
            raising_at(3),
            epochs=len(values),
            metrics=[scripted(values)],
            checkpoint=state,
        )
    fit(
        make(),
        ModelCheckpoint(path, **options),
        epochs=len(values),
        metrics=[scripted(values[3:])],
        resume=state,
    )
    best = fastmlp.Network.load(path if fixed else tmp_path / "best-6")
    assert best.epochs_trained == (2 if fixed else 6)


def test_the_first_epoch_of_another_network_forgets_the_best_value(tmp_path):
    save = ModelCheckpoint(tmp_path / "x", monitor="score", mode="max", save_best_only=True)
    network = make()
    fit(network, save, epochs=2, metrics=[scripted([0.8, 0.9])])
    fit(network, save, epochs=2, metrics=[scripted([0.1, 0.2])])  # goes on: nothing is better
    assert fastmlp.Network.load(tmp_path / "x").epochs_trained == 2
    fit(make(), save, epochs=1, metrics=[scripted([0.3])])
    assert save.best == 0.3
    assert fastmlp.Network.load(tmp_path / "x").epochs_trained == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "{val_loss}"}, r"KeyError\('val_loss'\).*\['epoch', 'loss', 'accuracy'\]"),
        ({"path": "{}"}, r"fields must be among \['epoch', 'loss', 'accuracy'\]"),
        ({"path": "{epoch"}, "fields must be among"),
        ({"path": "{loss:d}"}, "fields must be among"),
        ({"path": "x", "monitor": "val_loss"}, r"monitor is 'val_loss'.*\['loss', 'accuracy'\]"),
        ({"path": "x", "monitor": "loss", "every": 9}, None),
        ({"path": "{lost}", "every": 9}, r"\['epoch', 'loss', 'accuracy'\]"),
    ],
)
def test_names_that_the_epochs_do_not_report_are_refused_after_the_first(
    tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    network, save = make(), ModelCheckpoint(**arguments)
    if message is None:
        fit(network, save, metrics="accuracy")
        return
    with pytest.raises(ValueError, match=message):
        fit(network, save, metrics="accuracy")
    assert network.epochs_trained == 1
    assert list(tmp_path.iterdir()) == []


def test_arguments_of_model_checkpoint_are_checked(tmp_path):
    with pytest.raises(ValueError, match="monitor is 'f1' and mode is None; give mode="):
        ModelCheckpoint(tmp_path / "x", monitor="f1", save_best_only=True)
    with pytest.raises(ValueError, match="mode is 'auto'"):
        ModelCheckpoint(tmp_path / "x", mode="auto")
    with pytest.raises(ValueError, match="every is 0"):
        ModelCheckpoint(tmp_path / "x", every=0)
    with pytest.raises(TypeError, match="which has no `save`"):
        fit(make(reference.Network), ModelCheckpoint(tmp_path / "x"))


# TerminateOnNaN


@BOTH
@pytest.mark.parametrize("epoch", [0, 2])
def test_terminate_on_nan_returns_the_history_of_the_finite_epochs(network_class, epoch):
    class Diverging(network_class):
        calls = 0

        def train_epoch(self, *arguments, **options):
            self.calls += 1
            loss = super().train_epoch(*arguments, **options)
            return math.nan if self.calls == epoch + 1 else loss

    calm = make(network_class)
    if epoch:
        fit(calm, epochs=epoch)
    seen = []
    with pytest.raises(FloatingPointError, match=f"the loss is nan in epoch {epoch}"):
        fit(make(Diverging))
    network = make(Diverging)
    history = fit(network, TerminateOnNaN(), lambda network, epoch, logs: seen.append(epoch))
    assert (history.stopped_by, history.epochs, seen) == ("not_finite", epoch, list(range(epoch)))
    assert network.epochs_trained == epoch
    np.testing.assert_array_equal(network.parameters, calm.parameters)
    assert "stopped_by='not_finite'" in repr(history)


def test_terminate_on_nan_keeps_the_checkpoint_and_restores_the_best_epoch(tmp_path):
    class Diverging(fastmlp.Network):
        def train_epoch(self, *arguments, **options):
            loss = super().train_epoch(*arguments, **options)
            return math.inf if self.epochs_trained == 4 else loss

        def loss(self, X, y, sample_weight=None):
            return [0.0, 3.0, 1.0, 2.0][self.epochs_trained]

    network = make(Diverging)
    history = fit(
        network,
        TerminateOnNaN(),
        epochs=9,
        validation_split=0.2,
        early_stopping=5,
        checkpoint=tmp_path / "state",
    )
    assert (history.stopped_by, history.epochs) == ("not_finite", 3)
    assert network.epochs_trained == 2  # of the lowest validation loss
    assert fastmlp.Network.load(tmp_path / "state").epochs_trained == 3


def test_terminate_on_nan_ends_after_a_validation_loss_that_is_not_finite():
    class Odd(fastmlp.Network):
        def loss(self, X, y, sample_weight=None):
            return math.nan if self.epochs_trained == 2 else 1.0

    history = fit(make(Odd), TerminateOnNaN(), validation_split=0.2)
    assert (history.stopped_by, history.epochs) == ("callback", 2)


# TensorBoard and MLflow: with the real libraries in tests/python/clients


@pytest.mark.parametrize(
    ("module", "make_callback", "package"),
    [
        ("tensorboard.summary", lambda: TensorBoard("run"), "tensorboard"),
        ("mlflow", MLflow, "mlflow"),
    ],
)
def test_a_missing_library_is_named_before_training(monkeypatch, module, make_callback, package):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"needs {package}.*pip install {package}"):
        make_callback()


def test_tensorboard_takes_any_writer_and_flushes_it_after_each_epoch():
    calls = []

    class Writer:
        def add_scalar(self, name, value, step):
            calls.append((name, value, step))

        def flush(self):
            calls.append("flush")

    history = fit(make(), TensorBoard(Writer()), epochs=2)
    assert calls == [("loss", history.loss[0], 0), "flush", ("loss", history.loss[1], 1), "flush"]
    with pytest.raises(TypeError, match="the name of a folder, or have the methods add_scalar"):
        TensorBoard(3)


# Tabular models


TABLE = {"x": X[:, 0].tolist(), "z": X[:, 1].tolist(), "y": (X[:, 0] * 2).tolist()}


def test_each_network_of_a_tabular_model_has_a_log_of_its_own(tmp_path):
    model, table = TabularRegressor(n_members=3, epochs=4), {k: v * 8 for k, v in TABLE.items()}
    model.fit(table, "y", callbacks=[per_member(lambda member: CSVLogger(tmp_path / f"{member}"))])
    for member, history in enumerate(model.history_):
        names, *lines = rows(tmp_path / str(member))
        assert names == ["epoch", "loss", "val_error"]
        assert [float(line[1]) for line in lines] == history.loss
        assert [float(line[2]) for line in lines] == history.val_loss


def test_per_member_passes_on_the_wish_to_stop():
    model = TabularRegressor(n_members=1, epochs=9)
    stop = per_member(lambda member: lambda network, epoch, logs: epoch == 2)
    assert model.fit(TABLE, "y", callbacks=[stop]).history_[0].epochs == 3


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (lambda folder: CSVLogger(folder / "x"), r"per_member\(lambda member: CSVLogger\("),
        (lambda folder: ModelCheckpoint(folder / "x"), "keeps the best epoch"),
        (lambda folder: TerminateOnNaN(), "keeps the best epoch"),
        (lambda folder: 3, "sequence of callables"),
    ],
)
def test_a_tabular_model_refuses_callbacks_of_one_network(tmp_path, callback, message):
    model = TabularRegressor(n_members=1, epochs=9)
    with pytest.raises(TypeError, match=message):
        model.fit(TABLE, "y", callbacks=[callback(tmp_path)])
    assert not hasattr(model, "seed_")


# Estimators


def test_callbacks_can_be_called_beside_partial_fit(tmp_path):
    model, log = MLPClassifier((4,), random_state=0), CSVLogger(tmp_path / "log.csv")
    for epoch in range(3):
        model.partial_fit(X, Y, classes=[0, 1])
        log(model, epoch, {"loss": model.loss_})
    assert [float(line[1]) for line in rows(tmp_path / "log.csv")[1:]] == model.loss_curve_


# What is logged


def logged(caplog, level):
    return [record.getMessage() for record in caplog.records if record.levelno == level]


@BOTH
def test_fit_logs_its_epochs_and_how_it_ended(caplog, tmp_path, network_class):
    caplog.set_level(logging.DEBUG, "fastmlp")
    network = make(network_class)
    options = {} if network_class is reference.Network else {"checkpoint": tmp_path / "state"}
    history = fit(network, validation_split=0.25, early_stopping=9, every=1, **options)
    begin, *files, restored, end = logged(caplog, logging.INFO)
    assert begin.endswith(", 30 rows, 4 epochs")
    assert files == (
        ["fit: wrote the checkpoint " + repr(str(tmp_path / "state"))] * 4 if options else []
    )
    assert (
        restored
        == f"fit: the network is as after the epoch of val_loss {min(history.val_loss):.4g}"
    )
    assert end == f"fit: {history!r}"
    assert logged(caplog, logging.DEBUG) == [
        f"fit: epoch {epoch + 1}/4  loss {loss:.4g}  val_loss {val_loss:.4g}"
        for epoch, (loss, val_loss) in enumerate(zip(history.loss, history.val_loss, strict=True))
    ]


def test_an_end_by_terminate_on_nan_is_logged_as_a_warning(caplog):
    network = fastmlp.Network([1, 1], output="identity", seed=0)
    network.fit([[1.0], [1e6]], [0, 1e6], epochs=9, batch_size=1, callbacks=[TerminateOnNaN()])
    (message,) = logged(caplog, logging.WARNING)
    assert "the loss is inf in epoch 1" in message


def test_verbose_prints_and_does_not_log_more(capsys, caplog):
    caplog.set_level(logging.INFO, "fastmlp")
    history = fit(make(), verbose=2)
    printed = capsys.readouterr()
    assert printed.out == "".join(
        f"epoch {epoch}/4  loss {history.loss[epoch - 1]:.4g}\n" for epoch in (2, 4)
    )
    assert printed.err == ""
    assert len(caplog.records) == 2


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_estimators_log(caplog, solver):
    caplog.set_level(logging.DEBUG, "fastmlp")
    model = MLPClassifier((4,), solver=solver, max_iter=400, tol=1e-2, random_state=0).fit(X, Y)
    (message,) = logged(caplog, logging.INFO)
    assert message == f"fit: MLPClassifier, {model.n_iter_} iterations, loss = {model.loss_:.8f}"
    assert len(logged(caplog, logging.DEBUG)) == (0 if solver == "lbfgs" else model.n_iter_)


def test_tabular_models_log(caplog):
    caplog.set_level(logging.DEBUG, "fastmlp")
    model = TabularRegressor(n_members=2, epochs=3).fit(TABLE, "y")
    assert logged(caplog, logging.INFO) == [
        "fit: TabularRegressor(epochs=3, n_members=2), 40 rows, 2 columns",
        *(f"fit: {line}" for line in model.summary().splitlines()[-2:]),
    ]
    epochs = logged(caplog, logging.DEBUG)
    assert len(epochs) == 6
    assert {line[:21] for line in epochs} == {"fit: network 1 of 2: ", "fit: network 2 of 2: "}


def test_a_program_that_has_not_set_up_logging_sees_nothing():
    program = """
        import logging
        import fastmlp
        from fastmlp.callbacks import TerminateOnNaN
        network = fastmlp.Network([1, 1], output="identity", seed=0)
        network.fit([[1.0], [1e6]], [0, 1e6], epochs=9, batch_size=1, callbacks=[TerminateOnNaN()])
        assert logging.getLogger().handlers == []
        assert logging.getLogger("fastmlp").level == logging.NOTSET
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


# What a breaker found


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_new_run_saves_its_network_whatever_an_old_file_holds(tmp_path, every):
    path = tmp_path / "best"
    old = fastmlp.Network([3, 8, 1], seed=0)
    old.metadata["ModelCheckpoint"] = json.dumps({"epoch": 9, "loss": -5.0})
    old.save(path)
    network = make()
    fit(network, ModelCheckpoint(path, save_best_only=True, every=every))
    assert fastmlp.Network.load(path).layers == (3, 4, 1)


def test_a_second_network_is_saved_by_the_callback_of_a_first(tmp_path):
    save = ModelCheckpoint(tmp_path / "best", save_best_only=True, every=2)
    fit(make(), save)
    save.best = -5.0
    fit(make(seed=2), save)
    assert fastmlp.Network.load(tmp_path / "best").seed == 2


def test_a_file_that_could_not_be_written_is_not_the_best(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    save = ModelCheckpoint(folder / "best", save_best_only=True)
    folder.rename(tmp_path / "away")
    with pytest.raises(OSError, match="No such file"):
        save(make(), 0, {"loss": 1.0})
    assert save.best is None
    (tmp_path / "away").rename(folder)
    save(make(), 1, {"loss": 1.5})
    assert save.best == 1.5


def test_what_is_not_finite_is_null_in_the_metadata(tmp_path):
    save = ModelCheckpoint(tmp_path / "net")
    save(make(), 0, {"loss": 1.0, "mine": math.nan, "epoch": 7.0})
    text = fastmlp.Network.load(tmp_path / "net").metadata["ModelCheckpoint"]
    assert json.loads(text, parse_constant=pytest.fail) == {"loss": 1.0, "mine": None, "epoch": 1}


@pytest.mark.parametrize("name", ["{loss[0]}", "{loss.x}", "{other}", "{0}", "{loss:q}"])
def test_fields_that_cannot_be_filled_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"path is .*Its fields must be among \['epoch', 'loss'\]"):
        fit(make(), ModelCheckpoint(str(tmp_path / name)))


def test_monitor_must_be_a_name(tmp_path):
    with pytest.raises(TypeError, match="monitor is 3; it must be the name"):
        ModelCheckpoint(tmp_path / "net", monitor=3)


@pytest.mark.parametrize("left", ["", "epo", "epoch,loss", "epoch,loss\n\n", "epoch,loss\n0,1\n\n"])
def test_a_csv_file_that_was_cut_anywhere_is_continued(tmp_path, left):
    path = tmp_path / "log.csv"
    path.write_text(left)
    log = CSVLogger(path, append=True)
    log(None, 5, {"loss": 0.5})
    lines = rows(path)
    assert lines[0] == ["epoch", "loss"]
    assert lines[-1] == ["5", "0.5"]
    assert all(len(line) == 2 for line in lines)


def test_a_csv_file_that_was_removed_begins_again(tmp_path):
    path = tmp_path / "log.csv"
    log = CSVLogger(path)
    log(None, 0, {"loss": 1.0})
    path.unlink()
    log(None, 1, {"loss": 0.5})
    assert rows(path) == [["epoch", "loss"], ["1", "0.5"]]


def test_the_checkpoint_holds_the_last_finite_epoch(tmp_path):
    network, calls = make(), []

    def loss(outputs, y):
        calls.append(1)
        return (math.nan if len(calls) > 6 else 1.0), outputs - y

    history = fit(
        network, TerminateOnNaN(), epochs=20, batch_size=40, loss=loss, every=10,
        checkpoint=tmp_path / "state",
    )  # fmt: skip
    assert history.epochs == 6
    assert fastmlp.Network.load(tmp_path / "state").epochs_trained == 6

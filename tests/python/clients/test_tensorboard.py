"""`fastmlp.callbacks.TensorBoard`, with what TensorBoard itself reads from the files."""

import math
import resource
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import fastmlp
from fastmlp.callbacks import TensorBoard, per_member
from fastmlp.tabular import TabularRegressor

pytestmark = pytest.mark.client
event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

X, Y = fastmlp.datasets.load_breast_cancer()


def scalars(folder):
    """What TensorBoard shows of a run: for each name the steps and the values."""
    found = event_accumulator.EventAccumulator(str(folder)).Reload()
    shown = {}
    for name in found.Tags()["tensors"]:  # of TensorBoard's own writer
        events = found.Tensors(name)
        shown[name] = [(event.step, event.tensor_proto.float_val[0]) for event in events]
    for name in found.Tags()["scalars"]:  # of torch.utils.tensorboard
        shown[name] = [(event.step, event.value) for event in found.Scalars(name)]
    return shown


def fit(*callbacks, **options):
    network = fastmlp.Network([30, 4, 1], seed=0)
    return network.fit(
        X, Y, **{"epochs": 4, "standardize": True, "callbacks": callbacks, **options}
    )


def expected(values):
    return [(step, float(np.float32(value))) for step, value in enumerate(values)]


def test_tensorboard_shows_the_losses_and_metrics_of_each_epoch(tmp_path):
    history = fit(TensorBoard(tmp_path / "run"), validation_split=0.2, metrics="accuracy")
    assert scalars(tmp_path / "run") == {
        "loss": expected(history.loss),
        "val_loss": expected(history.val_loss),
        "val_accuracy": expected(history.metrics["val_accuracy"]),
    }


def test_a_writer_of_pytorch_works(tmp_path):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    writer = tensorboard.SummaryWriter(str(tmp_path))
    history = fit(TensorBoard(writer))
    assert scalars(tmp_path)["loss"] == expected(history.loss)
    writer.close()


def test_values_that_are_not_finite_are_shown(tmp_path):
    log = TensorBoard(tmp_path)
    for epoch, value in enumerate([1.0, math.nan, math.inf]):
        log(None, epoch, {"score": value})
    np.testing.assert_equal(scalars(tmp_path)["score"], [(0, 1.0), (1, math.nan), (2, math.inf)])


def test_each_network_of_a_tabular_model_is_a_run(tmp_path):
    table = {"x": [i % 50 / 10 for i in range(300)]}
    table["y"] = [2 * x + 1 for x in table["x"]]
    model = TabularRegressor(n_members=2, epochs=3)
    log = per_member(lambda member: TensorBoard(tmp_path / str(member)))
    model.fit(table, "y", callbacks=[log])
    for member, history in enumerate(model.history_):
        assert scalars(tmp_path / str(member))["loss"] == expected(history.loss)


def test_a_killed_program_leaves_every_epoch(tmp_path):
    program = f"""
        import os
        import fastmlp
        from fastmlp.callbacks import TensorBoard
        X, y = fastmlp.datasets.load_breast_cancer()
        kill = lambda network, epoch, logs: epoch == 2 and os.kill(os.getpid(), {signal.SIGKILL})
        fastmlp.Network([30, 1], seed=0).fit(
            X, y, epochs=9, standardize=True, callbacks=[TensorBoard({str(tmp_path)!r}), kill])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [step for step, _ in scalars(tmp_path)["loss"]] == [0, 1, 2]


def test_a_full_disk_raises_and_does_not_hang(tmp_path):
    program = f"""
        import resource, signal, threading
        threading.excepthook = lambda arguments: None  # of the thread of the writer
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        import fastmlp
        from fastmlp.callbacks import TensorBoard
        X, y = fastmlp.datasets.load_breast_cancer()
        network = fastmlp.Network([30, 1], seed=0)
        log = TensorBoard({str(tmp_path)!r})
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.RLIM_INFINITY}))
        try:
            network.fit(X, y, epochs=1000, standardize=True, callbacks=[log])
        except OSError:
            print(network.epochs_trained)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert 0 < int(done.stdout) < 1000


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        TensorBoard(tmp_path / "file" / "run")

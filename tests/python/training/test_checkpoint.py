"""`fit(checkpoint=, resume=)`: a run that is interrupted and resumed ends with the same bits.

`python test_checkpoint.py N` kills a run N times: the long version of the test here.
`python test_checkpoint.py --write` writes the files of tests/data, after a change of the format.
"""

import os
import random
import signal
import stat
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors

import fastmlp
from fastmlp import EarlyStopping, reference
from fastmlp.schedules import Cosine, Plateau

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5))
Y = (X[:, 0] + 0.3 * RNG.normal(size=60) > 0).astype(float)
WEIGHT = RNG.uniform(0.5, 2.0, 60)
LAYERS = [5, 6, 4, 1]
CLASSES = [fastmlp.Network, reference.Network]

OPTIMIZERS = {
    "sgd": lambda: fastmlp.SGD(0.1),
    "momentum": lambda: fastmlp.SGD(0.1, 0.9, nesterov=True, weight_decay=1e-3),
    "decoupled": lambda: fastmlp.SGD(0.1, 0.9, weight_decay=1e-3, decoupled=True),
    "adam": lambda: fastmlp.Adam(0.02, 0.8, 0.99, weight_decay=1e-3),
    "epsilon_hat": lambda: fastmlp.Adam(0.02, epsilon_hat=1e-6),
    "adamw": lambda: fastmlp.AdamW(0.02),
    "rmsprop": lambda: fastmlp.RMSprop(0.02),
    "lion": lambda: fastmlp.Lion(0.01),
    "lbfgs": lambda: fastmlp.LBFGS(memory=3),
}
# What a call is given, made anew for each: a schedule has a state.
OPTIONS = {
    "nothing": dict,
    "order kept": lambda: {"shuffle": False},
    "weights": lambda: {"sample_weight": WEIGHT},
    "dropout": lambda: {"dropout": [0.2, 0.0]},
    "own seed": lambda: {"seed": 2**64 - 1},
    "generator": lambda: {"seed": np.random.default_rng(5)},
    "validation": lambda: {"validation_data": (X[:20], 1 - Y[:20], WEIGHT[:20])},
    "plateau": lambda: {"schedule": Plateau(0.5, patience=1, min_delta=0.1)},
    "plateau by validation": lambda: {
        "schedule": Plateau(0.5, patience=1),
        "validation_data": (X[:20], 1 - Y[:20]),
    },
    "cosine": lambda: {"schedule": Cosine(7)},
    "stopped early": lambda: {
        "validation_data": (X[:20], 1 - Y[:20]),
        "early_stopping": EarlyStopping(3, min_delta=0.01),
    },
    "not stopped": lambda: {"validation_data": (X[:20], Y[:20]), "early_stopping": 30},
    "everything": lambda: {
        "sample_weight": WEIGHT,
        "dropout": 0.1,
        "seed": 3,
        "schedule": Plateau(0.5, patience=1, min_delta=0.1),
        "validation_data": (X[:20], Y[:20]),
        "early_stopping": 4,
    },
}


def make(network_class=fastmlp.Network, dtype="float32"):
    return network_class(LAYERS, hidden=["tanh", "relu"], dtype=dtype, seed=7)


def state_of(network, optimizer):
    """All that later training depends on, as text."""
    lbfgs = isinstance(optimizer, fastmlp.LBFGS)
    state = optimizer._state() if lbfgs else network._optimizer_state(optimizer)
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
        return network.parameters.tobytes(), network.epochs_trained, repr((optimizer, state))


def fit(network, optimizer, **options):
    return network.fit(X, Y, **({"epochs": 7, "batch_size": 16, "optimizer": optimizer} | options))


def interrupted(build, path):
    """Train anew from the checkpoint again and again; each call is interrupted after an epoch."""
    while True:
        network, optimizer, options = build()
        seen = []

        def interrupt(network, epoch, logs, seen=seen):
            seen.append(epoch)
            if len(seen) == 2:
                raise KeyboardInterrupt

        resume = path if path.exists() else None
        try:
            history = fit(
                network, optimizer, **options, callbacks=[interrupt], checkpoint=path, resume=resume
            )
        except KeyboardInterrupt:
            assert fastmlp.Network.load(path).epochs_trained == network.epochs_trained - 1
        else:
            return network, optimizer, history


def compare(build, path):
    network, optimizer, options = build()
    history = fit(network, optimizer, **options)
    again, optimizer_again, history_again = interrupted(build, path)
    assert repr(history_again) == repr(history)  # a NaN does not equal itself
    assert state_of(again, optimizer_again) == state_of(network, optimizer)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    fit(network, optimizer, epochs=2)
    fit(again, optimizer_again, epochs=2)
    assert state_of(again, optimizer_again) == state_of(network, optimizer)


@pytest.mark.sparse
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network_class", CLASSES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_resumes_to_the_same_bits(network_class, dtype, optimizer, tmp_path):
    def build():
        return make(network_class, dtype), OPTIMIZERS[optimizer](), {"sample_weight": WEIGHT}

    compare(build, tmp_path / "checkpoint")


@pytest.mark.sparse
@pytest.mark.parametrize("optimizer", ["adam", "momentum", "sgd"])
@pytest.mark.parametrize("network_class", CLASSES)
@pytest.mark.parametrize("options", OPTIONS)
def test_every_option_resumes_to_the_same_bits(network_class, optimizer, options, tmp_path):
    def build():
        return make(network_class), OPTIMIZERS[optimizer](), OPTIONS[options]()

    compare(build, tmp_path / "checkpoint")


@pytest.mark.parametrize("options", ["weights", "stopped early", "not stopped"])
def test_lbfgs_resumes_with_every_option(options, tmp_path):
    def build():
        return make(dtype="float64"), fastmlp.LBFGS(), OPTIONS[options]()

    compare(build, tmp_path / "checkpoint")


def test_a_network_that_was_trained_before_resumes_to_the_same_bits(tmp_path):
    def build():
        network, optimizer = make(), fastmlp.Adam()
        fit(network, optimizer, epochs=3)
        return network, optimizer, {"schedule": Cosine(20), **OPTIONS["stopped early"]()}

    compare(build, tmp_path / "checkpoint")


def test_the_rate_that_a_callback_has_set_is_kept(tmp_path):
    def halve(network, epoch, logs):
        optimizer.learning_rate /= 2

    path = tmp_path / "checkpoint"
    optimizer, network = fastmlp.SGD(0.1), make()
    history = fit(network, optimizer, callbacks=[halve])
    optimizer = fastmlp.SGD(0.1)
    fit(make(), optimizer, epochs=3, callbacks=[halve], checkpoint=path)
    optimizer, again = fastmlp.SGD(0.1), make()
    assert fit(again, optimizer, callbacks=[halve], resume=path) == history
    assert state_of(again, optimizer)[:2] == state_of(network, optimizer)[:2]
    assert optimizer.learning_rate == 0.1 / 2**7


def test_losses_that_are_not_finite_are_kept(tmp_path):
    huge = (X[:3] * 1e30, Y[:3])  # its loss is infinite or NaN
    network = fastmlp.Network([5, 1], output="identity", seed=0)
    path = tmp_path / "checkpoint"
    given = {"validation_data": huge, "early_stopping": 9, "learning_rate": 0.01}
    history = network.fit(X, Y, epochs=4, checkpoint=path, **given)
    assert not np.isfinite(history.val_loss).any()
    again = fastmlp.Network([5, 1], output="identity", seed=0)
    assert repr(again.fit(X, Y, epochs=4, resume=path, **given)) == repr(history)
    assert again.parameters.tobytes() == network.parameters.tobytes()
    assert again.epochs_trained == 4


# When a run has ended


@pytest.mark.parametrize(
    ("optimizer", "options", "ending"),
    [
        ("adam", OPTIONS["nothing"], "epochs"),
        ("adam", OPTIONS["stopped early"], "early_stopping"),
        ("adam", lambda: {"callbacks": [lambda network, epoch, logs: epoch == 3]}, "callback"),
        ("lbfgs", lambda: {"epochs": 500}, "converged"),
    ],
)
def test_a_run_that_has_ended_returns_at_once(optimizer, options, ending, tmp_path):
    path = tmp_path / "checkpoint"
    optimizers = [OPTIMIZERS[optimizer]() for _ in range(2)]
    network, again = (make(dtype="float64") for _ in range(2))
    history = fit(network, optimizers[0], **options(), checkpoint=path)
    assert history.stopped_by == ending
    before = path.stat()
    called = []
    given = (
        {"epochs": len(history.loss)} | options() | {"callbacks": [lambda *all: called.append(1)]}
    )
    assert fit(again, optimizers[1], **given, checkpoint=path, resume=path) == history
    assert state_of(again, optimizers[1]) == state_of(network, optimizers[0])
    assert called == []
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_more_epochs_and_more_patience_continue_a_run(tmp_path):
    path = tmp_path / "checkpoint"
    given = {"validation_data": (X[:20], 1 - Y[:20])}
    short = fit(make(), "adam", early_stopping=2, **given, epochs=20, checkpoint=path)
    assert short.stopped_by == "early_stopping"
    once, again = make(), make()
    history = fit(once, "adam", early_stopping=5, **given, epochs=20)
    assert len(history.loss) > len(short.loss)
    assert fit(again, "adam", early_stopping=5, **given, epochs=20, resume=path) == history
    assert again.parameters.tobytes() == once.parameters.tobytes()
    assert again.epochs_trained == once.epochs_trained


def test_every_says_how_often_the_file_is_written(tmp_path):
    path = tmp_path / "checkpoint"
    seen = []

    def look(network, epoch, logs):
        seen.append(fastmlp.Network.load(path).epochs_trained if path.exists() else 0)

    fit(make(), "adam", epochs=8, checkpoint=path, every=3, callbacks=[look])
    assert seen == [0, 0, 0, 3, 3, 3, 6, 6]
    assert fastmlp.Network.load(path).epochs_trained == 8
    stop = [lambda network, epoch, logs: epoch == 3]
    fit(make(), "adam", epochs=8, checkpoint=path, every=3, callbacks=stop)
    assert fastmlp.Network.load(path).epochs_trained == 4  # what ended the run is written too


def test_epochs_and_callbacks_count_on(tmp_path):
    path = tmp_path / "checkpoint"
    seen = []
    fit(make(), "adam", epochs=2, checkpoint=path)
    callbacks = [lambda network, epoch, logs: seen.append((epoch, network.epochs_trained))]
    fit(make(), "adam", epochs=4, resume=path, callbacks=callbacks)
    assert seen == [(2, 3), (3, 4)]


# The file


def test_a_checkpoint_is_a_file_of_the_network_after_that_epoch(tmp_path):
    path = tmp_path / "checkpoint"
    networks = []
    keep = lambda network, epoch, logs: networks.append(network.copy())  # noqa: E731
    given = OPTIONS["everything"]()
    fit(make(), "adam", **given, checkpoint=path, callbacks=[keep])
    loaded = fastmlp.Network.load(path)
    assert repr(loaded) == repr(networks[-1])
    assert loaded.parameters.tobytes() == networks[-1].parameters.tobytes()
    loaded.save(tmp_path / "saved")
    networks[-1].save(tmp_path / "network")
    assert (tmp_path / "saved").read_bytes() == (tmp_path / "network").read_bytes()


def test_the_safetensors_library_reads_the_tensors_of_a_run(tmp_path):
    path = tmp_path / "checkpoint"
    network, adam = make(dtype="float64"), fastmlp.Adam(0.02)
    history = fit(network, adam, **OPTIONS["validation"](), dropout=0.5, checkpoint=path)
    steps, beta_1, beta_2, (m, v) = adam._state()
    with safetensors.safe_open(path, framework="numpy") as file:
        assert set(file.metadata()) == {"fastmlp", "fastmlp_training"}
        assert file.metadata()["fastmlp_training"] == (
            '{"batch_size": 16, "dropout": true, "early_stopping": false, "epochs": 7, '
            '"first_epoch": 0, "format": 1, "numbers": 10, "optimizer": "Adam", "rows": 60, '
            '"sample_weight": false, "schedule": false, "seed": 7, "shuffle": true, '
            f'"standardize": false, "steps": {steps}, "stopped_by": "epochs", '
            '"validation": true, "vectors": 2}'
        )
        found = {name: file.get_tensor(name) for name in file.keys() if "layers" not in name}  # noqa: SIM118
    expected = {
        "training.loss": history.loss,
        "training.val_loss": history.val_loss,
        "training.learning_rate": history.learning_rate,
        "training.optimizer": [0.02, 0.9, 0.999, 1e-8, 0, 0, 0, 0.02, beta_1, beta_2],
        "training.optimizer.0": m,
        "training.optimizer.1": v,
        "training.dropout": [0.5, 0.5],
    }
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], np.array(values), strict=True)


DATA = Path(__file__).parents[2] / "data"


def write_cpp_checkpoints(folder):
    """Write the checkpoints of the run in tests/cpp/io/test_checkpoint.cpp: epochs 4 and 9."""
    x = (np.arange(800) * 37 % 101).astype(np.float32).reshape(200, 4) / np.float32(50) - 1
    y = (x[:, 0] > x[:, 1]).astype(np.float32)
    for epochs in (4, 9):
        fastmlp.Network([4, 9, 7, 1], hidden=["gelu", "tanh"], seed=3).fit(
            x,
            y,
            epochs=epochs,
            batch_size=16,
            dropout=[0.1, 0.0],
            validation_data=(x[:50], y[:50]),
            early_stopping=EarlyStopping(3, min_delta=1e-4),
            schedule=lambda epoch, rate, logs: rate / np.sqrt(1.0 + epoch),
            optimizer=fastmlp.AdamW(weight_decay=0.01),
            checkpoint=folder / f"checkpoint-{epochs}.safetensors",
            resume=folder / "checkpoint-4.safetensors" if epochs == 9 else None,
        )


def test_a_checkpoint_has_the_same_bytes_as_one_from_cpp(tmp_path):
    write_cpp_checkpoints(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (DATA / path.name).read_bytes()


# Interruptions


def train_to_the_end(path):
    """Train, resuming if there is a file; return the bits at the end."""
    network, adam = make(), fastmlp.Adam(0.02)
    given = OPTIONS["everything"]() | {"early_stopping": 100}
    resume = path if path is not None and path.exists() else None
    history = fit(network, adam, **given, epochs=40, checkpoint=path, resume=resume)
    return repr((history, state_of(network, adam)))


def kill_and_resume(kills, folder):
    """Kill a run at random moments until it has been killed `kills` times, then compare."""
    expected = train_to_the_end(None)
    path, result = folder / "checkpoint", folder / "result"
    begin = time.perf_counter()
    train_to_the_end(path)
    longest = (time.perf_counter() - begin) / 3
    path.unlink()
    killed = 0
    while killed < kills:
        pid = os.fork()
        if pid == 0:
            try:
                result.write_text(train_to_the_end(path))
            finally:
                os._exit(0)
        time.sleep(random.uniform(0, longest))
        os.kill(pid, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        if result.exists() and result.stat().st_size == len(expected.encode()):
            assert result.read_text() == expected
            path.unlink()
            result.unlink()
    assert train_to_the_end(path) == expected
    assert {name for name in os.listdir(folder) if name.endswith(".tmp")} == set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork")
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bits(tmp_path):
    kill_and_resume(4, tmp_path)


# If Ctrl-C comes between open() and the `with` block, Python closes the file later, and warns.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_ctrl_c_at_any_moment_can_be_resumed(optimizer, tmp_path):
    path = tmp_path / "checkpoint"
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(3000, 20))
    labels = (rows[:, 0] > 0).astype(float)

    def run(**options):
        network = fastmlp.Network([20, 64, 1], hidden="tanh", seed=0)
        history = network.fit(rows, labels, epochs=8, optimizer=optimizer, **options)
        return network.parameters.tobytes(), repr(history)

    expected, main = run(), threading.get_ident()
    for delay in (0, 0.001, 0.003, 0.01):
        timer = threading.Timer(delay, signal.pthread_kill, [main, signal.SIGINT])

        def start(network, epoch, logs, timer=timer):
            if not timer.ident:
                timer.start()

        try:
            run(checkpoint=path, resume=path if path.exists() else None, callbacks=[start])
            if timer.ident:
                timer.join()
                time.sleep(1)  # until the signal comes
        except KeyboardInterrupt:
            pass
    assert run(resume=path if path.exists() else None) == expected


# What is refused


def unchanged(network, optimizer, generator, path):
    state = generator.bit_generator.state
    return state_of(network, optimizer), repr(state), path.read_bytes() if path.exists() else None


BASE = {"dropout": 0.1, "validation_data": (X[:20], Y[:20]), "early_stopping": 5}
REFUSED = {
    "layers": ({"network": fastmlp.Network([5, 6, 1])}, r"layers is \[5, 6, 1\] here and \[5, 6"),
    "hidden": ({"network": fastmlp.Network(LAYERS)}, r"hidden is \['relu', 'relu'\] here and"),
    "output": (
        {"network": fastmlp.Network(LAYERS, hidden=["tanh", "relu"], output="exp")},
        "output is exp here and sigmoid",
    ),
    "dtype": ({"network": make(dtype="float64")}, "dtype is float64 here and float32"),
    "optimizer": ({"optimizer": fastmlp.SGD()}, "optimizer is SGD here and Adam"),
    "lbfgs": (
        {"optimizer": fastmlp.LBFGS(), "dropout": None},
        "optimizer is LBFGS here and Adam",
    ),
    "rate": ({"optimizer": fastmlp.Adam(0.5)}, "learning_rate is 0.5 here and 0.02 in"),
    "beta": ({"optimizer": fastmlp.Adam(0.02, 0.8)}, "optimizer's beta_1 is 0.8 here and 0.9"),
    "decoupled": (
        {"optimizer": fastmlp.AdamW(0.02, weight_decay=0.0)},
        "optimizer's decoupled is 1.0 here and 0.0",
    ),
    "batch_size": (
        {"batch_size": 8},
        "batch_size is 8 here and 16 in .*; resume with the arguments of that run",
    ),
    "shuffle": ({"shuffle": False}, "shuffle is False here and True"),
    "seed": ({"seed": 8}, "seed is 8 here and 7 in .*; leave seed out, or give 7"),
    "dropout": ({"dropout": [0.1, 0.2]}, r"dropout is \[0.1, 0.2\] here and \[0.1, 0.1\]"),
    "no dropout": ({"dropout": None}, "dropout is not given here and given"),
    "rows": ({"rows": 59}, "the number of rows is 59 here and 60"),
    "weights": ({"sample_weight": WEIGHT}, "sample_weight is given here and not given in"),
    "no validation": (
        {"validation_data": None, "early_stopping": None},
        "validation_data is not given here and given",
    ),
    "no early stopping": ({"early_stopping": None}, "early_stopping is not given here and given"),
    "less patience": (
        {"early_stopping": 1, "path": "stopped"},
        r"EarlyStopping\(patience=1, min_delta=0.0\) would have ended .* after 2 epochs; the "
        "checkpoint has 6; give early_stopping more patience",
    ),
    "schedule": ({"schedule": Cosine(9)}, "schedule is given here and not given"),
    "no schedule": ({"path": "scheduled"}, "schedule is not given here and given"),
    "another schedule": (
        {"path": "scheduled", "schedule": Cosine(9)},
        "schedule gave 0.0193.* as the learning rate of epoch 1, for which the checkpoint has "
        "0.0190.*; give the schedule of that run, as a new object",
    ),
    "fewer epochs": ({"epochs": 6}, "epochs is 6 here and 7 in .*so give at least as many"),
    "not a checkpoint": ({"path": "network"}, "not a checkpoint: it holds only a network"),
    "damaged": ({"path": "damaged"}, "is damaged or not a checkpoint: the file ends in"),
    "every": ({"every": 2}, "every is 2 and checkpoint is None; give checkpoint the name"),
    "every of zero": ({"every": 0, "checkpoint": "x"}, "every is 0; it must be a positive int"),
    "folder": ({"checkpoint": "."}, "checkpoint is '.', a folder, a pipe or a device"),
    "device": ({"checkpoint": os.devnull}, "a folder, a pipe or a device; give the name of a file"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Checkpoints and others by name."""
    folder = tmp_path_factory.mktemp("files")
    given = {"optimizer": fastmlp.Adam(0.02), **BASE}
    fit(make(), **given, checkpoint=folder / "checkpoint")
    given["optimizer"] = fastmlp.Adam(0.02)
    fit(make(), **given, schedule=Cosine(7), checkpoint=folder / "scheduled")
    given |= {"optimizer": fastmlp.Adam(0.02), "validation_data": (X[:20], 1 - Y[:20])}
    fit(make(), **given, checkpoint=folder / "stopped")
    make().save(folder / "network")
    (folder / "damaged").write_bytes((folder / "checkpoint").read_bytes()[:-1])
    return folder


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_give_another_result_is_refused_and_changes_nothing(case, files):
    changed, message = REFUSED[case]
    given = {"optimizer": fastmlp.Adam(0.02), "epochs": 9, "batch_size": 16, **BASE, **changed}
    if case == "less patience":
        given["validation_data"] = (X[:20], 1 - Y[:20])
    network, path = given.pop("network", make()), files / given.pop("path", "checkpoint")
    rows, generator = given.pop("rows", 60), np.random.default_rng(3)
    before = unchanged(network, given["optimizer"], generator, path)
    with pytest.raises(ValueError, match=message) as raised:
        network.fit(X[:rows], Y[:rows], **given, resume=path)
    assert str(raised.value).startswith("fit: ")
    assert unchanged(network, given["optimizer"], generator, path) == before


@pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"optimizer": "lbfgs"}])
def test_a_resumed_run_has_the_seed_of_its_checkpoint(options, tmp_path):
    path, given = tmp_path / "checkpoint", {"optimizer": "adam"} | options
    straight = make()
    straight.fit(X, Y, epochs=5, **given)
    make().fit(X, Y, epochs=3, checkpoint=path, **given)
    for network in (fastmlp.Network(LAYERS, hidden=["tanh", "relu"]), fastmlp.Network.load(path)):
        network.fit(X, Y, epochs=5, resume=path, **given)
        assert network.seed == straight.seed
        assert network.parameters.tobytes() == straight.parameters.tobytes()


def test_a_plateau_that_remembers_an_earlier_fit_cannot_be_in_a_checkpoint(tmp_path):
    network, schedule = make(), Plateau(0.5, 1, min_delta=0.5)
    fit(network, "sgd", epochs=3, schedule=schedule)
    before = network.parameters.tobytes(), dict(vars(schedule))
    with pytest.raises(ValueError, match=r"remembers the losses of an earlier fit; .* new Plateau"):
        fit(network, "sgd", schedule=schedule, checkpoint=tmp_path / "checkpoint")
    assert (network.parameters.tobytes(), dict(vars(schedule))) == before
    network.epochs_trained = 0  # at which it forgets
    fit(network, "sgd", schedule=schedule, checkpoint=tmp_path / "checkpoint")


def test_an_interrupted_run_resumes_with_the_same_network_and_plateau(tmp_path):
    path, straight = tmp_path / "checkpoint", make()
    fit(straight, fastmlp.Adam(), schedule=Plateau(0.5, 1, min_delta=0.5))

    def interrupt(network, epoch, logs):
        if epoch == 4:
            raise KeyboardInterrupt

    network, given = make(), {"schedule": Plateau(0.5, 1, min_delta=0.5), "checkpoint": path}
    with pytest.raises(KeyboardInterrupt):
        fit(network, fastmlp.Adam(), callbacks=[interrupt], **given)
    fit(network, fastmlp.Adam(), resume=path, **given)
    assert network.parameters.tobytes() == straight.parameters.tobytes()


def test_a_refused_resume_leaves_the_schedule_as_it_was(files):
    schedule = Plateau(0.5, 1, min_delta=0.5)
    before = dict(vars(schedule))
    with pytest.raises(ValueError, match="schedule gave"):
        fit(
            make(),
            fastmlp.Adam(0.02),
            **BASE,
            epochs=9,
            schedule=schedule,
            resume=files / "scheduled",
        )
    assert dict(vars(schedule)) == before


def test_a_refused_call_does_not_draw_from_the_generator(files):
    generator = np.random.default_rng(3)
    before = generator.bit_generator.state
    with pytest.raises(ValueError, match="seed is "):
        fit(make(), fastmlp.Adam(0.02), **BASE, seed=generator, resume=files / "checkpoint")
    assert generator.bit_generator.state == before


def test_a_missing_file_is_a_file_not_found_error(tmp_path):
    network = make()
    before = network.parameters.tobytes()
    for argument, action in (("resume", "read"), ("checkpoint", "write")):
        path = tmp_path / "none" / "checkpoint"
        with pytest.raises(FileNotFoundError, match=f"fit: cannot {action} the checkpoint.*none"):
            fit(network, "adam", **{argument: path})
    assert network.parameters.tobytes() == before


@pytest.mark.parametrize("argument", ["resume", "checkpoint"])
def test_a_wrong_path_type_is_refused_and_named(argument):
    with pytest.raises(TypeError, match=f"fit: {argument} is 1, of type int; it must be the name"):
        fit(make(), "adam", **{argument: 1})


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("", FileNotFoundError),
        ("none/", IsADirectoryError),
        ("a\0b", ValueError),
        pytest.param(
            "/proc/checkpoint",  # a folder in which nobody can make a file
            OSError,
            marks=pytest.mark.skipif(not os.path.isdir("/proc"), reason="no /proc here"),
        ),
    ],
)
def test_a_checkpoint_that_cannot_be_written_is_refused_before_training(
    path, error, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    network = make()
    before = network.parameters.tobytes()
    with pytest.raises(error, match="fit: c"):
        fit(network, "adam", epochs=3, checkpoint=path, every=2)
    assert network.parameters.tobytes() == before


def test_the_check_of_the_path_leaves_the_file_and_the_folder_alone(tmp_path):
    path = tmp_path / "checkpoint"
    path.write_bytes(b"old")
    found = []

    def look(*_):
        found.append((sorted(os.listdir(tmp_path)), path.read_bytes()))

    fit(make(), "adam", epochs=2, checkpoint=path, every=2, callbacks=[look])
    assert found[0] == (["checkpoint"], b"old")


def test_a_callback_may_change_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    fit(
        make(),
        fastmlp.Adam(),
        checkpoint="here",
        callbacks=[lambda *_: os.chdir(tmp_path / "other")],
    )
    os.chdir(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["here", "other"]
    assert os.listdir("other") == []
    fit(make(), fastmlp.Adam(), epochs=9, resume="here")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="a folder, a pipe or a device"):
        fit(make(), "adam", checkpoint=tmp_path / "pipe")


# Files that cannot be written


def test_a_write_that_fails_leaves_the_old_file_and_the_parameters(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    once, network = make(), make()
    fit(once, "adam", epochs=3)

    def fail(file):
        if network.epochs_trained == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    message = (
        r"\[Errno 28\] fit: cannot write the checkpoint: No space left on device: '.*checkpoint'"
    )
    with pytest.raises(OSError, match=message):
        fit(network, "adam", checkpoint=path)
    assert network.parameters.tobytes() == once.parameters.tobytes()
    assert os.listdir(tmp_path) == ["checkpoint"]
    monkeypatch.undo()
    again, whole = make(), make()
    fit(again, "adam", resume=path)
    fit(whole, "adam")
    assert again.parameters.tobytes() == whole.parameters.tobytes()


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_disk_that_is_full_is_an_oserror_that_names_fit_and_the_file(tmp_path):
    import resource

    path = tmp_path / "checkpoint"
    size, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    network = make()
    try:
        fit(network, "adam", epochs=2, checkpoint=path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
        with pytest.raises(OSError, match="fit: cannot write the checkpoint") as raised:
            fit(network, "adam", epochs=500, batch_size=60, checkpoint=path, resume=None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    assert raised.value.filename == str(path)
    assert os.listdir(tmp_path) == ["checkpoint"]
    assert fastmlp.Network.load(path).epochs_trained < network.epochs_trained < 502


def test_a_folder_that_disappears_is_an_oserror(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()

    def remove(network, epoch, logs):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()

    with pytest.raises(FileNotFoundError, match="fit: cannot write the checkpoint"):
        fit(make(), "adam", checkpoint=folder / "checkpoint", callbacks=[remove])


@pytest.mark.skipif(sys.platform == "win32", reason="os.seteuid")
def test_a_read_only_file_is_refused_before_training():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = Path(folder, "checkpoint")
        path.touch(mode=stat.S_IRUSR)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)  # permissions do not bind root
        network = make()
        try:
            with pytest.raises(PermissionError, match="fit: cannot write the checkpoint"):
                fit(network, "adam", checkpoint=path)
        finally:
            if is_root:
                os.seteuid(0)
        assert network.epochs_trained == 0


if __name__ == "__main__" and sys.argv[1] == "--write":
    write_cpp_checkpoints(DATA)
elif __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        kill_and_resume(int(sys.argv[1]), Path(folder))
    print(f"{sys.argv[1]} kills: the same bits as an uninterrupted run")

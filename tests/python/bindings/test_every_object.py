"""No object of fastmlp can end the process, however it was made and whatever is done with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastmlp

ABUSE = Path(__file__).parents[1] / "helpers" / "abuse.py"


@pytest.mark.parametrize(
    ("rounds", "seed"),
    [(1, 0), *(pytest.param(15, seed, marks=pytest.mark.sweep) for seed in (1, 2, 3))],
)
def test_no_member_of_any_object_ends_the_process(rounds, seed):
    command = [sys.executable, str(ABUSE), str(rounds), str(seed)]
    path = os.pathsep.join(sys.path)
    environment = {**os.environ, "PYTHONPATH": path}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 10_000


@pytest.mark.parametrize("kind", ["Network", "Optimizer", "Objective"])
def test_an_object_cannot_change_to_another_native_class(kind):
    core = fastmlp._core
    native = getattr(core, kind)
    for other in (core.Network, core.Optimizer, core.Objective):
        if other is not native:
            with pytest.raises(TypeError):
                native.__new__(native).__class__ = other


def test_a_class_cannot_have_two_native_bases():
    with pytest.raises(TypeError):
        type("Both", (fastmlp.Network, fastmlp.Adam), {})()


def test_a_second_init_is_refused_and_changes_nothing():
    network, optimizer = fastmlp.Network([2, 1], seed=0), fastmlp.Adam(0.5)
    before = network.parameters.tobytes()
    for again in (lambda: network.__init__([3, 1]), lambda: optimizer.__init__(0.1)):
        with pytest.raises(RuntimeError, match="__init__ has been called before"):
            again()
    assert network.layers == (2, 1)
    assert network.parameters.tobytes() == before
    assert optimizer.learning_rate == 0.5


def test_an_init_inside_init_is_refused():
    class Layers(list):
        def __getitem__(self, index):
            network.__init__([3, 1])
            return super().__getitem__(index)

        def __iter__(self):
            network.__init__([3, 1])
            return super().__iter__()

    network = fastmlp.Network.__new__(fastmlp.Network)
    with pytest.raises(RuntimeError, match="__init__ has been called before"):
        network.__init__(Layers([2, 1]))
    assert network.layers == (3, 1)


@pytest.mark.parametrize(
    "state",
    [
        None,
        (),
        (1,),
        (10**30, 1.0, 1.0, ()),
        ("1", 1.0, 1.0, ()),
        (1, 1.0, 1.0, 3),
        (-1, 1.0, 1.0, ()),
        (2**63 - 1, 1.0, 1.0, ()),
        (1, float("nan"), 1.0, ()),
        (1, 1.0, 2.0, ()),
        (1, 1.0, 1.0, ([1.0],)),
        (1, 1.0, 1.0, ([1.0], [1.0, 2.0])),
    ],
    ids=repr,
)
def test_an_invalid_state_is_refused(state):
    optimizer = fastmlp.Adam()
    with pytest.raises((TypeError, ValueError), match="set_state: "):
        optimizer._set_state(state)
    assert optimizer.steps == 0

"""Dropout: the masks, their place in a step, and that nothing but the seed has a part in them."""

import numpy as np
import pytest

import fastmlp
from fastmlp.reference import Network as Twin
from fastmlp.reference.random import dropout_mask

RATES = [0.5, [0.2, 0.0], [0.0, 0.9]]


def data(rows: int = 70) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(rows, 5))
    return X, (X.sum(axis=1) > 0).astype(float)


def trained(kind: type, dtype: str, dropout: object, **changes: object) -> np.ndarray:
    X, y = data()
    network = kind([5, 19, 7, 1], hidden=["gelu", "tanh"], dtype=dtype, seed=0)
    optimizer = fastmlp.Adam()
    how = {"batch_size": 16, "optimizer": optimizer, "dropout": dropout, **changes}
    for _ in range(3):
        network.train_epoch(X, y, np.arange(len(X)), **how)
    return network.parameters.copy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("dropout", RATES)
def test_the_twin_draws_the_same_masks(dropout: object, dtype: str) -> None:
    native = trained(fastmlp.Network, dtype, dropout)
    difference = np.abs(native - trained(Twin, dtype, dropout)).max()
    assert difference < 100 * np.finfo(dtype).eps  # a unit more or less would be 1e-3


def test_seed_epoch_step_and_layer_change_the_mask() -> None:
    def mask(seed: int = 1, layer: int = 1, step: int = 0, epoch: int = 0) -> np.ndarray:
        return dropout_mask(seed, layer, step, epoch, (6, 21), 0.5)

    masks = [mask(), mask(seed=2), mask(layer=2), mask(step=1), mask(epoch=1)]
    assert len({m.tobytes() for m in masks}) == len(masks)
    assert (mask() == masks[0]).all()


def test_the_share_is_what_was_asked_for_and_the_mean_is_kept() -> None:
    mask = dropout_mask(3, 1, 0, 0, (2000, 50), 0.3)
    n = mask.size
    share = (mask == 0).mean()
    assert abs(share - 0.3) < 5 * np.sqrt(0.3 * 0.7 / n)
    assert set(np.unique(mask)) == {0.0, 1 / 0.7}


def test_threads_and_instruction_sets_draw_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    before, isa = fastmlp.get_num_threads(), fastmlp.isa()
    results = set()
    try:
        for name in fastmlp.available_isas():
            for threads in (1, 2, 3):
                fastmlp.set_isa(name)
                fastmlp.set_num_threads(threads)
                results.add(trained(fastmlp.Network, "float32", 0.5).tobytes())
    finally:
        fastmlp.set_isa(isa)
        fastmlp.set_num_threads(before)
    assert len(results) == 1


def test_a_batch_in_several_blocks_goes_on_with_its_rows() -> None:
    X, y = data(5000)  # a pass takes 4096 rows at a time
    for order in (np.arange(5000), np.arange(5000)[::-1].copy()):
        networks = [kind([5, 9, 1], dtype="float64", seed=0) for kind in (fastmlp.Network, Twin)]
        for network in networks:
            network.train_epoch(
                X, y, order, batch_size=5000, optimizer=fastmlp.SGD(1.0), dropout=0.5
            )
        np.testing.assert_allclose(networks[0].parameters, networks[1].parameters, atol=1e-12)


def test_no_rate_changes_nothing() -> None:
    plain = trained(fastmlp.Network, "float32", None)
    for nothing in (0.0, [0.0, 0.0], np.zeros(2)):
        np.testing.assert_array_equal(trained(fastmlp.Network, "float32", nothing), plain)


def test_predictions_and_losses_see_all_units() -> None:
    X, y = data()
    network = fastmlp.Network([5, 19, 1], seed=0)
    before = network.forward(X), network.loss_and_gradients(X, y), network.gradients.copy()
    network.train_epoch(
        X, y, np.arange(70), batch_size=70, optimizer=fastmlp.SGD(1e-30), dropout=0.9
    )
    after = network.forward(X), network.loss_and_gradients(X, y), network.gradients
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (1.0, r"dropout is 1; it must be in \[0, 1\)"),
        (-0.1, "dropout is -0.1"),
        ([0.1], "dropout has 1 rates; there must be one for each of the 2 hidden layers"),
        (float("nan"), "dropout is nan"),
    ],
)
def test_bad_rates_are_refused_and_change_nothing(bad: object, what: str) -> None:
    X, y = data()
    network = fastmlp.Network([5, 4, 3, 1], seed=0)
    before = network.parameters.copy()
    with pytest.raises(ValueError, match=what):
        network.train_epoch(X, y, np.arange(70), batch_size=7, optimizer=fastmlp.SGD(), dropout=bad)
    np.testing.assert_array_equal(network.parameters, before)


@pytest.mark.parametrize("bad", ["half", object(), ["a", "b"]])
def test_rates_are_numbers(bad: object) -> None:
    X, y = data()
    network = fastmlp.Network([5, 4, 3, 1], seed=0)
    with pytest.raises(TypeError, match="train_epoch: dropout is"):
        network.train_epoch(X, y, np.arange(70), batch_size=7, optimizer=fastmlp.SGD(), dropout=bad)


@pytest.mark.parametrize("dropout", RATES)
def test_fit_drops_by_seed_and_epoch(dropout: object) -> None:
    X, y = data()
    whole, halves, twin, other, plain = (
        kind([5, 19, 7, 1], dtype="float64", seed=0)
        for kind in (fastmlp.Network, fastmlp.Network, Twin, fastmlp.Network, fastmlp.Network)
    )
    whole.fit(X, y, epochs=4, dropout=dropout)
    halves.fit(X, y, epochs=2, dropout=dropout)
    halves.fit(X, y, epochs=2, dropout=dropout)
    np.testing.assert_array_equal(whole.parameters, halves.parameters)
    twin.fit(X, y, epochs=4, dropout=dropout)
    np.testing.assert_allclose(twin.parameters, whole.parameters, rtol=1e-10, atol=1e-12)
    other.fit(X, y, epochs=4, dropout=dropout, seed=1)
    plain.fit(X, y, epochs=4)
    for network in (other, plain):
        assert (network.parameters != whole.parameters).any()


@pytest.mark.parametrize("bad", [1.0, -0.5, [0.1], [0.1] * 3, "half", float("nan")])
@pytest.mark.parametrize("kind", [fastmlp.Network, Twin])
def test_fit_refuses_bad_rates(kind: type, bad: object) -> None:
    X, y = data()
    network = kind([5, 4, 3, 1], seed=0)
    before = network.parameters.copy()
    with pytest.raises(ValueError, match=r"^fit: dropout is"):
        network.fit(X, y, epochs=1, dropout=bad)
    np.testing.assert_array_equal(network.parameters, before)


def test_lbfgs_refuses_dropout() -> None:
    X, y = data()
    with pytest.raises(ValueError, match="LBFGS takes all rows at once"):
        fastmlp.Network([5, 4, 1], seed=0).fit(X, y, epochs=1, optimizer="lbfgs", dropout=0.5)

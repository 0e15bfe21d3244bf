"""A model's file: it predicts the same bits, is always the same, and is refused if damaged."""

import copy
import hashlib
import json
import pickle
import random
import struct
import tracemalloc
from contextlib import suppress
from fractions import Fraction
from types import MappingProxyType

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastmlp
from fastmlp.tabular import TabularClassifier, TabularRegressor, load
from table_data import features, mixed_table

TABLE = mixed_table(rows=200)
X = features(TABLE)
QUICK = {"epochs": 2, "hidden": (4,), "n_members": 2}
KEY = "fastmlp_tabular"
# Of the tensors of a file. A change of a default that the test does not set may change it.
GOLDEN = "e8e703aad7c3b1dcda2b7c3bd1affacae7b0d0f9e87ce40cd11b776e666426d8"


def classifier(**arguments):
    table = {**X, "same": [1] * 200, "class": TABLE["class"]}
    return TabularClassifier(**QUICK, ignore=["same"], **arguments).fit(table, "class")


def regressor(**arguments):
    return TabularRegressor(**QUICK, **arguments).fit(X, TABLE["amount"])


def quantile_regressor():
    return regressor(quantiles=[0.1, 0.9])


def huber_regressor():
    return regressor(loss="huber", delta=0.5)


MODELS = [classifier, regressor, quantile_regressor, huber_regressor]


@pytest.fixture(params=MODELS, ids=lambda make: make.__name__)
def model(request):
    return request.param()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def predictions(model):
    table = {**X, "same": [1] * 200}
    return model.predict_proba(table) if hasattr(model, "classes_") else model.predict(table)


def parts(path):
    """The header of a file, the JSON of the model in it, and the bytes of the tensors."""
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    return header, json.loads(header["__metadata__"][KEY]), raw[8 + size :]


def write(path, header, settings, data):
    metadata = {**header["__metadata__"], KEY: json.dumps(settings)}
    text = json.dumps({**header, "__metadata__": metadata}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


# What is read is what was written


def test_a_loaded_model_is_the_one_that_was_saved(model, path):
    model.save(path)
    loaded = type(model).load(path)
    assert_array_equal(predictions(loaded), predictions(model))
    assert loaded.get_params() == model.get_params()
    assert loaded.summary() == model.summary()
    assert loaded.histories == model.histories
    assert loaded.columns() == model.columns()
    assert loaded.n_features_in_ == model.n_features_in_
    assert loaded.feature_names_in_.tolist() == model.feature_names_in_.tolist()
    assert type(load(path)) is type(model)
    before = path.read_bytes()
    loaded.save(path)
    assert path.read_bytes() == before


def test_a_model_of_an_array_has_no_names(path):
    A = np.random.RandomState(0).normal(size=(60, 3))
    TabularRegressor(**QUICK).fit(A, A[:, 0]).save(path)
    loaded = TabularRegressor.load(path)
    assert not hasattr(loaded, "feature_names_in_")
    assert loaded.predict(A).shape == (60,)


@pytest.mark.parametrize("labels", [["ä", "b", "c"], [-5, 0, 7], [False, True]])
def test_labels_keep_their_type(path, labels):
    x = {"x": [float(i % len(labels)) for i in range(60)]}
    y = [labels[i % len(labels)] for i in range(60)]
    model = TabularClassifier(**QUICK, class_weight=dict.fromkeys(labels, 2)).fit(x, y)
    model.save(path)
    loaded = TabularClassifier.load(path)
    assert loaded.class_weight == model.class_weight
    assert loaded.classes_.dtype == model.classes_.dtype
    assert loaded.classes_.tolist() == sorted(labels)


@pytest.mark.parametrize(
    "arguments",
    [
        {"class_weight": {"low": 2.5, "high": 1}},
        {"class_weight": "balanced", "seed": 2**64 - 1},
        {"column_types": {"size": "category"}, "scaling": "quantile", "n_bins": 0},
        {"learning_rate": 0.01, "dropout": 0.0, "activation": "relu"},
        {"class_weight": {"low": np.float64(2.5), "high": np.int64(1)}},
        {"patience": np.int64(2)},
    ],
)
def test_arguments_survive(path, arguments):
    model = classifier(**arguments)
    model.save(path)
    assert TabularClassifier.load(path).get_params() == model.get_params()
    assert_array_equal(predictions(load(path)), predictions(model))


def test_a_seed_that_was_drawn_is_in_the_file(path):
    model = regressor(seed=None)
    model.save(path)
    again = TabularRegressor.load(path).fit(X, TABLE["amount"])
    assert_array_equal(predictions(again), predictions(model))


def test_the_same_table_and_seed_give_the_same_bytes(tmp_path):
    contents = set()
    for threads in (1, 2, 3):
        with fastmlp.threads(threads):
            classifier().save(tmp_path / "model")
        contents.add((tmp_path / "model").read_bytes())
    assert len(contents) == 1


def test_the_bytes_are_those_of_every_other_machine(path):
    whole = [i * 7919 % 1000 for i in range(300)]
    table = {
        "number": [value / 8 if value % 11 else None for value in whole],
        "level": [f"level {value % 7}" if value % 13 else None for value in whole],
        "flag": [value % 3 == 0 for value in whole],
        "day": [f"20{value % 20 + 10}-0{value % 9 + 1}-1{value % 10}" for value in whole],
    }
    model = TabularClassifier(
        hidden=(8, 8),
        activation="mish",
        n_members=2,
        epochs=3,
        batch_size=32,
        learning_rate=0.003,
        weight_decay=0.1,
        dropout=0.1,
        n_bins=8,
    ).fit(table, [value * value % 5 % 3 for value in whole])
    model.save(path)
    _, _, data = parts(path)
    assert hashlib.sha256(data).hexdigest() == GOLDEN


def test_nothing_is_pickled(model, path):
    model.save(path)
    header, _, _ = parts(path)
    assert list(header["__metadata__"]) == [KEY]
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(path.read_bytes())
    safetensors = pytest.importorskip("safetensors.numpy")
    tensors = safetensors.load_file(path)
    assert "networks.1.layers.0.weight" in tensors


# Refused


def test_quantiles_that_do_not_fit_the_networks_are_refused(path):
    quantile_regressor().save(path)
    header, settings, data = parts(path)
    settings["arguments"]["quantiles"] = ["list", ["float", "0.5"]]
    write(path, header, settings, data)
    with pytest.raises(ValueError, match="do not fit"):
        load(path)


def test_a_file_of_another_kind_names_its_reader(path):
    classifier().save(path)
    with pytest.raises(ValueError, match=r"read it with TabularClassifier.load"):
        fastmlp.Network.load(path)
    with pytest.raises(ValueError, match="holds a TabularClassifier"):
        TabularRegressor.load(path)
    fastmlp.Network([2, 1], seed=0).save(path)
    with pytest.raises(ValueError, match=r"it holds a network, which Network.load reads"):
        load(path)
    path.write_bytes(b"x,y\n1,2\n")
    with pytest.raises(ValueError, match=r"is damaged or not a model that fastmlp.tabular wrote"):
        load(path)


def test_paths(model, path, tmp_path):
    with pytest.raises(FileNotFoundError):
        load(path)
    with pytest.raises(TypeError, match="path is 3"):
        load(3)
    with pytest.raises(TypeError, match="path is 3"):
        model.save(3)
    with pytest.raises(OSError, match="no-folder"):
        model.save(tmp_path / "no-folder" / "model")
    with pytest.raises(ValueError, match="not fitted"):
        TabularClassifier().save(path)
    assert not path.exists()


def test_a_file_cut_off_anywhere_is_refused(model, path):
    model.save(path)
    raw = path.read_bytes()
    for size in [*range(0, 200, 7), *range(200, len(raw), 997), len(raw) - 1]:
        path.write_bytes(raw[:size])
        with pytest.raises(ValueError, match="is damaged or not"):
            load(path)
    path.write_bytes(raw + b"\0")
    with pytest.raises(ValueError, match="more bytes follow"):
        load(path)


def load_or_refuse(path):
    """Load and predict, or get a ValueError; return whether it was refused."""
    try:
        loaded = load(path)
    except ValueError:
        return True
    with suppress(ValueError):  # other names of columns, for example
        predictions(loaded)
    loaded.summary()
    return False


@pytest.mark.parametrize("make", [classifier, quantile_regressor])
def test_a_flipped_bit_is_refused_or_harmless(make, path):
    make().save(path)
    raw = bytearray(path.read_bytes())
    draw = random.Random(0)
    with np.errstate(all="ignore"):
        for _ in range(60):
            position = draw.randrange(min(len(raw), 12_000))
            changed = bytearray(raw)
            changed[position] ^= 1 << draw.randrange(8)
            path.write_bytes(changed)
            load_or_refuse(path)


def places(value, path=()):
    """The path to every value inside JSON."""
    yield path
    if not isinstance(value, dict | list):
        return
    for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
        yield from places(entry, (*path, key))


ODD = (None, True, 0, 1, 2**63, "", "x", [], [1], {}, {"x": 1}, ["float", "nan"], ["list"] * 3)


@pytest.mark.parametrize("make", [classifier, quantile_regressor])
def test_any_changed_setting_is_refused_or_harmless(make, path):
    make().save(path)
    header, settings, data = parts(path)
    refused = kept = 0
    for place in list(places(settings))[1:]:
        for odd in random.Random(str(place)).sample(ODD, 1):
            changed = copy.deepcopy(settings)
            owner = changed
            for key in place[:-1]:
                owner = owner[key]
            owner[place[-1]] = odd
            write(path, header, changed, data)
            if load_or_refuse(path):
                refused += 1
            else:
                kept += 1
    assert refused > 2 * kept


def test_any_setting_that_is_left_out_or_added_is_refused(model, path):
    model.save(path)
    header, settings, data = parts(path)
    for place in list(places(settings))[1:]:
        changed = copy.deepcopy(settings)
        owner = changed
        for key in place[:-1]:
            owner = owner[key]
        if place[0] in ("arguments", "labels") and len(place) > 1:
            continue  # an argument that is left out has its default
        if isinstance(owner, dict):
            del owner[place[-1]]
            write(path, header, changed, data)
            assert load_or_refuse(path), place
    for changed in ({**settings, "more": 1}, {**settings, "format": 2}):
        write(path, header, changed, data)
        with pytest.raises(ValueError, match="damaged or not"):
            load(path)


@pytest.mark.parametrize(
    ("name", "numbers", "message"),
    [
        ("target", [0.0, 0.0, 0.0, 1.0], "target is"),
        ("target", [np.nan, 1.0, 0.0, 1.0], "target is"),
        ("columns.0.center", [np.inf], "column 'size': center has a value that is not finite"),
        ("columns.0.robust", [0.0, -1.0], "column 'size': robust must be"),
        ("columns.0.edges", None, "column 'size': edges must rise"),
        ("columns.1.shares", None, "column 'color': shares has a value that is not finite"),
    ],
)
def test_tensors_that_cannot_be_are_refused(path, name, numbers, message):
    regressor().save(path)
    header, settings, data = parts(path)
    begin, end = header[name]["data_offsets"]
    value = np.full((end - begin) // 8, np.nan if name.endswith("shares") else 0.0)
    value[: len(numbers or ())] = numbers or ()
    write(path, header, settings, data[:begin] + value.tobytes() + data[end:])
    with pytest.raises(ValueError, match=message):
        load(path)


LABELS = {"type": "integer", "values": ["0", "1", "2"]}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("seed",), "x", "seed is 'x'"),
        (("seed",), -1, "-1 is not an integer"),
        (("columns", 1, "name"), "size", "two columns have the same name"),
        (("columns", 0, "settings", "has_missing"), False, "do not fit the columns"),
        (("members",), [{"epochs": 2, "best_epoch": 1}], "members is"),
        (("networks", 0, "more"), 1, "a network has the keys"),
        (("networks",), [], "networks is"),
        (("labels", "values"), ["a", "b"], "do not fit the labels"),
        (("labels", "values"), ["c", "b", "a"], "sorted"),
        (("labels", "values"), ["a", "a", "b"], "two or more different labels"),
        (("labels",), {**LABELS, "values": ["0", "1", str(2**63)]}, "too large"),
        (("labels",), {**LABELS, "values": ["0", "1", "9" * 21]}, "different labels"),
        (("labels",), {**LABELS, "values": ["0", "0", "1"]}, "different labels"),
        (("labels", "type"), "date", "type is 'date'"),
        (("arguments", "class_weight"), ["dict", [["list", "a"], 1]], "no key of a dict"),
        (("arguments", "more"), 1, "arguments that this version does not take"),
        (("recipe", "epochs"), ["float", "1.5"], "epochs is 1.5"),
        (("recipe", "more"), 1, "recipe has the keys"),
    ],
)
def test_settings_that_cannot_be_are_refused(path, place, value, message):
    classifier().save(path)
    header, settings, data = parts(path)
    owner = settings
    for key in place[:-1]:
        owner = owner[key]
    owner[place[-1]] = value
    write(path, header, settings, data)
    with pytest.raises(ValueError, match=message):
        load(path)


def test_networks_with_different_outputs_are_refused(path):
    models = TabularRegressor(**QUICK).fit(X, TABLE["amount"])
    other = TabularRegressor(**QUICK, quantiles=[0.1, 0.9]).fit(X, TABLE["amount"])
    models._members[1] = other._members[1]
    models.save(path)
    with pytest.raises(ValueError, match="do not fit the columns"):
        load(path)


def test_an_argument_that_is_nested_deeply_is_refused(path):
    regressor().save(path)
    header, settings, data = parts(path)
    nested = 1
    for _ in range(300):
        nested = ["list", nested]
    settings["arguments"]["ignore"] = nested
    write(path, header, settings, data)
    with pytest.raises(ValueError, match="nested too deeply"):
        load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda settings: settings["networks"][0].update(layers=[2**40, 2**40, 1]),
        lambda settings: settings["networks"][0].update(
            layers=[2] * 20_000, hidden=["relu"] * 19_998
        ),
        lambda settings: settings["columns"][0]["tensors"].update(edges=2**60),
        lambda settings: settings.update(networks=settings["networks"] * 2_000),
        lambda settings: settings["columns"][0]["tensors"].update({str(i): 0 for i in range(9999)}),
    ],
)
def test_a_hostile_file_allocates_a_small_multiple_of_its_size(path, change):
    regressor().save(path)
    header, settings, data = parts(path)
    change(settings)
    write(path, header, settings, data)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="damaged or not"):
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
        assert peak < 15 * path.stat().st_size + 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "arguments",
    [
        {"ignore": {"color", "day"}},
        {"ignore": np.array(["day"])},
        {"ignore": {"day": 1}.keys()},
        {"column_types": MappingProxyType({"size": "category"})},
        {"class_weight": MappingProxyType({"low": np.float32(2)})},
        {"hidden": np.array([5, 4])},
        {"hidden": range(4, 6)},
        {"hidden": np.int8(4)},
        {"dropout": np.float32(0.25), "weight_decay": Fraction(1, 8)},
        {"verbose": np.bool_(False)},
    ],
    ids=repr,
)
def test_every_argument_that_fit_takes_is_saved(arguments, tmp_path):
    table = mixed_table()
    settings = {"epochs": 1, "n_members": 1, "hidden": (4,)}
    model = TabularClassifier(**{**settings, **arguments}).fit(features(table), table["class"])
    model.save(tmp_path / "model.safetensors")
    loaded = TabularClassifier.load(tmp_path / "model.safetensors")
    again = TabularClassifier(**loaded.get_params()).fit(features(table), table["class"])
    np.testing.assert_array_equal(
        again.predict_proba(features(table)), model.predict_proba(features(table))
    )


def test_a_series_of_names_is_saved(tmp_path):
    pd = pytest.importorskip("pandas")
    table = mixed_table()
    for ignore in (pd.Index(["day"]), pd.Series(["day"])):
        model = TabularClassifier(epochs=1, n_members=1, hidden=(4,), ignore=ignore)
        model.fit(features(table), table["class"]).save(tmp_path / "model.safetensors")
        assert TabularClassifier.load(tmp_path / "model.safetensors").ignore == ["day"]

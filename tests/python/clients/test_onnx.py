"""`to_onnx`: ONNX Runtime computes what the network computes; the file says the rest."""

import json
import os

import numpy as np
import pytest

import fastmlp
from fastmlp.formats import safetensors
from fastmlp.tabular import TabularClassifier, TabularRegressor
from fastmlp.tabular._columns import Boolean, Category, Column, Date, Number
from fastmlp.tabular._table import read_table

pytestmark = pytest.mark.client
onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

# Of the largest |output|.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def session_of(model):
    onnx.checker.check_model(model, full_check=True)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    return runtime.InferenceSession(model.SerializeToString(), options, providers=providers)


def run(model, X):
    """The outputs of ONNX Runtime by name."""
    session = session_of(model)
    outputs = [one.name for one in session.get_outputs()]
    return dict(zip(outputs, session.run(None, {"X": X}), strict=True))


def random_network(draw, hidden, output, dtype):
    """A network of random widths with random biases."""
    names = list(fastmlp.ACTIVATIONS)
    chosen = [hidden, *draw.choice(names, draw.randint(0, 3))]
    n_out = draw.randint(2 if output == "softmax" else 1, 5)
    layers = [draw.randint(1, 9), *draw.randint(1, 20, len(chosen)), n_out]
    seed = draw.randint(1000)
    network = fastmlp.Network(
        [int(n) for n in layers], hidden=chosen, output=output, dtype=dtype, seed=int(seed)
    )
    for bias in network.biases:
        bias[:] = draw.normal(0, 0.5, bias.shape)
    return network


def assert_same_numbers(found, network, X):
    expected = network.forward(X)
    (values,) = (one for name, one in found.items() if name != "output_label")
    assert values.dtype == network.dtype
    assert values.shape == expected.shape
    error = np.abs(values - expected).max(initial=0)
    assert error <= TOLERANCE[network.dtype.name] * np.abs(expected).max(initial=0)
    return expected


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("output", fastmlp.OUTPUTS)
@pytest.mark.parametrize("hidden", fastmlp.ACTIVATIONS)
def test_onnx_runtime_computes_what_a_random_network_computes(hidden, output, dtype):
    draw = np.random.RandomState(len(hidden) + 20 * len(output))
    for _ in range(3):
        network = random_network(draw, hidden, output, dtype)
        n_in = network.layers[0]
        for X in (draw.normal(0, 1, (40, n_in)), np.zeros((0, n_in)), draw.normal(0, 1, (1, n_in))):
            X = X.astype(dtype)
            found = run(network.to_onnx(), X)
            expected = assert_same_numbers(found, network, X)
            if output in ("sigmoid", "softmax"):
                assert found["output_label"].dtype == np.int64
                assert found["output_label"].shape == network.predict(X).shape
                near = np.abs(expected - 0.5).min(axis=1, initial=1) < 1e-4
                same = found["output_label"] == network.predict(X)
                assert np.all(same.T | near)


def test_float64_graphs_have_only_operators_that_onnx_runtime_1_16_runs_in_float64():
    hidden = list(fastmlp.ACTIVATIONS)
    network = fastmlp.Network([2] * (len(hidden) + 2), hidden=hidden, dtype="float64", seed=0)
    nodes = network.to_onnx().graph.node
    operators = "Abs Add Cast Clip Div Exp GreaterOrEqual Identity Log MatMul Max Min Mul Neg Relu"
    operators = {*operators.split(), "Sigmoid", "Sub", "Tanh"}
    assert {one.op_type for one in nodes if not one.domain} == operators
    sigmoids = {one.output[0] for one in nodes if one.op_type == "Sigmoid"}
    products = [one for one in nodes if one.op_type == "Mul"]
    assert not any(sigmoids & set(one.input) for one in products)  # which would become QuickGelu


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("hidden", fastmlp.ACTIVATIONS)
def test_the_ends_of_the_number_range_give_no_nan(hidden, dtype):
    network = fastmlp.Network([1, 1, 1], hidden=hidden, output="identity", dtype=dtype, seed=0)
    network.parameters[:] = [1, 0, 1, 0]
    ends = [0.0, -0.0, 1e-30, 20, 88, 89, 709, 710, 745, 1e4, 1e30]
    X = np.array([*ends, *(-one for one in ends)], dtype)[:, np.newaxis]
    found, expected = run(network.to_onnx(), X)["output"], network.forward(X)
    with np.errstate(invalid="ignore"):
        assert np.all(np.abs(found - expected) <= 1e-6 * (1 + np.abs(expected)))


def test_rows_that_are_not_contiguous_give_the_same_numbers():
    network = fastmlp.Network([3, 4, 2], output="softmax", seed=0)
    X = np.asfortranarray(np.random.RandomState(0).normal(size=(20, 6)).astype("f"))[::2, ::2]
    assert_same_numbers(run(network.to_onnx(), X), network, X)


@pytest.mark.parametrize("labels", [["b", "a", "ü"], [7, -1, 3], [0.5, 2.5, -1.0]])
def test_softmax_gives_the_labels_of_the_network(labels):
    network = fastmlp.Network([2, 3], output="softmax", dtype="float64", seed=0)
    network.classes = labels
    X = np.random.RandomState(0).normal(size=(30, 2))
    found = run(network.to_onnx(), X)["output_label"]
    assert found.tolist() == network.predict(X).tolist()
    assert set(found.tolist()) == set(labels)


@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [1, 2], None])
def test_one_sigmoid_gives_the_label_of_half_or_more(labels):
    network = fastmlp.Network([1, 1], dtype="float64", seed=0)
    network.parameters[:] = [1, 0]
    network.classes = labels
    X = np.array([[-1.0], [0.0], [1.0]])
    found = run(network.to_onnx(), X)["output_label"]
    assert found.tolist() == network.predict(X).tolist()
    assert found[1] == found[2] != found[0]


def test_the_model_says_what_the_network_is(tmp_path):
    network = fastmlp.Network([2, 3], output="softmax", seed=5)
    network.metadata["trained on"] = "the measurements of May"
    network.feature_names, network.classes = ["width", "height"], ["a", "b", "c"]
    network.epochs_trained = 4
    model = network.to_onnx(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == model.SerializeToString()
    props = {one.key: one.value for one in model.metadata_props}
    assert props["trained on"] == "the measurements of May"
    assert json.loads(props["feature_names"]) == ["width", "height"]
    assert json.loads(props["classes"]) == ["a", "b", "c"]
    assert json.loads(props["fastmlp"])["seed"] == 5
    (shape,) = (one.type.tensor_type.shape for one in model.graph.input)
    assert [one.dim_param or one.dim_value for one in shape.dim] == ["rows", 2]
    assert (model.producer_name, model.producer_version) == ("fastmlp", fastmlp.__version__)


def round_trip(network):
    back = fastmlp.Network.from_onnx(network.to_onnx())
    assert repr(back) == repr(network)
    assert back.parameters.tobytes() == network.parameters.tobytes()
    assert back.metadata == network.metadata
    assert back.epochs_trained == network.epochs_trained
    return back


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("output", fastmlp.OUTPUTS)
@pytest.mark.parametrize("hidden", fastmlp.ACTIVATIONS)
def test_a_round_trip_gives_the_same_bits(hidden, output, dtype):
    draw = np.random.RandomState(len(hidden) + 20 * len(output))
    for _ in range(3):
        network = random_network(draw, hidden, output, dtype)
        network.epochs_trained, network.metadata["a"] = 3, "b"
        network.biases[0][:1] = -0.0
        round_trip(network)


def test_a_round_trip_keeps_loss_and_scaling():
    draw = np.random.RandomState(0)
    network = fastmlp.Network([3, 4, 2], output="identity", loss="pinball", quantiles=[0.1, 0.9])
    network.fit(draw.normal(9, 5, (50, 3)), draw.normal(size=50), epochs=1, standardize=True)
    back = round_trip(network)
    assert back.quantiles == network.quantiles
    for name, values in network.scaling.items():
        assert back.scaling[name].tobytes() == values.tobytes()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors, "_write", full)
    with pytest.raises(OSError, match="No space"):
        fastmlp.Network([2, 1], seed=0).to_onnx(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_more_parameters_than_a_file_can_have_are_refused(monkeypatch):
    from fastmlp.formats import onnx_export

    monkeypatch.setattr(onnx_export, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match=r"^to_onnx: the parameters have 1.. bytes; .*save"):
        fastmlp.Network([15, 2], seed=0).to_onnx()


# Tabular models

READ = {Number: Column.numbers, Boolean: Column.booleans, Date: Column.dates}


def columns_for_onnx(model, X):
    """The columns as the page "ONNX" says that they are given."""
    table = read_table(X)
    inputs = {}
    for name, kind in model._encoder.kinds.items():
        column = table.columns[name]
        if isinstance(kind, Category):
            values = np.array([text or "" for text in column.texts()], dtype=object)
        else:
            values = READ[type(kind)](column)
        inputs[name] = values[:, np.newaxis]
    return inputs


def predictions(model, X):
    """What ONNX Runtime and Python predict: labels or None, and numbers."""
    found = session_of(model.to_onnx()).run(None, columns_for_onnx(model, X))
    if isinstance(model, TabularClassifier):
        return (found[0], found[1]), (model.predict(X), model.predict_proba(X))
    return (None, found[0]), (None, model.predict(X).reshape(found[0].shape))


def assert_same_predictions(model, X):
    (labels, numbers), (expected_labels, expected) = predictions(model, X)
    assert numbers.shape == expected.shape
    assert numbers.dtype == np.float64
    error = np.abs(numbers - expected).max(initial=0)
    assert error <= 1e-6 * np.abs(expected).max(initial=0)
    if labels is not None:
        assert labels.tolist() == expected_labels.tolist()


@pytest.fixture(scope="module")
def corpus():
    import tabular_corpus

    return tabular_corpus, tabular_corpus.models()


@pytest.mark.parametrize("name", ["classifier", "regressor"])
def test_a_tabular_model_predicts_odd_values_as_python_does(corpus, name):
    helper, models = corpus
    model = models[name]
    assert_same_predictions(model, helper.table())
    assert_same_predictions(model, {key: values[:0] for key, values in helper.table().items()})
    session, count = session_of(model.to_onnx()), 0
    for row in helper.rows():
        X = {key: [value] for key, value in row.items()}
        try:
            expected = model.predict(X)
        except ValueError:  # such values cannot be given as numbers either
            continue
        found = session.run(None, columns_for_onnx(model, X))[0]
        count += 1
        if name == "classifier":
            assert found.tolist() == expected.tolist(), row
        else:
            assert found == pytest.approx(expected, rel=1e-6), row
    assert count > 100


@pytest.mark.parametrize("scaling", ["robust", "quantile"])
@pytest.mark.parametrize("n_bins", [0, 6])
def test_tabular_models_of_all_recipes_predict_as_python_does(scaling, n_bins):
    import table_data

    table = table_data.mixed_table()
    X, quick = table_data.features(table), {"epochs": 2, "n_members": 2, "hidden": (6,)}
    X["two values"] = np.arange(240) % 2 * 3.0 + 1
    for target in ("class", "good"):
        inputs = {name: values for name, values in X.items() if name != target}
        model = TabularClassifier(**quick, scaling=scaling, n_bins=n_bins, seed=0)
        assert_same_predictions(model.fit(inputs, table[target]), inputs)
    for given in ({"loss": "poisson"}, {"clip": True}, {"quantiles": [0.1, 0.5, 0.9]}):
        model = TabularRegressor(**quick, **given, scaling=scaling, n_bins=n_bins, seed=0)
        assert_same_predictions(model.fit(X, table["count"]), X)


def test_real_tables_are_predicted_as_python_does():
    data = pytest.importorskip("sklearn.datasets")
    wine = data.load_wine(as_frame=True)
    model = TabularClassifier(epochs=5, n_members=2, seed=0).fit(wine.data, wine.target)
    assert_same_predictions(model, wine.data)
    diabetes = data.load_diabetes(as_frame=True)
    model = TabularRegressor(epochs=5, n_members=2, seed=0).fit(diabetes.data, diabetes.target)
    assert_same_predictions(model, diabetes.data)


def test_quantiles_rise_and_tiny_numbers_do_not_overflow():
    draw = np.random.RandomState(0)
    # Its median is 0: ONNX Runtime leaves out the subtraction of a number that is 0 in float32.
    X = {"tiny": np.repeat([-1e-95, 0.0, 1e-95], 20), "a": draw.normal(size=60)}
    model = TabularRegressor(
        quantiles=[0.1, 0.5, 0.9], scaling="robust", n_bins=0, epochs=1, n_members=1, seed=0
    ).fit(X, X["a"])
    model.network.biases[-1][:] = [3.0, -2.0, 1.0]
    X["tiny"][:3] = [1e100, -1e100, 0]
    assert_same_predictions(model, X)


def test_columns_may_have_any_name():
    X = {"probabilities": [1.0, 2.0, 3.0, 5.0] * 9, "Cast": ["a", "b", "b"] * 12, "": [0.0, 1] * 18}
    X["layers.0.weight"] = np.arange(36.0) ** 2
    model = TabularClassifier(epochs=1, n_members=1, seed=0).fit(X, [0, 1, 1] * 12)
    names = [one.name for one in model.to_onnx().graph.input]
    assert names == ["probabilities", "Cast", "column", "layers.0.weight"]
    inputs = columns_for_onnx(model, X)
    inputs["column"] = inputs.pop("")
    labels, probabilities = session_of(model.to_onnx()).run(None, inputs)
    assert np.abs(probabilities - model.predict_proba(X)).max() < 1e-6
    assert labels.tolist() == model.predict(X).tolist()


def test_a_tabular_model_that_is_not_fitted_is_refused():
    with pytest.raises(ValueError, match="to_onnx: this TabularClassifier is not fitted yet"):
        TabularClassifier().to_onnx()


def test_a_tabular_model_does_not_come_back_as_a_network(corpus):
    with pytest.raises(ValueError, match=r"^from_onnx: the file holds a TabularClassifier"):
        fastmlp.Network.from_onnx(corpus[1]["classifier"].to_onnx())


# The command


def test_the_command_writes_networks_and_tabular_models(tmp_path, corpus):
    pytest.importorskip("click")
    from click.testing import CliRunner

    from fastmlp.cli.export import command

    network = fastmlp.Network([2, 1], seed=0)
    for model, text in ((network, "Network([2, 1]"), (corpus[1]["regressor"], "2 networks")):
        model.save(tmp_path / "model.st")
        arguments = [str(tmp_path / "model.st"), "--onnx", str(tmp_path / "model.onnx")]
        done = CliRunner().invoke(command, arguments, standalone_mode=False)
        assert done.exception is None
        assert text in done.output
        written = onnx.load(tmp_path / "model.onnx")
        assert written == model.to_onnx()

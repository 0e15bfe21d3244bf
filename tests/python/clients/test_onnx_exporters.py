"""`from_onnx` on what PyTorch, skl2onnx and Keras really write, and on the tests of onnx."""

import logging
import warnings

import numpy as np
import pytest

from fastmlp import Network

pytestmark = pytest.mark.client
onnx = pytest.importorskip("onnx")

# PyTorch


def torch_model(module, rows, path, dynamo):
    """The file that one of the two exporters of PyTorch writes."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    example = torch.tensor(rows[:2])
    if dynamo:
        dynamic = {"dynamic_shapes": ({0: torch.export.Dim("rows")},)}
    else:
        dynamic = {"input_names": ["x"], "dynamic_axes": {"x": {0: "rows"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            torch.onnx.export(
                module.eval(), (example,), path, dynamo=dynamo, verbose=False, **dynamic
            )
        finally:
            logging.disable(logging.NOTSET)
    return path


def torch_modules():
    """Modules by name, with the activations and the output that they become."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    hidden = {
        nn.ReLU(): "relu",
        nn.Sigmoid(): "sigmoid",
        nn.Tanh(): "tanh",
        nn.LeakyReLU(): "leaky_relu",
        nn.ELU(): "elu",
        nn.CELU(alpha=1.5): "elu",
        nn.SELU(): "selu",
        nn.Softplus(): "softplus",
        nn.Softplus(beta=2.0): "softplus",
        nn.LogSigmoid(): "softplus",
        nn.GELU(): "gelu",
        nn.SiLU(): "silu",
        nn.Mish(): "mish",
        nn.Hardsigmoid(): "hard_sigmoid",
        nn.ReLU6(): "hard_sigmoid",
        nn.Hardtanh(): "hard_sigmoid",
    }
    sizes = [4] + [8] * len(hidden)
    pairs = zip(map(nn.Linear, sizes[:-1], sizes[1:]), hidden, strict=True)
    parts = [one for pair in pairs for one in pair]
    deep = nn.Sequential(*parts, nn.Linear(8, 3))
    found = {"activations": (deep, tuple(hidden.values()), "identity")}
    for last, name in ((nn.Sigmoid(), "sigmoid"), (nn.Softmax(-1), "softmax")):
        found[f"output {last}"] = nn.Sequential(nn.Linear(4, 3), last), (), name
    found["output Tanh"] = nn.Sequential(nn.Linear(4, 3), nn.Tanh()), ("tanh",), "identity"
    norms = [nn.BatchNorm1d(n) for n in (4, 5, 5)]
    for norm in norms:
        for tensor in (norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data):
            tensor.uniform_(0.5, 2)
    parts = [norms[0], nn.Linear(4, 5), norms[1], nn.GELU(), nn.Dropout(), norms[2]]
    parts += [nn.Identity(), nn.Linear(5, 3, bias=False)]
    found["BatchNorm1d"] = nn.Sequential(*parts), ("gelu",), "identity"

    class ByHand(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.matrix = nn.Linear(4, 5), nn.Parameter(torch.rand(5, 1))

        def forward(self, x):
            x = (x.view(x.size(0), -1) - 0.5) / 2
            x = torch.relu(self.first(x)) * 2
            return (self.matrix.T @ x.T).T.squeeze(-1) + 1

    return found | {"by hand": (ByHand(), ("relu",), "identity")}


@pytest.mark.parametrize("dynamo", [True, False])
def test_both_exporters_of_pytorch(tmp_path, dynamo):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    for name, (module, hidden, output) in torch_modules().items():
        # Constants in a file, such as the square root of 1/2, are often those of float32.
        for dtype, tolerance in ((np.float32, 5e-6), (np.float64, 1e-6)):
            if dynamo and dtype == np.float64 and name != "BatchNorm1d":
                continue  # this exporter takes two seconds
            rows = np.random.RandomState(0).normal(0, 2, (30, 4)).astype(dtype)
            module.double() if dtype == np.float64 else module.float()
            network = Network.from_onnx(torch_model(module, rows, tmp_path / "model.onnx", dynamo))
            assert (network.hidden, network.output, network.dtype) == (hidden, output, dtype), name
            with torch.no_grad():
                expected = module(torch.tensor(rows)).numpy()
            found = network.forward(rows).reshape(expected.shape)
            assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max(), name


def test_what_pytorch_has_and_a_network_has_not_is_refused(tmp_path):
    nn = pytest.importorskip("torch").nn
    rows = np.zeros((2, 4), "f")
    for module, message in (
        (nn.LeakyReLU(0.2), r"\(LeakyRelu\) with alpha=0.2.* computes none"),
        (nn.Hardswish(), r"\(HardSwish\) computes none"),
        (nn.PReLU(), r"\(PRelu\) computes none"),
        (nn.LayerNorm(5), r"\(LayerNormalization\) is not an operator"),
        (nn.Softmax(-1), "softmax can only be last"),
    ):
        model = nn.Sequential(nn.Linear(4, 5), module, nn.Linear(5, 2))
        path = torch_model(model, rows, tmp_path / "model.onnx", dynamo=False)
        with pytest.raises(ValueError, match=rf"^from_onnx: node '.*{message}"):
            Network.from_onnx(path)


def test_large_weights_in_a_file_of_their_own(tmp_path):
    nn = pytest.importorskip("torch").nn
    module = nn.Sequential(nn.Linear(300, 400), nn.ReLU(), nn.Linear(400, 2))
    path = torch_model(module, np.zeros((2, 300), "f"), tmp_path / "model.onnx", True)
    assert (tmp_path / "model.onnx.data").exists()
    network = Network.from_onnx(path)
    assert np.array_equal(network.weights[0], module[0].weight.detach().numpy().T)
    assert np.array_equal(network.biases[1], module[2].bias.detach().numpy())


# skl2onnx

LABELS = {
    "two numbers": lambda X: (X[:, 0] > 0) * 2 - 1,
    "two texts": lambda X: np.where(X[:, 0] > 0, "yes", "no"),
    "three texts": lambda X: np.array(["a", "b", "c"])[(X[:, 0] > 0) * 1 + (X[:, 1] > 0)],
    "several": lambda X: (X[:, :3] > 0) * 1,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("labels", LABELS)
def test_classifiers_by_skl2onnx(labels, zipmap, dtype):
    skl2onnx = pytest.importorskip("skl2onnx")
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

    X = np.random.RandomState(0).normal(2, 3, (60, 4)).astype(dtype)
    X -= X.mean(axis=0)
    y = LABELS[labels](X)
    scalers = [StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler()]
    for scaler, activation in zip(scalers, ("relu", "tanh", "logistic", "identity"), strict=True):
        mlp = MLPClassifier((5, 3), activation=activation, max_iter=3, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = make_pipeline(scaler, mlp).fit(X, y)
            converted = skl2onnx.to_onnx(model, X[:1], options={id(mlp): {"zipmap": zipmap}})
        network = Network.from_onnx(converted)
        assert network.layers[1:-1] == (5, 3)
        expected = model.predict_proba(X)
        found = network.forward(X)
        if found.shape[1] == 1:
            expected = expected[:, 1:]
        assert np.abs(found - expected).max() < 1e-5  # scalers have float32 attributes
        if labels == "several" or zipmap or dtype == "float32":
            near = np.abs(expected - 0.5).min() < 1e-5
            assert near or np.array_equal(network.predict(X), model.predict(X))
        if labels != "several":
            assert network.classes.tolist() == model.classes_.tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_regressors_by_skl2onnx(dtype):
    skl2onnx = pytest.importorskip("skl2onnx")
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
    from sklearn.neural_network import MLPRegressor

    X = np.random.RandomState(0).normal(size=(60, 4)).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPRegressor(hidden_layer_sizes=(5, 3), max_iter=3).fit(X, X[:, 0])
    kind = FloatTensorType if dtype == "float32" else DoubleTensorType
    for shape in ([None, 4], [None, None]):
        network = Network.from_onnx(skl2onnx.to_onnx(model, initial_types=[("X", kind(shape))]))
        assert network.dtype == dtype
        for weight, coef in zip(network.weights, model.coefs_, strict=True):
            assert np.array_equal(weight, coef)
        tolerance = 1e-6 if dtype == "float32" else 1e-13
        assert np.abs(network.predict(X) - model.predict(X)).max() < tolerance


# Keras by tf2onnx


@pytest.fixture(scope="module")
def keras_outputs():
    import keras_onnx

    return keras_onnx.expected()


def test_files_of_keras(keras_outputs):
    import keras_onnx

    for name in keras_onnx.NAMES:
        path, X = keras_onnx.FOLDER / f"{name}.onnx", keras_onnx.rows(name)
        if name in ("slope", "normalization"):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if name == "gelu_by_tanh" else "error")
            network = Network.from_onnx(path)
        if name in keras_onnx.ACTIVATIONS:
            assert (network.hidden, network.layers) == ((name,), (4, 5, 3))
        found, expected = network.forward(X.reshape(len(X), -1)), keras_outputs[name]
        tolerance = 2e-3 if name == "gelu_by_tanh" else 1e-6
        assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max(), name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("slope", r"LeakyRelu' \(LeakyRelu\) with alpha=0.3.* computes none"),
        ("normalization", r"of the inputs \[.*\]; a network has one"),
    ],
)
def test_what_keras_has_and_a_network_has_not_is_refused(name, message):
    import keras_onnx

    with pytest.raises(ValueError, match=message):
        Network.from_onnx(keras_onnx.FOLDER / f"{name}.onnx")


# The node tests of onnx

OPERATORS = {
    "Celu": ("elu",),
    "Elu": ("elu",),
    "Exp": (),
    "Gelu": ("gelu",),
    "Gemm": (),
    "HardSigmoid": ("hard_sigmoid",),
    "HardSwish": None,
    "LeakyRelu": ("leaky_relu",),
    "LogSoftmax": None,
    "MatMul": (),
    "Mish": ("mish",),
    "PRelu": None,
    "Relu": ("relu",),
    "Selu": ("selu",),
    "Sigmoid": (),
    "Softmax": (),
    "Softplus": ("softplus",),
    "Softsign": None,
    "Swish": ("silu",),
    "Tanh": ("tanh",),
    "ThresholdedRelu": None,
}
# Settings of these operators that no network has, and layers of other numbers of axes.
REFUSED = {
    "test_elu": "Elu\\) with alpha=2.0",
    "test_elu_example": "Elu\\) with alpha=2.0",
    "test_elu_example_expanded_ver18": "computes none",
    "test_elu_expanded_ver18": "computes none",
    "test_gemm_default_matrix_bias": r"bias of shape \(3, 4\)",
    "test_leakyrelu": "LeakyRelu\\) with alpha=0.1",
    "test_leakyrelu_example": "LeakyRelu\\) with alpha=0.1",
    "test_leakyrelu_example_expanded": "computes none",
    "test_leakyrelu_expanded": "computes none",
    "test_matmul_1d_3d": "weights of shape",
    "test_matmul_3d": "weights of shape",
    "test_matmul_4d": "weights of shape",
    "test_matmul_4d_1d": r"rows of shape \(2, 4, 3\)",
    "test_matmul_bcast": "weights of shape",
    "test_selu": "Selu\\) with alpha=2.0, gamma=3.0",
    "test_selu_example": "Selu\\) with alpha=2.0, gamma=3.0",
    "test_selu_example_expanded_ver18": "computes none",
    "test_selu_expanded_ver18": "computes none",
}


def with_rows(case):
    """The model of a node test with rows as its only input, the rows and the expected values.

    The other inputs become constants. A vector becomes one row; a Gemm that takes A transposed gets
    a Transpose before it.
    """
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph, (inputs, outputs) = model.graph, case.data_sets[0]
    x, y = np.asarray(inputs[0]), np.asarray(outputs[0])
    for info, value in zip(graph.input[1:], inputs[1:], strict=True):
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), info.name))
    del graph.input[1:]
    name, kind = graph.input[0].name, graph.input[0].type.tensor_type.elem_type
    if x.ndim == 1:
        x, y = x[np.newaxis], y[np.newaxis]
    if any(one.name == "transA" and one.i for one in graph.node[0].attribute):
        x, graph.node[0].input[0] = x.T, "transposed"
        graph.node.insert(0, onnx.helper.make_node("Transpose", [name], ["transposed"]))
    graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info(name, kind, x.shape))
    return model, x.astype("f"), y.astype("f")


@pytest.fixture(scope="module")
def node_cases():
    """The cases of the operators above, by their names."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    beginnings = {f"test_{name.lower()}" for name in OPERATORS}
    return {
        case.name: case
        for case in cases
        if "_".join(case.name.split("_")[:2]) in beginnings and len(case.data_sets[0][1]) == 1
    }


@pytest.mark.filterwarnings("ignore:from_onnx")
def test_the_node_tests_of_onnx(node_cases):
    passed = set()
    for name, case in node_cases.items():
        op = next(one for one in OPERATORS if name.split("_")[1] == one.lower())
        if op == "Mish":  # 10,000 units in a layer of their own
            case.data_sets[0] = [[v[:100] for v in part] for part in case.data_sets[0]]
        model, x, y = with_rows(case)
        is_of_rows = op not in ("Softmax", "LogSoftmax") or x.ndim == 2
        if OPERATORS[op] is None or not is_of_rows or "ReduceMax" in str(model.graph.node):
            with pytest.raises(ValueError, match=r"^from_onnx: node .*"):
                Network.from_onnx(model)
        elif name in REFUSED:
            with pytest.raises(ValueError, match=rf"^from_onnx: node .*{REFUSED[name]}"):
                Network.from_onnx(model)
        else:
            network = Network.from_onnx(model)
            assert network.hidden == OPERATORS[op], name
            found = network.forward(x.reshape(len(x), -1)).reshape(y.shape)
            rtol = 1e-3 if "float16" in name or "tanh_" in name else 1e-5
            assert np.abs(found - y).max() <= rtol * np.abs(y).max(), name
            passed.add(op)
    assert passed == {name for name, hidden in OPERATORS.items() if hidden is not None}
    assert node_cases.keys() >= REFUSED.keys()

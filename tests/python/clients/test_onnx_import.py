"""`from_onnx`: graphs that other libraries write, and graphs by hand; what is refused, and how."""

import itertools
import re
import warnings

import numpy as np
import pytest

import fastmlp
from fastmlp import Network

pytestmark = pytest.mark.client
onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

FLOAT, DOUBLE = 1, 11
DRAW = np.random.RandomState(0)
W, B = DRAW.normal(size=(4, 3)).astype("f"), DRAW.normal(size=3).astype("f")
V, C = DRAW.normal(size=(3, 2)).astype("f"), DRAW.normal(size=2).astype("f")


class Build:
    """A model: `build("Add", "x", array)` adds a node; arrays become initializers or nodes."""

    def __init__(self, opset=18, row=(4,), kind=FLOAT, as_nodes=False):
        self.opset, self.as_nodes, self.functions = opset, as_nodes, []
        self.nodes, self.initializers = [], []
        self.inputs = [onnx.helper.make_tensor_value_info("x", kind, ["N", *row])]
        self.kind = kind

    def __call__(self, op, *inputs, **attributes):
        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        name = f"{op}_{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(op, names, [name], name, **attributes))
        return name

    def constant(self, value):
        kind = {FLOAT: np.float32, DOUBLE: np.float64}.get(self.kind, np.float32)
        array = value if isinstance(value, np.ndarray) else np.array(value, kind)
        name = f"constant_{len(self.nodes)}_{len(self.initializers)}"
        tensor = onnx.numpy_helper.from_array(array, name)
        if self.as_nodes:
            self.nodes.append(onnx.helper.make_node("Constant", [], [name], name, value=tensor))
        else:
            self.initializers.append(tensor)
        return name

    def model(self, *outputs, kinds=()):
        pairs = itertools.zip_longest(outputs, kinds, fillvalue=self.kind)
        infos = [
            onnx.helper.make_tensor_value_info(name, kind, [None, None]) for name, kind in pairs
        ]
        graph = onnx.helper.make_graph(self.nodes, "g", self.inputs, infos, self.initializers)
        domains = {"": self.opset} | {one.domain: 1 for one in self.nodes if one.domain}
        opsets = [onnx.helper.make_opsetid(*one) for one in domains.items()]
        return onnx.helper.make_model(
            graph, opset_imports=opsets, ir_version=8, functions=self.functions
        )


def layers(build, activation, opset_inputs="x"):
    """Two layers with an activation between them, as MatMul and Add."""
    z = build("Add", build("MatMul", opset_inputs, W), B)
    return build("Add", build("MatMul", activation(build, z), V), C)


def run(model, X):
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (name,) = (one.name for one in session.get_inputs())
    return session.run(None, {name: X})


def assert_same(model, network, X=None, tolerance=1e-6, of=0):
    """ONNX Runtime computes from the model what the network computes."""
    if X is None:
        X = np.random.RandomState(1).normal(0, 2, (50, 4)).astype(network.dtype)
    expected = run(model, X)[of]
    found = network.forward(X.reshape(len(X), -1)).reshape(expected.shape)
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


# Activations in the ways in which they are written

SQRT_HALF, SQRT_2_PI = 0.5**0.5, (2 / np.pi) ** 0.5
WAYS = {
    "relu max": ("relu", lambda g, z: g("Max", z, 0.0)),
    "relu clip": ("relu", lambda g, z: g("Clip", z, 0.0)),
    "relu where": ("relu", lambda g, z: g("Where", g("Greater", z, 0.0), z, 0.0)),
    "relu mask": ("relu", lambda g, z: g("Mul", z, g("Cast", g("Greater", z, 0.0), to=FLOAT))),
    "relu abs": ("relu", lambda g, z: g("Mul", g("Add", z, g("Abs", z)), 0.5)),
    "minus relu": ("relu", lambda g, z: g("Min", z, 0.0)),
    "sigmoid": ("sigmoid", lambda g, z: g("Div", 1.0, g("Add", g("Exp", g("Neg", z)), 1.0))),
    "tanh of sigmoid": (
        "sigmoid",
        lambda g, z: g("Sub", g("Mul", g("Sigmoid", g("Mul", z, 2.0)), 2.0), 1.0),
    ),
    "tanh": (
        "tanh",
        lambda g, z: g(
            "Div",
            g("Sub", g("Exp", z), g("Exp", g("Neg", z))),
            g("Add", g("Exp", z), g("Exp", g("Neg", z))),
        ),
    ),
    "tanh LeCun": ("tanh", lambda g, z: g("Mul", g("Tanh", g("Mul", z, 2 / 3)), 1.7159)),
    "leaky_relu": ("leaky_relu", lambda g, z: g("Max", z, g("Mul", z, 0.01))),
    "leaky_relu prelu": ("leaky_relu", lambda g, z: g("PRelu", z, np.full(3, 0.01, "f"))),
    "elu where": (
        "elu",
        lambda g, z: g("Where", g("Greater", z, 0.0), z, g("Sub", g("Exp", z), 1.0)),
    ),
    "selu": ("selu", lambda g, z: g("Mul", g("Elu", z, alpha=1.6732632), 1.05070098)),
    "softplus": ("softplus", lambda g, z: g("Log", g("Add", g("Exp", z), 1.0))),
    "log sigmoid": ("softplus", lambda g, z: g("Log", g("Sigmoid", z))),
    "softplus beta": (
        "softplus",
        lambda g, z: g("Div", g("Softplus", g("Mul", z, 3.0)), 3.0),
    ),
    "gelu erf": (
        "gelu",
        lambda g, z: g("Mul", z, g("Mul", 0.5, g("Add", 1.0, g("Erf", g("Div", z, 2**0.5))))),
    ),
    "gelu other order": (
        "gelu",
        lambda g, z: g("Mul", g("Mul", g("Add", g("Erf", g("Mul", z, SQRT_HALF)), 1.0), z), 0.5),
    ),
    "silu": ("silu", lambda g, z: g("Mul", g("Sigmoid", z), z)),
    "silu div": ("silu", lambda g, z: g("Div", z, g("Add", 1.0, g("Exp", g("Neg", z))))),
    "quick gelu": ("silu", lambda g, z: g("Mul", z, g("Sigmoid", g("Mul", z, 1.702)))),
    "mish": ("mish", lambda g, z: g("Mul", z, g("Tanh", g("Softplus", z)))),
    "mish log": (
        "mish",
        lambda g, z: g("Mul", z, g("Tanh", g("Log", g("Add", 1.0, g("Exp", z))))),
    ),
    "hard_sigmoid relu6": (
        "hard_sigmoid",
        lambda g, z: g("Div", g("Clip", g("Add", z, 3.0), 0.0, 6.0), 6.0),
    ),
    "hard_sigmoid Keras 2": (
        "hard_sigmoid",
        lambda g, z: g("Clip", g("Add", g("Mul", z, 0.2), 0.5), 0.0, 1.0),
    ),
    "hard_sigmoid": ("hard_sigmoid", lambda g, z: g("HardSigmoid", z, alpha=0.3, beta=0.4)),
    "hardtanh": ("hard_sigmoid", lambda g, z: g("Clip", z, -1.0, 1.0)),
    "relu6": ("hard_sigmoid", lambda g, z: g("Min", g("Relu", z), 6.0)),
    "vector inside": (
        "silu",
        lambda g, z: g("Mul", z, g("Mul", g("Sigmoid", z), np.array([1, -2, 0.5], "f"))),
    ),
    "vector outside": (
        "gelu",
        lambda g, z: g(
            "Mul",
            g("Mul", z, np.array([1, -2, 0.5], "f")),
            g("Add", g("Erf", g("Mul", z, SQRT_HALF)), 1.0),
        ),
    ),
}


@pytest.mark.parametrize("as_nodes", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_an_activation_is_recognised_by_what_it_computes(way, as_nodes):
    name, write = WAYS[way]
    build = Build(as_nodes=as_nodes)
    model = build.model(layers(build, write))
    network = Network.from_onnx(model)
    assert network.hidden == (name,)
    assert network.layers == (4, 3, 2)
    assert_same(model, network, tolerance=1e-5)


def test_gelu_by_tanh_becomes_gelu_with_a_warning():
    def tanh(g, z):
        cube = g("Mul", g("Pow", z, 3.0), 0.044715)
        inner = g("Mul", g("Add", z, cube), SQRT_2_PI)
        return g("Mul", g("Mul", z, 0.5), g("Add", g("Tanh", inner), 1.0))

    build = Build()
    model = build.model(layers(build, tanh))
    with pytest.warns(
        UserWarning, match=r"'Mul_\d+' \(Mul\) is the approximation of gelu"
    ) as found:
        network = Network.from_onnx(model)
    assert found[0].filename == __file__
    assert network.hidden == ("gelu",)
    assert_same(model, network, tolerance=1e-3)


NOT_ACTIVATIONS = {
    "LeakyRelu": lambda g, z: g("LeakyRelu", z, alpha=0.2),
    "leaky by 1 %": lambda g, z: g("LeakyRelu", z, alpha=0.0101),
    "PRelu": lambda g, z: g("PRelu", z, np.array([0.01, 0.02, 0.01], "f")),
    "Elu": lambda g, z: g("Elu", z, alpha=0.9),
    "HardSwish": lambda g, z: g("HardSwish", z),
    "Softsign": lambda g, z: g("Softsign", z),
    "Abs": lambda g, z: g("Abs", z),
    "Pow": lambda g, z: g("Pow", z, 2.0),
    "ThresholdedRelu": lambda g, z: g("ThresholdedRelu", z, alpha=1.0),
    "Cast to integers": lambda g, z: g("Cast", g("Cast", z, to=7), to=FLOAT),
    "wide ramp": lambda g, z: g("Clip", z, 0.0, 1000.0),
    "bent far out": lambda g, z: g("Where", g("Less", z, 1e6), g("Relu", z), 1e6),
}


@pytest.mark.parametrize("way", NOT_ACTIVATIONS)
def test_a_function_that_no_network_has_is_refused_by_node(way):
    build = Build()
    first = len(build.nodes) + 2
    model = build.model(layers(build, NOT_ACTIVATIONS[way]))
    named = "|".join(node.name for node in build.nodes[first:-2])
    with pytest.raises(ValueError, match=rf"^from_onnx: node '({named})' .* none of the activ"):
        Network.from_onnx(model)


@pytest.mark.parametrize("op", ["LeakyRelu", "Elu", "Selu"])
def test_the_refusal_says_what_the_graph_has(op):
    build = Build()
    model = build.model(layers(build, lambda g, z: g(op, z, alpha=0.25)))
    with pytest.raises(ValueError, match=rf"node '{op}_2' \({op}\) with alpha=0.25 computes none"):
        Network.from_onnx(model)


# Layers

SCALES = {"alpha": [1.0, 0.5], "beta": [1.0, 2.0]}


@pytest.mark.parametrize("kind", [FLOAT, DOUBLE])
@pytest.mark.parametrize("bias", ["vector", "row", "number", "none"])
@pytest.mark.parametrize("alpha", SCALES["alpha"])
@pytest.mark.parametrize("beta", SCALES["beta"])
@pytest.mark.parametrize("trans", list(itertools.product([0, 1], repeat=3)))
def test_every_gemm_is_read(trans, alpha, beta, bias, kind):
    trans_a, trans_b, swapped = trans
    build = Build(kind=kind)
    dtype = {FLOAT: np.float32, DOUBLE: np.float64}[kind]
    c = {"vector": B, "row": B[np.newaxis], "number": np.array(0.5), "none": None}[bias]
    given = [] if c is None else [np.array(c.T if swapped else c, dtype)]
    if swapped:  # (x W)' = W' x'
        if bias == "vector":
            given = [np.array(c[:, np.newaxis], dtype)]
        x = "x" if trans_b else build("Transpose", "x")
        weights = np.ascontiguousarray(W if trans_a else W.T).astype(dtype)
        sides = (weights, x)
    else:
        x = build("Transpose", "x") if trans_a else "x"
        sides = (x, np.ascontiguousarray(W.T if trans_b else W).astype(dtype))
    settings = {"alpha": alpha, "beta": beta, "transA": trans_a, "transB": trans_b}
    y = build("Gemm", *sides, *given, **settings)
    model = build.model(build("Transpose", y, perm=[1, 0]) if swapped else y)
    network = Network.from_onnx(model)
    assert network.dtype == dtype
    assert_same(model, network, tolerance=1e-6 if kind == FLOAT else 1e-13)
    if alpha == 1.0:
        assert network.weights[0].tobytes() == W.astype(dtype).tobytes()


def test_scalings_before_between_and_after_layers_are_folded():
    build = Build()
    mean, scale = np.array([1, 2, 3, 4], "f"), np.array([[2, 0.5, 4, 1]], "f")
    x = build("Div", build("Sub", "x", mean), scale)
    z = build("Add", build("MatMul", x, W), B)
    z = build("Sub", 1.0, build("Mul", z, np.array([1, 2, 3], "f")))
    a = build("Neg", build("Relu", z))
    y = build("Add", build("MatMul", build("Add", a, 0.5), V), C)
    model = build.model(build("Add", build("Mul", y, 100.0), np.array([7, 8], "f")))
    network = Network.from_onnx(model)
    assert network.layers == (4, 3, 2)
    assert_same(model, network, tolerance=2e-6)


@pytest.mark.parametrize("place", ["first", "before", "after", "last"])
@pytest.mark.parametrize("opset", [9, 14, 18])
def test_batch_normalisation_is_folded(place, opset):
    build, draw = Build(opset), np.random.RandomState(0)

    def normalised(x, n):
        parameters = [draw.uniform(0.5, 2, n).astype("f") for _ in range(4)]
        return build("BatchNormalization", x, *parameters, epsilon=0.01)

    x = normalised("x", 4) if place == "first" else "x"
    z = build("Gemm", x, W, B)
    z = normalised(z, 3) if place == "before" else z
    a = build("Tanh", z)
    a = normalised(a, 3) if place == "after" else a
    y = build("Gemm", a, V, C)
    model = build.model(normalised(y, 2) if place == "last" else y)
    network = Network.from_onnx(model)
    assert (network.layers, network.hidden) == ((4, 3, 2), ("tanh",))
    assert_same(model, network)


def test_what_does_nothing_is_passed_over():
    build = Build(opset=15, row=(2, 2))
    x = build("Cast", build("Identity", "x"), to=FLOAT)
    x = build("Flatten", build("Dropout", build("Unsqueeze", x, np.array([1]))))
    z = build("Gemm", build("Reshape", x, np.array([-1, 4])), W, B)
    z = build("Squeeze", build("Unsqueeze", z, np.array([2])), np.array([-1]))
    z = build("Reshape", build("Dropout", build("Relu", z), np.array(0.5, "f")), np.array([0, 3]))
    shape = build("Shape", z)
    rows = build("Unsqueeze", build("Gather", shape, np.array(0), axis=0), np.array([0]))
    z = build("Reshape", z, build("Concat", rows, np.array([-1]), axis=0))
    model = build.model(build("Identity", build("Gemm", z, V, C)))
    network = Network.from_onnx(model)
    assert network.layers == (4, 3, 2)
    assert_same(model, network, np.random.RandomState(0).normal(size=(9, 2, 2)).astype("f"))


@pytest.mark.parametrize("opset", [7, 9, 10, 11, 12])
def test_older_opsets_are_read(opset):
    build = Build(opset, row=(2, 2))
    x = build("Squeeze", build("Unsqueeze", "x", axes=[1]), axes=[1])
    x = build("Flatten", x)
    clipped = {"min": 0.0} if opset < 11 else {}
    given = [] if opset < 11 else [0.0]
    a = build("Clip", build("Gemm", x, W, B), *given, **clipped)
    model = build.model(build("Softmax", build("Dropout", build("Gemm", a, V, C))))
    network = Network.from_onnx(model)
    assert (network.hidden, network.output) == (("relu",), "softmax")
    assert_same(model, network, np.random.RandomState(0).normal(size=(9, 2, 2)).astype("f"))


@pytest.mark.parametrize("rows", [1, 2])
def test_a_graph_may_be_for_a_fixed_number_of_rows(rows):
    build = Build(row=(2, 2))
    build.inputs[0].type.tensor_type.shape.dim[0].dim_value = rows
    x = build("Reshape", "x", np.array([rows, -1]))
    model = build.model(build("Relu", build("Gemm", x, W, B)))
    X = np.random.RandomState(0).normal(size=(rows, 2, 2)).astype("f")
    assert_same(model, Network.from_onnx(model), X)


def test_a_constant_may_be_computed_by_nodes():
    build = Build(as_nodes=True)
    weights = build("Transpose", build("Mul", np.ascontiguousarray(W.T), 2.0))
    model = build.model(build("Gemm", "x", weights, build("Concat", B[:1], B[1:], axis=0)))
    assert_same(model, Network.from_onnx(model))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_become_float32(dtype):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    half = np.dtype(np.float16 if dtype == "float16" else ml_dtypes.bfloat16)
    build = Build()
    build.inputs = [
        onnx.helper.make_tensor_value_info(
            "x", onnx.helper.np_dtype_to_tensor_dtype(half), ["N", 4]
        )
    ]
    build.kind = onnx.helper.np_dtype_to_tensor_dtype(half)
    network = Network.from_onnx(build.model(build("Gemm", "x", W.astype(half), B.astype(half))))
    assert network.dtype == np.float32
    assert np.array_equal(network.weights[0], W.astype(half).astype("f"))


@pytest.mark.parametrize("row", [(None,), ("features",)])
def test_the_number_of_inputs_may_be_missing(row):
    build = Build(row=row)
    model = build.model(layers(build, lambda g, z: g("Relu", z)))
    assert_same(model, Network.from_onnx(model))


def test_functions_of_the_model_are_read():
    build = Build()
    opsets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("mine", 1)]
    make, node = onnx.helper.make_function, onnx.helper.make_node
    inner = make("mine", "Sig", ["a"], ["b"], [node("Sigmoid", ["a"], ["b"])], opsets)
    outer = [node("Sig", ["a"], ["c"], domain="mine"), node("Mul", ["a", "c"], ["b"])]
    build.functions = [inner, make("mine", "Swish", ["a"], ["b"], outer, opsets)]
    model = build.model(layers(build, lambda g, z: g("Swish", z, domain="mine")))
    network = Network.from_onnx(model)
    assert network.hidden == ("silu",)
    assert_same(model, network)


def test_external_data_are_read_from_the_folder_of_the_file(tmp_path, monkeypatch):
    build = Build()
    model = build.model(layers(build, lambda g, z: g("Relu", z)))
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="model.data", size_threshold=0)
    assert (tmp_path / "model.data").exists()
    assert_same(onnx.load(path), Network.from_onnx(path))
    monkeypatch.chdir(tmp_path)
    assert_same(onnx.load(path), Network.from_onnx("model.onnx"))
    (tmp_path / "model.data").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"from_onnx: model.onnx is damaged .*file with its tens"):
        Network.from_onnx("model.onnx")
    (tmp_path / "model.data").unlink()
    with pytest.raises(ValueError, match=r"from_onnx: model.onnx is damaged .*file with its tens"):
        Network.from_onnx("model.onnx")


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "link"])
def test_external_data_outside_the_folder_are_refused(tmp_path, location):
    (tmp_path / "secret").write_bytes(bytes(1000))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    build = Build()
    model = build.model(layers(build, lambda g, z: g("Relu", z)))
    for tensor in model.graph.initializer:
        onnx.external_data_helper.set_external_data(tensor, location)
        tensor.ClearField("raw_data")
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"from_onnx: .* is damaged"):
        Network.from_onnx(folder / "model.onnx")


# Outputs


@pytest.mark.parametrize(
    ("op", "output"), [("Sigmoid", "sigmoid"), ("Softmax", "softmax"), ("Exp", "exp")]
)
@pytest.mark.parametrize("kind", [FLOAT, DOUBLE])
def test_the_output_of_the_graph_is_that_of_the_network(op, output, kind):
    build, dtype = Build(kind=kind), {FLOAT: "f", DOUBLE: "d"}[kind]
    model = build.model(build(op, build("Gemm", "x", W.astype(dtype), B.astype(dtype))))
    network = Network.from_onnx(model)
    assert (network.hidden, network.output) == ((), output)
    assert_same(model, network)


@pytest.mark.parametrize("op", ["Tanh", "Relu", "Sigmoid"])
def test_a_graph_may_end_in_an_activation_or_a_scaled_output(op):
    build = Build()
    y = build(op, build("Gemm", "x", W, B))
    model = build.model(build("Mul", y, 2.0) if op == "Sigmoid" else y)
    network = Network.from_onnx(model)
    assert (network.hidden, network.output) == ((op.lower(),), "identity")
    assert network.layers == (4, 3, 3)
    assert_same(model, network)


@pytest.mark.parametrize("output", fastmlp.OUTPUTS)
def test_output_says_what_logits_are(output):
    build = Build()
    model = build.model(layers(build, lambda g, z: g("Relu", z)))
    network = Network.from_onnx(model, output=output)
    assert network.output == output
    assert Network.from_onnx(model).output == "identity"
    assert network.parameters.tobytes() == Network.from_onnx(model).parameters.tobytes()


def test_logarithms_of_probabilities_need_an_output():
    build = Build()
    model = build.model(build("LogSoftmax", build("Gemm", "x", W, B), axis=1))
    with pytest.raises(ValueError, match=r"'LogSoftmax_1' .*give output='softmax'"):
        Network.from_onnx(model)
    network = Network.from_onnx(model, output="softmax")
    X = np.random.RandomState(0).normal(size=(9, 4)).astype("f")
    assert np.abs(np.exp(run(model, X)[0]) - network.forward(X)).max() < 1e-6


@pytest.mark.parametrize("output", ["tanh", "identity", ""])
def test_another_output_than_that_of_the_graph_is_refused(output):
    build = Build()
    model = build.model(build("Softmax", build("Gemm", "x", W, B)))
    with pytest.raises(ValueError, match=rf"^from_onnx: output is {output!r}"):
        Network.from_onnx(model, output=output)


def test_of_two_probabilities_the_network_gives_the_second():
    build = Build()
    p = build("Sigmoid", build("MatMul", "x", W[:, :1]))
    model = build.model(_pair(build, p, axis=1))
    network = Network.from_onnx(model)
    assert (network.layers, network.output) == ((4, 1), "sigmoid")
    X = np.random.RandomState(0).normal(size=(9, 4)).astype("f")
    assert np.abs(run(model, X)[0][:, 1:] - network.forward(X)).max() < 1e-6


def test_a_model_that_is_given_is_not_changed():
    import keras_onnx

    model = onnx.load(keras_onnx.FOLDER / "gelu.onnx")
    model.graph.output[0].type.tensor_type.ClearField("shape")
    before = model.SerializeToString()
    assert Network.from_onnx(model).hidden == ("gelu",)
    assert model.SerializeToString() == before


def test_foreign_metadata_is_kept_and_its_classes_are_not():
    build = Build()
    model = build.model(build("Softmax", build("Gemm", "x", W, B)))
    texts = {"author": "A", "classes": "cat,dog", "feature_names": "w;h", "fastmlp_x": "y"}
    onnx.helper.set_model_props(model, texts)
    network = Network.from_onnx(model)
    assert network.metadata == {"author": "A"}
    assert (network.classes, network.feature_names, network.seed) == (None, None, 0)


# What is refused


def refused(model, match):
    with pytest.raises(ValueError, match="^from_onnx: .*" + match) as found:
        Network.from_onnx(model)
    return str(found.value)


def test_skip_connections_are_refused_by_node():
    build = Build()
    z = build("Gemm", "x", W, B)
    y = build("Add", z, build("Relu", build("Gemm", z, W[:3], B)))
    refused(build.model(y), r"node 'Add_3' \(Add\) takes values of which no single layer gives all")


def _pair(g, p, axis):
    return g("Concat", g("Sub", 1.0, p), p, axis=axis)


REFUSED = {
    "LayerNormalization": (
        lambda g, z: g("LayerNormalization", z, B, B),
        r"node 'LayerNormalization_2' \(LayerNormalization\) is not an operator of fully",
    ),
    "Softmax inside": (lambda g, z: g("Softmax", z), "'Softmax_2' .* softmax can only be last"),
    "Exp inside": (lambda g, z: g("Exp", z), "'Exp_2' .* exp can only be last"),
    "Softmax of columns": (lambda g, z: g("Softmax", z, axis=0), "'Softmax_2' .* axis 0"),
    "shape": (lambda g, z: g("MatMul", z, W), r"'MatMul_2' .* rows of shape \(3,\).*\(4, 3\)"),
    "rank": (lambda g, z: g("MatMul", z, W[None]), r"'MatMul_2' .* shape \(1, 4, 3\)"),
    "bias": (lambda g, z: g("Gemm", z, W[:3], W), r"'Gemm_2' .* bias of shape \(4, 3\)"),
    "columns": (
        lambda g, z: g("MatMul", g("Transpose", z), W[:3]),
        "'MatMul_3' .* sums over the rows",
    ),
    "Gemm of columns": (
        lambda g, z: g("Gemm", z, W[:3], transA=1),
        "'Gemm_2' .* sums over the rows",
    ),
    "transposed output": (lambda g, z: g("Transpose", z), "a column for each row of X"),
    "square": (lambda g, z: g("Gemm", z, z, transB=1), "'Gemm_2' .* must be constant"),
    "constant of rows": (
        lambda g, z: g("Add", z, np.ones((7, 3), "f")),
        r"'Add_2' .* constant of shape \(7, 3\)",
    ),
    "training of batches": (
        lambda g, z: g("BatchNormalization", z, B, B, B, B, training_mode=1),
        "'BatchNormalization_2' .* training mode",
    ),
    "training": (
        lambda g, z: g("Dropout", z, np.array(0.5, "f"), np.array(True)),
        "'Dropout_2' .* training mode",
    ),
    "Reshape": (
        lambda g, z: g("Reshape", z, np.array([-1, 1])),
        r"'Reshape_2' .* moves numbers between rows",
    ),
    "Reshape of two rows": (
        lambda g, z: g("Reshape", g("MatMul", z, W[:3] @ W.T), np.array([2, -1, 2])),
        "'Reshape_3' .* moves numbers between rows",
    ),
    "number of rows": (
        lambda g, z: g("Div", z, g("Cast", g("Gather", g("Shape", z), np.array(0)), to=FLOAT)),
        r"'Div_5' \(Div\) computes with the number of rows",
    ),
    "columns of images": (
        lambda g, z: g(
            "BatchNormalization",
            g("Unsqueeze", g("Unsqueeze", z, np.array([1])), np.array([1])),
            *[np.ones(1, "f")] * 4,
        ),
        r"'BatchNormalization_4' .* rows of shape \(1, 1, 3\); they must have one axis",
    ),
    "Flatten": (lambda g, z: g("Flatten", z, axis=0), "'Flatten_2' .* between rows"),
    "Unsqueeze": (
        lambda g, z: g("Unsqueeze", z, np.array([0])),
        "'Unsqueeze_2' .* between rows",
    ),
    "Squeeze": (
        lambda g, z: g("Squeeze", z, np.array([0])),
        "'Squeeze_2' .* between rows",
    ),
    "Concat": (lambda g, z: g("Concat", z, z, axis=1), "'Concat_2' .* joins values"),
    "Concat of rows": (
        lambda g, z: _pair(g, g("Sigmoid", g("MatMul", z, V[:, :1])), axis=0),
        "'Concat_5' .* joins values",
    ),
    "foreign": (lambda g, z: g("Magic", z, domain="com.x"), r"'Magic_2' \(Magic\) is not an op"),
    "reciprocal": (lambda g, z: g("Div", 1.0, z), r"'Div_2' \(Div\) computes none"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_network_does_not_have_is_refused_by_node(name):
    write, message = REFUSED[name]
    build = Build()
    z = build("Add", build("MatMul", "x", W), B)
    y = write(build, z)
    if "inside" in name:
        y = build("MatMul", y, V)
    refused(build.model(y), message)


def test_models_without_one_input_and_one_output_are_refused():
    build = Build()
    build.inputs.append(onnx.helper.make_tensor_value_info("w", FLOAT, ["N", 4]))
    z = build("MatMul", "x", W)
    refused(build.model(build("Add", z, build("MatMul", "w", W))), r"inputs \['w', 'x'\]")
    y = build("Relu", z)
    refused(build.model(z, y), r"2 hold numbers.*extract_model")
    refused(build.model(build("Cast", z, to=7), kinds=[7]), "0 hold numbers")
    refused(build.model(build("Identity", W)), "does not depend on an input")
    refused(Build().model("x"), "no layer with weights")
    refused(onnx.ModelProto(), "not valid ONNX")


def test_an_old_opset_is_refused_with_the_way_out():
    build = Build(6)
    refused(
        build.model(build("Relu", "x")), "opset 6; it must have at least 7: convert it by onnx.v"
    )


# Damaged and hostile files


@pytest.fixture(scope="module")
def small_file():
    network = Network([3, 4, 2], output="softmax", seed=0)
    network.classes = ["a", "b"]
    return network.to_onnx().SerializeToString()


def test_a_truncated_file_is_refused_at_every_length(small_file, tmp_path):
    path = tmp_path / "model.onnx"
    for size in range(0, len(small_file), 7):
        path.write_bytes(small_file[:size])
        with pytest.raises(ValueError, match=r"^from_onnx: "):
            Network.from_onnx(path)


def test_a_damaged_file_gives_a_network_or_a_value_error(small_file, tmp_path):
    draw, path = np.random.RandomState(0), tmp_path / "model.onnx"
    messages = []
    for _ in range(600):
        damaged = bytearray(small_file)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randint(len(damaged))] = draw.randint(256)
        path.write_bytes(damaged)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                Network.from_onnx(path)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert all(re.match(r"from_onnx: |classes: |Network: ", text) for text in messages)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other"
    Network([2, 1], seed=0).save(path)
    refused(path, "other is damaged or not an ONNX file|other is not valid ONNX")
    path.write_text("hello")
    refused(path, "other is damaged or not an ONNX file|other is not valid ONNX")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Network.from_onnx(tmp_path / "nowhere")
    with pytest.raises(TypeError, match="from_onnx"):
        Network.from_onnx(3)


SETTINGS = '"format": 1, "loss": {}, "scaling": {}'
DAMAGED = ["", "[]", "{}", "{" * 100000, '{"format": 9}', f"{{{SETTINGS}}}"]
DAMAGED += [f'{{{SETTINGS}, "seed": {seed}, "epochs_trained": 0}}' for seed in (-1, 2**64, '"1"')]
DAMAGED += [f'{{{SETTINGS}, "seed": 1, "epochs_trained": 0, "more": 1}}']


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_metadata_is_refused(text):
    model = Network([2, 1], seed=0).to_onnx()
    for one in model.metadata_props:
        if one.key == "fastmlp":
            one.value = text
    refused(model, "the metadata 'fastmlp' is damaged")


def test_a_small_file_cannot_ask_for_much_memory():
    build = Build(row=(1_000_000,))
    refused(build.model(build("Relu", "x")), "1000000 x 1000000 weights, which are not in the file")
    build = Build(row=(1_000_000,))
    refused(build.model(build("Mul", "x", 2.0)), "1000000 x 1000000 weights")
    build, row, column = Build(), np.ones((1, 20_000), "f"), np.ones((20_000, 1), "f")
    refused(build.model(build("MatMul", "x", build("Add", row, column))), "400000000 numbers")
    build = Build()
    big = build("Add", np.ones(20_000, "f"), 0.0)
    for _ in range(40):
        big = build("Concat", big, big, axis=0)
    refused(build.model(build("Add", "x", big)), "makes a constant of up to")
    build = Build()
    a = build("Tanh", build("MatMul", "x", np.ones((4, 20_000), "f")))
    y = build("Mul", a, build("Add", a, np.ones(20_000, "f")))
    refused(build.model(y), "scales more than 10000 units")


def test_functions_cannot_ask_for_many_nodes():
    build, make, node = Build(), onnx.helper.make_function, onnx.helper.make_node
    opsets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("mine", 1)]
    build.functions = [make("mine", "f0", ["a"], ["b"], [node("Relu", ["a"], ["b"])], opsets)]
    for k in range(40):
        two = [
            node(f"f{k}", ["a"], ["c"], domain="mine"),
            node(f"f{k}", ["c"], ["b"], domain="mine"),
        ]
        build.functions.append(make("mine", f"f{k + 1}", ["a"], ["b"], two, opsets))
    y = build("f40", build("MatMul", "x", W), domain="mine")
    refused(build.model(y), "over 100000 nodes with them")


def test_a_long_graph_is_read_in_little_time():
    build = Build()
    z = build("MatMul", "x", W)
    for k in range(3000):
        z = build("Add", z, float(k % 3))
    assert Network.from_onnx(build.model(z)).biases[0][0] == 3000
    refused(build.model(build("Sqrt", z)), r"'Sqrt_\d+' \(Sqrt\) computes none")
    z = build("MatMul", "x", W)
    for _ in range(3000):
        z = build("Sqrt", z)
    refused(build.model(z), r"'Sqrt_\d+' \(Sqrt\) computes none")

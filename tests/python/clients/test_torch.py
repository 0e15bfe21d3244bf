"""PyTorch: modules to networks and back, state dicts, and the same training."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastmlp
from skipped_examples import assert_example_runs

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

from fastmlp.formats import torch_modules  # noqa: E402

nn = torch.nn
functional = nn.functional
pytestmark = pytest.mark.client

ACTIVATIONS = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "selu": nn.SELU,
    "hard_sigmoid": nn.Hardsigmoid,
}
TOLERANCES = {torch.float32: 1e-6, torch.float64: 1e-13}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
    torch.set_num_threads(1)  # more of them only wait for each other here


def randomized(module):
    """The module in evaluation mode, with statistics and scales as training leaves them."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            if part.affine:
                nn.init.normal_(part.weight)
                nn.init.normal_(part.bias)
    return module.eval()


def assert_computes_the_same(network, module):
    dtype = next(module.parameters()).dtype
    X = torch.randn(50, network.layers[0], dtype=dtype) * 3
    with torch.no_grad():
        expected = module(X).numpy()
    got = network.forward(X.numpy())
    scale = np.abs(expected).max()
    atol = TOLERANCES[dtype] * scale
    np.testing.assert_allclose(got, expected.reshape(got.shape), rtol=0, atol=atol)


# Modules to networks


def test_the_tables_have_every_activation():
    assert ACTIVATIONS.keys() == set(fastmlp.ACTIVATIONS)
    assert set(fastmlp.ACTIVATIONS) <= {name for name, _ in torch_modules.MODULES.values()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_networks_compute_what_the_module_does(name, bias, dtype):
    module = nn.Sequential(
        nn.Linear(5, 7, bias=bias),
        nn.Sequential(ACTIVATIONS[name](), nn.Sequential(nn.Linear(7, 4, bias=bias))),
        ACTIVATIONS[name](),
        nn.Linear(4, 3, bias=bias),
    ).to(dtype)
    network = fastmlp.Network.from_torch(module, seed=3)
    assert network.hidden == (name, name)
    assert (network.layers, network.output, network.seed) == ((5, 7, 4, 3), "identity", 3)
    assert_computes_the_same(network, module)


@pytest.mark.parametrize(
    ("last", "output"),
    [(nn.Sigmoid(), "sigmoid"), (nn.Softmax(dim=-1), "softmax"), (torch_modules.Exp(), "exp")],
)
def test_the_last_activation_is_the_output(last, output):
    module = nn.Sequential(nn.Linear(5, 3), last)
    network = fastmlp.Network.from_torch(module)
    assert network.output == output
    assert_computes_the_same(network, module)


@pytest.mark.parametrize(
    ("output", "applied"),
    [("sigmoid", torch.sigmoid), ("softmax", lambda Z: torch.softmax(Z, -1)), ("exp", torch.exp)],
)
def test_output_names_what_the_loss_applies_to_logits(output, applied):
    module = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    network = fastmlp.Network.from_torch(module, output=output)
    X = torch.randn(9, 5)
    expected = applied(module(X)).detach().numpy()
    np.testing.assert_allclose(network.forward(X.numpy()), expected, rtol=1e-5)


def test_log_softmax_becomes_softmax_if_asked_for():
    module = nn.Sequential(nn.Linear(5, 3), nn.LogSoftmax(dim=1))
    network = fastmlp.Network.from_torch(module, output="softmax")
    X = torch.randn(9, 5)
    expected = module(X).exp().detach().numpy()
    np.testing.assert_allclose(network.forward(X.numpy()), expected, rtol=1e-5)


BATCH_NORMS = {
    "before the first": lambda: [nn.BatchNorm1d(5), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)],
    "after a layer": lambda: [nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)],
    "after an activation": lambda: [nn.Linear(5, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 3)],
    "at the end": lambda: [nn.Linear(5, 3), nn.Tanh(), nn.BatchNorm1d(3)],
    "twice": lambda: [nn.BatchNorm1d(5, affine=False), nn.BatchNorm1d(5), nn.Linear(5, 3)],
    "alone": lambda: [nn.BatchNorm1d(5)],
    "before an activation": lambda: [nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)],
}


@pytest.mark.parametrize("where", BATCH_NORMS)
def test_batch_normalisation_is_folded(where):
    module = randomized(nn.Sequential(*BATCH_NORMS[where]()).double())
    assert_computes_the_same(fastmlp.Network.from_torch(module), module)


def test_what_only_acts_in_training_is_left_out():
    layers = [nn.Flatten(), nn.Linear(5, 4), nn.ReLU(), nn.Dropout(0.5), nn.Identity()]
    module = nn.Sequential(*layers, nn.AlphaDropout(0.2), nn.Linear(4, 3)).eval()
    network = fastmlp.Network.from_torch(module)
    assert network.layers == (5, 4, 3)
    assert_computes_the_same(network, module)


def test_a_last_activation_that_no_output_has_gets_a_layer():
    module = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2), nn.Tanh())
    network = fastmlp.Network.from_torch(module)
    assert (network.layers, network.hidden) == ((5, 4, 2, 2), ("relu", "tanh"))
    np.testing.assert_array_equal(network.weights[-1], np.eye(2))
    assert_computes_the_same(network, module)


class Classifier(nn.Module):
    """A forward as people write it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.norm = nn.BatchNorm1d(8)
        self.body = nn.Sequential(nn.Linear(8, 8), nn.ELU(), nn.Dropout(0.2))
        self.last = nn.Linear(8, 1)

    def forward(self, x, unused=None):
        x = x.view(x.size(0), -1)
        x = functional.leaky_relu(self.norm(self.first(x)), 0.01)
        x = functional.dropout(self.body(x), 0.5, self.training)
        x = functional.gelu(x).view(-1, 8)
        return torch.sigmoid(self.last(torch.flatten(x, 1))).squeeze(-1)


def test_a_forward_of_a_users_own_is_followed():
    module = randomized(Classifier().double())
    network = fastmlp.Network.from_torch(module)
    assert network.hidden == ("leaky_relu", "elu", "gelu")
    assert network.output == "sigmoid"
    assert_computes_the_same(network, module)


def test_a_single_layer_a_compiled_module_and_parametrizations_are_read():
    for module in (
        nn.Linear(5, 2),
        nn.utils.parametrizations.weight_norm(nn.Linear(5, 2)),
        type("Own", (nn.Linear,), {})(5, 2),
        torch.compile(nn.Sequential(nn.Linear(5, 2)), backend="eager"),
    ):
        network = fastmlp.Network.from_torch(module)
        assert_computes_the_same(network, getattr(module, "_orig_mod", module))


def test_the_parameters_are_copies():
    module = nn.Sequential(nn.Linear(5, 2))
    network = fastmlp.Network.from_torch(module)
    network.parameters[:] = 7
    assert not (module[0].weight == 7).any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_becomes_float32_without_loss(dtype):
    module = nn.Sequential(nn.Linear(5, 2)).to(dtype)
    network = fastmlp.Network.from_torch(module)
    assert network.dtype == np.float32
    np.testing.assert_array_equal(network.weights[0].T, module[0].weight.detach().float().numpy())


def test_losses_are_passed_on():
    module = nn.Sequential(nn.Linear(5, 1))
    network = fastmlp.Network.from_torch(module, loss="huber", delta=2.0, seed=1)
    assert (network.loss_name, network.delta) == ("huber", 2.0)


def test_a_subclass_is_made_without_its_init():
    class Own(fastmlp.Network):
        def __init__(self, needed):
            raise AssertionError

    assert type(Own.from_torch(nn.Linear(5, 2))) is Own


@st.composite
def chains(draw):
    """A module of layers in any order, with nested Sequential."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=2, max_size=5))
    layers = []
    for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        first = index == 0
        before = draw(st.lists(st.sampled_from(["norm", "drop"] if first else PARTS), max_size=3))
        layers += [part(name, n_in) for name in before]
        layers.append(nn.Linear(n_in, n_out, bias=draw(st.booleans())))
    layers += [part(name, sizes[-1]) for name in draw(st.lists(st.sampled_from(PARTS), max_size=3))]
    begin = draw(st.integers(0, len(layers)))
    end = draw(st.integers(begin, len(layers)))
    return nn.Sequential(*layers[:begin], nn.Sequential(*layers[begin:end]), *layers[end:])


PARTS = ["norm", "drop", *ACTIVATIONS]


def part(name, size):
    made = {"norm": lambda: nn.BatchNorm1d(size), "drop": nn.Dropout} | ACTIVATIONS
    return made[name]()


@given(chains(), st.integers(0, 100))
def test_layers_in_any_order_compute_the_same(module, seed):
    torch.manual_seed(seed)
    module = randomized(module.double())
    network = fastmlp.Network.from_torch(module)
    assert_computes_the_same(network, module)
    assert_computes_the_same(network, network.to_torch())


class Own(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.layer, self.other, self.own = nn.Linear(5, 5), nn.Linear(5, 5), forward

    def forward(self, x):
        return self.own(self, x)


class DoubledLinear(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def hooked():
    module = nn.Sequential(nn.Linear(5, 5))
    module[0].register_forward_hook(lambda *_: None)
    return module


def tied():
    module = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5))
    module[2].weight = module[0].weight
    return module


REFUSED = {
    "1.1: LayerNorm is not a layer": lambda: nn.Sequential(
        nn.Linear(5, 4), nn.Sequential(nn.ReLU(), nn.LayerNorm(4))
    ),
    "1: PReLU is not a layer": lambda: nn.Sequential(nn.Linear(5, 4), nn.PReLU()),
    "0: DoubledLinear is not a layer": lambda: nn.Sequential(DoubledLinear(5, 4)),
    "1: LeakyReLU has negative_slope=0.2": lambda: nn.Sequential(
        nn.Linear(5, 4), nn.LeakyReLU(0.2), nn.Linear(4, 1)
    ),
    "1: ELU has alpha=2": lambda: nn.Sequential(nn.Linear(5, 4), nn.ELU(2.0)),
    "1: Softplus has beta=3": lambda: nn.Sequential(nn.Linear(5, 4), nn.Softplus(3)),
    "1: Softplus has threshold=2": lambda: nn.Sequential(nn.Linear(5, 4), nn.Softplus(1.0, 2.0)),
    "1: GELU has approximate='tanh'": lambda: nn.Sequential(nn.Linear(5, 4), nn.GELU("tanh")),
    "1: Flatten has start_dim=0": lambda: nn.Sequential(nn.Linear(5, 4), nn.Flatten(0)),
    "1: Softmax has dim=0": lambda: nn.Sequential(nn.Linear(5, 4), nn.Softmax(0)),
    "1: Softmax: softmax can only be last": lambda: nn.Sequential(
        nn.Linear(5, 4), nn.Softmax(1), nn.Linear(4, 4)
    ),
    "1: LogSoftmax: the outputs are logarithms": lambda: nn.Sequential(
        nn.Linear(5, 4), nn.LogSoftmax(1)
    ),
    "0: ReLU stands before the first layer": lambda: nn.Sequential(nn.ReLU(), nn.Linear(5, 4)),
    "2: Linear takes 3 values, but the layer before gives 4": lambda: nn.Sequential(
        nn.Linear(5, 4), nn.ReLU(), nn.Linear(3, 4)
    ),
    "the model has no layer with weights": nn.Sequential,
    "1: BatchNorm1d is in training mode": lambda: nn.Sequential(
        nn.Linear(5, 4), nn.BatchNorm1d(4)
    ).train(),
    "1: BatchNorm1d has no running mean": lambda: nn.Sequential(
        nn.Linear(5, 4), nn.BatchNorm1d(4, track_running_stats=False)
    ),
    "0: Linear has forward hooks": hooked,
    "2: Linear shares its weights": tied,
    "weight has no shape yet": lambda: nn.LazyLinear(4),
    "0.weight is on the device meta": lambda: nn.Sequential(nn.Linear(5, 4, device="meta")),
    "the parameters are torch.float32, torch.float64": lambda: nn.Sequential(
        nn.Linear(5, 4), nn.Linear(4, 4).double()
    ),
    "the parameters are torch.complex64": lambda: nn.Linear(5, 4, dtype=torch.complex64),
    "add takes x, layer": lambda: Own(lambda self, x: x + self.layer(x)),
    "other takes x": lambda: Own(lambda self, x: (self.layer(x), self.other(x))[1]),
    "output takes layer": lambda: Own(lambda self, x: (self.layer(x),) * 2),
    "0: ParametrizedLinear shares its weights": lambda: nn.Sequential(
        *[nn.utils.parametrizations.weight_norm(nn.Linear(5, 5))] * 2
    ),
    "layer shares": lambda: Own(lambda self, x: self.layer(self.layer(x))),
    "the call truediv is not known; a Network has relu": lambda: Own(
        lambda self, x: self.layer(x) / 2
    ),
    "the call leaky_relu has negative_slope=0.2": lambda: Own(
        lambda self, x: functional.leaky_relu(self.layer(x), 0.2)
    ),
    "the call gelu has approximate='tanh'": lambda: Own(
        lambda self, x: functional.gelu(self.layer(x), approximate="tanh")
    ),
    "the call flatten has start_dim=0": lambda: Own(lambda self, x: self.layer(x).flatten()),
    "the call view takes 10 values": lambda: Own(lambda self, x: self.layer(x).view(-1, 10)),
    "the calls of Own cannot be followed": lambda: Own(
        lambda self, x: self.layer(x) if x.sum() > 0 else x
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_taken_is_named(message):
    module = REFUSED[message]()
    with pytest.raises(ValueError, match=r"^from_torch: ") as raised:
        fastmlp.Network.from_torch(module)
    assert message.replace("layer shares", "layer: Linear shares") in str(raised.value)


def test_outputs_that_contradict_the_module_are_refused():
    module = nn.Sequential(nn.Linear(5, 4), nn.Sigmoid())
    with pytest.raises(ValueError, match="the model ends in sigmoid"):
        fastmlp.Network.from_torch(module, output="softmax")
    with pytest.raises(ValueError, match="output is 'tanh'; it must be one of"):
        fastmlp.Network.from_torch(module, output="tanh")


def test_what_is_no_module_is_refused():
    for thing in ({}, "model.pt", np.ones(3), nn.Linear):
        with pytest.raises(TypeError, match=r"it must be a torch\.nn\.Module"):
            fastmlp.Network.from_torch(thing)


# Networks to modules


@pytest.mark.parametrize("output", fastmlp.OUTPUTS)
@pytest.mark.parametrize("hidden", fastmlp.ACTIVATIONS)
def test_modules_compute_what_the_network_does(hidden, output):
    network = fastmlp.Network([5, 7, 4, 3], hidden=hidden, output=output, dtype="float64", seed=0)
    module = network.to_torch()
    assert_computes_the_same(network, module)
    back = fastmlp.Network.from_torch(module)
    assert (back.layers, back.hidden, back.output) == ((5, 7, 4, 3), (hidden,) * 2, output)
    np.testing.assert_array_equal(back.parameters, network.parameters)


def test_to_torch_copies_and_draws_no_random_numbers():
    network = fastmlp.Network([5, 3], seed=0)
    state = torch.get_rng_state()
    module = network.to_torch()
    assert torch.equal(state, torch.get_rng_state())
    assert all(parameter.requires_grad for parameter in module.parameters())
    with torch.no_grad():
        module[0].weight.fill_(7)
    assert not (network.parameters == 7).any()
    assert torch.equal(pickle.loads(pickle.dumps(module))[0].weight, module[0].weight)


@pytest.mark.parametrize("name", ["from_torch", "to_torch"])
def test_the_docstrings(name):
    assert_example_runs(name)


# State dicts


def test_state_dicts_are_those_of_to_torch():
    network = fastmlp.Network([5, 7, 4, 3], hidden=["identity", "tanh"], output="softmax", seed=0)
    module = network.to_torch()
    state, expected = network.state_dict(), module.state_dict()
    assert list(state) == list(expected)
    for name, array in state.items():
        np.testing.assert_array_equal(array, expected[name].numpy())
    module.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})


def linears(*sizes, between=nn.ReLU):
    parts = [nn.Linear(sizes[0], sizes[1])]
    for n_in, n_out in itertools.pairwise(sizes[1:]):
        parts += [between(), nn.Linear(n_in, n_out)]
    return nn.Sequential(*parts)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["state", "parameters", "file"])
def test_state_dicts_of_modules_are_loaded(tmp_path, kind, dtype):
    module = linears(5, 6, 6, 2).to(dtype)
    state = module.state_dict() if kind != "parameters" else dict(module.named_parameters())
    if kind == "file":
        state = tmp_path / "model.safetensors"
        safetensors_torch.save_model(module, str(state))
    network = fastmlp.Network([5, 6, 6, 2], output="identity", dtype="float64")
    network.load_state_dict(state)
    expected = fastmlp.Network.from_torch(module.double())
    np.testing.assert_array_equal(network.parameters, expected.parameters)


def test_our_state_dict_makes_a_safetensors_file_for_pytorch(tmp_path):
    network = fastmlp.Network([5, 6, 2], output="identity", seed=0)
    safetensors = pytest.importorskip("safetensors.numpy")
    safetensors.save_file(network.state_dict(), tmp_path / "model.safetensors")
    module = linears(5, 6, 2)
    module.load_state_dict(safetensors_torch.load_file(tmp_path / "model.safetensors"))
    assert_computes_the_same(network, module)


def test_strict_errors_have_the_words_of_pytorch():
    network, module = fastmlp.Network([5, 6, 2], output="identity"), linears(5, 6, 2)
    state = module.state_dict() | {"3.weight": torch.ones(2)}
    del state["2.bias"]
    state["0.weight"] = torch.ones(5, 6)
    with pytest.raises(RuntimeError) as theirs:
        module.load_state_dict(state)
    with pytest.raises(ValueError, match="Error") as ours:
        network.load_state_dict(state)
    expected = str(theirs.value).replace("torch.Size([", "(").replace("])", ")")
    expected = (
        expected.replace("[", "(").replace("for Sequential", "for Network").replace(". \n", ".\n")
    )
    assert str(ours.value) == f"load_state_dict: {expected}"


# The same training


class Problem:
    """Rows, and the loss of PyTorch that is fastmlp's."""

    def __init__(self, output, dtype):
        rng = np.random.default_rng(0)
        self.X = rng.standard_normal((64, 5)).astype(dtype)
        self.y = {
            "identity": np.sin(self.X[:, :3] * 2),
            "sigmoid": (self.X[:, :3] > 0).astype(dtype),
            "softmax": self.X[:, :3].argmax(axis=1),
        }[output]
        self.output = output

    def loss(self, Z):
        y = torch.from_numpy(self.y)
        if self.output == "identity":
            return ((Z - y) ** 2).sum(dim=1).mean() / 2
        if self.output == "sigmoid":
            return functional.binary_cross_entropy_with_logits(Z, y, reduction="sum") / len(y)
        return functional.cross_entropy(Z, y)


def decayed(module, rate):
    """fastmlp's weight decay: of weights only."""
    weights = [p for p in module.parameters() if p.ndim == 2]
    biases = [p for p in module.parameters() if p.ndim == 1]
    return [{"params": weights, "weight_decay": rate}, {"params": biases, "weight_decay": 0}]


OPTIMIZERS = {
    "SGD": (lambda: fastmlp.SGD(0.1), lambda m: torch.optim.SGD(m.parameters(), 0.1)),
    "momentum": (
        lambda: fastmlp.SGD(0.05, momentum=0.9),
        lambda m: torch.optim.SGD(m.parameters(), 0.05, momentum=0.9),
    ),
    "Nesterov": (
        lambda: fastmlp.SGD(0.05, momentum=0.9, nesterov=True),
        lambda m: torch.optim.SGD(m.parameters(), 0.05, momentum=0.9, nesterov=True),
    ),
    "weight decay": (
        lambda: fastmlp.SGD(0.1, weight_decay=0.1),
        lambda m: torch.optim.SGD(decayed(m, 0.1), 0.1),
    ),
    "Adam": (lambda: fastmlp.Adam(0.01), lambda m: torch.optim.Adam(m.parameters(), 0.01)),
    "AdamW": (
        lambda: fastmlp.AdamW(0.01, weight_decay=0.1),
        lambda m: torch.optim.AdamW(decayed(m, 0.1), 0.01),
    ),
    "RMSprop": (
        lambda: fastmlp.RMSprop(0.01, 0.9),
        lambda m: torch.optim.RMSprop(m.parameters(), 0.01, alpha=0.9),
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("output", ["identity", "sigmoid", "softmax"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps_are_those_of_pytorch(name, output, dtype):
    network = fastmlp.Network([5, 16, 8, 3], hidden="tanh", output=output, dtype=dtype, seed=0)
    module = network.to_torch()
    logits = module if output == "identity" else module[:-1]
    make_ours, make_theirs = OPTIMIZERS[name]
    ours, theirs = make_ours(), make_theirs(module)
    problem = Problem(output, dtype)
    history = network.fit(
        problem.X, problem.y, epochs=50, batch_size=64, optimizer=ours, shuffle=False
    )
    losses = []
    for _ in range(50):
        theirs.zero_grad()
        loss = problem.loss(logits(torch.from_numpy(problem.X)))
        loss.backward()
        theirs.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    np.testing.assert_allclose(history.loss, losses, rtol=1e-4 if dtype == "float32" else 1e-10)
    if dtype == "float64":
        expected = fastmlp.Network.from_torch(module).parameters
        np.testing.assert_allclose(network.parameters, expected, rtol=0, atol=1e-10)

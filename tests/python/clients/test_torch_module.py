"""`fastmlp.torch.Module`: a network inside of a PyTorch model, beside the same model in PyTorch."""

import copy
import doctest
import io
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastmlp

torch = pytest.importorskip("torch")

import fastmlp.torch  # noqa: E402

nn = torch.nn
pytestmark = pytest.mark.client


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
    torch.set_num_threads(1)  # more of them only wait for each other here


def make(dtype="float64", output="identity", hidden=("tanh", "gelu")):
    return fastmlp.Network([3, 5, 4, 2], hidden=hidden, output=output, dtype=dtype, seed=0)


def pair(**options):
    """A module of ours and the same one in PyTorch."""
    network = make(**options)
    return fastmlp.torch.Module(network), network.to_torch()


def rows(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype)


def in_our_order(tensors):
    """Parameters of PyTorch or their gradients, as `weights` and then `biases` of our module."""
    tensors = list(tensors)
    return [tensor.t() for tensor in tensors[::2]] + tensors[1::2]


def gradients(module):
    found = [parameter.grad for parameter in module.parameters()]
    return found if isinstance(module, fastmlp.torch.Module) else in_our_order(found)


def assert_same(ours, theirs, tolerance=1e-12):
    for our, their in zip(ours, theirs, strict=True):
        scale = max(their.abs().max().item(), 1)
        assert (our - their).abs().max().item() <= tolerance * scale


# Gradients


@pytest.mark.parametrize("output", fastmlp.OUTPUTS)
def test_gradients_are_central_differences(output):
    module = fastmlp.torch.Module(make(output=output))
    X = rows(4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda X, *_: module(X), (X, *module.parameters()))


LOSSES = {
    "sum": lambda f, A, B: f(A).sum(),
    "own": lambda f, A, B: (f(A) ** 4).mean() + f(A)[:, 0].exp().sum(),
    "siamese": lambda f, A, B: (f(A) - f(B)).norm(dim=1).mean(),
    "of its own output": lambda f, A, B: f(torch.cat([f(A), A[:, :1]], 1)).sum(),
    "more dimensions": lambda f, A, B: f(torch.stack([A, B])).pow(2).sum(),
    "one row": lambda f, A, B: f(A[0]).prod(),
    "transposed rows": lambda f, A, B: f(A.t().contiguous().t()).pow(2).sum(),
    "every second row": lambda f, A, B: f(A[::2]).pow(2).sum(),
    "the same row": lambda f, A, B: f(A[:1].expand(5, 3)).pow(2).sum(),
    "no rows": lambda f, A, B: f(A[:0]).sum(),
    "part of the outputs": lambda f, A, B: f(A)[1:3, 0].sum(),
}


@pytest.mark.parametrize("output", ["identity", "softmax"])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_pytorch(name, output):
    found = []
    A, B = rows(6, 3).requires_grad_(), rows(6, 3).requires_grad_()
    for module in pair(output=output):
        A.grad = B.grad = None
        loss = LOSSES[name](module, A, B)
        loss.backward()
        inputs = [X.grad for X in (A, B) if X.grad is not None]
        found.append([loss.detach(), *inputs, *gradients(module)])
    assert_same(*found)


def test_gradients_accumulate_and_outlive_the_next_backward():
    ours, theirs = pair()
    A, B = rows(6, 3), rows(6, 3)
    for module in (ours, theirs):
        module(A).sum().backward()
        module(B).pow(2).sum().backward()
    assert_same(gradients(ours), gradients(theirs))


def test_a_graph_can_be_kept_and_used_again():
    module = fastmlp.torch.Module(make())
    X = rows(6, 3).requires_grad_()
    loss = module(X).pow(2).sum()
    first = torch.autograd.grad(loss, X, retain_graph=True)[0]
    module(rows(2, 3)).sum().backward()
    assert torch.equal(torch.autograd.grad(loss, X)[0], first)


def test_threads_get_their_own_gradients_or_an_error():
    """Both use `network.gradients`, so one of them may be refused."""
    module = fastmlp.torch.Module(make())
    several = [k * rows(2000, 3) for k in range(1, 5)]

    def gradients_of(X):
        return torch.autograd.grad(module(X).pow(2).sum(), module.parameters())

    expected = [gradients_of(X) for X in several]

    def repeat(index):
        refused = 0
        for _ in range(50):
            try:
                found = gradients_of(several[index])
            except RuntimeError as error:
                assert "another thread" in str(error)  # noqa: PT017
                refused += 1
            else:
                assert all(map(torch.equal, found, expected[index]))
        return refused

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(repeat, range(4))) < 200


def test_frozen_parameters_get_no_gradient():
    module = fastmlp.torch.Module(make())
    module.weights[1].requires_grad_(False)
    module(rows(6, 3)).sum().backward()
    assert module.weights[1].grad is None
    assert module.weights[0].grad is not None


def test_gradients_of_the_inputs_alone_leave_those_of_the_network():
    ours, theirs = pair()
    X = rows(6, 3).requires_grad_()
    for module in (ours, theirs):
        module.requires_grad_(False)
    ours.network.gradients[:] = 7
    found = [torch.autograd.grad(module(X).pow(2).sum(), X) for module in (ours, theirs)]
    assert_same(*found)
    assert (ours.network.gradients == 7).all()


def test_without_gradients_nothing_is_recorded():
    module = fastmlp.torch.Module(make())
    with torch.no_grad():
        assert not module(rows(6, 3)).requires_grad
    with torch.inference_mode():
        assert module(rows(6, 3)).shape == (6, 2)


def test_second_derivatives_are_refused():
    module = fastmlp.torch.Module(make())
    X = rows(6, 3).requires_grad_()
    (first,) = torch.autograd.grad(module(X).pow(2).sum(), X, create_graph=True)
    with pytest.raises(RuntimeError, match=r"second derivatives .* use network\.to_torch\(\)"):
        first.sum().backward()


def test_parameters_changed_before_the_backward_are_refused():
    module = fastmlp.torch.Module(make())
    loss = module(rows(6, 3)).sum()
    with torch.no_grad():
        module.weights[0].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


# Inside of a model


class Larger(nn.Module):
    """A skip connection around the network, and a layer of PyTorch on each side."""

    def __init__(self, inner):
        super().__init__()
        self.before, self.inner, self.after = nn.Linear(6, 3), inner, nn.Linear(5, 1)

    def forward(self, x):
        x = torch.tanh(self.before(x))
        return self.after(torch.cat([x, self.inner(x)], dim=-1))


OPTIMIZERS = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "Rprop", "Adafactor", "LBFGS"]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_trains_it_as_it_trains_pytorch(name, dtype, tolerance):
    ours, theirs = (Larger(inner).to(getattr(torch, dtype)) for inner in pair(dtype=dtype))
    for part in ("before", "after"):
        getattr(theirs, part).load_state_dict(getattr(ours, part).state_dict())
    X = rows(40, 6, dtype=getattr(torch, dtype))
    y = X[:, :1] * X[:, 1:2]
    curves = []
    for model in (ours, theirs):
        optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.01)

        def closure(model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(X), y)
            loss.backward()
            return loss

        # One step of LBFGS is 20 evaluations, in which roundings grow.
        steps = 3 if name == "LBFGS" else 20
        curves.append([optimizer.step(closure).item() for _ in range(steps)])
    assert curves[0][-1] < curves[0][0]
    np.testing.assert_allclose(*curves, rtol=tolerance)
    if dtype == "float64":
        found = in_our_order(theirs.inner.parameters())
        assert_same(list(ours.inner.parameters()), found, tolerance=1e-8)
    X = torch.tanh(ours.before(X)).detach()
    np.testing.assert_array_equal(ours.inner(X).detach(), ours.inner.network.forward(X.numpy()))


def test_the_parameters_are_the_memory_of_the_network():
    network = make()
    module = fastmlp.torch.Module(network)
    for parameters, arrays in ((module.weights, network.weights), (module.biases, network.biases)):
        for parameter, array in zip(parameters, arrays, strict=True):
            assert parameter.data_ptr() == array.ctypes.data
            assert (parameter.shape, parameter.requires_grad) == (array.shape, True)
            assert parameter.is_contiguous()
    network.fit(rows(8, 3).numpy(), rows(8, 2).numpy(), epochs=2)
    np.testing.assert_array_equal(module.weights[0].detach(), network.weights[0])


def test_rows_are_read_in_place_and_other_types_are_converted():
    network = make()
    module, X = fastmlp.torch.Module(network), rows(6, 3)
    seen = []

    class Spy(fastmlp.Network):
        def forward(self, X, out=None):
            seen.append(X.ctypes.data)
            return super().forward(X, out)

    spied = fastmlp.torch.Module(Spy([3, 2], output="identity", dtype="float64"))
    spied(X)
    assert seen == [X.data_ptr()]
    X32 = X.float().requires_grad_()
    Y = module(X32)
    assert Y.dtype == torch.float64
    Y.sum().backward()
    assert X32.grad.dtype == torch.float32
    module(torch.ones(2, 3, dtype=torch.int64))


def test_autocast_around_it():
    model = nn.Sequential(nn.Linear(6, 3), fastmlp.torch.Module(make("float32")))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(torch.randn(4, 6)).sum()
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.filterwarnings("ignore")  # of PyTorch about its own calls
def test_a_compiled_model_follows_the_parameters():
    model = nn.Sequential(nn.Linear(6, 3), fastmlp.torch.Module(make("float32")))
    compiled = torch.compile(model, backend="eager")
    for _ in range(3):
        X = torch.randn(4, 6)
        assert torch.equal(compiled(X), model(X))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1)


# Copies and files


def copies_of(module):
    saved = io.BytesIO()
    torch.save(module, saved)
    saved.seek(0)
    return {
        "deepcopy": copy.deepcopy(module),
        "pickle": pickle.loads(pickle.dumps(module)),
        "torch.save": torch.load(saved, weights_only=False),
    }


def test_copies_are_independent_and_share_memory_with_their_own_network():
    module = fastmlp.torch.Module(make())
    module.biases[0].requires_grad_(False)
    X = rows(6, 3)
    for name, made in copies_of(module).items():
        assert torch.equal(made(X), module(X)), name
        assert made.weights[0].data_ptr() == made.network.weights[0].ctypes.data
        assert not made.biases[0].requires_grad
        before = module.network.parameters.copy()
        torch.optim.SGD(made.parameters(), lr=1.0).zero_grad()
        made(X).sum().backward()
        torch.optim.SGD(made.parameters(), lr=1.0).step()
        np.testing.assert_array_equal(module.network.parameters, before)
        np.testing.assert_array_equal(made(X).detach(), made.network.forward(X.numpy()))
        assert not torch.equal(made(X), module(X))


def test_an_averaged_model_follows():
    model = nn.Sequential(nn.Linear(6, 3), fastmlp.torch.Module(make("float32")))
    averaged = torch.optim.swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    X = torch.randn(4, 6)
    assert torch.equal(averaged(X), model(X))


def test_a_state_dict_is_saved_and_loaded_into_the_network(tmp_path):
    module, other = fastmlp.torch.Module(make()), fastmlp.torch.Module(make())
    with torch.no_grad():
        other.weights[0].zero_()
    torch.save(module.state_dict(), tmp_path / "model.pt")
    other.load_state_dict(torch.load(tmp_path / "model.pt"))
    assert list(module.state_dict())[:2] == ["weights.0", "weights.1"]
    np.testing.assert_array_equal(other.network.parameters, module.network.parameters)


# What is refused


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.float(),
        lambda m: m.half(),
        lambda m: m.to("meta"),
        lambda m: m.to(torch.bfloat16),
    ],
)
def test_another_type_or_device_is_refused_and_changes_nothing(change):
    module = fastmlp.torch.Module(make())
    X = rows(6, 3)
    before = module(X)
    with pytest.raises(TypeError, match=r"it stays torch\.float64 on the CPU"):
        change(module)
    assert torch.equal(module(X), before)
    assert torch.equal(module.double().to("cpu").train().eval()(X), before)


def assigned(module):
    module.load_state_dict(copy.deepcopy(module.state_dict()), assign=True)


def set_data(module):
    module.biases[1].data = torch.zeros(4, dtype=torch.float64)


def put_another(module):
    module.weights[1] = nn.Parameter(torch.zeros(5, 4, dtype=torch.float64))


@pytest.mark.parametrize("change", [assigned, set_data, put_another, lambda m: m.share_memory()])
def test_parameters_that_leave_the_network_are_refused(change):
    module = fastmlp.torch.Module(make())
    change(module)
    with pytest.raises(RuntimeError, match="no longer shares the memory of the network"):
        module(rows(6, 3))


def test_a_copy_has_the_parameters_that_left():
    module = fastmlp.torch.Module(make())
    state = {name: torch.ones_like(value) for name, value in module.state_dict().items()}
    module.load_state_dict(state, assign=True)
    made = copy.deepcopy(module)
    assert (made.network.parameters == 1).all()
    made(rows(6, 3))


def test_other_parameters_for_one_call_are_refused():
    module = fastmlp.torch.Module(make())
    others = {name: 2 * value for name, value in module.state_dict().items()}
    with pytest.raises(RuntimeError, match="no longer shares the memory of the network"):
        torch.func.functional_call(module, others, (rows(6, 3),))


def test_rows_that_do_not_fit_are_refused():
    module = fastmlp.torch.Module(make())
    with pytest.raises(ValueError, match=r"X has shape \(6, 4\); this network takes 3 features"):
        module(rows(6, 4))
    with pytest.raises(ValueError, match=r"X has shape \(\); this network takes 3 features"):
        module(torch.tensor(1.0))
    with pytest.raises(
        ValueError, match="X is on the device meta; this module computes on the CPU"
    ):
        module(rows(6, 3).to("meta"))


def test_a_trace_is_refused():
    module = fastmlp.torch.Module(make())
    with (
        pytest.warns(DeprecationWarning, match="trace"),
        pytest.raises(RuntimeError, match="as constants"),
    ):
        torch.jit.trace(module, rows(6, 3))


def test_what_is_no_network_is_refused():
    with pytest.raises(
        TypeError, match=r"network is of type Linear; it must be a fastmlp\.Network"
    ):
        fastmlp.torch.Module(nn.Linear(3, 2))


def test_the_repr_is_the_network():
    assert repr(make()) in repr(fastmlp.torch.Module(make()))


def test_the_docstrings():
    assert doctest.testmod(fastmlp.torch).failed == 0

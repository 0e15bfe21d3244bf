"""PyTorch modules to networks, and networks to `torch.nn.Sequential`.

torch.fx follows the calls of a module, so that the layers come one after another: those of nested
Sequential, and those of a forward that a user wrote. state_dict.py has the parameters alone and
needs no PyTorch. Start at `from_torch`.
"""

import itertools
import operator
from typing import Any

import numpy as np
import torch
import torch.fx
from torch import nn
from torch.nn import functional

from fastmlp.formats.chain import KNOWN, Chain
from fastmlp.formats.state_dict import state_dict

# The activation of each module, and the values of its settings for which it is the same. The
# settings are in the order of the arguments of the functions below. "identity" is for what changes
# nothing in a trained network.
Rule = tuple[str, dict[str, tuple[Any, ...]]]
MODULES: dict[Any, Rule] = {
    nn.ReLU: ("relu", {}),
    nn.Sigmoid: ("sigmoid", {}),
    nn.Tanh: ("tanh", {}),
    nn.Identity: ("identity", {}),
    nn.LeakyReLU: ("leaky_relu", {"negative_slope": (0.01,)}),
    nn.ELU: ("elu", {"alpha": (1.0,)}),
    nn.CELU: ("elu", {"alpha": (1.0,)}),
    nn.Softplus: ("softplus", {"beta": (1.0,), "threshold": (20.0,)}),
    nn.GELU: ("gelu", {"approximate": ("none",)}),
    nn.SiLU: ("silu", {}),
    nn.Mish: ("mish", {}),
    nn.SELU: ("selu", {}),
    nn.Hardsigmoid: ("hard_sigmoid", {}),
    nn.Softmax: ("softmax", {"dim": (-1, 1, None)}),
    nn.LogSoftmax: ("log_softmax", {"dim": (-1, 1, None)}),
    nn.Dropout: ("identity", {}),
    nn.Dropout1d: ("identity", {}),
    nn.AlphaDropout: ("identity", {}),
    nn.FeatureAlphaDropout: ("identity", {}),
    nn.Flatten: ("identity", {"start_dim": (1,), "end_dim": (-1, 1)}),
}
# The same for functions, and for methods of tensors.
FUNCTIONS: dict[Any, Rule] = {
    function: MODULES[kind]
    for kind, functions in {
        nn.ReLU: (functional.relu, torch.relu, "relu", "relu_"),
        nn.Sigmoid: (functional.sigmoid, torch.sigmoid, "sigmoid", "sigmoid_"),
        nn.Tanh: (functional.tanh, torch.tanh, "tanh", "tanh_"),
        nn.LeakyReLU: (functional.leaky_relu,),
        nn.ELU: (functional.elu,),
        nn.CELU: (functional.celu, torch.celu),
        nn.Softplus: (functional.softplus,),
        nn.GELU: (functional.gelu,),
        nn.SiLU: (functional.silu,),
        nn.Mish: (functional.mish,),
        nn.SELU: (functional.selu, torch.selu),
        nn.Hardsigmoid: (functional.hardsigmoid,),
        nn.Softmax: (functional.softmax, torch.softmax, "softmax"),
        nn.LogSoftmax: (functional.log_softmax, torch.log_softmax, "log_softmax"),
        nn.Dropout: (functional.dropout, torch.dropout),
        nn.Flatten: (torch.flatten, "flatten"),
    }.items()
    for function in functions
} | {
    torch.exp: ("exp", {}),
    "exp": ("exp", {}),
    torch.squeeze: ("identity", {"dim": (-1, 1, None)}),  # of a single output, as `predict` does
    "squeeze": ("identity", {"dim": (-1, 1, None)}),
}


class Exp(nn.Module):
    """The output "exp", e^x, which torch.nn does not have."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return e^x."""
        return x.exp()


LAYERS = (nn.Linear, nn.BatchNorm1d, *MODULES)


def from_torch(cls: Any, module: Any, output: str | None, seed: Any, loss: dict[str, Any]) -> Any:
    """Do what `Network.from_torch` says."""
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"from_torch: module is of type {type(module).__name__}; it must be a torch.nn.Module. "
            "load_state_dict takes parameters without a module"
        )
    module = getattr(module, "_orig_mod", module)  # torch.compile wraps it
    dtype = _checked_parameters(module)
    if _layer_kind(module):
        module = nn.Sequential(module)
    reader = _Reader(module)
    for node in _trace(module).nodes:
        reader.read(node)
    return reader.chain.network(cls, dtype, output, seed, loss)


def _checked_parameters(module: nn.Module) -> str:
    """Return the dtype of the network; refuse parameters whose values cannot be read here."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, tensor in tensors.items():
        if nn.parameter.is_lazy(tensor):
            raise ValueError(f"from_torch: {name} has no shape yet; call the module once first")
        if tensor.device.type != "cpu":
            advice = "load its values" if tensor.is_meta else "call module.cpu()"
            raise ValueError(f"from_torch: {name} is on the device {tensor.device}; {advice} first")
    for name, part in module.named_modules():
        if part._forward_hooks or part._forward_pre_hooks:
            raise ValueError(
                f"from_torch: {_where(name, part)} has forward hooks, which may change what it "
                "returns; remove them first"
            )
    dtypes = {tensor.dtype for tensor in module.parameters()}
    if dtypes == {torch.float64}:
        return "float64"
    if dtypes - {torch.float32, torch.bfloat16, torch.float16}:
        raise ValueError(
            f"from_torch: the parameters are {', '.join(sorted(map(str, dtypes)))}; a Network has "
            "float32 or float64 throughout, so call module.float() or module.double() first"
        )
    return "float32"


def _where(name: str, module: nn.Module) -> str:
    return f"{name}: {type(module).__name__}" if name else type(module).__name__


def _layer_kind(module: nn.Module) -> Any:
    """Return the entry of LAYERS that module is; None if it is none or has another forward."""
    for kind in LAYERS:
        if isinstance(module, kind):
            own = getattr(module.forward, "__func__", None)  # not that of the instance
            return kind if own is kind.forward else None
    return None


class _Tracer(torch.fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LAYERS) or super().is_leaf_module(m, module_qualified_name)


def _trace(module: nn.Module) -> torch.fx.Graph:
    """Return the calls of a module, in their order."""
    try:
        return _Tracer().trace(module)
    except Exception as error:  # of any type: the forward of a user is run
        raise ValueError(
            f"from_torch: the calls of {type(module).__name__} cannot be followed ({error}); pass "
            "an nn.Sequential of its layers, or use torch.onnx.export and Network.from_onnx"
        ) from error


def _is_shape(node: torch.fx.Node) -> bool:
    """Return whether the call gives the shape of a tensor, or a number in it."""
    if node.target is operator.getitem:
        return _is_shape(node.all_input_nodes[0])
    return node.target == "size" or (node.target is getattr and node.args[1] == "shape")


def _values(tensor: torch.Tensor) -> Any:
    return tensor.detach().to(torch.float64).numpy()


class _Reader:
    """Gives the layers of a module to a chain, call by call."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.chain = Chain("from_torch")
        self.last: torch.fx.Node | None = None  # the call before; at first, the argument
        self.read_before: set[Any] = set()  # linear layers and their weights

    def read(self, node: torch.fx.Node) -> None:
        """Read one call; refuse it if it is no step of a chain."""
        if node.op == "placeholder":
            if node.users and self.last is None:
                self.last = node
            return
        if _is_shape(node):
            return  # for a view
        inputs = [before for before in node.all_input_nodes if not _is_shape(before)]
        if inputs != [self.last] or (node.op == "output" and node.args[0] is not self.last):
            raise ValueError(
                f"from_torch: {node.name} takes {', '.join(map(str, inputs)) or 'nothing'}; in a "
                "Network each layer takes the outputs of the layer before it, and nothing else"
            )
        if node.op == "call_module":
            self._layer(str(node.target))
        elif node.op != "output":
            self._function(node)
        self.last = node

    def _layer(self, name: str) -> None:
        module = self.module.get_submodule(name)
        where, kind = _where(name, module), _layer_kind(module)
        if kind is nn.Linear:
            self._linear(where, module)
        elif kind is nn.BatchNorm1d:
            self._batch_norm(where, module)
        elif kind:
            settings = {key: getattr(module, key) for key in MODULES[kind][1]}
            self._activation(where, MODULES[kind], settings)
        else:
            names = ", ".join(layer.__name__ for layer in (nn.Sequential, *LAYERS))
            raise ValueError(
                f"from_torch: {where} is not a layer that a Network has; it can have {names}"
            )

    def _linear(self, where: str, module: Any) -> None:
        W, b = module.weight, module.bias
        if self.read_before & {module, W}:
            raise ValueError(
                f"from_torch: {where} shares its weights with another layer, which a Network "
                "cannot do; pass copy.deepcopy of the layer in its place"
            )
        self.read_before |= {module, W}
        b = torch.zeros(len(W)) if b is None else b
        self.chain.dense(_values(W).T, _values(b), where)

    def _batch_norm(self, where: str, module: Any) -> None:
        """Y = γ (x - mean) / √(variance + ε) + β, with mean and variance of the training."""
        if module.running_mean is None:
            raise ValueError(
                f"from_torch: {where} has no running mean and variance (track_running_stats=False)"
            )
        if module.training:
            raise ValueError(
                f"from_torch: {where} is in training mode, in which it takes the mean and variance "
                "of each batch; call module.eval() first"
            )
        a = 1 / np.sqrt(_values(module.running_var) + module.eps)
        c = -a * _values(module.running_mean)
        if module.affine:
            gamma, beta = _values(module.weight), _values(module.bias)
            a, c = a * gamma, c * gamma + beta
        self.chain.scale(a, c, where)

    def _function(self, node: torch.fx.Node) -> None:
        """Read the call of a function, or of a method of a tensor."""
        where, given = f"the call {node.name}", node.args[1:]
        if node.target in ("view", "reshape") and len(given) == 2:
            rows, columns = given
            if columns == -1 and isinstance(rows, torch.fx.Node):
                return
            if rows == -1 and isinstance(columns, int):
                self.chain.check_width(columns, where)
                return
        if node.target not in FUNCTIONS:
            raise ValueError(f"from_torch: {where} is not known; {KNOWN}")
        rule = FUNCTIONS[node.target]
        settings = {key: values[0] for key, values in rule[1].items()}
        if "start_dim" in settings:
            settings["start_dim"] = 0  # the default of the function, not of the module
        settings |= dict(zip(rule[1], given, strict=False)) | node.kwargs
        self._activation(where, rule, settings)

    def _activation(self, where: str, rule: Rule, settings: dict[str, Any]) -> None:
        name, allowed = rule
        for key, values in allowed.items():
            if settings[key] not in values:
                raise ValueError(
                    f"from_torch: {where} has {key}={settings[key]!r}; a Network can only have "
                    f"{key}={values[0]!r}"
                )
        self.chain.activation(name, where)


def to_torch(network: Any) -> nn.Sequential:
    """Do what `Network.to_torch` says."""
    ends = {name: kind for kind, (name, _) in reversed(MODULES.items())}
    ends |= {"identity": nn.Identity, "softmax": lambda: nn.Softmax(dim=-1), "exp": Exp}
    modules: list[nn.Module] = []
    with torch.device("meta"):  # draws no random weights
        names = (*network.hidden, network.output)
        for sizes, name in zip(itertools.pairwise(network.layers), names, strict=True):
            modules += [nn.Linear(*sizes), ends[name]()]
        if network.output == "identity":
            del modules[-1]
        sequential = nn.Sequential(*modules)
    arrays = state_dict(network)
    tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
    sequential.load_state_dict(tensors, assign=True)
    return sequential

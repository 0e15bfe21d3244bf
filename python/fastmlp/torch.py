"""`Module`: a network as part of a PyTorch model.

`import fastmlp.torch` loads it; `import fastmlp` does not load PyTorch. formats/torch_modules.py
makes networks of PyTorch modules, and modules of networks.
"""

from collections.abc import Callable, Iterable
from typing import Any, NoReturn, Self

import torch
from torch import nn

from fastmlp.network import Network


class Module(nn.Module):
    """A network as a `torch.nn.Module`: fastmlp computes its forward and its backward.

    Its parameters are the memory of the network, so any optimizer of PyTorch trains the network.

    Parameters
    ----------
    network : fastmlp.Network
        It is not copied. `forward` returns what `network.forward` returns. For a loss that takes
        logits, the network needs the output "identity".

    Attributes
    ----------
    network : fastmlp.Network
    weights, biases : torch.nn.ParameterList
        `weights[l]` (n_in, n_out) and `biases[l]` (n_out,) share the memory of `network.weights[l]`
        and `network.biases[l]`.

    Raises
    ------
    TypeError
        If `network` is no Network.

    Notes
    -----
    `backward` computes the forward pass again instead of keeping its results, and overwrites
    `network.gradients`. If PyTorch changes parameters between a forward and its backward, the
    backward raises an error, as for any module. PyTorch does not see what `network.fit` or NumPy
    changes.

    Second derivatives are refused. The module stays on the CPU and in the dtype of the network.

    Examples
    --------
    A network between two modules of PyTorch:

    >>> import torch
    >>> import fastmlp, fastmlp.torch
    >>> network = fastmlp.Network([16, 64, 8], output="identity", seed=0)
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Linear(4, 16), fastmlp.torch.Module(network), torch.nn.Linear(8, 1)
    ... )
    >>> optimizer = torch.optim.Adam(model.parameters())
    >>> model(torch.ones(10, 4)).sum().backward()
    >>> optimizer.step()
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        if not isinstance(network, Network):
            raise TypeError(
                f"fastmlp.torch.Module: network is of type {type(network).__name__}; it must be a "
                "fastmlp.Network"
            )
        self.network = network
        self.weights = nn.ParameterList(map(torch.from_numpy, network.weights))
        self.biases = nn.ParameterList(map(torch.from_numpy, network.biases))
        self._share()

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return the outputs of the network.

        Parameters
        ----------
        X : torch.Tensor of shape (..., n_in)
            On the CPU. Another dtype is converted to that of the network.

        Returns
        -------
        torch.Tensor of shape (..., n_out)

        Raises
        ------
        ValueError
            If the shape does not fit, or X is on another device.
        RuntimeError
            If a parameter no longer shares the memory of the network, because another tensor has
            been put in its place; and in `torch.jit.trace`.
        """
        if torch.jit.is_tracing():
            raise RuntimeError(
                "fastmlp.torch.Module: a trace would record its outputs as constants; trace or "
                "export network.to_torch()"
            )
        n_in = self.network.layers[0]
        if X.shape[-1:] != (n_in,):
            raise ValueError(
                f"fastmlp.torch.Module: X has shape {tuple(X.shape)}; this network takes {n_in} "
                "features"
            )
        if X.device.type != "cpu":
            raise ValueError(
                f"fastmlp.torch.Module: X is on the device {X.device}; this module computes on the "
                "CPU, so give it X.cpu()"
            )
        parameters = self._tensors()
        if [parameter.data_ptr() for parameter in parameters] != self._addresses:
            raise RuntimeError(
                "fastmlp.torch.Module: a parameter no longer shares the memory of the network; "
                "change parameters in place, such as by load_state_dict without assign=True"
            )
        rows = X.reshape(-1, n_in).to(parameters[0].dtype)
        Y: torch.Tensor = _Forward.apply(self.network, rows, *parameters)
        return Y.reshape(*X.shape[:-1], self.network.layers[-1])

    def extra_repr(self) -> str:
        """Return the network's repr, for that of the module."""
        return repr(self.network)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()  # in a copy, the module and the network have values of their own

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """Refuse what `to`, `double` and the like would do, unless it changes nothing."""
        own = self._tensors()[0]
        wanted = fn(torch.zeros(1, dtype=own.dtype))
        if (wanted.dtype, wanted.device) != (own.dtype, own.device):
            raise TypeError(
                f"fastmlp.torch.Module: cannot become {wanted.dtype} on {wanted.device}; it stays "
                f"{own.dtype} on the CPU, as its network is"
            )
        made: Self = super()._apply(fn, recurse)
        return made

    def _tensors(self) -> list[torch.Tensor]:
        return _in_turn(self.weights, self.biases)

    def _share(self) -> None:
        """Move the parameters into the memory of the network; they keep their values."""
        tensors = self._tensors()
        arrays = _in_turn(self.network.weights, self.network.biases)
        for tensor, array in zip(tensors, arrays, strict=True):
            tensor.data = torch.from_numpy(array).copy_(tensor.data)
        self._addresses = [tensor.data_ptr() for tensor in tensors]


def _in_turn(weights: Iterable[Any], biases: Iterable[Any]) -> list[Any]:
    """Return W_1, b_1, W_2, b_2, …, the order of `network.parameters`."""
    return [part for pair in zip(weights, biases, strict=True) for part in pair]


class _Forward(torch.autograd.Function):
    """Y = forward(X). The parameters are arguments so that PyTorch asks for their gradients."""

    @staticmethod
    def forward(
        ctx: Any, network: Network, X: torch.Tensor, *parameters: torch.Tensor
    ) -> torch.Tensor:
        ctx.network = network
        ctx.save_for_backward(X, *parameters)  # PyTorch then notices changes of them
        return torch.from_numpy(network.forward(X.detach().numpy()))

    @staticmethod
    def backward(ctx: Any, dY: torch.Tensor) -> tuple[Any, ...]:
        needed = ctx.needs_input_grad[1:]
        return None, *_Backward.apply(ctx.network, needed, dY, *ctx.saved_tensors)


class _Backward(torch.autograd.Function):
    """The gradients of X and of the parameters.

    It is a Function of its own so that a second derivative calls its `backward`, which refuses it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        network: Network,
        needed: tuple[bool, ...],
        dY: torch.Tensor,
        X: torch.Tensor,
        *parameters: torch.Tensor,
    ) -> tuple[Any, ...]:
        rows, slopes = X.detach().numpy(), dY.detach().numpy()
        if not any(needed[1:]):
            return torch.from_numpy(network.input_gradients(rows, slopes)), *(
                None for _ in parameters
            )
        with network._own():  # until its gradients are copied
            dX = torch.from_numpy(network.backward(rows, slopes))
            parts = torch.from_numpy(network.gradients).split([p.numel() for p in parameters])
            return dX, *(part.view_as(p).clone() for part, p in zip(parts, parameters, strict=True))

    @staticmethod
    def backward(ctx: Any, *_: Any) -> NoReturn:
        raise RuntimeError(
            "fastmlp.torch.Module: second derivatives are not available; use network.to_torch(), "
            "which PyTorch can differentiate twice"
        )

"""Recurrent layers and cells.

The recurrences, with ``s`` the logistic function and ``*`` element by element:

    RNN     h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it
    LSTM    i, f, o = s(...), g = tanh(...) of the same sum; c' = f * c + i * g; h' = o * tanh(c')
    GRU     r, z = s(...); n = tanh(W_in x + b_in + r * (W_hn h + b_hn)); h' = (1 - z) * n + z * h

(Hochreiter and Schmidhuber, 1997; Cho et al., 2014.) Gates are stacked in the weights in the order i, f, g, o
and r, z, n.
"""
from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

from .. import init
from .._base import Tensor, ops
from ..parameter import Parameter
from ..utils.rnn import PackedSequence
from .module import Module

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def apply_permutation(tensor: Tensor, permutation: Tensor, dim: int = 1) -> Tensor:
    """``tensor.index_select(dim, permutation)``."""
    return tensor.index_select(dim, permutation)


class RNNBase(Module):
    """What :class:`RNN`, :class:`LSTM` and :class:`GRU` share.

    ``mode`` is ``"RNN_TANH"``, ``"RNN_RELU"``, ``"LSTM"`` or ``"GRU"``. For layer ``k`` the parameters are
    ``weight_ih_l{k}`` ``(gates * hidden_size, input)``, ``weight_hh_l{k}`` ``(gates * hidden_size, state)``,
    ``bias_ih_l{k}`` and ``bias_hh_l{k}``, with a projection ``weight_hr_l{k}`` ``(proj_size, hidden_size)``, and
    the same with ``_reverse`` for the other direction; all start uniform in ``(-k, k)``,
    ``k = 1 / sqrt(hidden_size)``. TypeError and ValueError for what does not make a layer.
    """

    __constants__ = ["mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout",
                     "bidirectional", "proj_size"]
    __jit_unused_properties__ = ["all_weights"]

    mode: str
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int

    def __init__(self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
                 proj_size: int = 0, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        if not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1 or isinstance(dropout, bool):
            raise ValueError("dropout should be a number in range [0, 1] representing the probability of an "
                             "element being zeroed")
        if dropout > 0 and num_layers == 1:
            warnings.warn("dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
                          f"expects num_layers greater than 1, but got dropout={dropout} and "
                          f"num_layers={num_layers}", stacklevel=2)
        if not isinstance(hidden_size, int):
            raise TypeError(f"hidden_size should be of type int, got: {type(hidden_size).__name__}")
        if hidden_size <= 0:
            raise ValueError("hidden_size must be greater than zero")
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self._flat_weights_names = []
        self._all_weights = []
        directions = 2 if bidirectional else 1
        rows, state = _GATES[mode] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            for direction in range(directions):
                columns = input_size if layer == 0 else state * directions
                shapes = {"weight_ih": (rows, columns), "weight_hh": (rows, state)}
                if bias:
                    shapes["bias_ih"] = shapes["bias_hh"] = (rows,)
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                suffix = f"_l{layer}" + ("_reverse" if direction else "")
                for name, shape in shapes.items():
                    setattr(self, name + suffix, Parameter(ops.empty(shape, device=device, dtype=dtype)))
                names = [name + suffix for name in shapes]
                self._all_weights.append(names)
                self._flat_weights_names += names
        self.reset_parameters()

    @property
    def _flat_weights(self) -> list:
        own = self._parameters
        # a parametrization or a pruned weight stands outside of the parameters
        return [own[name] if name in own else getattr(self, name) for name in self._flat_weights_names]

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The weights, a list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing to do: a CPU gains nothing from weights that lie side by side."""

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.batch_first is not False:
            text += f", batch_first={self.batch_first}"
        if self.dropout != 0:
            text += f", dropout={self.dropout}"
        return text + f", bidirectional={self.bidirectional}" if self.bidirectional is not False else text

    # ---- checks

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """RuntimeError when the input, packed or not, is not what this layer takes."""
        expected = 2 if batch_sizes is not None else 3
        if input.dim() != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.dim()}")
        if input.size(-1) != self.input_size:
            raise RuntimeError("input.size(-1) must be equal to input_size. "
                               f"Expected {self.input_size}, got {input.size(-1)}")

    def _state_size(self, input: Tensor, batch_sizes: Tensor | None, width: int) -> tuple[int, int, int]:
        if batch_sizes is not None:
            batch = int(batch_sizes[0])
        else:
            batch = input.size(0) if self.batch_first else input.size(1)
        return self.num_layers * (2 if self.bidirectional else 1), batch, width

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The size of ``h_0``: (layers * directions, batch, state)."""
        return self._state_size(input, batch_sizes, self.proj_size or self.hidden_size)

    def check_hidden_size(self, hx: Tensor, expected_hidden_size: tuple[int, int, int],
                          msg: str = "Expected hidden size {}, got {}") -> None:
        """RuntimeError when ``hx`` has another size."""
        if tuple(hx.size()) != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(tuple(expected_hidden_size), list(hx.size())))

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """RuntimeError when the input or the state does not fit."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """The states of the sequences in another order."""
        return hx if permutation is None else apply_permutation(hx, permutation)

    # ---- forward, for all of them

    def _zeros(self, input: Tensor, batch_sizes: Tensor | None) -> Any:
        size = self.get_expected_hidden_size(input, batch_sizes)
        return ops.zeros(size, dtype=input.dtype)

    def _check_batched(self, input: Tensor, hx: Any) -> bool:
        """Whether the input is a batch; its and the state's dimensions must say the same."""
        name = self._get_name()
        if input.dim() not in (2, 3):
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        batched = input.dim() == 3
        states = hx if isinstance(hx, tuple) else () if hx is None else (hx,)
        want = 3 if batched else 2
        if any(state.dim() != want for state in states):
            what = "For batched 3-D input" if batched else "For unbatched 2-D input"
            if isinstance(hx, tuple):
                found = ", ".join(f"{state.dim()}-D" for state in states)
                raise RuntimeError(f"{what}, hx and cx should also be {want}-D but got ({found}) tensors")
            raise RuntimeError(f"{what}, hx should also be {want}-D but got {states[0].dim()}-D tensor")
        return batched

    def _run(self, function: Any, input: Any, hx: Any) -> Any:
        packed = isinstance(input, PackedSequence)
        batched, batch_sizes, order = True, None, None
        if packed:
            input, batch_sizes, sorted_indices, order = input
        else:
            batched = self._check_batched(input, hx)
            if not batched:
                input = input.unsqueeze(0 if self.batch_first else 1)
                hx = tuple(h.unsqueeze(1) for h in hx) if isinstance(hx, tuple) else \
                    None if hx is None else hx.unsqueeze(1)
        if hx is None:
            self.check_input(input, batch_sizes)
            hx = self._zeros(input, batch_sizes)
        else:
            if packed:
                hx = self.permute_hidden(hx, sorted_indices)
            self.check_forward_args(input, hx, batch_sizes)
        rest = (self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        if packed:
            output, *states = function(input, batch_sizes, hx, *rest)
            output = PackedSequence(output, batch_sizes, sorted_indices, order)
        else:
            output, *states = function(input, hx, *rest, self.batch_first)
        hidden = states[0] if len(states) == 1 else tuple(states)
        if packed:
            return output, self.permute_hidden(hidden, order)
        if batched:
            return output, hidden
        hidden = hidden.squeeze(1) if len(states) == 1 else tuple(h.squeeze(1) for h in hidden)
        return output.squeeze(0 if self.batch_first else 1), hidden


class RNN(RNNBase):
    """The plain recurrence; ``nonlinearity`` is ``"tanh"`` or ``"relu"``.

    Input ``(L, N, input_size)``, with ``batch_first`` ``(N, L, input_size)``, without a batch
    ``(L, input_size)``, or a :class:`~autodiffc.nn.utils.rnn.PackedSequence`; ``hx``
    ``(num_layers * directions, N, hidden_size)``, zeros when it is not given. Returns the last layer's states,
    ``(L, N, directions * hidden_size)``, and the final state of each layer and direction.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            self.nonlinearity = args[3]
            args = args[:3] + args[4:]
        else:
            self.nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if self.nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{self.nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__("RNN_" + self.nonlinearity.upper(), *args, **kwargs)

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:
        return self._run(ops.rnn_relu if self.mode == "RNN_RELU" else ops.rnn_tanh, input, hx)


class LSTM(RNNBase):
    """Long short-term memory. As :class:`RNN`, but for the state, which is a pair ``(h_0, c_0)``; with
    ``proj_size`` the ``h`` have that many features.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The size of ``c_0``."""
        return self._state_size(input, batch_sizes, self.hidden_size)

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        self.check_input(input, batch_sizes)
        hidden[1]  # noqa: B018  IndexError, as in PyTorch, for one state in place of two
        self.check_hidden_size(hidden[0], self.get_expected_hidden_size(input, batch_sizes),
                               "Expected hidden[0] size {}, got {}")
        self.check_hidden_size(hidden[1], self.get_expected_cell_size(input, batch_sizes),
                               "Expected hidden[1] size {}, got {}")

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        return hx if permutation is None else tuple(apply_permutation(h, permutation) for h in hx)

    def _zeros(self, input: Tensor, batch_sizes: Tensor | None) -> Any:
        return (super()._zeros(input, batch_sizes),
                ops.zeros(self.get_expected_cell_size(input, batch_sizes), dtype=input.dtype))

    def forward(self, input: Any, hx: tuple[Tensor, Tensor] | None = None) -> Any:
        return self._run(ops.lstm, input, tuple(hx) if isinstance(hx, list) else hx)


class GRU(RNNBase):
    """Gated recurrent units. Shapes as in :class:`RNN`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:
        return self._run(ops.gru, input, hx)


# ---- one step at a time


class RNNCellBase(Module):
    """What the cells share: ``weight_ih``, ``weight_hh``, ``bias_ih``, ``bias_hh``."""

    __constants__ = ["input_size", "hidden_size", "bias"]
    input_size: int
    hidden_size: int
    bias: bool
    weight_ih: Tensor
    weight_hh: Tensor

    def __init__(self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        shapes = {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size), "bias_ih": (rows,),
                  "bias_hh": (rows,)}
        for name, shape in shapes.items():
            if bias or len(shape) == 2:
                setattr(self, name, Parameter(ops.empty(shape, device=device, dtype=dtype)))
            else:
                self.register_parameter(name, None)
        self.reset_parameters()

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        return text if nonlinearity == "tanh" else text + f", nonlinearity={nonlinearity}"

    def reset_parameters(self) -> None:
        """Draw new initial values, uniform in ``(-k, k)`` with ``k = 1 / sqrt(hidden_size)``."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _batched(self, input: Tensor, *states: Tensor) -> bool:
        for what, tensor in (("input", input), *(("hidden", state) for state in states)):
            if tensor.dim() not in (1, 2):
                raise ValueError(f"{self._get_name()}: Expected {what} to be 1D or 2D, got {tensor.dim()}D instead")
        return input.dim() == 2

    def _step(self, function: Any, input: Tensor, hx: Tensor | None) -> Tensor:
        batched = self._batched(input, *(() if hx is None else (hx,)))
        if not batched:
            input = input.unsqueeze(0)
        if hx is None:
            hx = ops.zeros(input.size(0), self.hidden_size, dtype=input.dtype)
        elif not batched and hx.dim() == 1:
            hx = hx.unsqueeze(0)
        result = function(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return result if batched else result.squeeze(0)


class RNNCell(RNNCellBase):
    """One step of :class:`RNN`: input ``(N, input_size)``, state ``(N, hidden_size)``, both possibly without
    ``N``; returns the state after.
    """

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]
    nonlinearity: str

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
                 device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=1, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(ops.rnn_tanh_cell if self.nonlinearity == "tanh" else ops.rnn_relu_cell, input, hx)


class LSTMCell(RNNCellBase):
    """One step of :class:`LSTM`: input ``(N, input_size)``, a pair of states ``(N, hidden_size)``, all possibly
    without ``N``; returns the pair after.
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=4, device=device, dtype=dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        batched = self._batched(input, *(hx if isinstance(hx, (tuple, list)) else ()))
        if not batched:
            input = input.unsqueeze(0)
        if hx is None:
            zeros = ops.zeros(input.size(0), self.hidden_size, dtype=input.dtype)
            hx = (zeros, zeros)
        elif not batched and isinstance(hx, (tuple, list)):
            hx = tuple(h.unsqueeze(0) if h.dim() == 1 else h for h in hx)
        h, c = ops.lstm_cell(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return (h, c) if batched else (h.squeeze(0), c.squeeze(0))


class GRUCell(RNNCellBase):
    """One step of :class:`GRU`; shapes as in :class:`RNNCell`."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=3, device=device, dtype=dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(ops.gru_cell, input, hx)

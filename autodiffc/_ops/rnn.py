"""Recurrent layers and cells, with the signatures of torch.lstm, torch.gru and their kin.

A layer in one direction is two calls into the core: the input's products for all steps at once, then the
recurrence over the whole sequence. params holds, for each layer and direction, weight_ih, weight_hh, then
bias_ih and bias_hh where there are biases, then weight_hr where the states of an LSTM are projected.
"""

import operator

from .. import _dtype
from .._core import OP, TensorBase, fail, wrap
from .._native import lib
from . import linalg, random, shape
from ._call import not_a_tensor
from .activation import relu
from .math import tanh

_RNN = OP["rnn"]
_TANH, _RELU, _LSTM, _GRU = range(4)
_HALF = (_dtype.float16, _dtype.bfloat16)


def _recur(kind, reverse, batch_first, x, h0, c0, w, b, proj, sizes):
    """y, h_n and c_n of the core's rnn; c_n is None but for an LSTM. batch_first: of x."""
    handles = (x._h, h0._h, c0._h if c0 is not None else 0, w._h, b._h if b is not None else 0,
               proj._h if proj is not None else 0)
    y = lib.ad_opn(_RNN, handles, 6, (kind, reverse, 0, batch_first), 4, (), 0, sizes, len(sizes))
    if not y:
        fail()
    for k in (1, 2):  # what serves the gradient
        lib.ad_release(lib.ad_take_result(k))
    hn = wrap(lib.ad_take_result(3))
    cn = lib.ad_take_result(4)
    if kind == _LSTM:
        return wrap(y), hn, wrap(cn)
    lib.ad_release(cn)
    return wrap(y), hn, None


def _of_integers(kind, reverse, x, h, w):
    """A plain recurrence of integers, which PyTorch computes too; b is in x already."""
    act = relu if kind == _RELU else tanh
    out = []
    for t in range(x.shape[0])[::-1 if reverse else 1]:
        h = act(shape.select(x, 0, t) + linalg.linear(h, w))
        out.append(h)
    return shape.stack(out[::-1] if reverse else out), h, None


def _direction(kind, reverse, batch_first, x, h0, c0, params, sizes):
    """One layer in one direction: params is its weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, None where
    there is none.
    """
    w_ih, w_hh, b_ih, b_hh, w_hr = params
    if kind != _GRU and b_hh is not None:  # one sum for both
        b_ih, b_hh = b_ih + b_hh, None
    x = linalg.linear(x, w_ih, b_ih)
    if kind < _LSTM and not sizes and not x.dtype.is_floating_point:
        return _of_integers(kind, reverse, shape.transpose(x, 0, 1) if batch_first else x, h0, w_hh)
    return _recur(kind, reverse, batch_first, x, h0, c0, w_hh, b_hh, w_hr, sizes)


def _layers(name, kind, x, hx, params, has_biases, num_layers, dropout, train, bidirectional, sizes,
            batch_first):
    """All layers over x, [T, B, I], with batch_first [B, T, I], or packed; hx is the list of initial states. Returns
    the output, h_n, c_n.
    """
    directions = 2 if bidirectional else 1
    each = 2 + 2 * bool(has_biases)
    if kind == _LSTM and len(params) == (each + 1) * num_layers * directions:
        each += 1
    if len(params) != each * num_layers * directions:
        raise RuntimeError(f"{name}: {num_layers} layers in {directions} directions take "
                           f"{each * num_layers * directions} weights, not {len(params)}")
    h0 = hx[0]
    c0 = hx[1] if kind == _LSTM else None
    for t in hx:
        if shape.shape_of(t)[0] != num_layers * directions:
            raise RuntimeError(f"{name}: hx has {shape.shape_of(t)[0]} states for {num_layers * directions} layers "
                               "and directions")
    hs, cs = [], []
    for layer in range(num_layers):
        outputs = []
        for d in range(directions):
            k = layer * directions + d
            own = list(params[k * each:(k + 1) * each])
            if not has_biases:
                own[2:2] = [None, None]
            if len(own) == 4:
                own.append(None)
            y, h, c = _direction(kind, d, batch_first and layer == 0, x, shape.select(h0, 0, k),
                                 None if c0 is None else shape.select(c0, 0, k), own, sizes)
            outputs.append(y)
            hs.append(h)
            cs.append(c)
        x = outputs[0] if directions == 1 else shape.cat(outputs, -1)
        if dropout and train and layer < num_layers - 1:
            x = random.dropout(x, dropout, True)
    if len(hs) == 1:
        return x, shape.unsqueeze(hs[0], 0), None if c0 is None else shape.unsqueeze(cs[0], 0)
    return x, shape.stack(hs), None if c0 is None else shape.stack(cs)


def _checked(name, tensors):
    for k, t in enumerate(tensors):
        if not isinstance(t, TensorBase):
            raise not_a_tensor(name, t, "input" if k == 0 else "params", k + 1)


def _run(name, kind, args):
    if len(args) != 9:
        raise TypeError(f"{name}() takes 9 arguments, not {len(args)}")
    packed = isinstance(args[3], (list, tuple))
    if packed:
        x, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional = args
        sizes = [int(n) for n in batch_sizes.tolist()] if isinstance(batch_sizes, TensorBase) else list(batch_sizes)
        batch_first = False
    else:
        x, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first = args
        sizes = ()
    if kind == _LSTM:
        if not isinstance(hx, (list, tuple)) or len(hx) != 2:
            raise TypeError(f"{name}(): argument 'hx' must be tuple of two Tensors, not {type(hx).__name__}")
    else:
        hx = (hx,)
    _checked(name, (x, *hx, *params))
    num_layers = operator.index(num_layers)
    if not packed and x.dim() != 3:
        raise RuntimeError(f"{name}: expected an input of 3 dimensions, got size {list(x.shape)}")
    if not packed and x.shape[1 if batch_first else 0] == 0:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    if x.dtype is not params[0].dtype:
        raise ValueError(f"RNN input dtype ({x.dtype}) does not match weight dtype ({params[0].dtype}). Convert input: "
                         f"input.to({params[0].dtype}), or convert model: model.to({x.dtype})")
    dtype = x.dtype if x.dtype in _HALF else None
    if dtype is not None:  # computed in float32, rounded at the end
        x, hx, params = x.float(), [t.float() for t in hx], [t.float() for t in params]
    y, h, c = _layers(name, kind, x, hx, params, has_biases, num_layers, dropout, train, bidirectional, sizes,
                      bool(batch_first))
    if batch_first:
        y = shape.transpose(y, 0, 1)
    if dtype is not None:
        y, h, c = y.to(dtype), h.to(dtype), None if c is None else c.to(dtype)
    return (y, h) if c is None else (y, h, c)


def lstm(*args):
    """lstm(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first), or
    lstm(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional) of a packed sequence.

    input: (L, N, I), or (N, L, I) with batch_first; hx: (h_0, c_0) of (layers * directions, N, H). Returns the output,
    (L, N, directions * H), h_n and c_n. Floating point; RuntimeError for sizes that do not fit.
    """
    return _run("lstm", _LSTM, args)


def gru(*args):
    """gru(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first), or
    gru(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional) of a packed sequence.

    Sizes as in lstm(), with one state, h_0. Returns the output and h_n.
    """
    return _run("gru", _GRU, args)


def rnn_tanh(*args):
    """The plain recurrence h = tanh(W x + b + V h + c); arguments and results as in gru()."""
    return _run("rnn_tanh", _TANH, args)


def rnn_relu(*args):
    """The plain recurrence h = relu(W x + b + V h + c); arguments and results as in gru()."""
    return _run("rnn_relu", _RELU, args)


# ---- one step


def _cell(name, kind, input, h, c, w_ih, w_hh, b_ih, b_hh):
    _checked(name, [t for t in (input, h, c, w_ih, w_hh, b_ih, b_hh) if t is not None])
    if input.dim() != 2:
        raise RuntimeError(f"{name}: expected an input of 2 dimensions, got size {list(input.shape)}")
    if input.shape[1] != w_ih.shape[1]:
        raise RuntimeError(f"input has inconsistent input_size: got {input.shape[1]} expected {w_ih.shape[1]}")
    for state in (h, c):
        if state is None:
            continue
        if state.dim() != 2 or state.shape[0] != input.shape[0]:
            raise RuntimeError(f"Input batch size {input.shape[0]} doesn't match hidden0 batch size {state.shape[0]}")
        if state.shape[1] != w_hh.shape[1]:
            raise RuntimeError(f"hidden0 has inconsistent hidden_size: got {state.shape[1]}, expected {w_hh.shape[1]}")
    if (b_ih is None) != (b_hh is None):
        zero = (b_ih if b_hh is None else b_hh).detach() * 0
        b_ih, b_hh = (b_ih, zero) if b_hh is None else (zero, b_hh)
    dtype = input.dtype if input.dtype in _HALF else None
    params = [input, h, c, w_ih, w_hh, b_ih, b_hh]
    if dtype is not None:
        params = [None if t is None else t.float() for t in params]
    input, h, c, w_ih, w_hh, b_ih, b_hh = params
    _, h, c = _direction(kind, 0, False, shape.unsqueeze(input, 0), h, c, (w_ih, w_hh, b_ih, b_hh, None), ())
    if dtype is not None:
        h, c = h.to(dtype), None if c is None else c.to(dtype)
    return h if c is None else (h, c)


def lstm_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of an LSTM: input (N, I), hx a pair of (N, H), weights (4 H, I) and (4 H, H), biases (4 H).

    Returns the pair of the states after. RuntimeError for sizes that do not fit.
    """
    if not isinstance(hx, (tuple, list)):
        raise TypeError(f"lstm_cell(): argument 'hx' (position 2) must be tuple of Tensors, not {type(hx).__name__}")
    if len(hx) != 2:
        raise RuntimeError(f"lstm_cell expects two hidden states, not {len(hx)}")
    return _cell("lstm_cell", _LSTM, input, hx[0], hx[1], w_ih, w_hh, b_ih, b_hh)


def gru_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of a GRU: input (N, I), hx (N, H), weights (3 H, I) and (3 H, H), biases (3 H). Returns (N, H)."""
    return _cell("gru_cell", _GRU, input, hx, None, w_ih, w_hh, b_ih, b_hh)


def rnn_tanh_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """tanh(input w_ih^T + b_ih + hx w_hh^T + b_hh): (N, I), (N, H) to (N, H)."""
    return _cell("rnn_tanh_cell", _TANH, input, hx, None, w_ih, w_hh, b_ih, b_hh)


def rnn_relu_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """relu(input w_ih^T + b_ih + hx w_hh^T + b_hh): (N, I), (N, H) to (N, H)."""
    return _cell("rnn_relu_cell", _RELU, input, hx, None, w_ih, w_hh, b_ih, b_hh)

"""Gradients by central differences, on NumPy arrays, to compare the library's with."""

import numpy as np

from .case import Case, is_float, outputs, tensor, to_numpy

STEP = 1e-6


class Weighted:
    """The sum of a row's floating outputs, each weighted by fixed random numbers, and its gradients.

    `wrt` are the positions of the inputs that a gradient is taken for.
    """

    def __init__(self, T, case: Case, arrays):
        self.T, self.case, self.arrays = T, case, arrays
        self.wrt = [i for i, spec in enumerate(case.inputs) if spec.differentiable("float64") and arrays[i].size]
        rng = np.random.default_rng(7)
        self.float_out = None
        ys = self._outputs(self._tensors(arrays))
        self.weights = [rng.uniform(-1, 1, tuple(y.shape)) for y in ys]
        self.second = [rng.uniform(-1, 1, arrays[i].shape) for i in self.wrt]

    def _tensors(self, arrays, grad=False):
        ts = self.case.tensors(self.T, arrays, "float64")
        if grad:
            for i in self.wrt:
                ts[i].requires_grad_()
        return ts

    def _outputs(self, ts):
        ys = outputs(self.case.fn(self.T, *ts))
        if self.float_out is None:
            self.float_out = [k for k, y in enumerate(ys) if hasattr(y, "dtype") and is_float(str(y.dtype))]
        return [ys[k] for k in self.float_out]

    def value(self, arrays) -> float:
        ys = self._outputs(self._tensors(arrays))
        return float(sum(np.sum(w * to_numpy(y)) for w, y in zip(self.weights, ys)))

    def _first(self, ts, ws, create_graph):
        ys = self._outputs(ts)
        pairs = [(y, w) for y, w in zip(ys, ws) if y.requires_grad]
        if not pairs:
            return None
        return self.T.autograd.grad(
            [y for y, _ in pairs],
            [ts[i] for i in self.wrt],
            [w for _, w in pairs],
            create_graph=create_graph,
            allow_unused=True,
        )

    def _weights(self, arrays, grad=False):
        ws = [tensor(self.T, np.asarray(w), "float64") for w in arrays]
        return [w.requires_grad_() for w in ws] if grad else ws

    def gradients(self, arrays, weights=None) -> list[np.ndarray]:
        """The library's gradients, zeros where it has none."""
        gs = self._first(
            self._tensors(arrays, grad=True),
            self._weights(self.weights if weights is None else weights),
            False,
        )
        gs = gs or [None] * len(self.wrt)
        return [to_numpy(g) if g is not None else np.zeros(arrays[i].shape) for g, i in zip(gs, self.wrt)]

    def slope(self, arrays, weights) -> float:
        """The gradients weighted by fixed numbers and summed: what the second gradient is the gradient of."""
        return float(sum(np.sum(u * g) for u, g in zip(self.second, self.gradients(arrays, weights))))

    def second_gradients(self):
        """The library's gradients of slope() for the inputs and for the weights."""
        ts, ws = self._tensors(self.arrays, grad=True), self._weights(self.weights, grad=True)
        gs = self._first(ts, ws, True) or []
        us = [tensor(self.T, u, "float64") for u in self.second]
        pairs = [(g, u) for g, u in zip(gs, us) if g is not None and g.requires_grad]
        wrt = [ts[i] for i in self.wrt] + ws
        if not pairs:
            return [np.zeros(tuple(t.shape)) for t in wrt]
        hs = self.T.autograd.grad([g for g, _ in pairs], wrt, [u for _, u in pairs], allow_unused=True)
        return [to_numpy(h) if h is not None else np.zeros(tuple(t.shape)) for h, t in zip(hs, wrt)]

    def numeric_first(self):
        return [numeric(lambda a, i=i: self.value(put(self.arrays, i, a)), self.arrays[i]) for i in self.wrt]

    def numeric_second(self):
        of_inputs = [
            numeric(lambda a, i=i: self.slope(put(self.arrays, i, a), self.weights), self.arrays[i]) for i in self.wrt
        ]
        of_weights = [
            numeric(lambda a, k=k: self.slope(self.arrays, put(self.weights, k, a)), np.asarray(w, np.float64))
            for k, w in enumerate(self.weights)
        ]
        return of_inputs + of_weights


def put(arrays, i, a):
    return [a if k == i else b for k, b in enumerate(arrays)]


def numeric(f, x: np.ndarray) -> np.ndarray:
    """The gradient of the scalar function f at x by central differences."""
    g = np.empty(x.shape)
    flat = x.reshape(-1)
    for k in range(flat.size):
        step = STEP * max(1.0, abs(flat[k]))
        moved = flat.copy()
        moved[k] = flat[k] + step
        above = f(moved.reshape(x.shape))
        moved[k] = flat[k] - step
        below = f(moved.reshape(x.shape))
        g.reshape(-1)[k] = (above - below) / (2 * step)
    return g


def assert_close(got, expected, what, rtol=1e-5, atol=1e-7):
    assert len(got) == len(expected)
    for k, (a, b) in enumerate(zip(got, expected)):
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol * scale, err_msg=f"{what} {k}")

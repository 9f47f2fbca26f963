"""Jacobians and Hessians of the standard forms, by reverse and by forward mode, against their closed forms.

    f(x) = A x               Jacobian A
    f(x) = x^T A x           gradient (A + A^T) x,  Hessian A + A^T
    softmax                  Jacobian diag(s) - s s^T
    log-sum-exp              gradient s = softmax(x),  Hessian diag(s) - s s^T
    layer norm               Jacobian (I - 1/n - y y^T / n) / sigma
    affine layer W x + b     of the outputs by x: W; by b: I; by W: x_k where the row is the output's, else 0

Reverse mode builds a Jacobian row by row (one output's gradient at a time), forward mode column by column (one input's
tangent at a time). Both must be within 1e-12 of the closed form.
"""

from collections.abc import Callable

import numpy as np
from _common import arguments, finish, plots, save, torch

F = torch.nn.functional
jacrev, jacfwd, hessian = torch.func.jacrev, torch.func.jacfwd, torch.func.hessian
args = arguments(__doc__)
torch.set_default_dtype(torch.float64)

n, m = 6, 4
x, A, W, b = torch.randn(n), torch.randn(n, n), torch.randn(m, n), torch.randn(m)
one, s = torch.eye(n), torch.softmax(x, 0)
centred, sigma = x - x.mean(), (x.var(correction=0) + 1e-5).sqrt()
y = centred / sigma
by_weights = torch.einsum("ij,k->ijk", torch.eye(m), x)

FORMS: dict[str, tuple[Callable, torch.Tensor, torch.Tensor]] = {  # the function, where, and its Jacobian
    "A x": (lambda x: A @ x, x, A),
    "x' A x": (lambda x: x @ A @ x, x, (A + A.T) @ x),
    "softmax": (lambda x: torch.softmax(x, 0), x, torch.diag(s) - torch.outer(s, s)),
    "log-sum-exp": (lambda x: torch.logsumexp(x, 0), x, s),
    "layer norm": (lambda x: F.layer_norm(x, (n,)), x, (one - 1 / n - torch.outer(y, y) / n) / sigma),
    "W x + b, by x": (lambda x: F.linear(x, W, b), x, W),
    "W x + b, by W": (lambda W: F.linear(x, W, b), W, by_weights),
    "W x + b, by b": (lambda b: F.linear(x, W, b), b, torch.eye(m)),
}
SECOND: dict[str, tuple[Callable, torch.Tensor]] = {  # the function, and its Hessian
    "A x, summed": (lambda x: (A @ x).sum(), torch.zeros(n, n)),
    "x' A x": (lambda x: x @ A @ x, A + A.T),
    "log-sum-exp": (lambda x: torch.logsumexp(x, 0), torch.diag(s) - torch.outer(s, s)),
}


def off(found: torch.Tensor, closed: torch.Tensor) -> float:
    return (found - closed).abs().max().item()


errors = {}
for name, (f, at, closed) in FORMS.items():
    errors[name] = [off(jacrev(f)(at), closed), off(jacfwd(f)(at), closed)]
    shape = " x ".join(map(str, closed.shape))
    print(f"Jacobian of {name:14s} {shape:10s} off by {errors[name][0]:.1e} (reverse), {errors[name][1]:.1e} (forward)")
for name, (f, closed) in SECOND.items():
    errors[f"Hessian of {name}"] = [off(jacrev(jacrev(f))(x), closed), off(hessian(f)(x), closed)]
    over, mixed = errors[f"Hessian of {name}"]
    print(f"Hessian of {name:15s} off by {over:.1e} (reverse over reverse), {mixed:.1e} (forward over reverse)")

if plt := plots():
    figure, axes = plt.subplots(2, 4, figsize=(12, 5.2), layout="constrained")
    shown = {"A x": A, "softmax": FORMS["softmax"][2], "layer norm": FORMS["layer norm"][2],
             "W x + b, by W": by_weights.reshape(m, m * n)}
    for column, (name, closed) in zip(axes.T, shown.items()):
        found = jacrev(FORMS[name][0])(FORMS[name][1]).reshape(closed.shape)
        top = np.abs(closed.numpy()).max()
        for ax, matrix, way in zip(column, (found, closed), ("reverse mode", "closed form")):
            ax.imshow(matrix.numpy(), cmap="RdBu", vmin=-top, vmax=top, aspect="auto")
            ax.set(title=f"{name}: {way}", xticks=[], yticks=[])
    save(figure, "matrix_calculus", args)

finish(args, errors=errors, jacobian=jacrev(FORMS["layer norm"][0])(x).tolist())
assert max(map(max, errors.values())) < 1e-12

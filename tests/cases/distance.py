"""Rows of distances, bags of rows, and losses made of several operations."""

import math

import numpy as np

from tests.case import Case, In

F = "nn.functional."


def _f(T):
    return T.nn.functional


def _case(name, fn, ref, *inputs, **kw):
    return Case(name, fn, ref, list(inputs), **kw)


def _norms(p):
    return lambda a, b: np.linalg.norm(a[..., :, None, :] - b[..., None, :, :], p, -1)


def _pairs(a, p=2):
    d = np.linalg.norm(a[:, None] - a[None], p, -1)
    return d[np.triu_indices(len(a), 1)]


def _cosine(a, b, axis=-1):
    return (a * b).sum(axis) / np.linalg.norm(a, axis=axis) / np.linalg.norm(b, axis=axis)


A, B = In(3, 4), In(5, 4)
DISTANCES = [
    _case(
        "cdist",
        lambda T, a, b: T.cdist(a, b),
        _norms(2),
        In(2, 3, 4),
        In(5, 4),
        tol=1e-5,
        raises=(
            (lambda T: T.cdist(T.ones(2), T.ones(2, 2)), RuntimeError),
            (lambda T: T.cdist(T.ones(2, 3), T.ones(2, 2)), RuntimeError),
            (lambda T: T.cdist(T.ones(2, 3), T.ones(2, 3), -1), RuntimeError),
            (lambda T: T.cdist(T.ones(2, 3), T.ones(2, 3), compute_mode="x"), ValueError),
            (lambda T: T.cdist(T.ones(2, 3, dtype=T.int64), T.ones(2, 3)), RuntimeError),
            (lambda T: T.cdist(T.ones(2, 3), "x"), TypeError),
        ),
        bench=((100, 16), (300, 16)),
    ),
    _case("cdist/1", lambda T, a, b: T.cdist(a, b, 1), _norms(1), A, B, tol=1e-5),
    _case("cdist/3", lambda T, a, b: T.cdist(a, b, 3), _norms(3), A, B, tol=1e-5),
    _case("cdist/1.5", lambda T, a, b: T.cdist(a, b, 1.5), _norms(1.5), A, B, tol=1e-5),
    _case("cdist/inf", lambda T, a, b: T.cdist(a, b, math.inf), _norms(np.inf), A, B, tol=1e-5),
    _case("cdist/0", lambda T, a, b: T.cdist(a, b, 0), _norms(0), A, B, grad=False),
    _case(
        "pdist",
        lambda T, a: T.pdist(a),
        _pairs,
        In(5, 3),
        tol=1e-5,
        raises=((lambda T: T.pdist(T.ones(2)), RuntimeError), (lambda T: T.pdist(T.ones(2, 2), -1), RuntimeError)),
    ),
    _case(
        "pairwise_distance",
        lambda T, a, b: T.pairwise_distance(a, b),
        lambda a, b: np.linalg.norm(a - b + 1e-6, axis=-1),
        A,
        A,
        tol=1e-5,
    ),
    _case(
        "cosine_similarity",
        lambda T, a, b: T.cosine_similarity(a, b),
        _cosine,
        A,
        A,
        tol=1e-5,
        raises=(
            (lambda T: T.cosine_similarity(T.ones(2, 2, dtype=T.int64), T.ones(2, 2, dtype=T.int64)), RuntimeError),
        ),
    ),
    _case(
        "renorm",
        lambda T, a: T.renorm(a, 2, 0, 1.5),
        lambda a: a * np.minimum(1, 1.5 / (np.linalg.norm(a, axis=1, keepdims=True) + 1e-7)),
        A,
        tol=1e-5,
        method="renorm",
        inplace="renorm_",
        raises=(
            (lambda T: T.renorm(T.ones(2), 2, 0, 1), RuntimeError),
            (lambda T: T.renorm(T.ones(2, 2), -1, 0, 1), RuntimeError),
            (lambda T: T.renorm(T.ones(2, 2), 2, 0, -1), RuntimeError),
        ),
    ),
]

# ---- bags ----

ROWS = In(7, dtype="i64", low=0, high=6, requires_grad=False)
TABLE = In(6, 3)
STARTS = (0, 2, 2, 5)


def _bags(how):
    def ref(i, w, *factors):
        rows = w[i] * factors[0][:, None] if factors else w[i]
        parts = np.split(rows, STARTS[1:])
        return np.stack([how(p) if len(p) else np.zeros(w.shape[1]) for p in parts])

    return ref


def _bag(mode, **options):
    def fn(T, i, w, *factors):
        given = dict(zip(["per_sample_weights"], factors))
        return _f(T).embedding_bag(i, w, T.tensor(STARTS), mode=mode, **given, **options)

    return fn


def _fixed_bags(T, i, w):
    return _f(T).embedding_bag(i.reshape(1, 7), w, mode="sum", padding_idx=2)


BAGS = [
    _case(
        F + "embedding_bag",
        _bag("mean"),
        _bags(lambda p: p.mean(0)),
        ROWS,
        TABLE,
        dtypes="fh",
        tol=1e-5,
        raises=(
            (lambda T: _f(T).embedding_bag(T.tensor([1]), T.ones(3)), ValueError),
            (lambda T: _f(T).embedding_bag(T.tensor([1]), T.ones(3, 2)), ValueError),
            (lambda T: _f(T).embedding_bag(T.tensor([1]), T.ones(3, 2), T.tensor([1])), RuntimeError),
            (lambda T: _f(T).embedding_bag(T.tensor([[1]]), T.ones(3, 2), T.tensor([0])), ValueError),
            (lambda T: _f(T).embedding_bag(T.tensor([[3]]), T.ones(3, 2)), RuntimeError),
            (lambda T: _f(T).embedding_bag(T.tensor([[1]]), T.ones(3, 2), mode="x"), ValueError),
            (
                lambda T: _f(T).embedding_bag(T.tensor([[1]]), T.ones(3, 2), per_sample_weights=T.ones(1, 1)),
                NotImplementedError,
            ),
        ),
    ),
    _case(F + "embedding_bag/sum", _bag("sum"), _bags(lambda p: p.sum(0)), ROWS, TABLE, dtypes="fh", tol=1e-5),
    _case(F + "embedding_bag/max", _bag("max"), _bags(lambda p: p.max(0)), ROWS, In(6, 3, distinct=True), dtypes="fh"),
    _case(F + "embedding_bag/weights", _bag("sum"), _bags(lambda p: p.sum(0)), ROWS, TABLE, In(7), tol=1e-5),
    _case(F + "embedding_bag/padding", _fixed_bags, lambda i, w: w[i[i != 2]].sum(0)[None], ROWS, TABLE, tol=1e-5),
]

# ---- losses ----

ONES = In(4, dtype="i64", low=0, high=2, requires_grad=False)
KINDS = In(4, dtype="i64", low=0, high=5, requires_grad=False)
LABELS = In(4, 3, dtype="i64", low=1, high=5, requires_grad=False)
MANY = In(4, 5, dtype="i64", low=-1, high=5, requires_grad=False)


def _sign(t):
    return 2 * t - 1


def _ctc(T, x, t):
    lengths, sizes = T.tensor([7, 6, 7, 5]), T.tensor([3, 2, 0, 3])
    return _f(T).ctc_loss(x.log_softmax(2), t, lengths, sizes, reduction="none")


def _ctc_ref(x, t):
    """Over every way to label the steps: what is left without repeats and blanks must be the target."""
    logp = x - np.log(np.exp(x).sum(2, keepdims=True))
    losses = []
    for n, (steps, size) in enumerate(zip((7, 6, 7, 5), (3, 2, 0, 3))):
        paths = {((), 0): 0.0}
        for step in range(steps):
            reached = {}
            for (done, last), p in paths.items():
                for c in range(x.shape[2]):
                    new = done if c == 0 or c == last else (*done, c)
                    if list(new) == list(t[n, : len(new)]) and len(new) <= size:
                        key = (new, c)
                        reached[key] = np.logaddexp(reached.get(key, -np.inf), p + logp[step, n, c])
            paths = reached
        whole = [p for (done, _), p in paths.items() if len(done) == size]
        losses.append(-np.logaddexp.reduce(whole) if whole else np.inf)
    return np.array(losses)


def _multi_margin(x, t):
    at = x[np.arange(len(t)), t][:, None]
    loss = np.maximum(0, 1 - at + x)
    loss[np.arange(len(t)), t] = 0
    return loss.mean()


def _multilabel_margin(x, t):
    total = 0
    for row, labels in zip(x, t):
        stop = np.argmax(labels < 0) if (labels < 0).any() else len(labels)
        hits = labels[:stop]
        rest = [k for k in range(len(row)) if k not in hits]
        total += sum(max(0, 1 - row[j] + row[k]) for j in hits for k in rest) / len(row)
    return total / len(x)


def _triplet(a, p, n):
    near, far = (np.linalg.norm(a - q + 1e-6, axis=-1) for q in (p, n))
    return np.maximum(0, near - far + 1).mean()


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


LOSSES = [
    _case(
        F + "ctc_loss",
        _ctc,
        _ctc_ref,
        In(7, 4, 5),
        LABELS,
        tol=1e-5,
        gradgrad=False,
        raises=(
            (lambda T: _f(T).ctc_loss(T.zeros(3, 1, 2), T.tensor([[1]]), (4,), (1,)), RuntimeError),
            (lambda T: _f(T).ctc_loss(T.zeros(3, 1, 2), T.tensor([[1]]), (3,), (2,)), RuntimeError),
            (lambda T: _f(T).ctc_loss(T.zeros(3, 1, 2), T.tensor([[1]]), (3, 3), (1,)), RuntimeError),
            (lambda T: _f(T).ctc_loss(T.zeros(3, 1, 2), T.tensor([[1]]), (3,), (1,), 2), RuntimeError),
            (lambda T: _f(T).ctc_loss(T.zeros(3, 1, 2), [1], (3,), (1,)), TypeError),
        ),
    ),
    _case(
        F + "cosine_embedding_loss",
        lambda T, a, b, t: _f(T).cosine_embedding_loss(a, b, 2 * t - 1, 0.2),
        lambda a, b, t: np.where(t == 1, 1 - _cosine(a, b), np.maximum(0, _cosine(a, b) - 0.2)).mean(),
        In(4, 3),
        In(4, 3),
        ONES,
        tol=1e-5,
    ),
    _case(
        F + "gaussian_nll_loss",
        lambda T, a, b, v: _f(T).gaussian_nll_loss(a, b, v),
        lambda a, b, v: 0.5 * (np.log(v) + (a - b) ** 2 / v).mean(),
        A,
        A,
        In(3, 4, lo=0.5, hi=2),
        tol=1e-5,
        raises=((lambda T: _f(T).gaussian_nll_loss(T.ones(2), T.ones(2), -1.0), ValueError),),
        capture=False,
    ),
    _case(
        F + "hinge_embedding_loss",
        lambda T, a, t: _f(T).hinge_embedding_loss(a, 2 * t - 1),
        lambda a, t: np.where(t == 1, a, np.maximum(0, 1 - a)).mean(),
        In(4),
        ONES,
        tol=1e-5,
    ),
    _case(
        F + "margin_ranking_loss",
        lambda T, a, b, t: _f(T).margin_ranking_loss(a, b, 2 * t - 1, 0.3),
        lambda a, b, t: np.maximum(0, -_sign(t) * (a - b) + 0.3).mean(),
        In(4),
        In(4),
        ONES,
        tol=1e-5,
    ),
    _case(
        F + "multi_margin_loss",
        lambda T, a, t: _f(T).multi_margin_loss(a, t),
        _multi_margin,
        In(4, 5),
        KINDS,
        tol=1e-5,
        capture=False,
        raises=(
            (lambda T: _f(T).multi_margin_loss(T.ones(2, 3), T.tensor([0, 3])), RuntimeError),
            (lambda T: _f(T).multi_margin_loss(T.ones(2, 3), T.tensor([0, 1]), p=3), ValueError),
        ),
    ),
    _case(
        F + "multilabel_margin_loss",
        lambda T, a, t: _f(T).multilabel_margin_loss(a, t),
        _multilabel_margin,
        In(4, 5),
        MANY,
        tol=1e-5,
        capture=False,
    ),
    _case(
        F + "multilabel_soft_margin_loss",
        lambda T, a, t: _f(T).multilabel_soft_margin_loss(a, t),
        lambda a, t: -(t * np.log(_sigmoid(a)) + (1 - t) * np.log(_sigmoid(-a))).mean(),
        A,
        In(3, 4, lo=0, hi=1, requires_grad=False),
        tol=1e-5,
    ),
    _case(
        F + "poisson_nll_loss",
        lambda T, a, b: _f(T).poisson_nll_loss(a, b),
        lambda a, b: (np.exp(a) - b * a).mean(),
        A,
        In(3, 4, lo=0, hi=3),
        tol=1e-5,
    ),
    _case(
        F + "soft_margin_loss",
        lambda T, a, t: _f(T).soft_margin_loss(a, 2 * t - 1),
        lambda a, t: np.log1p(np.exp(-_sign(t) * a)).mean(),
        In(4),
        ONES,
        tol=1e-5,
    ),
    _case(
        F + "triplet_margin_loss", lambda T, a, p, n: _f(T).triplet_margin_loss(a, p, n), _triplet, A, A, A, tol=1e-5
    ),
    _case(
        F + "triplet_margin_with_distance_loss",
        lambda T, a, p, n: _f(T).triplet_margin_with_distance_loss(
            a, p, n, distance_function=lambda x, y: ((x - y) ** 2).sum(-1)
        ),
        lambda a, p, n: np.maximum(0, ((a - p) ** 2).sum(-1) - ((a - n) ** 2).sum(-1) + 1).mean(),
        A,
        A,
        A,
        tol=1e-5,
    ),
    _case(
        F + "bilinear",
        lambda T, a, b, w, c: _f(T).bilinear(a, b, w, c),
        lambda a, b, w, c: np.einsum("ni,oij,nj->no", a, w, b) + c,
        In(3, 2),
        In(3, 4),
        In(5, 2, 4),
        In(5),
        tol=1e-4,
    ),
    _case(
        F + "softmin",
        lambda T, a: _f(T).softmin(a, 1),
        lambda a: np.exp(-a) / np.exp(-a).sum(1, keepdims=True),
        A,
        tol=1e-5,
    ),
]

CASES = DISTANCES + BAGS + LOSSES

"""Rows of pooling."""

import itertools

import numpy as np

from tests.case import Case, In


def places(size, k, s, p, d, ceil):
    """The places of the input that each window along one dimension holds, and how many count with the padding."""
    room = size + 2 * p - d * (k - 1) - 1
    n = (-(-room // s) if ceil else room // s) + 1
    if ceil and (n - 1) * s >= size + p:
        n -= 1
    for o in range(n):
        first = o * s - p
        yield [i for i in range(first, first + d * (k - 1) + 1, d) if 0 <= i < size], min(first + k, size + p) - first


def adaptive(size, n):
    for o in range(n):
        lo, hi = o * size // n, -(-(o + 1) * size // n)
        yield list(range(lo, hi)), hi - lo


def pooled(x, dims, reduce):
    """reduce(window, count, places) of every window over the last dimensions, `dims` a list of windows for each."""
    dims = [list(d) for d in dims]
    out = [np.zeros(x.shape[: -len(dims)] + tuple(len(d) for d in dims), t) for t in (float, np.int64)]
    for at in itertools.product(*[range(len(d)) for d in dims]):
        windows = [d[i][0] for d, i in zip(dims, at)]
        count = np.prod([d[i][1] for d, i in zip(dims, at)])
        part = x[(..., *np.ix_(*windows))].reshape(*x.shape[: -len(dims)], -1)
        flat = np.arange(np.prod(x.shape[-len(dims) :])).reshape(x.shape[-len(dims) :])[np.ix_(*windows)].ravel()
        value, place = reduce(part, count, flat)
        out[0][(..., *at)], out[1][(..., *at)] = value, place
    return out


def largest(part, count, flat):
    return part.max(-1), flat[part.argmax(-1)]


def mean(part, count, flat):
    return part.sum(-1) / count, 0


def max_ref(x, k, s, p=0, d=1, ceil=False, n=2):
    return pooled(x, [places(size, k, s, p, d, ceil) for size in x.shape[-n:]], largest)


def avg_ref(x, k, s, p=0, ceil=False, pad=True, divisor=None, n=2):
    def reduce(part, count, flat):
        return part.sum(-1) / (divisor or (count if pad else part.shape[-1])), 0

    return pooled(x, [places(size, k, s, p, 1, ceil) for size in x.shape[-n:]], reduce)[0]


def unpooled(x, pooled):
    values, places = pooled
    out = np.zeros(x.shape[:2] + (x.shape[2] * x.shape[3],))
    np.put_along_axis(out, places.reshape(*x.shape[:2], -1), values.reshape(*x.shape[:2], -1), -1)
    return out.reshape(x.shape)


def fractional_ref(x, u):
    out = np.zeros((2, 3, 3, 4))
    for n, c in itertools.product(range(2), range(3)):
        starts = []
        for size, k, s in ((6, 3, u[n, c, 1]), (9, 4, u[n, c, 0])):
            alpha = (size - 2) / (k - 1)
            starts.append([int((i + s) * alpha) - int(s * alpha) for i in range(k - 1)] + [size - 2])
        for i, j in itertools.product(range(3), range(4)):
            h, w = starts[0][i], starts[1][j]
            out[n, c, i, j] = x[n, c, h : h + 2, w : w + 2].max()
    return out


def neighbours(x):
    """The mean of a channel and those beside it."""
    padded = np.pad(x.transpose(0, 2, 1), ((0, 0), (0, 0), (1, 1)))
    return avg_ref(padded, 3, 1, n=1).transpose(0, 2, 1)


CASES = [
    Case(
        "nn.functional.max_pool2d",
        lambda T, x: T.nn.functional.max_pool2d(x, 2),
        lambda x: max_ref(x, 2, 2)[0],
        [In(2, 3, 5, 38, distinct=True)],
        dtypes="fh",
        bench=(8, 16, 64, 64),
        raises=(
            (lambda T: T.nn.functional.max_pool2d(T.zeros(4, 4), 2), RuntimeError),
            (lambda T: T.nn.functional.max_pool2d(T.zeros(1, 4, 4), 5), RuntimeError),
            (lambda T: T.nn.functional.max_pool2d(T.zeros(1, 4, 4), 2, 0), RuntimeError),
            (lambda T: T.nn.functional.max_pool2d(T.zeros(1, 4, 4), 2, padding=2), RuntimeError),
            (lambda T: T.nn.functional.max_pool2d(T.zeros(1, 4, 4), 2, dilation=0), RuntimeError),
            (lambda T: T.nn.functional.max_pool2d(T.zeros(1, 4, 4), (2, 2, 2)), RuntimeError),
            (lambda T: T.nn.functional.max_pool2d(T.zeros(1, 4, 4), 1 << 62), RuntimeError),
            (lambda T: T.nn.functional.max_pool2d(T.zeros(1, 4, 4), 2.0), TypeError),
            (lambda T: T.nn.functional.max_pool2d(T.zeros(1, 4, 4, dtype=T.bool), 2), NotImplementedError),
        ),
    ),
    Case(
        "nn.functional.max_pool2d/overlapping",
        lambda T, x: T.nn.functional.max_pool2d(x, 3, 2, 1, ceil_mode=True),
        lambda x: max_ref(x, 3, 2, 1, ceil=True)[0],
        [In(2, 3, 6, 19, distinct=True)],
        dtypes="fhi",
    ),
    Case(
        "nn.functional.max_pool2d/indices",
        lambda T, x: T.nn.functional.max_pool2d(x, 3, 1, 1, 2, return_indices=True),
        lambda x: max_ref(x, 3, 1, 1, 2),
        [In(3, 6, 19, distinct=True)],
    ),
    Case(
        "nn.functional.max_pool1d",
        lambda T, x: T.nn.functional.max_pool1d(x, 3, 3, 1, return_indices=True),
        lambda x: max_ref(x, 3, 3, 1, n=1),
        [In(2, 3, 20, distinct=True)],
        dtypes="fh",
    ),
    Case(
        "nn.functional.max_pool1d/whole",
        lambda T, x: T.nn.functional.max_pool1d(x, 300),
        lambda x: max_ref(x, 300, 300, n=1)[0],
        [In(1, 2, 300, distinct=True)],
        gradgrad=False,
    ),
    Case(
        "nn.functional.max_pool3d",
        lambda T, x: T.nn.functional.max_pool3d(x, 2, 1, 1, return_indices=True),
        lambda x: max_ref(x, 2, 1, 1, n=3),
        [In(2, 2, 3, 4, distinct=True)],
    ),
    Case(
        "nn.functional.avg_pool2d",
        lambda T, x: T.nn.functional.avg_pool2d(x, 2),
        lambda x: avg_ref(x, 2, 2),
        [In(2, 3, 5, 38)],
        dtypes="fh",
        tol={"float16": 1e-2},
        bench=(8, 16, 64, 64),
        raises=(
            (lambda T: T.nn.functional.avg_pool2d(T.zeros(1, 4, 4), 2, divisor_override=0), RuntimeError),
            (lambda T: T.nn.functional.avg_pool2d(T.zeros(1, 4, 4, dtype=T.int32), 2), NotImplementedError),
            (lambda T: T.nn.functional.avg_pool2d("x", 2), TypeError),
        ),
    ),
    Case(
        "nn.functional.avg_pool2d/overlapping",
        lambda T, x: T.nn.functional.avg_pool2d(x, 3, 2, 1, True, False),
        lambda x: avg_ref(x, 3, 2, 1, True, False),
        [In(2, 3, 6, 9)],
    ),
    Case(
        "nn.functional.avg_pool1d",
        lambda T, x: T.nn.functional.avg_pool1d(x, 3, 2, 1, True),
        lambda x: avg_ref(x, 3, 2, 1, True, n=1),
        [In(2, 3, 10)],
    ),
    Case(
        "nn.functional.avg_pool3d",
        lambda T, x: T.nn.functional.avg_pool3d(x, 2, 1, 1, divisor_override=3),
        lambda x: avg_ref(x, 2, 1, 1, divisor=3, n=3),
        [In(2, 2, 3, 4)],
    ),
    *[
        Case(
            f"nn.functional.adaptive_avg_pool{n}d",
            lambda T, x, n=n, out=out: getattr(T.nn.functional, f"adaptive_avg_pool{n}d")(x, out),
            lambda x, n=n, sizes=sizes: pooled(x, [adaptive(a, b) for a, b in zip(x.shape[-n:], sizes)], mean)[0],
            [In(2, 3, *shape)],
            raises=(
                (lambda T, n=n: getattr(T.nn.functional, f"adaptive_avg_pool{n}d")(T.zeros(3), 2), RuntimeError),
                (lambda T, n=n: getattr(T.nn.functional, f"adaptive_avg_pool{n}d")(T.zeros(*[2] * (n + 1)), -1),
                 RuntimeError),
            ),
        )
        for n, shape, out, sizes in ((1, (7,), 3, (3,)), (2, (5, 7), (None, 3), (5, 3)), (3, (3, 2, 5), 2, (2, 2, 2)))
    ],
    *[
        Case(
            f"nn.functional.adaptive_max_pool{n}d",
            lambda T, x, n=n, out=out: getattr(T.nn.functional, f"adaptive_max_pool{n}d")(x, out, True),
            lambda x, n=n, sizes=sizes: pooled(x, [adaptive(a, b) for a, b in zip(x.shape[-n:], sizes)], largest),
            [In(2, 3, *shape, distinct=True)],
        )
        for n, shape, out, sizes in ((1, (7,), 3, (3,)), (2, (5, 7), (None, 3), (5, 3)), (3, (3, 2, 5), 2, (2, 2, 2)))
    ],
    Case(
        "nn.functional.max_unpool2d",
        lambda T, x: T.nn.functional.max_unpool2d(
            *T.nn.functional.max_pool2d(x, 2, return_indices=True), 2, output_size=(5, 6)
        ),
        lambda x: unpooled(x, max_ref(x, 2, 2)),
        [In(2, 3, 5, 6, distinct=True)],
        raises=(
            (lambda T: T.nn.functional.max_unpool2d(T.zeros(1, 1, 1), T.full((1, 1, 1), 4), 2), RuntimeError),
            (lambda T: T.nn.functional.max_unpool2d(T.zeros(1, 1, 1), T.zeros(1, 1, 1), 2), RuntimeError),
            (
                lambda T: T.nn.functional.max_unpool2d(T.zeros(1, 1, 1), T.zeros(1, 1, 1).long(), 2, None, 0, (9, 9)),
                ValueError,
            ),
        ),
    ),
    Case(
        "nn.functional.fractional_max_pool2d",
        lambda T, x, u: T.nn.functional.fractional_max_pool2d(x, 2, (3, 4), _random_samples=u),
        fractional_ref,
        [In(2, 3, 6, 9, distinct=True), In(2, 3, 2, lo=0, hi=1, requires_grad=False)],
        raises=(
            (lambda T: T.nn.functional.fractional_max_pool2d(T.zeros(1, 3, 3), 2), ValueError),
            (lambda T: T.nn.functional.fractional_max_pool2d(T.zeros(1, 3, 3), 2, 3), RuntimeError),
        ),
    ),
    Case(
        "nn.functional.lp_pool2d",
        lambda T, x: T.nn.functional.lp_pool2d(x, 3.0, 2),
        lambda x: np.cbrt(avg_ref(x**3, 2, 2, divisor=1)),
        [In(2, 3, 4, 6, lo=0.2, hi=2)],
        tol=1e-5,
    ),
    Case(
        "nn.functional.local_response_norm",
        lambda T, x: T.nn.functional.local_response_norm(x, 3, 0.1, 0.7, 1.2),
        lambda x: x / (1.2 + 0.1 * neighbours(x * x)) ** 0.7,
        [In(2, 5, 4)],
        tol=1e-5,
        raises=((lambda T: T.nn.functional.local_response_norm(T.zeros(2, 2), 2), ValueError),),
    ),
]

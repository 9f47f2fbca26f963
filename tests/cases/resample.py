"""Rows of resampling."""

import numpy as np

from tests.case import Case, In


def cubic(x, a=-0.75):
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def matrix(n, out, mode, align=False, smooth=False):
    """The (out, n) matrix of resampling n places to `out`."""
    m, scale = np.zeros((out, n)), n / out
    for o in range(out):
        if mode in ("nearest", "nearest-exact"):
            m[o, min(int((o + (mode != "nearest") / 2) * scale), n - 1)] = 1
            continue
        at = o * (n - 1) / (out - 1) if align else (o + 0.5) * scale - 0.5
        if smooth:
            places = np.arange(n)
            w = np.maximum(0, 1 - np.abs(places - at) / max(scale, 1))
            m[o] = w / w.sum()
            continue
        if mode == "linear":
            at = min(max(at, 0), n - 1)
        for i in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            w = max(0, 1 - abs(at - i)) if mode == "linear" else cubic(at - i)
            m[o, min(max(i, 0), n - 1)] += w
    return m


def resampled(x, sizes, mode, **how):
    for d, n in enumerate(sizes):
        x = np.moveaxis(np.tensordot(matrix(x.shape[2 + d], n, mode, **how), x, (1, 2 + d)), 0, 2 + d)
    return x


def shuffled(x, r):
    n, c, h, w = x.shape
    return x.reshape(n, c // r**2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // r**2, h * r, w * r)


def unshuffled(x, r):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // r, r, w // r, r).transpose(0, 1, 3, 5, 2, 4).reshape(n, c * r * r, h // r, w // r)


def row(name, sizes, out, mode, kind, dtypes="f", raises=(), **how):
    keywords = {"align_corners": True} if how.get("align") else {"antialias": True} if how.get("smooth") else {}
    return Case(
        f"nn.functional.interpolate/{name}",
        lambda T, x: T.nn.functional.interpolate(x, out, mode=mode, **keywords),
        lambda x: resampled(x, out, kind, **how),
        [In(2, 2, *sizes)],
        dtypes=dtypes,
        tol={"float32": 2e-5, "float16": 1e-2, "bfloat16": 6e-2, "float64": 1e-10},
        raises=raises,
    )


def affine(theta, sizes):
    """The grid of the maps theta over (height, width)."""
    y, x = np.meshgrid(*[(2 * np.arange(n) + 1) / n - 1 for n in sizes], indexing="ij")
    return np.einsum("nij,hwj->nhwi", theta, np.stack([x, y, np.ones_like(x)], -1))


def reflected(x, low, high):
    span = high - low
    if not span:
        return 0.0
    x = abs(x - low) % (2 * span)
    return (2 * span - x if x > span else x) + low


def sampled(x, grid, mode, padding, align):
    """grid_sample, a sample and an element at a time."""
    sizes = x.shape[2:]
    out = np.zeros(x.shape[:2] + grid.shape[1:-1])

    def place(v, size):
        if padding == "reflection":
            v = reflected(v, *((0, size - 1) if align else (-0.5, size - 0.5)))
        return v if padding == "zeros" else min(max(v, 0), size - 1)

    for at in np.ndindex(grid.shape[:-1]):
        taps = [((), 1.0)]
        for c, size in zip(grid[at][::-1], sizes):
            v = (c + 1) / 2 * (size - 1) if align else ((c + 1) * size - 1) / 2
            if mode == "bicubic":
                one = [(int(round(place(i, size))), float(cubic(v - i))) for i in np.floor(v) + np.arange(-1, 3)]
            else:
                v = place(v, size)
                low = int(np.floor(v))
                one = [(int(np.rint(v)), 1.0)] if mode == "nearest" else [(low, low + 1 - v), (low + 1, v - low)]
            taps = [((*i, k), w * u) for i, w in taps for k, u in one if 0 <= k < size]
        for i, w in taps:
            out[(at[0], slice(None), *at[1:])] += w * x[(at[0], slice(None), *i)]
    return out


CASES = [
    row(
        "nearest", (3, 5), (6, 10), "nearest", "nearest", dtypes="fh",
        raises=(
            (lambda T: T.nn.functional.interpolate(T.zeros(1, 1, 2, 2)), ValueError),
            (lambda T: T.nn.functional.interpolate(T.zeros(1, 1, 2, 2), 2, 2.0), ValueError),
            (lambda T: T.nn.functional.interpolate(T.zeros(1, 1, 2, 2), (2, 2, 2)), ValueError),
            (lambda T: T.nn.functional.interpolate(T.zeros(1, 1, 2, 2), 0), RuntimeError),
            (lambda T: T.nn.functional.interpolate(T.zeros(1, 1, 2, 2), 2, align_corners=True), ValueError),
            (lambda T: T.nn.functional.interpolate(T.zeros(2, 2), 2), NotImplementedError),
            (lambda T: T.nn.functional.interpolate(T.zeros(1, 1, 2, 2), 2, mode="trilinear"), NotImplementedError),
            (lambda T: T.nn.functional.interpolate(T.zeros(1, 1, 2, 2), 2, antialias=True), ValueError),
            (lambda T: T.nn.functional.interpolate(T.zeros(1, 1, 2, 2, dtype=T.int64), 2), NotImplementedError),
        ),
    ),  # fmt: skip
    row("nearest_down", (3, 5, 7), (2, 4, 3), "nearest", "nearest"),
    row("nearest_exact", (3, 5), (5, 7), "nearest-exact", "nearest-exact"),
    row("linear", (5,), (8,), "linear", "linear"),
    row("bilinear", (3, 5), (6, 10), "bilinear", "linear", dtypes="fh"),
    row("bilinear_corners", (3, 5), (4, 3), "bilinear", "linear", align=True),
    row("bilinear_smooth", (6, 9), (8, 4), "bilinear", "linear", smooth=True),
    row("bicubic", (4, 5), (6, 9), "bicubic", "cubic"),
    row("trilinear", (2, 3, 5), (3, 5, 4), "trilinear", "linear"),
    Case(
        "nn.functional.pixel_shuffle",
        lambda T, x: T.nn.functional.pixel_shuffle(x, 2),
        lambda x: shuffled(x, 2),
        [In(2, 8, 3, 2)],
        dtypes="fhi",
        raises=(
            (lambda T: T.nn.functional.pixel_shuffle(T.zeros(4, 4), 2), RuntimeError),
            (lambda T: T.nn.functional.pixel_shuffle(T.zeros(3, 4, 4), 2), RuntimeError),
            (lambda T: T.nn.functional.pixel_shuffle(T.zeros(4, 4, 4), 0), RuntimeError),
        ),
    ),
    Case(
        "nn.functional.pixel_unshuffle",
        lambda T, x: T.nn.functional.pixel_unshuffle(x, 2),
        lambda x: unshuffled(x, 2),
        [In(2, 2, 6, 4)],
        dtypes="fhi",
        raises=((lambda T: T.nn.functional.pixel_unshuffle(T.zeros(1, 3, 4), 2), RuntimeError),),
    ),
    Case(
        "nn.functional.channel_shuffle",
        lambda T, x: T.nn.functional.channel_shuffle(x, 3),
        lambda x: x.reshape(2, 3, 2, 4).transpose(0, 2, 1, 3).reshape(2, 6, 4),
        [In(2, 6, 4)],
        dtypes="fhi",
        raises=((lambda T: T.nn.functional.channel_shuffle(T.zeros(1, 4, 2), 3), RuntimeError),),
    ),
    *[
        Case(
            f"nn.functional.grid_sample/{name}",
            lambda T, x, grid, how=how: T.nn.functional.grid_sample(x, grid, *how),
            lambda x, grid, how=how: sampled(x, grid, *how),
            [In(2, 3, 4, 5), In(2, 3, 2, 2, lo=-1.3, hi=1.3)],
            dtypes=dtypes,
            tol={"float32": 1e-4, "float16": 3e-2, "bfloat16": 2e-1, "float64": 1e-9},
            gradgrad=how[0] != "nearest",
            raises=raises,
        )
        for name, how, dtypes, raises in (
            ("bilinear", ("bilinear", "zeros", False), "f", (
                (lambda T: T.nn.functional.grid_sample(T.zeros(1, 1, 2, 2), T.zeros(1, 1, 1, 2), "cubic"), ValueError),
                (lambda T: T.nn.functional.grid_sample(T.zeros(1, 1, 2, 2), T.zeros(2, 1, 1, 2), align_corners=True),
                 RuntimeError),
                (lambda T: T.nn.functional.grid_sample(T.zeros(1, 1, 2, 2), T.zeros(1, 1, 1, 3), align_corners=True),
                 RuntimeError),
                (lambda T: T.nn.functional.grid_sample(T.zeros(1, 1, 0, 2), T.zeros(1, 1, 1, 2), align_corners=True),
                 RuntimeError),
            )),
            ("corners", ("bilinear", "zeros", True), "f", ()),
            ("border", ("bilinear", "border", False), "f", ()),
            ("reflection", ("bilinear", "reflection", True), "f", ()),
            ("nearest", ("nearest", "zeros", False), "f", ()),
            ("bicubic", ("bicubic", "reflection", False), "f", ()),
        )
    ],
    Case(
        "nn.functional.grid_sample/volume",
        lambda T, x, grid: T.nn.functional.grid_sample(x, grid, "bilinear", "zeros", False),
        lambda x, grid: sampled(x, grid, "bilinear", "zeros", False),
        [In(1, 2, 2, 3, 4), In(1, 2, 2, 1, 3, lo=-1.3, hi=1.3)],
        tol=1e-4,
    ),
    Case(
        "nn.functional.affine_grid",
        lambda T, theta: T.nn.functional.affine_grid(theta, (2, 1, 3, 4), False),
        lambda theta: affine(theta, (3, 4)),
        [In(2, 2, 3)],
        raises=(
            (lambda T: T.nn.functional.affine_grid(T.zeros(2, 2, 3), (2, 1, 3), False), NotImplementedError),
            (lambda T: T.nn.functional.affine_grid(T.zeros(2, 3, 3), (2, 1, 3, 3), False), ValueError),
            (lambda T: T.nn.functional.affine_grid(T.zeros(2, 2, 3), (2, 1, 0, 3), False), ValueError),
        ),
    ),
]

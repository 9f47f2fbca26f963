"""Rows of convolutions and patches."""

import itertools

import numpy as np

from autodiffc._ops import conv as ops
from tests.case import Case, In


def functional(T):
    """torch.nn.functional, or the functions here that stand behind autodiffc's."""
    return ops if T.__name__ == "autodiffc" else T.nn.functional


def each(value, rank):
    return (value,) * rank if isinstance(value, int) else value


def taps(x, w, stride, dilation, out):
    """For each tap of the kernel: its place in w, and the slices of the padded x that it meets."""
    rank = len(out)
    for tap in itertools.product(*(range(k) for k in w.shape[2:])):
        yield tap, tuple(slice(tap[d] * dilation[d], tap[d] * dilation[d] + (out[d] - 1) * stride[d] + 1, stride[d])
                         for d in range(rank))


def conv(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    rank = w.ndim - 2
    if x.ndim == rank + 1:
        return conv(x[None], w, b, stride, padding, dilation, groups)[0]
    stride, dilation = each(stride, rank), each(dilation, rank)
    if padding == "same":
        total = [dilation[d] * (w.shape[2 + d] - 1) for d in range(rank)]
        pads = [(t // 2, t - t // 2) for t in total]
    else:
        pads = [(p, p) for p in each(0 if padding == "valid" else padding, rank)]
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    out = [(x.shape[2 + d] - dilation[d] * (w.shape[2 + d] - 1) - 1) // stride[d] + 1 for d in range(rank)]
    xg = x.reshape(len(x), groups, -1, *x.shape[2:])
    wg = w.reshape(groups, -1, *w.shape[1:])
    y = np.zeros((len(x), groups, wg.shape[1], *out), x.dtype)
    for tap, place in taps(x, w, stride, dilation, out):
        y += np.einsum("ngc...,goc->ngo...", xg[(..., *place)], wg[(..., *tap)])
    y = y.reshape(len(x), -1, *out)
    return y if b is None else y + b.reshape(-1, *[1] * rank)


def conv_transpose(x, w, b=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    rank = w.ndim - 2
    if x.ndim == rank + 1:
        return conv_transpose(x[None], w, b, stride, padding, output_padding, groups, dilation)[0]
    stride, dilation, padding = each(stride, rank), each(dilation, rank), each(padding, rank)
    extra = each(output_padding, rank)
    full = [(x.shape[2 + d] - 1) * stride[d] + dilation[d] * (w.shape[2 + d] - 1) + 1 + extra[d] for d in range(rank)]
    xg = x.reshape(len(x), groups, -1, *x.shape[2:])
    wg = w.reshape(groups, -1, *w.shape[1:])
    y = np.zeros((len(x), groups, w.shape[1], *full), x.dtype)
    for tap, place in taps(x, w, stride, dilation, x.shape[2:]):
        y[(..., *place)] += np.einsum("ngc...,gco->ngo...", xg, wg[(..., *tap)])
    y = y.reshape(len(x), -1, *full)
    y = y[(..., *(slice(padding[d], full[d] - padding[d]) for d in range(rank)))]
    return y if b is None else y + b.reshape(-1, *[1] * rank)


def unfold(x, kernel, dilation=1, padding=0, stride=1):
    kernel, dilation, padding, stride = (each(v, 2) for v in (kernel, dilation, padding, stride))
    if x.ndim == 3:
        return unfold(x[None], kernel, dilation, padding, stride)[0]
    x = np.pad(x, [(0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2])
    out = [(x.shape[2 + d] - dilation[d] * (kernel[d] - 1) - 1) // stride[d] + 1 for d in range(2)]
    columns = np.stack([x[(..., *place)] for _, place in taps(x, np.empty((1, 1, *kernel)), stride, dilation, out)], 2)
    return columns.reshape(len(x), -1, out[0] * out[1])


def fold(x, size, kernel, dilation=1, padding=0, stride=1):
    kernel, dilation, padding, stride = (each(v, 2) for v in (kernel, dilation, padding, stride))
    if x.ndim == 2:
        return fold(x[None], size, kernel, dilation, padding, stride)[0]
    full = [size[d] + 2 * padding[d] for d in range(2)]
    out = [(full[d] - dilation[d] * (kernel[d] - 1) - 1) // stride[d] + 1 for d in range(2)]
    x = x.reshape(len(x), -1, kernel[0] * kernel[1], *out)
    y = np.zeros((len(x), x.shape[1], *full), x.dtype)
    for k, (_, place) in enumerate(taps(y, np.empty((1, 1, *kernel)), stride, dilation, out)):
        y[(..., *place)] += x[:, :, k]
    return y[..., padding[0] : full[0] - padding[0], padding[1] : full[1] - padding[1]]


def row(name, x, w, b=None, dtypes="f", raises=(), bench=None, **options):
    """A row of conv1d ... conv_transpose3d: sizes of input, weight and bias, and the keywords."""
    function = name.split("/")[0]
    ref = conv_transpose if "transpose" in function else conv
    inputs = [In(*sizes) for sizes in (x, w, b) if sizes]

    def call(T, *t, **options):
        return getattr(functional(T), function)(*t, **options)

    def refused(change):
        """The call with some arguments replaced: by their number, or options."""
        args = {k: v for k, v in change.items() if isinstance(k, int)}
        rest = {**options, **{k: v for k, v in change.items() if isinstance(k, str)}}
        return lambda T: call(T, *(T.ones(*args.get(k, i.sizes)) if not isinstance(args.get(k), str) else args[k]
                                   for k, i in enumerate(inputs)), **rest)

    return Case(
        "nn.functional." + name,
        lambda T, *t: call(T, *t, **options),
        lambda *a: ref(*a, **options),
        inputs,
        dtypes=dtypes,
        tol={"float32": 2e-5, "float16": 2e-2, "bfloat16": 2e-1},
        raises=tuple((refused(change), error) for change, error in raises),
        bench=bench,
    )


CASES = [
    row("conv1d", (2, 3, 9), (4, 3, 3), (4,), "fhi", stride=2, padding=1,
        raises=(({"stride": 0}, RuntimeError), ({"padding": -1}, RuntimeError),
                ({"dilation": 9}, RuntimeError), ({"groups": 0}, RuntimeError),
                ({"groups": 3}, RuntimeError), ({1: (2, 3, 9, 1)}, RuntimeError), ({0: (2, 4, 9)}, RuntimeError),
                ({2: (3,)}, RuntimeError), ({0: (9,)}, RuntimeError), ({"stride": (1, 1)}, RuntimeError),
                ({"stride": "1"}, TypeError), ({1: "w"}, TypeError),
                ({"padding": 1 << 62}, RuntimeError))),
    row("conv1d/unbatched", (3, 9), (4, 3, 4), dilation=2, padding="same"),
    row("conv1d/groups", (2, 4, 9), (6, 2, 3), (6,), groups=2, padding=2, stride=3),
    row("conv2d", (2, 3, 7, 8), (5, 3, 3, 3), (5,), "fhi", padding=1, bench=((8, 16, 32, 32), (32, 16, 3, 3), (32,)),
        raises=(({"padding": "odd"}, RuntimeError),
                ({"padding": "same", "stride": 2}, RuntimeError))),
    row("conv2d/strided", (2, 3, 8, 9), (4, 3, 3, 2), stride=(2, 3), padding=(1, 0)),
    row("conv2d/dilated", (1, 2, 9, 9), (3, 2, 3, 3), (3,), dilation=(2, 3), padding=(2, 3)),
    row("conv2d/depthwise", (2, 4, 7, 6), (8, 1, 3, 3), (8,), groups=4, padding=1),
    row("conv2d/pointwise", (2, 3, 4, 5), (6, 3, 1, 1), (6,)),
    row("conv2d/pointwise-strided", (2, 3, 5, 5), (4, 3, 1, 1), stride=2),
    row("conv2d/same", (2, 2, 6, 5), (3, 2, 4, 3), (3,), padding="same", dilation=(1, 2)),
    row("conv2d/valid", (3, 6, 6), (2, 3, 2, 5), padding="valid"),
    row("conv3d", (2, 2, 4, 5, 4), (3, 2, 2, 3, 3), (3,), "fhi", padding=(0, 1, 1), stride=(1, 2, 1)),
    row("conv3d/unbatched", (4, 4, 4, 5), (4, 2, 3, 2, 3), groups=2, dilation=(1, 2, 1), padding=1),
    row("conv_transpose1d", (2, 3, 5), (3, 4, 3), (4,), "fhi", stride=2, padding=1, output_padding=1,
        raises=(({"stride": 0}, RuntimeError),
                ({"output_padding": 2}, RuntimeError),
                ({"output_padding": -1}, RuntimeError),
                ({"padding": 9}, RuntimeError),
                ({"padding": "same"}, TypeError),
                ({"stride": 1 << 61}, RuntimeError))),
    row("conv_transpose1d/dilated", (3, 5), (3, 2, 3), dilation=3, output_padding=2),
    row("conv_transpose2d", (2, 3, 4, 5), (3, 4, 3, 3), (4,), "fhi", stride=2, padding=1, output_padding=(1, 0),
        bench=((8, 32, 16, 16), (32, 16, 4, 4), (16,))),
    row("conv_transpose2d/groups", (2, 4, 3, 4), (4, 3, 2, 4), (6,), groups=2, stride=(1, 3), padding=(0, 1)),
    row("conv_transpose2d/depthwise", (2, 4, 5, 4), (4, 1, 3, 3), groups=4, padding=1, stride=2),
    row("conv_transpose3d", (1, 3, 2, 3, 3), (3, 2, 2, 3, 2), (2,), "fhi", stride=(1, 2, 2), padding=(0, 1, 0)),
    Case("conv_tbc", lambda T, x, w, b: T.conv_tbc(x, w, b, 1),
         lambda x, w, b: conv(x.transpose(1, 2, 0), w.transpose(2, 1, 0), b, padding=1).transpose(2, 0, 1),
         [In(6, 2, 3), In(3, 3, 4), In(4)]),
    Case("convolution", lambda T, x, w: T.convolution(x, w, None, [2], [1], [1], True, [1], 1),
         lambda x, w: conv_transpose(x, w, None, 2, 1, 1), [In(2, 3, 4), In(3, 2, 3)]),
    Case("nn.functional.unfold", lambda T, x: T.nn.functional.unfold(x, (2, 3), (1, 2), (1, 0), (2, 1)),
         lambda x: unfold(x, (2, 3), (1, 2), (1, 0), (2, 1)), [In(2, 3, 6, 7)], dtypes="fh",
         raises=((lambda T: T.nn.functional.unfold(T.ones(2, 3, 6, 7), 9), RuntimeError),
                 (lambda T: T.nn.functional.unfold(T.ones(2, 3, 6, 7), 0), RuntimeError),
                 (lambda T: T.nn.functional.unfold(T.ones(2, 3, 6, 7), (1, 2, 3)), RuntimeError))),
    Case("nn.functional.unfold/unbatched", lambda T, x: T.nn.functional.unfold(x, 2, 1, 1),
         lambda x: unfold(x, 2, 1, 1), [In(2, 3, 3)]),
    Case("nn.functional.fold", lambda T, x: T.nn.functional.fold(x, (5, 6), (2, 3), (1, 2), (1, 0), (2, 1)),
         lambda x: fold(x, (5, 6), (2, 3), (1, 2), (1, 0), (2, 1)), [In(2, 12, 6)], dtypes="f",
         raises=((lambda T: T.nn.functional.fold(T.ones(2, 12, 6), (5, 7), (2, 3)), RuntimeError),
                 (lambda T: T.nn.functional.fold(T.ones(2, 12, 6), (5, 6), (5, 5)), RuntimeError))),
]

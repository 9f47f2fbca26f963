"""Indexing, sorting, scans, copies and distances, for one library in a process of its own.

    python -m benchmarks.indexing torch 2 [PART OF A CASE'S NAME ...]
"""

import importlib

from .reductions import main


def with_gradient(torch, fn, *leaves):
    """fn's forward and backward pass."""
    for leaf in leaves:
        leaf.requires_grad_()
    y = fn(*leaves)
    direction = torch.randn(y.shape)

    def both():
        for leaf in leaves:
            leaf.grad = None
        fn(*leaves).backward(direction)

    return both


def tables(torch, F):
    for words, width, batch in ((1000, 32, (64, 35)), (10000, 128, (12, 64)), (50000, 256, (32, 128))):
        w, i = torch.randn(words, width), torch.randint(0, words, batch)
        rows = i.numel() * width * 4
        at = f"{words}x{width}, {batch[0]}x{batch[1]} indices"
        yield f"embedding {at}: forward", lambda w=w, i=i: F.embedding(i, w), 0, 2 * rows
        yield (f"embedding {at}: forward and backward",
               with_gradient(torch, lambda w, i=i: F.embedding(i, w), torch.randn(words, width)), rows // 4,
               5 * rows + 4 * words * width)
        for mode in ("sum", "mean"):
            yield (f"embedding_bag {mode} {at}: forward", lambda w=w, i=i, mode=mode: F.embedding_bag(i, w, mode=mode),
                   rows // 4, rows)
            yield (f"embedding_bag {mode} {at}: forward and backward",
                   with_gradient(torch, lambda w, i=i, mode=mode: F.embedding_bag(i, w, mode=mode),
                                 torch.randn(words, width)), rows // 2, 2 * rows + 4 * words * width)


def choices(torch):
    m, n = 1000, 1000
    x, g = torch.randn(m, n), 4 * m * n
    for dim in (0, 1):
        i = torch.randint(0, n, (m, n))
        yield f"gather axis {dim} 1000x1000", lambda i=i, dim=dim: torch.gather(x, dim, i), 0, 4 * g
        yield (f"gather axis {dim} 1000x1000: forward and backward",
               with_gradient(torch, lambda x, i=i, dim=dim: torch.gather(x, dim, i), torch.randn(m, n)), 0, 9 * g)
        yield f"scatter axis {dim} 1000x1000", lambda i=i, dim=dim: torch.scatter(x, dim, i, x), 0, 6 * g
        yield f"scatter_add axis {dim} 1000x1000", lambda i=i, dim=dim: torch.scatter_add(x, dim, i, x), m * n, 6 * g
        rows, half = torch.randint(0, n, (500,)), torch.randn(500, n) if dim == 0 else torch.randn(m, 500)
        yield f"index_select axis {dim}, 500 of 1000", lambda r=rows, d=dim: torch.index_select(x, d, r), 0, g
        yield f"index_add axis {dim}, 500 of 1000", lambda r=rows, d=dim, h=half: torch.index_add(x, d, r, h), 0, 3 * g
        yield (f"index_select axis {dim}, 500 of 1000: forward and backward",
               with_gradient(torch, lambda x, r=rows, d=dim: torch.index_select(x, d, r), torch.randn(m, n)), 0, 3 * g)
    pick = torch.randint(0, n, (m, 1))
    yield "gather of one a row, 1000x1000", lambda: torch.gather(x, 1, pick), 0, 72 * m
    rows, cols = torch.randint(0, m, (5000,)), torch.randint(0, n, (5000,))
    yield "x[rows]", lambda: x[rows], 0, 8 * 5000 * n
    yield "x[rows, cols]", lambda: x[rows, cols], 0, 5000 * 80
    mask, filled, flat = x > 0, x.clone(), torch.randint(0, m * n, (m, n))
    yield "masked_select 1000x1000", lambda: torch.masked_select(x, mask), 0, g + g // 2 + g // 4
    yield "x[mask] = 0, 1000x1000", lambda: filled.masked_fill_(mask, 0.0), 0, 2 * g
    yield "where 1000x1000", lambda: torch.where(mask, x, -x), 0, 3 * g
    yield "nonzero 1000x1000", lambda: torch.nonzero(mask), 0, 9 * g // 4
    yield "take 1000x1000", lambda: torch.take(x, flat), 0, 4 * g


def orders(torch):
    for m, n in ((1000, 1000), (1, 1000000), (20000, 20)):
        x, at = torch.randn(m, n), f"{m}x{n}"
        ints = torch.randint(0, 1000, (m, n))
        yield f"sort {at}", lambda x=x: torch.sort(x, -1), 0, 16 * m * n
        yield f"argsort {at}", lambda x=x: torch.argsort(x, -1), 0, 16 * m * n
        yield f"sort integers {at}", lambda x=ints: torch.sort(x, -1), 0, 16 * m * n
        yield f"topk 10 of {at}", lambda x=x: torch.topk(x, 10, -1), 0, 4 * m * n
        yield f"kthvalue {at}", lambda x=x, n=n: torch.kthvalue(x, n // 2, -1), 0, 4 * m * n
        yield f"median {at}", lambda x=x: torch.median(x, -1), 0, 4 * m * n
        yield f"unique integers {at}", lambda x=ints: torch.unique(x), 0, 8 * m * n
        yield f"unique floats {at}", lambda x=x: torch.unique(x), 0, 8 * m * n
    x = torch.randn(1000, 1000)
    yield "sort axis 0 1000x1000", lambda: torch.sort(x, 0), 0, 16 * 10**6
    yield "topk 10 axis 0 1000x1000", lambda: torch.topk(x, 10, 0), 0, 4 * 10**6
    yield "randperm 100000", lambda: torch.randperm(100000), 0, 8 * 10**5
    edges, counted = torch.linspace(-3, 3, 100), torch.randint(0, 1000, (10**6,))
    yield "searchsorted 10^6 in 100", lambda: torch.searchsorted(edges, x), 0, 12 * 10**6
    yield "bincount 10^6", lambda: torch.bincount(counted), 0, 8 * 10**6
    yield "histc 10^6", lambda: torch.histc(x, 100), 0, 4 * 10**6


def scans(torch):
    for m, n in ((1000, 1000), (64, 100000), (100000, 64)):
        x, at = torch.randn(m, n), f"{m}x{n}"
        for dim in (0, 1):
            yield f"cumsum axis {dim} {at}", lambda x=x, d=dim: torch.cumsum(x, d), m * n, 8 * m * n
            yield f"cumprod axis {dim} {at}", lambda x=x, d=dim: torch.cumprod(x, d), m * n, 8 * m * n
    x, flat = torch.randn(1000, 1000), torch.randn(1000000)
    yield "cumsum of 10^6", lambda: torch.cumsum(flat, 0), 10**6, 8 * 10**6
    yield "cummax axis 1 1000x1000", lambda: torch.cummax(x, 1), 10**6, 16 * 10**6
    yield "logcumsumexp axis 1 1000x1000", lambda: torch.logcumsumexp(x, 1), 10**6, 8 * 10**6
    yield "cumsum axis 1 1000x1000: forward and backward", with_gradient(
        torch, lambda x: torch.cumsum(x, 1), torch.randn(1000, 1000)), 10**6, 16 * 10**6
    ints = torch.randint(0, 10, (1000, 1000))
    yield "cumsum of integers axis 1 1000x1000", lambda: torch.cumsum(ints, 1), 10**6, 16 * 10**6
    yield "cumsum of integers axis 0 1000x1000", lambda: torch.cumsum(ints, 0), 10**6, 16 * 10**6


def copies(torch, F):
    x, b = torch.randn(1000, 1000), 8 * 10**6
    y, narrow, words = torch.randn(32, 64, 28, 28), torch.randn(1000, 100), torch.randint(0, 100, (10000,))
    yield "channel_shuffle 32x64x28x28", lambda: F.channel_shuffle(y, 8), 0, 8 * y.numel()
    yield "pixel_shuffle 32x64x28x28", lambda: F.pixel_shuffle(y, 2), 0, 8 * y.numel()
    for dim in (0, 1):
        yield f"cat axis {dim} 2 of 1000x1000", lambda d=dim: torch.cat([x, x], d), 0, 2 * b
        yield f"stack axis {dim} 2 of 1000x1000", lambda d=dim: torch.stack([x, x], d), 0, 2 * b
        yield f"roll axis {dim} 1000x1000", lambda d=dim: torch.roll(x, 5, d), 0, b
        yield f"flip axis {dim} 1000x1000", lambda d=dim: torch.flip(x, [d]), 0, b
    yield "stack axis 2 2 of 1000x1000", lambda: torch.stack([x, x], 2), 0, 2 * b
    yield "repeat 2x3 of 1000x100", lambda: narrow.repeat(2, 3), 0, 3 * 10**6
    yield "repeat_interleave 1000x1000", lambda: torch.repeat_interleave(x, 2, 1), 0, 12 * 10**6
    yield "tile 1000x100 by 1x4", lambda: torch.tile(narrow, (1, 4)), 0, 2 * 10**6
    yield "transposed copy 1000x1000", lambda: x.t().contiguous(), 0, b
    yield "permuted copy 32x64x28x28 to channels last", lambda: y.permute(0, 2, 3, 1).contiguous(), 0, 8 * y.numel()
    yield "tril 1000x1000", lambda: torch.tril(x), 0, b
    yield "diagonal 1000x1000", lambda: torch.diagonal(x).clone(), 0, 72000
    yield "pad 32x64x28x28", lambda: F.pad(y, (1, 1, 1, 1)), 0, 8 * y.numel()
    yield "one_hot 10000 of 100", lambda: F.one_hot(words, 100), 0, 8 * 10**6


def distances(torch, F):
    a, b = torch.randn(1000, 128), torch.randn(1000, 128)
    yield "cosine_similarity 1000x128", lambda: F.cosine_similarity(a, b), 6 * 128000, 8 * 128000
    yield "cosine_similarity 1000x128: forward and backward", with_gradient(
        torch, F.cosine_similarity, torch.randn(1000, 128), torch.randn(1000, 128)), 16 * 128000, 24 * 128000
    big = torch.randn(64, 512, 256)
    yield "cosine_similarity 64x512x256", lambda: F.cosine_similarity(big, big, -1), 6 * big.numel(), 8 * big.numel()
    yield "normalize 1000x128", lambda: F.normalize(a), 3 * 128000, 8 * 128000
    for p in (1.0, 2.0):
        for n in (20, 300, 1000):
            c, d = torch.randn(n, 128), torch.randn(n, 128)
            yield (f"cdist p={p:g} {n}x{n}x128", lambda c=c, d=d, p=p: torch.cdist(c, d, p), 2 * n * n * 128,
                   4 * n * n + 1024 * n)
            yield (f"cdist p={p:g} {n}x{n}x128: forward and backward",
                   with_gradient(torch, lambda c, d, p=p: torch.cdist(c, d, p), torch.randn(n, 128),
                                 torch.randn(n, 128)),
                   6 * n * n * 128, 12 * n * n + 3072 * n)
        low = torch.randn(1000, 3)
        yield f"cdist p={p:g} 1000x1000x3", lambda p=p, low=low: torch.cdist(low, low, p), 6 * 10**6, 4 * 10**6
    yield "pairwise_distance 1000x128", lambda: F.pairwise_distance(a, b), 4 * 128000, 8 * 128000
    for time, batch, labels, length in ((50, 16, 20, 20), (200, 32, 100, 50)):
        p = torch.randn(time, batch, labels).log_softmax(2)
        t = torch.randint(1, labels, (batch, length))
        lengths = (torch.full((batch,), time), torch.full((batch,), length))
        case = f"ctc_loss {time}x{batch}x{labels}, targets of {length}"
        work = time * batch * (2 * length + 1)
        yield case, lambda p=p, t=t, n=lengths: F.ctc_loss(p, t, *n), 60 * work, 4 * p.numel()
        yield f"{case}: forward and backward", with_gradient(
            torch, lambda p, t=t, n=lengths: F.ctc_loss(p, t, *n), p.clone()), 120 * work, 12 * p.numel()


def transforms(torch):
    fft = importlib.import_module(torch.__name__ + ".fft")
    for n, batch in ((1024, 64), (1000, 64), (65536, 4), (256, 1)):
        x, at = torch.randn(batch, n), f"{batch}x{n}"
        z, half = torch.complex(x, torch.randn(batch, n)), fft.rfft(x)
        log = max(1, (n - 1).bit_length())
        yield f"rfft {at}", lambda x=x: fft.rfft(x), 2.5 * n * log * batch, 8 * n * batch
        yield f"fft {at}", lambda z=z: fft.fft(z), 5 * n * log * batch, 16 * n * batch
        yield f"irfft {at}", lambda half=half: fft.irfft(half), 2.5 * n * log * batch, 8 * n * batch
    image = torch.randn(8, 256, 256)
    yield "fft2 8x256x256", lambda: fft.fft2(image), 5 * 16 * image.numel(), 12 * image.numel()
    yield "rfft2 8x256x256", lambda: fft.rfft2(image), 2.5 * 16 * image.numel(), 8 * image.numel()


def linear_algebra(torch):
    linalg = importlib.import_module(torch.__name__ + ".linalg")
    for n in (3, 32, 200):
        a = torch.randn(n, n)
        s = a @ a.t() + n * torch.eye(n)
        b, low = torch.randn(n, 4), torch.tril(s)
        yield f"cholesky {n}x{n}", lambda s=s: linalg.cholesky(s), n**3 / 3, 8 * n * n
        yield (f"solve_triangular {n}x{n}", lambda low=low, b=b: linalg.solve_triangular(low, b, upper=False),
               4 * n * n, 4 * n * n)
        yield f"solve {n}x{n}", lambda s=s, b=b: linalg.solve(s, b), 2 * n**3 / 3, 4 * n * n
        yield f"inv {n}x{n}", lambda s=s: linalg.inv(s), 2 * n**3, 8 * n * n


def cases(torch):
    F = importlib.import_module(torch.__name__ + ".nn.functional")
    torch.manual_seed(0)
    yield from tables(torch, F)
    yield from choices(torch)
    yield from orders(torch)
    yield from scans(torch)
    yield from copies(torch, F)
    yield from distances(torch, F)
    yield from transforms(torch)
    yield from linear_algebra(torch)


if __name__ == "__main__":
    main(cases)

"""Compares csrc/rng*.c with an installed PyTorch, stream by stream.

Build the library and run, from the project's root (torch and numpy must be importable):

    cc -std=gnu11 -O3 -ffp-contract=off -shared -fPIC csrc/rng*.c -o build/rng.so -lm
    python tests/c/compare_rng.py build/rng.so

Each line is one stream: how many numbers were compared, how many differ in any bit, and by how many
units in the last place at most. Every comparison also checks that both generators end in the same
state, byte for byte. Exits with 1 when a stream that should be equal is not.
"""

# ruff: noqa: B023  (every lambda is called before its loop moves on)

import ctypes
import sys
import warnings

import numpy as np
import torch

lib = ctypes.CDLL(sys.argv[1])
P, I64, F64, INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double, ctypes.c_int
for name, args in {
    "rng_seed": [P, ctypes.c_uint64],
    "rng_get_state": [P, P],
    "rng_set_state": [P, P, ctypes.c_size_t],
    "rng_use_loops": [ctypes.c_char_p],
    "rng_uniform": [P, INT, P, I64, F64, F64],
    "rng_normal": [P, INT, P, I64, F64, F64],
    "rng_normal_serial": [P, INT, P, I64, F64, F64],
    "rng_exponential": [P, INT, P, I64, F64],
    "rng_cauchy": [P, INT, P, I64, F64, F64],
    "rng_log_normal": [P, INT, P, I64, F64, F64],
    "rng_geometric": [P, INT, P, I64, F64],
    "rng_bernoulli": [P, INT, P, I64, F64],
    "rng_bernoulli_each": [P, INT, P, I64, INT, P],
    "rng_dropout_mask": [P, P, I64, F64],
    "rng_randint": [P, INT, P, I64, I64, I64],
    "rng_random_from": [P, INT, P, I64, I64],
    "rng_random": [P, INT, P, I64],
    "rng_randperm": [P, INT, P, I64],
    "rng_multinomial": [P, INT, P, I64, I64, P, I64, INT, P],
}.items():
    getattr(lib, name).argtypes = args
lib.rng_multinomial_scratch.argtypes = [INT, I64, I64, I64, INT]
lib.rng_multinomial_scratch.restype = ctypes.c_size_t

TYPES = [
    torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.int16,
    torch.int8, torch.uint8, torch.bool, torch.uint16, torch.uint32, torch.uint64,
]  # fmt: skip
CODE = {t: i for i, t in enumerate(TYPES)}
FLOATS = TYPES[:4]
STATE = ctypes.create_string_buffer(16384)
SIZES = [*range(101), 127, 128, 1000, 2047, 2048, 2049, 4111]
BIG = 1_000_003
bad = 0


def ours_state():
    b = np.empty(5056, np.uint8)
    lib.rng_get_state(STATE, b.ctypes.data)
    return torch.from_numpy(b)


def bits(t):
    size = t.element_size()
    return t.view({1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[size]).to(torch.int64)


def ulps(a, b):
    """Distance in units in the last place of two float tensors of one dtype."""

    def line(t):
        i = bits(t)
        low = {2: -(2**15), 4: -(2**31), 8: -(2**63)}[t.element_size()]
        return torch.where(i < 0, low - i, i)

    return (line(a) - line(b)).abs().max().item()


class Tally:
    def __init__(self, name, exact=True):
        self.name, self.exact, self.n, self.diff, self.ulp, self.states = name, exact, 0, 0, 0.0, 0

    def add(self, a, b):
        self.n += a.numel()
        d = int((bits(a) != bits(b)).sum())
        self.diff += d
        if d and a.is_floating_point():
            self.ulp = max(self.ulp, ulps(a, b))

    def end(self):
        global bad
        wrong = (self.diff and self.exact) or self.states
        bad += bool(wrong)
        text = f"{self.name:44s} {self.n:9d} compared, {self.diff} differ"
        if self.diff:
            text += f", at most {self.ulp:g} ULP"
        if self.states:
            text += f", {self.states} END STATES DIFFER"
        print(text + ("   <-- WRONG" if wrong else ""), flush=True)


def stream(name, dtype, theirs, ours, sizes=SIZES, seeds=(0, 1, 2), big=True, exact=True):
    """theirs(empty tensor) fills it with torch; ours(code, pointer, n) with the library."""
    t = Tally(f"{name} {str(dtype)[6:]}", exact)
    for n in [*sizes, *([BIG] if big else [])]:
        for seed in seeds:
            torch.manual_seed(seed)
            lib.rng_seed(STATE, seed)
            torch.rand(seed)  # start at different places of the block
            skip = torch.empty(seed)
            lib.rng_uniform(STATE, 0, skip.data_ptr(), seed, 0.0, 1.0)
            a = theirs(torch.empty(n, dtype=dtype))
            b = torch.empty(n, dtype=dtype)
            if ours(CODE[dtype], b.data_ptr(), n) == -1:
                t.name += " (refused)"
                t.states += 1
            t.add(a, b)
            t.states += not torch.equal(torch.get_rng_state(), ours_state())
    t.end()


def both(name, dtypes, theirs, function, *args, **kw):
    for d in dtypes:
        stream(name, d, theirs, lambda c, p, n: getattr(lib, function)(STATE, c, p, n, *args), **kw)


def strided(n, dtype):
    return torch.empty(2 * n, dtype=dtype)[::2]


def continuous():
    for a, b in ((0.0, 1.0), (-0.3, 1.7), (5.0, 7.0), (0.1, 0.2), (-0.044, 0.044), (3.0, 3.0), (-1e-3, 1e4)):
        both(f"uniform_({a}, {b})", FLOATS, lambda t: t.uniform_(a, b), "rng_uniform", a, b)
    for m, s in ((0.0, 1.0), (0.3, 1.7), (-5.0, 0.02), (1.0, 0.0)):
        both(f"normal_({m}, {s})", FLOATS, lambda t: t.normal_(m, s), "rng_normal", m, s)
        both(f"normal_({m}, {s}) strided", FLOATS, lambda t: strided(len(t), t.dtype).normal_(m, s).contiguous(),
             "rng_normal_serial", m, s)  # fmt: skip
    for lam in (1.0, 1.7, 1e-3):
        both(f"exponential_({lam})", FLOATS, lambda t: t.exponential_(lam), "rng_exponential", lam)
    for m, s in ((0.0, 1.0), (0.3, 1.7)):
        both(f"cauchy_({m}, {s})", FLOATS, lambda t: t.cauchy_(m, s), "rng_cauchy", m, s)
        both(f"log_normal_({m}, {s})", FLOATS, lambda t: t.log_normal_(m, s), "rng_log_normal", m, s)


def discrete():
    for p in (0.3, 0.01, 0.9999):
        both(f"geometric_({p})", TYPES[:9], lambda t: t.geometric_(p), "rng_geometric", p)
    for p in (0.3, 0.0, 1.0, 0.1, 1e-12):
        both(f"bernoulli_({p})", TYPES[:10], lambda t: t.bernoulli_(p), "rng_bernoulli", p)
    for pt in FLOATS:
        for d in TYPES[:10]:
            g = torch.Generator().manual_seed(5)
            p = torch.rand(BIG, generator=g).to(pt)
            stream(f"bernoulli_(tensor of {str(pt)[6:]})", d, lambda t: t.bernoulli_(p[: len(t)]),
                   lambda c, q, n: lib.rng_bernoulli_each(STATE, c, q, n, CODE[pt], p.data_ptr()))  # fmt: skip
    for p in (0.5, 0.1, 0.3):
        stream(f"dropout({p})", torch.bool, lambda t: torch.nn.functional.dropout(torch.ones(len(t)), p) != 0,
               lambda c, q, n: lib.rng_dropout_mask(STATE, q, n, p))  # fmt: skip
    both("random_()", TYPES[:10], lambda t: t.random_(), "rng_random")
    powers = (1, 3, 7, 8, 11, 15, 16, 24, 27, 28, 29, 31, 32, 33, 40, 53, 62)
    tops = [2**k + d for k in powers for d in (-1, 0, 1, 2, 5)]
    bounds = (
        [(0, h) for h in tops if h > 0] + [(-h, h) for h in tops if h > 0] + [(-7 * h // 8, 5) for h in tops]
    )
    bounds += [(h, 2 * h + 9) for h in tops] + [(-3 * h - 7, -h) for h in tops]
    bounds = [b for b in bounds if -(2**63) <= b[0] and b[1] < 2**63]
    bounds += [(2**54 + a, 2**55 + b) for a in range(-5, 6) for b in range(-9, 10)]
    bounds += [(-(2**11) + a, 2**12 + b) for a in range(-18, 19) for b in range(-18, 19)]
    bounds += [(2**11 + a, 2**12 + b) for a in range(-18, 19) for b in range(-18, 19)]
    bounds += [(-(2**12) + a, -(2**11) + b) for a in range(-18, 19) for b in range(-18, 19)]
    bounds += [(-(2**63), 2**63 - 1), (0, 2**63 - 1), (-100, -50), (299, 1003), (10**6 + 7, 10**7 + 19)]
    for d in TYPES:
        t = Tally(f"random_(low, high) {str(d)[6:]}")
        used = refused = 0
        for low, high in bounds:
            torch.manual_seed(3)
            lib.rng_seed(STATE, 3)
            b = torch.empty(50, dtype=d)
            try:
                a = torch.empty(50, dtype=d).random_(low, high)
            except (RuntimeError, NotImplementedError):
                refused += 1
                continue
            used += 1
            if lib.rng_randint(STATE, CODE[d], b.data_ptr(), 50, low, high):
                print("     refused", d, low, high)
            t.add(a, b)
            t.states += not torch.equal(torch.get_rng_state(), ours_state())
        t.name += f", {used} ranges, {refused} refused"
        t.end()
        t = Tally(f"random_(low, None) {str(d)[6:]}")
        for low in (
            0,
            1,
            -5,
            77,
            -(2**63),
            -(2**31),
            -(2**24) - 1,
            2**24 - 3,
            -127,
            -(2**40) + 1,
            -1001,
            -(2**60) + 3,
        ):
            torch.manual_seed(3)
            lib.rng_seed(STATE, 3)
            b = torch.empty(50, dtype=d)
            try:
                a = torch.empty(50, dtype=d).random_(low, None)
            except (RuntimeError, NotImplementedError):
                continue
            lib.rng_random_from(STATE, CODE[d], b.data_ptr(), 50, low)
            t.add(a, b)
            t.states += not torch.equal(torch.get_rng_state(), ours_state())
        t.end()
    both("randint(0, 1000)", [torch.int64], lambda t: t.random_(0, 1000), "rng_randint", 0, 1000)
    both("randint(-5, 2**40)", [torch.int64], lambda t: t.random_(-5, 2**40), "rng_randint", -5, 2**40)


def samples():
    for d in [t for t in TYPES if t is not torch.bool]:
        top = {torch.int8: 127, torch.uint8: 255, torch.bfloat16: 256, torch.float16: 2048}.get(d, 40000)
        top = min(top, 32767) if d == torch.int16 else top
        try:
            torch.randperm(3, dtype=d)
        except RuntimeError:
            continue
        stream("randperm", d, lambda t: torch.randperm(len(t), dtype=t.dtype),
               lambda c, p, n: lib.rng_randperm(STATE, c, p, n), sizes=[*range(101), top],
               big=d == torch.int64)  # fmt: skip
    for d in FLOATS:
        for replacement in (True, False):
            t = Tally(f"multinomial {str(d)[6:]}, {'with' if replacement else 'without'} replacement")
            for n in (1, 2, 3, 10, 257, 5000):
                for rows in (1, 4):
                    for k in {1, 2, 7, n}:
                        if k > n and not replacement:
                            continue
                        for seed in range(10):
                            g = torch.Generator().manual_seed(seed + 17)
                            w = torch.rand(rows, n, generator=g, dtype=torch.float64).to(d) + 0.01
                            torch.manual_seed(seed)
                            lib.rng_seed(STATE, seed)
                            a = torch.multinomial(w, k, replacement=replacement)
                            b = torch.empty_like(a)
                            size = lib.rng_multinomial_scratch(CODE[d], rows, n, k, replacement)
                            scratch = ctypes.create_string_buffer(size)
                            lib.rng_multinomial(
                                STATE, CODE[d], w.data_ptr(), rows, n, b.data_ptr(), k, replacement, scratch
                            )
                            if k > 1 and not replacement:
                                # topk gives equal quotients in any order: compare them, not their places
                                torch.manual_seed(seed)
                                z = w / torch.empty_like(w).exponential_(1)
                                a, b = z.gather(1, a), z.gather(1, b)
                            t.add(a, b)
                            t.states += not torch.equal(torch.get_rng_state(), ours_state())
            t.end()


def states():
    t = Tally("states, both ways")
    for seed in (0, 1, 7, 2**32 - 1, 2**32, 2**63, 2**64 - 1, -1, -5):
        for n in (0, 1, 2, 3, 5, 622, 623, 624, 625, 1300):
            torch.manual_seed(seed)
            lib.rng_seed(STATE, seed % 2**64)
            t.states += not torch.equal(torch.get_rng_state(), ours_state())
            torch.rand(n)
            torch.randn(n % 4)
            st = torch.get_rng_state()
            assert lib.rng_set_state(STATE, st.data_ptr(), 5056) == 0
            t.states += not torch.equal(st, ours_state())
            a, b = torch.randn(5, dtype=torch.float64), torch.empty(5, dtype=torch.float64)
            lib.rng_normal(STATE, 1, b.data_ptr(), 5, 0.0, 1.0)
            t.add(a, b)
            torch.set_rng_state(ours_state())
            a = torch.rand(1300)
            b = torch.empty(1300)
            lib.rng_uniform(STATE, 0, b.data_ptr(), 1300, 0.0, 1.0)
            t.add(a, b)
    t.end()


warnings.simplefilter("ignore")
for loops in (b"avx512", b"avx2", b"base"):
    if lib.rng_use_loops(loops):
        continue
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}; loops {loops.decode()}")
    states()
    continuous()
    discrete()
    samples()
print("streams that are wrong:", bad)
sys.exit(bool(bad))

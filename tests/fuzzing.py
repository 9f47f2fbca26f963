"""Calls every public function with hostile arguments, in a process of its own.

    python -m tests.fuzzing SEED [--rounds N] [--log FILE] [NAME ...]

prints what went wrong, a line each, and "done N calls" at the end; a process that ends otherwise has crashed, and the
log holds the call that did it. Any ordinary exception is fine. Not fine: a crash, SystemError, a call that takes eight
seconds, inputs that a failed call has changed, messages that speak of the binding's inside, and tensors that stay
behind.
"""

import faulthandler
import gc
import importlib
import inspect
import os
import random
import signal
import sys
import time
import warnings

import numpy as np

import autodiffc as T
from autodiffc._native import ffi, lib

FINE = (
    TypeError,
    ValueError,
    RuntimeError,
    IndexError,
    NotImplementedError,
    MemoryError,
    OverflowError,
    ZeroDivisionError,
    AssertionError,
    AttributeError,
    KeyError,
    BufferError,
    np.linalg.LinAlgError,
)
# What changes the process, waits for the world, or is not a function of tensors.
SKIP = {
    "compile",
    "install",
    "uninstall",
    "set_num_threads",
    "set_num_interop_threads",
    "set_default_dtype",
    "save",
    "load",
    "set_printoptions",
    "seed",
    "fork_rng",
    "set_default_device",
    "set_default_tensor_type",
    "Any",
    "no_grad",
    "__del__",
    "__init_subclass__",
    "__subclasshook__",
    "__new__",
    "__class__",
    "__getattribute__",
    "__setattr__",
    "__delattr__",
    "__init__",
    "__sizeof__",
    "__dir__",
    "__class_getitem__",
    "__doc__",
    "__dict__",
    "__weakref__",
    "__setstate__",
    "register_hook",
    "register_post_accumulate_grad_hook",
    "set_deterministic_debug_mode",
    "use_deterministic_algorithms",
    "set_flush_denormal",
    "__module__",
    "__slots__",
    "set_rng_state",
    "module_load",
    "__torch_function__",
    "__getstate__",
    "__reduce__",
    "has_names",
}
MODULES = [
    "autodiffc",
    "autodiffc.nn.functional",
    "autodiffc.linalg",
    "autodiffc.special",
    "autodiffc.nn.init",
    "autodiffc.nn.utils",
    "autodiffc.fft",
    "autodiffc.sparse",
    "autodiffc.autograd",
]
DTYPES = (
    [T.float32] * 6
    + [T.float64] * 3
    + [T.int64] * 3
    + [T.bool, T.bool, T.uint8, T.int8, T.int16, T.int32, T.float16, T.bfloat16]
)
SHAPES = [
    (),
    (0,),
    (1,),
    (2,),
    (3,),
    (5,),
    (17,),
    (2, 3),
    (3, 2),
    (3, 3),
    (4, 4),
    (1, 3),
    (3, 1),
    (0, 3),
    (3, 0),
    (2, 0, 3),
    (2, 3, 4),
    (2, 2, 3, 3),
    (1, 1, 1, 1),
    (2, 1, 3, 1, 2),
    (2, 1, 2, 1, 2, 1, 2),
    (1,) * 63 + (2,),
    (1,) * 64,
    (600,),
    (40, 40),
    (2, 1025),
]
HUGE = [1 << 31, 1 << 40, 1 << 62, (1 << 63) - 1, -(1 << 63), 1 << 63, -(1 << 63) - 1, 1 << 64, 1 << 200]
ODD = [
    None,
    "hello",
    "cuda",
    "mean",
    "cpu",
    "sum",
    b"x",
    object(),
    1j,
    [],
    (),
    {},
    [None],
    ["a"],
    [[1, 2], [3]],
    float("nan"),
    float("inf"),
    -float("inf"),
    1e308,
    5e-324,
    True,
    False,
    int,
    T,
    Ellipsis,
    slice(None),
    slice(5, 1, -1),
    T.float32,
    T.int64,
    T.bool,
    print,
    range(3),
    {1, 2},
    T.device("cpu"),
    T.strided,
    T.preserve_format,
    T.contiguous_format,
    np.float32(1.5),
    np.int8(3),
    np.array(2),
    np.array([1, 2, 3]),
    np.array([1j]),
    np.array(["a"]),
    np.zeros(0),
    np.array([None]),
    np.arange(6.0).reshape(2, 3)[:, ::-1],
    np.float16(2),
    np.datetime64("2020"),
]


class Slow(BaseException):
    """The call has had its time."""


def too_slow(number, frame):
    raise Slow


class Fuzzer:
    """A source of arguments; everything comes from one seed."""

    def __init__(self, seed):
        self.r = random.Random(seed)  # a string: its bytes, not its hash

    def tensor(self, kind=None):
        r = self.r
        shape = r.choice(SHAPES[:21]) if r.random() < 0.95 else r.choice(SHAPES)
        d = r.choice(DTYPES) if kind is None else kind
        t = T.from_numpy(np.array([r.uniform(-3, 3) for _ in range(min(int(np.prod(shape)), 30))] or [1.0]))
        t = t[T.arange(int(np.prod(shape))) % t.numel()].reshape(shape).to(d)
        how = r.random()
        if how < 0.05 and shape:
            t = t.transpose(0, -1)
        elif how < 0.10:
            t = t.expand((3, *shape)) if len(shape) < 60 else t
        elif how < 0.15 and shape and shape[0] > 1:
            t = t[::2]
        elif how < 0.18 and shape:
            t = t.narrow(0, shape[0] // 2, shape[0] - shape[0] // 2)
        elif how < 0.20 and d.is_floating_point and t.numel():
            t.reshape(-1)[0] = r.choice([float("nan"), float("inf"), -float("inf")])
        elif how < 0.22:
            a = np.zeros(shape, np.float32)
            a.flags.writeable = False
            t = T.from_numpy(a)
        elif how < 0.23:
            t = T.zeros(3).as_strided((2, 2), (1, 1))
        elif how < 0.24:
            t = t.expand((1 << 40, *shape)) if r.random() < 0.3 and not t.numel() else t
        if t.dtype.is_floating_point and r.random() < 0.3:
            t = t.detach().requires_grad_()
            if r.random() < 0.3:
                t = t * 1
        return t

    def integer(self):
        r = self.r
        how = r.random()
        if how < 0.75:
            return r.choice([0, 1, 2, 3, -1, -2, -3, 0, 1])
        if how < 0.9:
            return r.choice([4, 5, 7, 64, 65, 100, -64, -65, -100, 300])
        return r.choice(HUGE)

    def number(self):
        r = self.r
        how = r.random()
        if how < 0.6:
            return r.choice([0.5, 1.0, 2.0, -1.0, 0.0, 1e-5, 0.1])
        if how < 0.8:
            return self.integer()
        return r.choice([float("nan"), float("inf"), -float("inf"), 1e308, 1e-320, True, -0.0, 1e40])

    def integers(self):
        r = self.r
        out = [self.integer() for _ in range(r.choice([0, 1, 1, 2, 2, 2, 3, 4, 6]))]
        if r.random() < 0.02:
            out = [1] * r.choice([64, 65, 300])
        return tuple(out) if r.random() < 0.5 else out

    def index(self):
        r = self.r
        one = [
            lambda: self.integer(),
            lambda: slice(*[self.r.choice([None, self.integer()]) for _ in range(3)]),
            lambda: None,
            lambda: Ellipsis,
            lambda: self.tensor(T.bool),
            lambda: self.tensor(T.int64),
            lambda: True,
            lambda: [0, 1],
            lambda: T.zeros((2,), dtype=T.int64),
            lambda: T.ones((3,), dtype=T.bool),
            lambda: self.odd(),
            lambda: [self.integer() for _ in range(2)],
        ]
        if r.random() < 0.5:
            return r.choice(one)()
        return tuple(r.choice(one)() for _ in range(r.choice([0, 1, 2, 3, 5])))

    def odd(self):
        return self.r.choice(ODD)

    def any(self):
        r = self.r
        return r.choice(
            [
                self.tensor,
                self.tensor,
                self.tensor,
                self.integer,
                self.number,
                self.integers,
                self.odd,
                self.odd,
                lambda: [self.tensor() for _ in range(r.choice([0, 1, 2, 3]))],
            ]
        )()

    def argument(self, name):
        """Something for a parameter of this name: most often of the type that is meant."""
        r = self.r
        if r.random() < 0.12:
            return self.any()
        if (
            name
            in (
                "dim",
                "dim0",
                "dim1",
                "dims",
                "axis",
                "axes",
                "axis0",
                "axis1",
                "dim2",
                "start_dim",
                "end_dim",
                "source",
                "destination",
            )
            or "dim" in name
        ):
            return self.integer() if r.random() < 0.7 else self.integers()
        if name in (
            "size",
            "sizes",
            "shape",
            "stride",
            "repeats",
            "reps",
            "split_size_or_sections",
            "pad",
            "physical_layout",
            "sections",
            "split_size",
            "split_sizes",
            "indices_or_sections",
            "shifts",
            "output_size",
            "normalized_shape",
        ):
            return self.integers() if r.random() < 0.7 else self.integer()
        if name in ("tensors", "inputs", "arrays", "operands"):
            return [self.tensor() for _ in range(r.choice([0, 1, 2, 2, 3]))]
        if name in ("index", "indices", "indexes"):
            return self.tensor(T.int64) if r.random() < 0.8 else self.index()
        if name in ("mask", "condition"):
            return self.tensor(T.bool)
        if name in ("target",):
            return self.tensor(r.choice([T.int64, None]))
        if name in ("dtype", "out_dtype", "output_dtype"):
            return r.choice([None, *DTYPES, float, int, T.complex64 if hasattr(T, "complex64") else None, "float32"])
        if name in ("device",):
            return r.choice([None, "cpu", "cpu", "cuda", "cuda:7", T.device("cpu"), 0, "meta", "nonsense"])
        if name in (
            "keepdim",
            "largest",
            "sorted",
            "unbiased",
            "descending",
            "stable",
            "requires_grad",
            "training",
            "inplace",
            "upper",
            "left",
            "unitriangular",
            "accumulate",
            "return_inverse",
            "return_counts",
            "full",
            "log_target",
            "log_input",
            "hermitian",
            "some",
            "transpose",
            "equal_nan",
            "right",
            "out_int32",
            "sparse",
            "include_self",
        ):
            return r.choice([True, False])
        if name in ("reduction",):
            return r.choice(["mean", "sum", "none", "none", "nonsense"])
        if name in ("reduce",):
            return r.choice(["sum", "prod", "mean", "amax", "amin", "multiply", "add", "no"])
        if name in ("equation",):
            return r.choice(
                ["ij,jk->ik", "ii->i", "i,j", "...i,i", "ij->", "i->ii", "ab,bc", "", "->", "i,i->i", "...", "ijk,k"]
            )
        if name in (
            "k",
            "n",
            "steps",
            "num_samples",
            "N",
            "offset",
            "diagonal",
            "r",
            "num_classes",
            "bins",
            "chunks",
            "low",
            "high",
            "start",
            "end",
            "step",
            "length",
            "rows",
            "row",
            "col",
            "row_offset",
            "storage_offset",
            "correction",
            "padding_idx",
            "ignore_index",
            "minlength",
            "exponent",
            "chunk",
            "decimals",
        ):
            return self.integer() if r.random() < 0.85 else self.number()
        if name in (
            "p",
            "alpha",
            "beta",
            "value",
            "fill_value",
            "eps",
            "lambd",
            "lower",
            "rtol",
            "atol",
            "rcond",
            "tol",
            "delta",
            "margin",
            "slope",
            "negative_slope",
            "min",
            "max",
            "min_val",
            "max_val",
            "norm_type",
            "max_norm",
            "mean",
            "std",
            "temperature",
            "tau",
            "q",
            "label_smoothing",
            "other",
            "exponent",
            "weight_",
            "threshold",
            "ord",
        ):
            return self.number() if r.random() < 0.6 else self.tensor()
        if name in ("mode", "interpolation", "indexing", "approximate", "rounding_mode", "driver"):
            return r.choice(
                [
                    "linear",
                    "constant",
                    "reflect",
                    "replicate",
                    "circular",
                    "ij",
                    "xy",
                    "tanh",
                    "none",
                    "floor",
                    "trunc",
                    None,
                    "lower",
                    "higher",
                    "midpoint",
                    "nearest",
                    "no",
                    "r",
                    "reduced",
                    "complete",
                    "gelsd",
                ]
            )
        if name in ("generator",):
            return r.choice([None, None, T.Generator(), 5])
        if name in ("out",):
            return r.choice([None, None, self.tensor(), self.tensor(), (self.tensor(), self.tensor())])
        if name in ("idx", "key", "item"):
            return self.index()
        return self.tensor() if r.random() < 0.85 else self.any()

    def arguments(self, fn, receiver=None):
        r = self.r
        try:
            signature = inspect.signature(fn)
        except (TypeError, ValueError):
            signature = None
        args, kwargs = [], {}
        if receiver is not None:
            args.append(receiver)
        if signature is None or r.random() < 0.05:
            args += [self.any() for _ in range(r.choice([0, 1, 1, 2, 2, 3, 4]))]
        else:
            if getattr(fn, "__name__", "") in ("__getitem__", "__setitem__", "__delitem__", "index_put", "index_put_"):
                args.append(self.index())
            for p in list(signature.parameters.values())[len(args) :]:
                if p.kind is p.VAR_POSITIONAL:
                    values = self.argument(
                        p.name if p.name != "args" else r.choice(["size", "dim", "tensors", "other"])
                    )
                    args += values if isinstance(values, (list, tuple)) and r.random() < 0.7 else [values]
                elif p.kind is p.VAR_KEYWORD:
                    if r.random() < 0.1:
                        kwargs[r.choice(["out", "dtype", "dim", "nonsense", "keepdim"])] = self.any()
                elif p.default is not p.empty and r.random() < 0.55:
                    if p.kind is not p.KEYWORD_ONLY and r.random() < 0.3:
                        continue  # what follows goes by name
                elif p.kind is p.KEYWORD_ONLY or (kwargs and p.kind is not p.POSITIONAL_ONLY):
                    kwargs[p.name] = self.argument(p.name)
                elif p.default is not p.empty:
                    kwargs[p.name] = self.argument(p.name)
                else:
                    args.append(self.argument(p.name))
        tensors = [a for a in args if isinstance(a, T.Tensor)]
        if tensors and r.random() < 0.1:  # aliases: the same tensor twice, or a view of it
            t = r.choice(tensors)
            if r.random() < 0.5 and t.ndim:
                t = t[1:] if r.random() < 0.5 else t.transpose(0, -1)
            if r.random() < 0.5:
                kwargs["out"] = t
            else:
                args[r.randrange(len(args))] = t
        return args, kwargs


def targets():
    """(name, function, whether it is a method) of everything public."""
    found = []
    for path in MODULES:
        try:
            module = importlib.import_module(path)
        except ModuleNotFoundError:
            continue
        for name in sorted(dir(module)):
            fn = getattr(module, name, None)
            if name in SKIP or name.startswith("_") or not callable(fn) or name == "Tensor":
                continue
            if getattr(fn, "__module__", "") in ("autodiffc._core", "autodiffc._ops._call", "autodiffc._native"):
                continue  # what a module imports for its own use
            if (
                inspect.isclass(fn)
                and not name.endswith("Tensor")
                and name not in ("Size", "device", "Generator", "finfo", "iinfo")
            ):
                continue
            found.append((f"{path}.{name}".replace("autodiffc", "T", 1), fn, False))
    for name in sorted(dir(T.Tensor)):
        fn = getattr(T.Tensor, name, None)
        if name not in SKIP and callable(fn) and not name.startswith("_backward"):
            found.append(("Tensor." + name, fn, True))
    return found


def tensors_in(x, out):
    if isinstance(x, T.Tensor):
        out.append(x)
    elif isinstance(x, (list, tuple)):
        for y in x:
            tensors_in(y, out)
    elif isinstance(x, dict):
        tensors_in(list(x.values()), out)
    return out


def state(t):
    """What a failed call must leave as it was."""
    if t.numel() > 10000:
        values = None
    else:
        values = t.detach().clone().reshape(-1)
        values = bytes(np.asarray(values.float() if values.dtype in (T.bfloat16, T.float16) else values).tobytes())
    return values, tuple(t.shape), tuple(t.stride()), t.storage_offset(), t.dtype, t.requires_grad, t.is_leaf


def short(x):
    if isinstance(x, T.Tensor):
        return (
            f"<{str(x.dtype)[6:]}{list(x.shape)}{'/' + str(list(x.stride())) if not x.is_contiguous() else ''}"
            f"{' grad' if x.requires_grad else ''}>"
        )
    if isinstance(x, (list, tuple)):
        return "[" + ", ".join(map(short, x)) + "]"
    return repr(x)[:60]


def describe(name, args, kwargs):
    return f"{name}({', '.join([*map(short, args), *[f'{k}={short(v)}' for k, v in kwargs.items()]])})"


def live():
    v = ffi.new("int64_t[8]")
    lib.ad_memory_stats(v)
    return tuple(v[5:8])


def call(name, fn, args, kwargs, problems, log):
    text = describe(name, args, kwargs)
    if log is not None:
        log.seek(0)
        log.truncate()
        log.write(text + "\n")
        log.flush()
    inputs = tensors_in([args, kwargs], [])
    before = [state(t) for t in inputs]
    faulthandler.dump_traceback_later(30, exit=True)
    signal.setitimer(signal.ITIMER_REAL, 8)
    try:
        result = fn(*args, **kwargs)
        if (
            name != "T.empty"
            and isinstance(result, T.Tensor)
            and result.requires_grad
            and result.numel() < 1000
            and result.dtype.is_floating_point
        ):
            grown = [t for t in inputs if t.requires_grad and t.is_leaf]
            try:
                T.autograd.grad(result.sum(), grown, allow_unused=True)
            except FINE:
                pass
    except FINE as e:
        if isinstance(e, SystemError):
            problems.append(f"{text}: SystemError {e}")
        if any(s in str(e) for s in ("internal:", "'_h'", "lib.", "cdata", "initializer", "from _native")):
            problems.append(f"{text}: unclear {type(e).__name__}: {e}")
        for t, b in zip(inputs, before):
            after = state(t)
            if after != b:
                problems.append(
                    f"{text}: raised {type(e).__name__}: {str(e)[:100]} and changed {short(t)}: {b} -> {after}"[:600]
                )
    except BaseException as e:
        if isinstance(e, KeyboardInterrupt):
            raise
        problems.append(f"{text}: {type(e).__name__}: {e}")
    signal.setitimer(signal.ITIMER_REAL, 0)
    faulthandler.cancel_dump_traceback_later()


def run(seed, rounds, seconds=1e9, names=(), log=None, repeat=20):
    """Rounds over all targets, of so many calls each. The calls of a function depend on the seed and its name alone.
    Returns the number of calls and the problems."""
    problems, calls = [], 0
    chosen = [t for t in targets() if not names or t[0].split(".")[-1] in names or t[0] in names]
    end = time.perf_counter() + seconds
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    dtype = T.get_default_dtype()
    for n in range(rounds):
        for name, fn, method in chosen:
            fuzz = Fuzzer(f"{seed} {n} {name}")
            T.manual_seed(0)
            base = live()
            for _ in range(repeat):
                receiver = fuzz.tensor() if method else None
                args, kwargs = fuzz.arguments(fn, receiver)
                call(name, fn, args, kwargs, problems, log)
                calls += 1
            args = kwargs = receiver = None
            if live() != base and gc.collect() >= 0 and live() != base:
                problems.append(f"{name}: (tensors, nodes, storages) went from {base} to {live()}")
            if time.perf_counter() > end or len(problems) > 200:
                return calls, problems
        T.set_default_dtype(dtype)
    return calls, problems


def main():
    import argparse
    import resource

    p = argparse.ArgumentParser()
    p.add_argument("seed")
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--repeat", type=int, default=20)
    p.add_argument("--seconds", type=float, default=1e9)
    p.add_argument("--log", help="a file that holds the call under way")
    p.add_argument("names", nargs="*")
    a = p.parse_args()
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
    faulthandler.enable()
    signal.signal(signal.SIGALRM, too_slow)
    with open(a.log or os.devnull, "w") as log:
        calls, problems = run(a.seed, a.rounds, a.seconds, a.names, log if a.log else None, a.repeat)
    for problem in problems:
        print(problem)
    print(f"done {calls} calls, {len(problems)} problems")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())

"""Random programs of views and in-place writes, and ways to run them.

A program is a list of instructions on numbered variables; it is plain data, so that one program can be run by
different libraries, and by a reference without any in-place writes or views.
"""

import contextlib

import numpy as np

SHAPES = [(4, 3), (3, 4), (6,), (2, 3, 2), (3, 3), ()]


def views_of(shape):
    """The views that a tensor of this size may be asked for: (name, arguments, sizes of the results)."""
    n = len(shape)
    found = [("alias", (), [shape]), ("unsqueeze", (n // 2,), [(*shape[: n // 2], 1, *shape[n // 2 :])])]
    for d, size in enumerate(shape):
        rest = (*shape[:d], *shape[d + 1 :])
        if size:
            found.append(("select", (d, size - 1), [rest]))
            found.append(("narrow", (d, size // 3, (size + 1) // 2), [(*shape[:d], (size + 1) // 2, *shape[d + 1 :])]))
        if 1 < size <= 4:
            found.append(("unbind", (d,), [rest] * size))
        if size > 1:
            parts = [(size + 1) // 2, size - (size + 1) // 2]
            found.append(("split", (parts, d), [(*shape[:d], p, *shape[d + 1 :]) for p in parts]))
        if size == 1:
            found.append(("squeeze", (d,), [rest]))
            found.append(("expand", ((*shape[:d], 3, *shape[d + 1 :]),), [(*shape[:d], 3, *shape[d + 1 :])]))
    if n >= 2:
        found.append(("transpose", (0, n - 1), [(shape[-1], *shape[1:-1], shape[0])]))
        found.append(("diagonal", (0, 0, 1), [(*shape[2:], min(shape[:2]))]))
    if n:
        found.append(("view", ((int(np.prod(shape)),),), [(int(np.prod(shape)),)]))
    return found


WRITES = ["mul_", "add_", "sin_", "exp_", "mul_number", "fill_", "zero_", "copy_", "square_", "sub_"]
READS = ["mul", "add", "sin", "exp", "tanh", "sub", "square"]


def program(seed, length=12):
    """Random instructions. Each is (kind, name, variable, other or None, arguments, context)."""
    rng = np.random.RandomState(seed)
    leaves = [SHAPES[rng.randint(len(SHAPES))] for _ in range(2)]
    shapes = list(leaves)
    code = []
    for _ in range(length):
        a = rng.randint(len(shapes))
        if rng.rand() < 0.6:  # rather what was made lately
            a = len(shapes) - 1 - rng.randint(min(len(shapes), 4))
        context = ["", "", "", "", "", "", "no_grad"][rng.randint(7)]
        kind = rng.rand()
        others = [k for k, s in enumerate(shapes) if s == shapes[a]]
        b = others[rng.randint(len(others))]
        if kind < 0.4:
            options = views_of(shapes[a])
            name, args, results = options[rng.randint(len(options))]
            # What a view made under no_grad is allowed has rules of its own, tested apart
            code.append(("view", name, a, None, args, ""))
            shapes += results
        elif kind < 0.75:
            name = WRITES[rng.randint(len(WRITES))]
            code.append(("write", name, a, b, (float(np.round(rng.uniform(0.5, 1.5), 2)),), context))
        elif kind < 0.95:
            code.append(("read", READS[rng.randint(len(READS))], a, b, (), context))
            shapes.append(shapes[a])
        else:
            code.append(("detach", "detach", a, None, (), context))
            shapes.append(shapes[a])
    return leaves, code


def leaf_values(leaves, seed):
    rng = np.random.RandomState(1000 + seed)
    return [rng.uniform(0.2, 1.2, s) for s in leaves]


def run(T, leaves, code, values, wants=(True, True)):
    """Runs a program with in-place writes. Returns (variables, leaves, [(instruction, error)])."""
    xs = [T.tensor(v.tolist(), dtype=T.float64, requires_grad=w) for v, w in zip(values, wants)]
    variables, errors = list(xs), []
    for k, (kind, name, a, b, args, context) in enumerate(code):
        with T.no_grad() if context else contextlib.nullcontext():
            x, y = variables[a], variables[b] if b is not None else None
            if x is None or (b is not None and y is None):
                made = None
            else:
                try:
                    made = step(T, kind, name, x, y, args)
                except RuntimeError as e:
                    errors.append((k, str(e)))
                    made = None
        if kind == "view":
            count = _results(leaves, code, k)
            variables += list(made) if made is not None else [None] * count
        elif kind in ("read", "detach"):
            variables.append(made)
    return variables, xs, errors


def _all_shapes(leaves, code, until):
    shapes = list(leaves)
    for kind, name, a, _b, args, _ in code[:until]:
        if kind == "view":
            shapes += next(r for n, g, r in views_of(shapes[a]) if n == name and g == args)
        elif kind in ("read", "detach"):
            shapes.append(shapes[a])
    return shapes


def _results(leaves, code, k):
    return len(_all_shapes(leaves, code, k + 1)) - len(_all_shapes(leaves, code, k))


def step(T, kind, name, x, y, args):
    if kind == "detach":
        return x.detach()
    if kind == "view":
        if name == "alias":
            return (x.view_as(x),)
        made = getattr(x, name)(*args)
        return tuple(made) if isinstance(made, (tuple, list)) else (made,)
    if kind == "write":
        if name == "mul_number":
            return x.mul_(args[0])
        if name == "square_":
            return x.mul_(x)
        if name == "fill_":
            return x.fill_(args[0])
        return getattr(x, name)(y) if name in ("mul_", "add_", "copy_", "sub_") else getattr(x, name)()
    if name == "square":
        return x * x
    return getattr(x, name)(y) if name in ("mul", "add", "sub") else getattr(x, name)()


def total(T, variables, seed):
    """A scalar in which every variable that is left takes part, each with weights of its own."""
    rng = np.random.RandomState(2000 + seed)
    result = None
    for v in variables:
        w = rng.uniform(-1, 1, tuple(v.shape) if v is not None else ())
        if v is None:
            continue
        term = (v * T.tensor(w.tolist(), dtype=T.float64)).sum()
        result = term if result is None else result + term
    return result


# ---- the reference: memory as values that are replaced, never written ----


class Memory:
    """A flat tensor; `now` is what it holds. Detached tensors have the same values with a history of their own."""

    def __init__(self, now, twins=None):
        self.now = now
        self.twins = twins if twins is not None else []
        self.twins.append(self)


class Var:
    """Some positions of a memory."""

    def __init__(self, memory, index):
        self.memory, self.index = memory, index

    def read(self, T):
        picked = self.memory.now.index_select(0, T.tensor(self.index.reshape(-1).tolist(), dtype=T.int64))
        return picked.reshape(self.index.shape)


def reference(T, leaves, code, values, failed):
    """Runs a program without views and in-place writes; instructions in `failed` are left out."""
    xs = [T.tensor(v.tolist(), dtype=T.float64, requires_grad=True) for v in values]
    variables = [Var(Memory(x.reshape(-1)), np.arange(x.numel()).reshape(tuple(x.shape))) for x in xs]
    for k, (kind, name, a, b, args, context) in enumerate(code):
        v = variables[a]
        w = variables[b] if b is not None else None
        bad = k in failed or v is None or (b is not None and w is None)
        if kind == "view":
            count = _results(leaves, code, k)
            if bad:
                variables += [None] * count
                continue
            variables += [Var(v.memory, i) for i in index_views(name, v.index, args)]
        elif kind == "detach":
            variables.append(None if bad else Var(Memory(v.memory.now.detach(), v.memory.twins), v.index))
        elif kind == "read":
            if bad:
                variables.append(None)
                continue
            made = step(T, kind, name, v.read(T), w.read(T), args)
            made = made.detach() if context else made
            variables.append(Var(Memory(made.reshape(-1)), np.arange(made.numel()).reshape(tuple(made.shape))))
        elif not bad:
            write(T, name, v, w, args, bool(context))
    return variables, xs


def index_views(name, index, args):
    if name == "alias":
        return [index]
    if name == "unsqueeze":
        return [np.expand_dims(index, args[0])]
    if name == "select":
        return [np.take(index, args[1], args[0])]
    if name == "narrow":
        return [np.take(index, range(args[1], args[1] + args[2]), args[0])]
    if name == "unbind":
        return [np.take(index, k, args[0]) for k in range(index.shape[args[0]])]
    if name == "split":
        first = args[0][0]
        return np.split(index, [first], args[1])
    if name == "squeeze":
        return [np.squeeze(index, args[0])]
    if name == "expand":
        return [np.broadcast_to(index, args[0])]
    if name == "transpose":
        return [np.swapaxes(index, *args)]
    if name == "diagonal":
        return [np.diagonal(index, *args)]
    return [index.reshape(args[0])]


OUT_OF_PLACE = {"mul_": "mul", "add_": "add", "sub_": "sub", "sin_": "sin", "exp_": "exp", "square_": "square"}


def write(T, name, v, w, args, quiet):
    """v's memory with the result of the in-place operation where v shows."""
    x = v.read(T)
    if name == "mul_number":
        new = x * args[0]
    elif name == "fill_":
        new = T.full(tuple(x.shape), args[0], dtype=T.float64)
    elif name == "zero_":
        new = T.zeros(tuple(x.shape), dtype=T.float64)
    elif name == "copy_":
        new = w.read(T)
    else:
        new = step(T, "read", OUT_OF_PLACE[name], x, w.read(T), args)
    old = v.memory.now
    place = T.tensor(v.index.reshape(-1).tolist(), dtype=T.int64)
    written = old.index_copy(0, place, new.reshape(-1))
    for memory in v.memory.twins:
        if quiet or memory is not v.memory:  # the values change, and not the history
            memory.now = memory.now + (written - memory.now).detach()
        else:
            memory.now = written

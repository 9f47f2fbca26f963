"""Products of matrices and what is made of them. The rows are in csrc/ops/matmul.c; decompositions are in
autodiffc.linalg."""

from .. import _dtype
from .._core import OP, ComplexOperand, SparseOperand, TensorBase, wrap
from .._native import lib
from . import _call, complex_names, sparse

_MM, _BMM = OP["mm"], OP["bmm"]
_matmul, _linear = lib.ad_matmul, lib.ad_linear


def _check(name, *named):
    for k, (argument, t) in enumerate(named):
        if not isinstance(t, TensorBase):
            raise _call.not_a_tensor(name, t, argument, k + 1)


def _two(op, a, b, name, second):
    if not isinstance(a, TensorBase) or not isinstance(b, TensorBase):
        _check(name, ("input", a), (second, b))
    return lib.ad_op2(op, a._h, b._h)


def _done(h, out=None):
    return wrap(h) if out is None else _call.to_out(h, out)


def _to(t, out):
    """A result into `out`, when given."""
    if out is None:
        return t
    lib.ad_retain(t._h)
    return _call.to_out(t._h, out)


# ---- products ----


def matmul(input, other, *, out=None):
    """The matrix product over the last two dimensions; the others broadcast, vectors count as a row or column.

    Both of one dtype, bool refused. RuntimeError when the sizes do not fit or an operand is 0-d.
    """
    if not isinstance(input, TensorBase) or not isinstance(other, TensorBase):
        _check("matmul", ("input", input), ("other", other))
    try:
        h = _matmul(input._h, other._h)
    except SparseOperand:
        return _to(sparse.product("matmul", input, other), out)
    except ComplexOperand:
        return complex_names.ComplexTensor.__rmatmul__(other, input)
    return _done(h, out)


def mm(input, mat2, *, out=None):
    """The product of two matrices. RuntimeError unless both are 2-D, of one dtype and of sizes that fit."""
    try:
        h = _two(_MM, input, mat2, "mm", "mat2")
    except SparseOperand:
        return _to(sparse.product("mm", input, mat2), out)
    return _done(h, out)


def bmm(input, mat2, *, out=None):
    """The products of two batches of matrices, [b, n, m] and [b, m, p]. RuntimeError for other sizes."""
    return _done(_two(_BMM, input, mat2, "bmm", "mat2"), out)


def mv(input, vec, *, out=None):
    """A matrix times a vector. RuntimeError unless 2-D and 1-D of sizes that fit."""
    _check("mv", ("input", input), ("vec", vec))
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {vec.ndim}, {input.ndim}, {vec.ndim}")
    return _done(_matmul(input._h, vec._h), out)


def dot(input, tensor, *, out=None):
    """The sum of products of two vectors of equal size and dtype. RuntimeError for others."""
    _check("dot", ("input", input), ("tensor", tensor))
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    if input.dtype is not tensor.dtype:
        raise RuntimeError(f"dot : expected both vectors to have same dtype, but found {input.dtype} and "
                           f"{tensor.dtype}")
    return _done(_matmul(input._h, tensor._h), out)


def vdot(input, other, *, out=None):
    """dot(); conjugation does nothing to real tensors."""
    return dot(input, other, out=out)


def inner(input, other, *, out=None):
    """Sums of products over the last dimension of both; with a 0-d operand the product by it."""
    _check("inner", ("input", input), ("other", other))
    if not input.ndim or not other.ndim:
        return _call.binary(OP["mul"], input, other, out)
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError("inner() the last dimension must match on both input tensors but got shapes "
                           f"{list(input.shape)} and {list(other.shape)}")
    return _to(tensordot(input, other, ([-1], [-1])), out)


def outer(input, vec2, *, out=None):
    """The products of each element of one vector with each of the other. RuntimeError unless both are 1-D."""
    _check("outer", ("input", input), ("vec2", vec2))
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(f"outer: Expected 1-D argument self and vec2, but got {input.ndim}-D and {vec2.ndim}-D")
    return _call.binary(OP["mul"], input.unsqueeze(1), vec2, out)


def ger(input, vec2, *, out=None):
    """outer()."""
    return outer(input, vec2, out=out)


def linear(input, weight, bias=None):
    """input @ weight.T + bias. input: [*, in]; weight: [out, in] or [in]; bias: [out]. RuntimeError when the sizes or
    dtypes do not fit."""
    try:
        h = _linear(input._h, weight._h, 0 if bias is None else bias._h)
    except AttributeError:
        _check("linear", ("input", input), ("weight", weight), ("bias", weight if bias is None else bias))
        raise
    return wrap(h)


# ---- beta * input + alpha * product ----


def _scalar(v, name, what, dtype):
    """A factor; for integer tensors it is cut to an integer."""
    if isinstance(v, TensorBase):
        v = v.item()
    if not isinstance(v, (int, float)):
        v = _call.number(v, name, what)
    return v if dtype.is_floating_point else int(v)


def _plus(name, input, product, beta, alpha, out=None):
    dtype = product.dtype
    beta, alpha = _scalar(beta, name, "beta", dtype), _scalar(alpha, name, "alpha", dtype)
    if alpha != 1:
        product = product * alpha
    input = input.expand(product.shape)
    if beta == 0:  # input does not count, not even its NaN
        return _to(product, out)
    return _call.binary(OP["add"], input if beta == 1 else input * beta, product, out)


def _same(name, input, mat):
    if input.dtype is not mat.dtype:
        raise RuntimeError(f"{name}: self and mat2 must have the same dtype, but got {input.dtype} and {mat.dtype}")


def addmm(input, mat1, mat2, *, beta=1, alpha=1, out=None):
    """beta * input + alpha * (mat1 @ mat2); input broadcasts to the product and is ignored when beta is 0."""
    _check("addmm", ("input", input), ("mat1", mat1), ("mat2", mat2))
    _same("addmm", input, mat2)
    return _plus("addmm", input, mm(mat1, mat2), beta, alpha, out)


def addmv(input, mat, vec, *, beta=1, alpha=1, out=None):
    """beta * input + alpha * (mat @ vec)."""
    _check("addmv", ("input", input), ("mat", mat), ("vec", vec))
    if mat.ndim != 2 or vec.ndim != 1 or input.ndim > 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {input.ndim}, {mat.ndim}, {vec.ndim}")
    if mat.shape[1] != vec.shape[0]:
        raise RuntimeError(f"size mismatch, got input ({mat.shape[0]}), mat ({mat.shape[0]}x{mat.shape[1]}), vec "
                           f"({vec.shape[0]})")
    _same("addmv", input, mat)
    return _plus("addmv", input, mv(mat, vec), beta, alpha, out)


def addr(input, vec1, vec2, *, beta=1, alpha=1, out=None):
    """beta * input + alpha * outer(vec1, vec2); bool tensors are combined by and, or."""
    _check("addr", ("input", input), ("vec1", vec1), ("vec2", vec2))
    if vec1.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(f"addr: Expected 1-D argument vec1 and vec2, but got {vec1.ndim}-D and {vec2.ndim}-D")
    product = outer(vec1, vec2)
    if product.dtype is _dtype.bool_ and input.dtype is _dtype.bool_:
        if not isinstance(beta, (bool, int)) or not isinstance(alpha, (bool, int)):
            raise RuntimeError("Boolean beta and alpha only supported for Boolean results.")
        result = product if alpha else product & ~product
        input = input.expand(result.shape)
        return _to(input | result if beta else result, out)
    if isinstance(beta, bool) or isinstance(alpha, bool):
        raise RuntimeError("Boolean beta only supported for Boolean results.")
    if not product.dtype.is_floating_point and (isinstance(beta, float) or isinstance(alpha, float)):
        raise RuntimeError(f"For integral input tensors, argument {'beta' if isinstance(beta, float) else 'alpha'} "
                           "must not be a floating point number.")
    return _plus("addr", input, product, beta, alpha, out)


def baddbmm(input, batch1, batch2, *, beta=1, alpha=1, out=None):
    """beta * input + alpha * bmm(batch1, batch2)."""
    _check("baddbmm", ("input", input), ("batch1", batch1), ("batch2", batch2))
    _same("baddbmm", input, batch2)
    return _plus("baddbmm", input, bmm(batch1, batch2), beta, alpha, out)


def addbmm(input, batch1, batch2, *, beta=1, alpha=1, out=None):
    """beta * input + alpha * the sum over the batch of bmm(batch1, batch2)."""
    _check("addbmm", ("input", input), ("batch1", batch1), ("batch2", batch2))
    if batch1.ndim != 3 or batch2.ndim != 3:
        raise RuntimeError(f"batch1 and batch2 must be 3D tensors, got {batch1.ndim}D and {batch2.ndim}D")
    b, n, m = batch1.shape
    if batch2.shape[0] != b or batch2.shape[1] != m:
        raise RuntimeError(f"Incompatible matrix sizes for bmm ({n}x{m} and {batch2.shape[1]}x{batch2.shape[2]}) in "
                           f"batches of {b} and {batch2.shape[0]}")
    _same("addbmm", input, batch2)
    tall = mm(batch1.transpose(0, 1).reshape(n, b * m), batch2.reshape(b * m, batch2.shape[2]))
    return _plus("addbmm", input, tall, beta, alpha, out)


def _in_place(fn):
    def method(self, *args, **kwargs):
        return self.copy_(fn(self, *args, **kwargs))

    method.__name__ = method.__qualname__ = fn.__name__ + "_"
    method.__doc__ = fn.__name__ + "() in place."
    return method


addmm_, addmv_, addr_ = _in_place(addmm), _in_place(addmv), _in_place(addr)
baddbmm_, addbmm_ = _in_place(baddbmm), _in_place(addbmm)


# ---- chains ----


def multi_dot(tensors, *, out=None):
    """The product of two or more matrices in the order of products that costs least; the first and the last may be
    vectors. RuntimeError when the sizes do not fit."""
    tensors = list(tensors)
    for t in tensors:
        _check("multi_dot", ("tensors", t))
    n = len(tensors)
    if n < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {n}")
    dtype = tensors[0].dtype
    for k, t in enumerate(tensors):
        if t.ndim != 2 and (t.ndim != 1 or 0 < k < n - 1):
            raise RuntimeError(f"multi_dot(): tensor {k} must be 2D but got {t.ndim}D" if 0 < k < n - 1 else
                               f"multi_dot(): the {'first' if k == 0 else 'last'} tensor must be 1D or 2D but got "
                               f"{t.ndim}D")
        if t.dtype is not dtype:
            raise RuntimeError(f"multi_dot(): all tensors must have be the same dtype but got {dtype} and {t.dtype}")
    first, last = tensors[0].ndim == 1, tensors[-1].ndim == 1
    if n == 2:
        return matmul(tensors[0], tensors[1], out=out)
    if first:
        tensors[0] = tensors[0].unsqueeze(0)
    if last:
        tensors[-1] = tensors[-1].unsqueeze(1)
    sizes = [t.shape[0] for t in tensors] + [tensors[-1].shape[1]]
    for k in range(n - 1):
        if tensors[k].shape[1] != sizes[k + 1]:
            raise RuntimeError(f"multi_dot(): tensors {k} and {k + 1} with shapes {list(tensors[k].shape)} and "
                               f"{list(tensors[k + 1].shape)} cannot be multiplied")
    y = _product(tensors, _cheapest(sizes), 0, n - 1)
    drop = ([-1] if last else []) + ([-2] if first else [])
    for d in drop:
        y = y.squeeze(d)
    return _to(y, out)


def _cheapest(sizes):
    """Where to split each run of factors, by the number of multiplications."""
    n = len(sizes) - 1
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i][j], split[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j))
    return split


def _product(tensors, split, i, j):
    if i == j:
        return tensors[i]
    k = split[i][j]
    return mm(_product(tensors, split, i, k), _product(tensors, split, k + 1, j))


def chain_matmul(*matrices, out=None):
    """The product of matrices in the order that costs least."""
    if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)):
        matrices = matrices[0]
    for m in matrices:
        _check("chain_matmul", ("matrices", m))
        if m.ndim != 2:
            raise RuntimeError(f"Tensor dimension is {m.ndim}, expected 2 instead.")
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    return _to(matrices[0].clone(), out) if len(matrices) == 1 else multi_dot(matrices, out=out)


def tensordot(a, b, dims=2, out=None):
    """Sums of products over the given dimensions: the last `dims` of a and the first of b, or a pair of lists.

    RuntimeError when the sizes of the paired dimensions differ.
    """
    _check("tensordot", ("a", a), ("b", b))
    if isinstance(dims, TensorBase):
        dims = dims.tolist()
    if isinstance(dims, (tuple, list)):
        da, db = dims
        da, db = ([d] if hasattr(d, "__index__") else list(d) for d in (da, db))
    else:
        if not hasattr(dims, "__index__"):
            raise RuntimeError("tensordot expects dims to be int or tuple[list[int], list[int]] or list[list[int]] "
                               f"containing two lists, but got dims={dims}")
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        da, db = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    if len(da) != len(db):
        raise RuntimeError(f"both dimension lists should have same length, got {da} and {db}")
    da, db = [_wrapped(d, a.ndim) for d in da], [_wrapped(d, b.ndim) for d in db]
    if len(set(da)) != len(da) or len(set(db)) != len(db):
        raise RuntimeError(f"tensordot: a dimension appears multiple times in the list of dims: {da} and {db}")
    for x, y in zip(da, db):
        m, n = a.shape[x], b.shape[y]
        if m != n and n == 1:
            a = a.sum(x, keepdim=True)
        elif m != n and m == 1:
            b = b.sum(y, keepdim=True)
        elif m != n:
            raise RuntimeError(f"contracted dimensions need to match, but first has size {m} in dim {x} and second has "
                               f"size {n} in dim {y}")
    free_a = [d for d in range(a.ndim) if d not in da]
    free_b = [d for d in range(b.ndim) if d not in db]
    k = 1
    for d in da:
        k *= a.shape[d]
    sizes_a, sizes_b = [a.shape[d] for d in free_a], [b.shape[d] for d in free_b]
    m, n = 1, 1
    for s in sizes_a:
        m *= s
    for s in sizes_b:
        n *= s
    y = mm(a.permute(free_a + da).reshape(m, k), b.permute(db + free_b).reshape(k, n))
    return _to(y.reshape(sizes_a + sizes_b), out)


def _wrapped(d, ndim):
    d = d.__index__()
    n = max(ndim, 1)
    if not -n <= d < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {d})")
    return d % n


# ---- einsum ----

_ELLIPSIS = -1


def _labels(text, where):
    """The labels of one operand as integers: letters, and _ELLIPSIS."""
    out, k = [], 0
    text = text.replace(" ", "")
    while k < len(text):
        c = text[k]
        if c == ".":
            if text[k : k + 3] != "...":
                raise RuntimeError(f"einsum(): found '.' for {where} that is not part of any ellipsis")
            if _ELLIPSIS in out:
                raise RuntimeError(f"einsum(): found '.' for {where} for which an ellipsis was already found")
            out.append(_ELLIPSIS)
            k += 3
            continue
        if not (c.isascii() and c.isalpha()):
            raise RuntimeError(f"einsum(): invalid subscript given at index {k} in the equation string, subscripts "
                               f"must be in [a-zA-Z], got {c!r}")
        out.append(ord(c) - ord("A") if c.isupper() else 26 + ord(c) - ord("a"))
        k += 1
    return out


def _parse(args):
    """(operands, labels of each, labels of the output or None)."""
    if not args:
        raise ValueError("einsum(): must specify the equation string and at least one operand, or at least one "
                         "operand and its subscripts list")
    if isinstance(args[0], str):
        operands = args[1:]
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = operands[0]
        left, arrow, right = args[0].partition("->")
        if arrow and ">" in right:
            raise RuntimeError("einsum(): expected a single '->' in the equation")
        terms = left.split(",")
        if not operands:
            raise RuntimeError("einsum(): must provide at least one operand")
        if len(terms) != len(operands):
            raise RuntimeError(f"einsum(): {'fewer' if len(terms) > len(operands) else 'more'} operands were provided "
                               "than specified in the equation")
        labels = [_labels(t, f"operand {k}") for k, t in enumerate(terms)]
        return operands, labels, _labels(right, "the output") if arrow else None
    if args and not isinstance(args[0], TensorBase):
        raise TypeError(f"einsum(): argument 'equation' (position 1) must be str, not {type(args[0]).__name__}")
    if len(args) < 2:
        raise ValueError("einsum(): must specify the equation string and at least one operand, or at least one "
                         "operand and its subscripts list")
    lists = [[_ELLIPSIS if s is Ellipsis else s for s in sub] for sub in args[1::2]]
    for sub in lists:
        for s in sub:
            if not isinstance(s, int) or (s != _ELLIPSIS and not 0 <= s < 52):
                raise ValueError("einsum(): subscripts in the list must be Ellipsis or integers within the range [0, "
                                 f"52), got {s!r}")
    operands = args[: len(args) - len(args) % 2 : 2]
    return operands, lists[: len(operands)], list(_output_list(args[-1])) if len(args) % 2 else None


def _output_list(sub):
    for s in sub:
        if s is not Ellipsis and (not isinstance(s, int) or not 0 <= s < 52):
            raise ValueError("einsum(): subscripts in the list must be Ellipsis or integers within the range [0, 52), "
                             f"got {s!r}")
        yield _ELLIPSIS if s is Ellipsis else s


def _name_of(label):
    return "..." if label < 0 or label >= 52 else chr(ord("A") + label) if label < 26 else chr(ord("a") + label - 26)


def einsum(*args):
    """Sums of products that an equation tells: "ij,jk->ik"; or operands, each followed by its list of labels.

    Repeated labels of an operand take its diagonal, "..." stands for dimensions that broadcast, and without "->"
    the output has "..." and the labels that occur once, in alphabetical order. Operands are taken from left to
    right. RuntimeError for an equation that does not fit the operands, ValueError for wrong lists.
    """
    operands, labels, output = _parse(args)
    for k, t in enumerate(operands):
        _check("einsum", (f"operands[{k}]", t))
    spread = 0  # the most dimensions that an ellipsis stands for
    for k, (t, lab) in enumerate(zip(operands, labels)):
        named = sum(v != _ELLIPSIS for v in lab)
        if named > t.ndim or (named != t.ndim and _ELLIPSIS not in lab):
            raise RuntimeError(f"einsum(): the number of subscripts in the equation ({named}) "
                               f"{'is more than' if named > t.ndim else 'does not match'} the number of dimensions "
                               f"({t.ndim}) for operand {k}" + ("" if named > t.ndim else " and no ellipsis was given"))
        spread = max(spread, t.ndim - named)
    dots = list(range(52, 52 + spread))
    wide = []
    for t, lab in zip(operands, labels):
        own = dots[spread - (t.ndim - len(lab) + 1) :]  # the last ones, as in broadcasting
        wide.append([v for one in lab for v in (own if one == _ELLIPSIS else (one,))])
    count, size = {}, {}
    for k, (t, lab) in enumerate(zip(operands, wide)):
        for v, n in zip(lab, t.shape):
            count[v] = count.get(v, 0) + 1
            if size.get(v, 1) != 1 and n not in (1, size[v]):
                raise RuntimeError(f"einsum(): subscript {_name_of(v)} has size {n} for operand {k} which does not "
                                   f"broadcast with previously seen size {size[v]}")
            size[v] = n if size.get(v, 1) == 1 else size[v]
    if output is None:
        keep = dots + sorted(v for v, n in count.items() if n == 1 and v < 52)
    else:
        keep = [v for one in output for v in (dots if one == _ELLIPSIS else (one,))]
        for v in keep:
            if keep.count(v) > 1:
                raise RuntimeError(f"einsum(): output subscript {_name_of(v)} appears more than once in the output")
            if v not in count and v < 52:
                raise RuntimeError(f"einsum(): output subscript {_name_of(v)} does not appear in the equation for any "
                                   "input operand")
    parts = [_diagonals(t, lab, k) for k, (t, lab) in enumerate(zip(operands, wide))]
    t, lab = parts[0]
    for k in range(1, len(parts)):
        later = set(keep).union(*[p[1] for p in parts[k + 1 :]]) if k + 1 < len(parts) else set(keep)
        t, lab = _contract(t, lab, *parts[k], later)
    gone = [d for d, v in enumerate(lab) if v not in keep]
    if gone:
        t, lab = t.sum(gone), [v for v in lab if v in keep]
    return t.permute([lab.index(v) for v in keep]) if lab != keep else t if t is not operands[0] else t.view(t.shape)


def _diagonals(t, lab, k):
    """The operand with each label once."""
    lab = list(lab)
    for v in dict.fromkeys(lab):
        while lab.count(v) > 1:
            i = lab.index(v)
            j = lab.index(v, i + 1)
            if t.shape[i] != t.shape[j]:
                raise RuntimeError(f"einsum(): subscript {_name_of(v)} is repeated for operand {k} but the sizes "
                                   f"don't match, {t.shape[j]} != {t.shape[i]}")
            t = t.diagonal(0, i, j)
            del lab[j], lab[i]
            lab.append(v)
    return t, lab


def _contract(a, la, b, lb, later):
    """The product of two operands, summed over the labels that nobody needs later."""
    for v in set(la) & set(lb):  # a size of 1 broadcasts: that operand does without the dimension
        m, n = a.shape[la.index(v)], b.shape[lb.index(v)]
        if m == 1 and n != 1:
            a, la = a.squeeze(la.index(v)), [x for x in la if x != v]
        elif n == 1 and m != 1:
            b, lb = b.squeeze(lb.index(v)), [x for x in lb if x != v]
    a, la = _sum_alone(a, la, lb, later)
    b, lb = _sum_alone(b, lb, la, later)
    both = [v for v in la if v in lb]
    batch, inner_ = [v for v in both if v in later], [v for v in both if v not in later]
    only_a, only_b = [v for v in la if v not in lb], [v for v in lb if v not in la]
    size = dict(zip(lb, b.shape)) | dict(zip(la, a.shape))
    if not inner_:
        pos = batch + only_a + only_b
        x_size = [size[v] for v in batch + only_a] + [1] * len(only_b)
        y_size = [size[v] for v in batch] + [1] * len(only_a) + [size[v] for v in only_b]
        x = a.permute([la.index(v) for v in batch + only_a]).reshape(x_size)
        y = b.permute([lb.index(v) for v in batch + only_b]).reshape(y_size)
        return x * y, pos

    def total(labels):
        n = 1
        for v in labels:
            n *= size[v]
        return n

    head = [total(batch)] if batch else []
    x = a.permute([la.index(v) for v in batch + only_a + inner_]).reshape(head + [total(only_a), total(inner_)])
    y = b.permute([lb.index(v) for v in batch + inner_ + only_b]).reshape(head + [total(inner_), total(only_b)])
    z = bmm(x, y) if batch else mm(x, y)
    pos = batch + only_a + only_b
    return z.reshape([size[v] for v in pos]), pos


def _sum_alone(t, lab, other, later):
    gone = [d for d, v in enumerate(lab) if v not in other and v not in later]
    return (t.sum(gone), [v for v in lab if v in other or v in later]) if gone else (t, lab)


# ---- others ----


def kron(input, other, *, out=None):
    """The Kronecker product: blocks of other, scaled by the elements of input."""
    _check("kron", ("input", input), ("other", other))
    n = max(input.ndim, other.ndim)
    a = [1] * (n - input.ndim) + list(input.shape)
    b = [1] * (n - other.ndim) + list(other.shape)
    x = input.reshape([s for m in a for s in (m, 1)])
    y = other.reshape([s for m in b for s in (1, m)])
    return _to((x * y).reshape([p * q for p, q in zip(a, b)]), out)


def linalg_cross(input, other, *, dim=-1, out=None):
    """The cross product of vectors of 3 along dim; the other dimensions broadcast."""
    _check("linalg.cross", ("input", input), ("other", other))
    if input.ndim != other.ndim:
        raise RuntimeError(f"linalg.cross: inputs must have the same number of dimensions, got {input.ndim} and "
                           f"{other.ndim}")
    d = _wrapped(dim, input.ndim)
    if not input.ndim or input.shape[d] != 3 or other.shape[d] != 3:
        raise RuntimeError(f"linalg.cross: inputs dimension {dim} must have length 3. Got "
                           f"{input.shape[d] if input.ndim else 1} and {other.shape[d] if other.ndim else 1}")

    def turned(t, n):
        return _call.apply(OP["roll"], (t,), dims=(n, d))

    return _to(turned(input, -1) * turned(other, -2) - turned(input, -2) * turned(other, -1), out)


def cross(input, other, dim=None, *, out=None):
    """linalg.cross(); without dim the first dimension of size 3."""
    _check("cross", ("input", input), ("other", other))
    if dim is None:
        dim = next((d for d, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise RuntimeError(f"no dimension of size 3 in input of size {list(input.shape)}")
    return linalg_cross(input, other, dim=dim, out=out)


def trace(input):
    """The sum of a matrix's diagonal. RuntimeError unless 2-D."""
    _check("trace", ("input", input))
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    return input.diagonal().sum()


def matrix_power(input, n, *, out=None):
    """The n-th power of square matrices; of the inverse for a negative n. RuntimeError unless square."""
    _check("matrix_power", ("input", input))
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise RuntimeError("linalg.matrix_power: A must be batches of square matrices, but they are "
                           f"{'x'.join(map(str, input.shape[-2:]))} matrices" if input.ndim >= 2 else
                           "linalg.matrix_power: The input tensor A must have at least 2 dimensions.")
    n = n.__index__()
    if n < 0:
        from ..linalg import inv

        input, n = inv(input), -n
    if n == 0:
        from .creation import eye

        return _to(input.clone().copy_(eye(input.shape[-1], dtype=input.dtype)), out)
    result = None
    while n:
        if n & 1:
            result = input if result is None else matmul(result, input)
        n >>= 1
        if n:
            input = matmul(input, input)
    return _to(result.clone() if result is input else result, out)


def inverse(input, *, out=None):
    """linalg.inv()."""
    from ..linalg import inv

    return inv(input, out=out)


def pinverse(input, rcond=1e-15):
    """linalg.pinv()."""
    from ..linalg import pinv

    return pinv(input, rcond)


def cholesky(input, upper=False, *, out=None):
    """linalg.cholesky()."""
    from ..linalg import cholesky

    return cholesky(input, upper=upper, out=out)


def det(input):
    """linalg.det()."""
    from ..linalg import det

    return det(input)


def slogdet(input):
    """linalg.slogdet()."""
    from ..linalg import slogdet

    return slogdet(input)


def logdet(input):
    """The logarithm of the determinant: NaN for a negative one, -inf for zero."""
    from ..linalg import logdet

    return logdet(input)


def qr(input, some=True, *, out=None):
    """linalg.qr(), complete unless some."""
    from .. import linalg, return_types

    return return_types.qr(tuple(linalg.qr(input, "reduced" if some else "complete")))


def svd(input, some=True, compute_uv=True, *, out=None):
    """(U, S, V) of input = U diag(S) V^T, of reduced size when some; zeros for U and V without compute_uv."""
    from .. import linalg, return_types

    if not compute_uv:
        m, n = input.shape[-2:]
        z = input.detach()[..., :1, :1] * 0
        return return_types.svd((z.expand(*input.shape[:-2], m, m).clone(), linalg.svdvals(input),
                                 z.expand(*input.shape[:-2], n, n).clone()))
    u, s, vh = linalg.svd(input, full_matrices=not some)
    return return_types.svd((u, s, vh.transpose(-2, -1)))


def lu(A, pivot=True, get_infos=False, out=None):
    """(LU, pivots), and the numbers of zero pivots with get_infos: linalg.lu_factor() under its older name."""
    from ..linalg import lu_factor_ex

    factors, pivots, infos = lu_factor_ex(A, pivot=pivot)
    return (factors, pivots, infos) if get_infos else (factors, pivots)


def lu_solve(b, LU_data, LU_pivots, *, out=None):
    """linalg.lu_solve() with the right side first."""
    from ..linalg import lu_solve

    return lu_solve(LU_data, LU_pivots, b, out=out)

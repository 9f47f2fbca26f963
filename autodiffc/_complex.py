"""ComplexTensor: a pair of real numbers for each element, as rotary embeddings and Fourier transforms need it.

It keeps a real tensor whose last dimension holds the real and the imaginary part, so that view_as_complex() and
view_as_real() change nothing but the name, and gradients are those of the pairs. What is not defined here raises
NotImplementedError and advises view_as_real().
"""

import numpy as np

from . import _dtype
from ._core import ComplexOperand, TensorBase
from ._dtype import Size
from ._ops import _call, creation, linalg, shape
from ._ops import arithmetic as real_
from ._ops import complex_names as names
from .tensor import Tensor

_KINDS = {_dtype.float16: "complex32", _dtype.float32: "complex64", _dtype.float64: "complex128"}


class ComplexTensor(Tensor):
    """A complex tensor over a real one of the same sizes and a last dimension of 2."""

    __slots__ = ()
    _dense = False

    def __new__(cls, *args, **kwargs):
        """TypeError: complex tensors are made by complex(), polar() and view_as_complex()."""
        raise TypeError("ComplexTensor() makes no tensor; call complex(), polar() or view_as_complex()")

    @property
    def _h(self):
        raise ComplexOperand("this operation is not supported for complex tensors; work on view_as_real()")

    # ---- description ----

    shape = property(lambda self: Size(self._pair.shape[:-1]))
    dtype = property(lambda self: _dtype.ABSENT[_KINDS[self._pair.dtype]])
    ndim = property(lambda self: self._pair.ndim - 1)
    is_leaf = property(lambda self: self._pair.is_leaf)
    grad_fn = property(lambda self: self._pair.grad_fn)
    nbytes = property(lambda self: self._pair.nbytes)
    real = property(lambda self: self._pair[..., 0])
    imag = property(lambda self: self._pair[..., 1])
    data = property(lambda self: self.detach())

    def size(self, dim=None):
        """The sizes, or the size of one dimension."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self):
        """The number of dimensions."""
        return self.ndim

    ndimension = dim

    def numel(self):
        """The number of elements."""
        return self._pair.numel() // 2

    nelement = numel

    def is_complex(self):
        return True

    def is_floating_point(self):
        return False

    def is_contiguous(self, memory_format=None):
        return self._pair.is_contiguous()

    def __len__(self):
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def numpy(self, *, force=False):
        """A NumPy array of complex numbers: a copy."""
        return _joined(self._pair.numpy(force=force))

    def __array__(self, dtype=None, copy=None):
        a = self.numpy()
        return a if dtype is None else a.astype(dtype)

    def tolist(self):
        """Nested lists of Python's complex numbers."""
        return self.detach().numpy().tolist()

    def item(self):
        """The one element as a Python number."""
        if self.numel() != 1:
            raise RuntimeError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar")
        return complex(self.detach().numpy().reshape(-1)[0])

    __complex__ = item

    def __repr__(self, *, tensor_contents=None):
        text = np.array2string(self.detach().numpy(), separator=", ", prefix="tensor(", precision=4)
        grad = ", requires_grad=True" if self.requires_grad else ""
        return f"tensor({text}{'' if self.dtype.name == 'complex64' else f', dtype={self.dtype}'}{grad})"

    def __format__(self, spec):
        return format(self.item(), spec) if not self.ndim else repr(self)

    # ---- autograd: that of the pairs ----

    @property
    def requires_grad(self):
        return self._pair.requires_grad

    @requires_grad.setter
    def requires_grad(self, on):
        self._pair.requires_grad = on

    def requires_grad_(self, requires_grad=True):
        """Sets requires_grad; returns self."""
        self._pair.requires_grad_(requires_grad)
        return self

    @property
    def grad(self):
        return None if self._pair.grad is None else make(self._pair.grad)

    @grad.setter
    def grad(self, value):
        self._pair.grad = None if value is None else _pair_of("grad", value, self)

    def detach(self):
        """The same numbers without their history."""
        return make(self._pair.detach())

    def clone(self, *, memory_format=None):
        """A copy."""
        return make(self._pair.clone())

    def contiguous(self, memory_format=None):
        """With memory in order."""
        return make(self._pair.contiguous())

    def to(self, *args, **kwargs):
        """The same in another complex dtype; the device is the CPU. A real dtype is a NotImplementedError."""
        given = []
        for a in (*args, *kwargs.values()):
            if isinstance(a, _dtype.dtype):
                if not a.is_complex:
                    raise ComplexOperand(f"to({a}): take .real of the complex tensor first")
                a = a.to_real()
            given.append(a)
        return make(self._pair.to(*given)) if given else self

    def cfloat(self, memory_format=None):
        """In complex64."""
        return make(self._pair.to(_dtype.float32))

    def cdouble(self, memory_format=None):
        """In complex128."""
        return make(self._pair.to(_dtype.float64))

    def cpu(self, memory_format=None):
        return self

    # ---- views ----

    def _dim(self, dim, room=0):
        n = self.ndim + room
        if not -n <= dim < n:
            raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
        return dim % n

    def view(self, *size):
        """With other sizes."""
        return make(self._pair.view(*_call.sizes(size), 2))

    def reshape(self, *size):
        """With other sizes; a copy where memory does not allow a view."""
        return make(self._pair.reshape(*_call.sizes(size), 2))

    def flatten(self, start_dim=0, end_dim=-1):
        """With dimensions merged."""
        return make(self._pair.flatten(self._dim(start_dim), self._dim(end_dim)))

    def unsqueeze(self, dim):
        """With a new dimension of size 1."""
        return make(self._pair.unsqueeze(self._dim(dim, 1)))

    def squeeze(self, dim=None):
        """Without dimensions of size 1."""
        if dim is None:
            return self.reshape([n for n in self.shape if n != 1])
        return make(self._pair.squeeze(self._dim(dim)))

    def transpose(self, dim0, dim1):
        """With two dimensions exchanged."""
        return make(self._pair.transpose(self._dim(dim0), self._dim(dim1)))

    def permute(self, *dims):
        """With the dimensions in another order."""
        return make(self._pair.permute(*[self._dim(d) for d in _call.sizes(dims)], self.ndim))

    def expand(self, *size):
        """With dimensions of size 1 stretched."""
        return make(self._pair.expand(*_call.sizes(size), 2))

    def t(self):
        """The transpose of a matrix."""
        return self.transpose(0, 1)

    mT = T = property(lambda self: self.transpose(-2, -1))
    H = mH = property(lambda self: self.transpose(-2, -1).conj())

    def narrow(self, dim, start, length):
        """Part of a dimension."""
        return make(self._pair.narrow(self._dim(dim), start, length))

    def select(self, dim, index):
        """One element of a dimension."""
        return make(self._pair.select(self._dim(dim), index))

    def __getitem__(self, index):
        parts = index if isinstance(index, tuple) else (index,)
        return make(self._pair[(*parts, slice(None))] if _has_ellipsis(parts) else self._pair[parts])

    def __setitem__(self, index, value):
        parts = index if isinstance(index, tuple) else (index,)
        value = _pair_of("__setitem__", value, self)
        self._pair[(*parts, slice(None)) if _has_ellipsis(parts) else (*parts, Ellipsis, slice(None))] = value

    def unbind(self, dim=0):
        """The elements of a dimension."""
        return tuple(make(p) for p in self._pair.unbind(self._dim(dim)))

    def __iter__(self):
        return iter(self.unbind(0))

    def flip(self, *dims):
        """With dimensions in reverse."""
        return make(self._pair.flip([self._dim(d) for d in _call.sizes(dims)]))

    def roll(self, shifts, dims):
        """With elements moved round along dimensions."""
        dims = dims if isinstance(dims, (tuple, list)) else (dims,)
        return make(self._pair.roll(shifts, [self._dim(d) for d in dims]))

    # ---- arithmetic ----

    def conj(self):
        """The conjugate."""
        return make(self._pair * self._pair.new_tensor([1.0, -1.0]))

    conj_physical = conj

    def resolve_conj(self):
        """This tensor."""
        return self

    def abs(self):
        """The modulus, real. The gradient is 0 at 0."""
        return self._pair.norm(2, -1)

    __abs__ = absolute = abs

    def angle(self):
        """The angle, real."""
        return real_.atan2(self.imag, self.real)

    def neg(self):
        """The negative."""
        return make(-self._pair)

    __neg__ = neg

    def add(self, other, *, alpha=1):
        """The sum with a tensor or number, real or complex."""
        other = _pair_of("add", other, self)
        return NotImplemented if other is None else make(self._pair + (other if alpha == 1 else other * alpha))

    __add__ = __radd__ = add

    def sub(self, other, *, alpha=1):
        """The difference."""
        other = _pair_of("sub", other, self)
        return NotImplemented if other is None else make(self._pair - (other if alpha == 1 else other * alpha))

    __sub__ = sub

    def __rsub__(self, other):
        other = _pair_of("sub", other, self)
        return NotImplemented if other is None else make(other - self._pair)

    def mul(self, other):
        """The product with a tensor or number, real or complex."""
        if isinstance(other, (bool, int, float)):
            return make(self._pair * other)
        if isinstance(other, TensorBase) and not isinstance(other, ComplexTensor):
            return make(self._pair * other.unsqueeze(-1))
        other = _as_complex(other, self)
        if other is None:
            return NotImplemented
        (a, b), (c, d) = (self.real, self.imag), (other.real, other.imag)
        return make(shape.stack([a * c - b * d, a * d + b * c], -1))

    __mul__ = __rmul__ = multiply = mul

    def reciprocal(self):
        """1 / self."""
        return make(self.conj()._pair / (self._pair * self._pair).sum(-1, True))

    def div(self, other):
        """The quotient by a tensor or number, real or complex."""
        if isinstance(other, (bool, int, float)):
            return make(self._pair / other)
        if isinstance(other, TensorBase) and not isinstance(other, ComplexTensor):
            return make(self._pair / other.unsqueeze(-1))
        other = _as_complex(other, self)
        return NotImplemented if other is None else self.mul(other.reciprocal())

    __truediv__ = divide = true_divide = div

    def __rtruediv__(self, other):
        return self.reciprocal().mul(other)

    def exp(self):
        """e to the power self."""
        return polar(self.real.exp(), self.imag)

    def pow(self, exponent):
        """To a whole power."""
        if not isinstance(exponent, int) or exponent < 0:
            raise ComplexOperand("pow(): of complex tensors only to a whole power that is not negative")
        result, base = None, self
        while exponent:
            if exponent & 1:
                result = base if result is None else result * base
            exponent >>= 1
            base = base * base if exponent else base
        return make(self._pair * 0 + self._pair.new_tensor([1.0, 0.0])) if result is None else result

    __pow__ = pow

    def square(self):
        """The square."""
        return self.mul(self)

    def matmul(self, other):
        """The matrix product with a complex or real tensor."""
        return _matmul(self, other)

    mm = bmm = mv = __matmul__ = matmul

    def __rmatmul__(self, other):
        return _matmul(other, self)

    def _folded(self, name, dim, keepdim):
        dims = range(self.ndim) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
        dims = [self._dim(d) for d in dims]
        return make(getattr(self._pair, name)(dims, keepdim) if dims else self._pair * 1)

    def sum(self, dim=None, keepdim=False, *, dtype=None):
        """The sum over dim, or of all elements."""
        return self._folded("sum", dim, keepdim)

    def mean(self, dim=None, keepdim=False, *, dtype=None):
        """The mean over dim, or of all elements."""
        return self._folded("mean", dim, keepdim)

    def _equal(self, other):
        return (self._pair == _pair_of("eq", other, self)).all(-1)

    def eq(self, other):
        """Where both are equal."""
        return self._equal(other)

    def ne(self, other):
        """Where they differ."""
        return ~self._equal(other)

    __eq__, __ne__ = eq, ne
    __hash__ = object.__hash__

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Gradients from a complex gradient. RuntimeError without one, as gradients start from real numbers."""
        if gradient is None:
            raise RuntimeError("grad can be implicitly created only for real scalar outputs but got "
                               f"{self.dtype}")
        self._pair.backward(_pair_of("backward", gradient, self), retain_graph, create_graph, inputs)

    # ---- copies and pickles ----

    def __copy__(self):
        return make(self._pair)

    def __deepcopy__(self, memo):
        from copy import deepcopy

        if id(self) not in memo:
            memo[id(self)] = make(deepcopy(self._pair, memo))
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        return (make, (self._pair,))


def _joined(pair):
    """The complex numbers of an array of pairs."""
    whole = np.empty(pair.shape[:-1], np.result_type(pair.dtype, np.complex64))
    whole.real, whole.imag = pair[..., 0], pair[..., 1]
    return whole


def _has_ellipsis(parts):
    return any(p is Ellipsis for p in parts)


def _as_complex(other, like):
    """`other` as a ComplexTensor, or None when it is none."""
    if isinstance(other, ComplexTensor):
        return other
    pair = _pair_of("", other, like)
    return None if pair is None else make(pair)


def _pair_of(name, other, like):
    """The pairs of a tensor or number; None for anything else."""
    if isinstance(other, ComplexTensor):
        return other._pair
    if isinstance(other, TensorBase):
        return of_real(other)._pair
    if isinstance(other, (bool, int, float, complex)):
        return like._pair.new_tensor([other.real, other.imag] if isinstance(other, complex) else [other, 0])
    return None


def _parts(t):
    return (t.real, t.imag) if isinstance(t, ComplexTensor) else (t, None)


def _matmul(a, b):
    (a, b), (c, d) = _parts(a), _parts(b)
    rows = [linalg.matmul(a, c), None]
    if b is not None and d is not None:
        rows[0] = rows[0] - linalg.matmul(b, d)
    parts = [linalg.matmul(x, y) for x, y in ((a, d), (b, c)) if x is not None and y is not None]
    rows[1] = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    return make(shape.stack(rows, -1))


def make(pair):
    """The ComplexTensor of a tensor of pairs."""
    t = TensorBase.__new__(ComplexTensor)
    t._pair = pair
    return t


names.ComplexTensor = ComplexTensor


def _floating(name, t, argument, position):
    if not isinstance(t, TensorBase):
        raise _call.not_a_tensor(name, t, argument, position)
    if t.dtype not in _KINDS:
        raise RuntimeError(f"Expected both inputs to be Half, Float or Double tensors but got {t.dtype}")
    return t


def view_as_complex(input):
    """The complex tensor of a real one (*, 2), whose memory it shares. RuntimeError for another last size or dtype."""
    if not isinstance(input, TensorBase):
        raise _call.not_a_tensor("view_as_complex", input)
    if input.dtype not in _KINDS:
        raise RuntimeError("view_as_complex is only supported for half, float and double tensors, but got a tensor of "
                           f"scalar type: {input.dtype}")
    if not input.ndim or input.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if input.stride(-1) != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    return make(input)


def complex_of(real, imag):
    """The complex tensor of two real ones, which broadcast. RuntimeError unless of one floating dtype."""
    _floating("complex", real, "real", 1)
    _floating("complex", imag, "imag", 2)
    if real.dtype is not imag.dtype:
        raise RuntimeError(f"Expected object of scalar type {real.dtype} but got scalar type {imag.dtype} for second "
                           "argument")
    return make(shape.stack(shape.broadcast_tensors(real, imag), -1))


def of_real(real):
    """The complex tensor of a real one."""
    return make(shape.stack([real, creation.zeros_like(real, requires_grad=False)], -1))


def polar(abs, angle):
    """The complex tensor of modulus abs and an angle in radians, which broadcast. RuntimeError unless of one floating
    dtype."""
    _floating("polar", abs, "abs", 1)
    _floating("polar", angle, "angle", 2)
    if abs.dtype is not angle.dtype:
        raise RuntimeError(f"Expected object of scalar type {abs.dtype} but got scalar type {angle.dtype} for second "
                           "argument")
    return make(shape.stack([abs * angle.cos(), abs * angle.sin()], -1))

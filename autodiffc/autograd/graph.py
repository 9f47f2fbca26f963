"""A node of the recorded graph, as Tensor.grad_fn shows it."""

from .._core import wrap
from .._native import ffi, lib


class Node:
    """What computed a tensor: its name, and in next_functions the nodes that computed its inputs."""

    __slots__ = ("_n", "_leaf", "__weakref__")

    def __init__(self, n, leaf=None):
        self._n, self._leaf = n, leaf

    def __del__(self, _release=lib.ad_node_release):
        if self._n:
            _release(self._n)

    def name(self) -> str:
        return ffi.string(lib.ad_node_name(self._n)).decode() if self._n else "torch::autograd::AccumulateGrad"

    @property
    def next_functions(self):
        """A pair (node, output number) for each input; (None, 0) where no gradient flows."""
        if not self._n:
            return ()
        found = []
        leaf, nr = ffi.new("ad_handle *"), ffi.new("int *")
        for i in range(lib.ad_node_inputs(self._n)):
            leaf[0] = nr[0] = 0
            n = lib.ad_node_next(self._n, i, leaf, nr)
            if leaf[0]:
                found.append((Node(0, wrap(leaf[0])), 0))
            else:
                found.append((Node(n) if n else None, nr[0] if n else 0))
        return tuple(found)

    @property
    def variable(self):
        """The leaf whose .grad an AccumulateGrad node adds to."""
        if self._leaf is None:
            raise AttributeError(f"{self.name()} object has no attribute 'variable'")
        return self._leaf

    def __eq__(self, other):
        if not isinstance(other, Node):
            return NotImplemented
        if self._n or other._n:
            return self._n == other._n
        return self._leaf._h == other._leaf._h

    def __hash__(self):
        return hash(self._n or self._leaf._h)

    def __repr__(self):
        return f"<{self.name() if self._n else 'AccumulateGrad'} object at {hex(self._n or id(self))}>"


def node_of(tensor):
    """The Node that computed a tensor, or None for leaves."""
    n = lib.ad_node_of(tensor._h)
    return Node(n) if n else None

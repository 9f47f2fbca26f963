"""Nested tuples, lists and dictionaries, taken apart and put together."""

from collections import OrderedDict, defaultdict


class TreeSpec:
    """How a nested structure was made of its leaves."""

    __slots__ = ("kind", "context", "children", "num_leaves")

    def __init__(self, kind, context, children):
        self.kind, self.context, self.children = kind, context, children
        self.num_leaves = 1 if kind is None else sum(c.num_leaves for c in children)

    def __eq__(self, other):
        return isinstance(other, TreeSpec) and (self.kind, self.context, self.children) == (
            other.kind,
            other.context,
            other.children,
        )

    def __hash__(self):
        return hash((self.kind, self.num_leaves))

    def __repr__(self):
        return "*" if self.kind is None else f"TreeSpec({self.kind.__name__}, {self.context}, {self.children})"


_LEAF = TreeSpec(None, None, [])


def _is_namedtuple(x):
    return isinstance(x, tuple) and hasattr(x, "_fields")


def tree_flatten(tree):
    """The leaves of a structure, and its TreeSpec."""
    if isinstance(tree, (tuple, list)):
        items, context = list(tree), type(tree) if _is_namedtuple(tree) else None
        kind = tuple if isinstance(tree, tuple) else list
    elif isinstance(tree, dict):
        items = list(tree.values())
        context = (type(tree), getattr(tree, "default_factory", None), tuple(tree))
        kind = dict
    else:
        return [tree], _LEAF
    leaves, children = [], []
    for item in items:
        some, spec = tree_flatten(item)
        leaves += some
        children.append(spec)
    return leaves, TreeSpec(kind, context, children)


def tree_unflatten(leaves, spec):
    """The structure of a TreeSpec with these leaves."""
    leaves = list(leaves)
    if len(leaves) != spec.num_leaves:
        raise ValueError(f"tree_unflatten: {len(leaves)} leaves for a structure of {spec.num_leaves}")
    return _build(iter(leaves), spec)


def _build(leaves, spec):
    if spec.kind is None:
        return next(leaves)
    items = [_build(leaves, child) for child in spec.children]
    if spec.kind is list:
        return items
    if spec.kind is tuple:
        return spec.context(*items) if spec.context is not None else tuple(items)
    cls, factory, keys = spec.context
    pairs = zip(keys, items)
    if cls is OrderedDict:
        return OrderedDict(pairs)
    return defaultdict(factory, pairs) if cls is defaultdict else dict(pairs)


def tree_leaves(tree):
    """The leaves of a structure."""
    return tree_flatten(tree)[0]


def tree_map(fn, tree, *rests):
    """The structure with fn(leaf, the leaves of `rests` in its place) for each leaf."""
    leaves, spec = tree_flatten(tree)
    return tree_unflatten([fn(*args) for args in zip(leaves, *(tree_leaves(r) for r in rests))], spec)


def tree_map_only(kind, fn, tree):
    """The structure with fn(leaf) for the leaves of a type."""
    return tree_map(lambda x: fn(x) if isinstance(x, kind) else x, tree)

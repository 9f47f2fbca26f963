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


_registered = {}
"""Classes of the user's, with the functions that take their objects apart and put them together."""


def register_pytree_node(cls, flatten_fn, unflatten_fn, *, serialized_type_name=None, to_dumpable_context=None,
                         from_dumpable_context=None, flatten_with_keys_fn=None):
    """Objects of a class are taken apart by flatten_fn(x), which returns (children, context), and put together by
    unflatten_fn(children, context). ValueError for a class that is registered already."""
    if cls in _registered:
        raise ValueError(f"{cls} is already registered as pytree node.")
    _registered[cls] = flatten_fn, unflatten_fn


_register_pytree_node = register_pytree_node


def tree_flatten(tree, is_leaf=None):
    """The leaves of a structure, and its TreeSpec. is_leaf(x): whether to leave x whole."""
    if is_leaf is not None and is_leaf(tree):
        return [tree], _LEAF
    if type(tree) in _registered:
        items, context = _registered[type(tree)][0](tree)
        kind = type(tree)
    elif isinstance(tree, (tuple, list)):
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
        some, spec = tree_flatten(item, is_leaf)
        leaves += some
        children.append(spec)
    return leaves, TreeSpec(kind, context, children)


def tree_unflatten(leaves, treespec):
    """The structure of a TreeSpec with these leaves. ValueError for another number of them."""
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(f"tree_unflatten: {len(leaves)} leaves for a structure of {treespec.num_leaves}")
    return _build(iter(leaves), treespec)


def _build(leaves, spec):
    if spec.kind is None:
        return next(leaves)
    items = [_build(leaves, child) for child in spec.children]
    if spec.kind in _registered:
        return _registered[spec.kind][1](items, spec.context)
    if spec.kind is list:
        return items
    if spec.kind is tuple:
        return spec.context(*items) if spec.context is not None else tuple(items)
    cls, factory, keys = spec.context
    pairs = zip(keys, items)
    if cls is OrderedDict:
        return OrderedDict(pairs)
    return defaultdict(factory, pairs) if cls is defaultdict else dict(pairs)


def tree_leaves(tree, is_leaf=None):
    """The leaves of a structure."""
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree, is_leaf=None):
    """An iterator over the leaves of a structure."""
    return iter(tree_leaves(tree, is_leaf))


def tree_structure(tree, is_leaf=None):
    """The TreeSpec of a structure."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func, tree, *rests, is_leaf=None):
    """The structure with func(leaf, the leaves of `rests` in its place) for each leaf."""
    leaves, spec = tree_flatten(tree, is_leaf)
    return tree_unflatten([func(*args) for args in zip(leaves, *(tree_leaves(r, is_leaf) for r in rests))], spec)


def tree_map_(func, tree, *rests, is_leaf=None):
    """Calls func as tree_map() does; returns the structure itself."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def _fits(types_or_pred):
    is_type = isinstance(types_or_pred, (type, tuple)) or not callable(types_or_pred)
    return (lambda x: isinstance(x, types_or_pred)) if is_type else types_or_pred


def tree_map_only(type_or_types_or_pred, func, tree, is_leaf=None):
    """The structure with func(leaf) for the leaves of a type, or of several, or those that a function accepts."""
    fits = _fits(type_or_types_or_pred)
    return tree_map(lambda x: func(x) if fits(x) else x, tree, is_leaf=is_leaf)


def tree_all(pred, tree, is_leaf=None):
    """Whether pred(leaf) holds for every leaf."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred, tree, is_leaf=None):
    """Whether pred(leaf) holds for some leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))


PyTree = object
"""For annotations: any nested structure."""

"""Pictures of the recorded graph: every operation with its value, its gradient and its shape.

    loss = F.mse_loss(model(x), y)
    autodiffc.viz.graph(loss, names=dict(model.named_parameters())).save("loss.svg")

Nothing else need be installed: the layers, their order and the places of the boxes are found here (Sugiyama's way:
longest paths, dummies on long edges, barycentres). `Graph.dot()` is for those who have Graphviz.
"""

import pathlib
from dataclasses import dataclass, field
from html import escape

from . import _core, autograd
from ._core import TensorBase, wrap
from ._native import lib

__all__ = ["Box", "Graph", "Output", "graph"]

_RESULT = 65536  # the slots of saved tensors: operand i is i, result k is _RESULT + k
_SHOWN = 6  # elements that are written out; of larger tensors, the range
_FILL = {"leaf": "#fde7c8", "constant": "#ececec", "operation": "#dcebfa"}
_CHAR, _LINE, _PAD, _GAP_X, _GAP_Y = 7.1, 15.0, 7.0, 42.0, 14.0  # pixels, of an 11 pixel monospace font


@dataclass
class Output:
    """A result of a box: what it was named, and what is known of it (None: not known)."""

    title: str = ""
    value: TensorBase | None = None
    grad: TensorBase | None = None

    @property
    def shape(self):
        """The sizes as a tuple, or None where neither value nor gradient is known."""
        known = self.value if self.value is not None else self.grad
        return None if known is None else tuple(known.shape)


@dataclass
class Box:
    """A node of the picture. kind: "leaf" (requires grad), "constant" (does not), or "operation"."""

    kind: str
    operation: str = ""
    outputs: dict[int, Output] = field(default_factory=dict)

    def lines(self):
        """What is written in it, as pairs (style, text): style is "title", "value", "grad" or "shape"."""
        named = [o.title for o in self.outputs.values() if o.title]
        lines = [("title", ", ".join([*named[:1], self.operation] if self.operation else named) or self.kind)]
        for k, out in sorted(self.outputs.items()):
            if len(self.outputs) > 1:
                lines.append(("shape", f"result {k} {out.title}".rstrip()))
            if out.value is not None:
                lines.append(("value", _numbers(out.value)))
            if out.grad is not None:
                lines.append(("grad", "grad " + _numbers(out.grad)))
            if out.shape:
                lines.append(("shape", " x ".join(map(str, out.shape))))
        return lines


@dataclass
class Graph:
    """Boxes, operands before what is computed from them, and edges as pairs of their numbers."""

    boxes: list[Box] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)

    def dot(self):
        """The graph in Graphviz's language."""
        text = ['digraph { rankdir=LR; node [shape=box, style="rounded,filled", fontname=monospace, fontsize=11];']
        for k, box in enumerate(self.boxes):
            label = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for _, line in box.lines())
            text.append(f'  n{k} [label="{label}", fillcolor="{_FILL[box.kind]}"];')
        text += [f"  n{a} -> n{b};" for a, b in self.edges]
        return "\n".join([*text, "}", ""])

    def svg(self):
        """The graph as a picture, from left to right."""
        lines = [box.lines() for box in self.boxes]
        size = [(max(len(t) for _, t in ls) * _CHAR + 2 * _PAD, len(ls) * _LINE + 2 * _PAD) for ls in lines]
        place, paths, width, height = _layout(size, self.edges)
        text = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="monospace" font-size="11">',
            '<rect width="100%" height="100%" fill="white"/>',
            '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0 8 4 0 8z" fill="#666"/></marker>',
        ]
        for points in paths:
            d = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
            for (x0, y0), (x1, y1) in zip(points, points[1:]):
                d += f"C{(x0 + x1) / 2:.1f} {y0:.1f} {(x0 + x1) / 2:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
            text.append(f'<path d="{d}" fill="none" stroke="#666" marker-end="url(#tip)"/>')
        style = {
            "title": 'font-weight="bold"',
            "value": "",
            "grad": 'fill="#b3261e"',
            "shape": 'fill="#777"',
        }
        for (x, y), (w, h), ls, box in zip(place, size, lines, self.boxes):
            text.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="5" fill="{_FILL[box.kind]}" '
                'stroke="#666"/>'
            )
            for k, (kind, line) in enumerate(ls):
                baseline = y + _PAD + (k + 0.75) * _LINE
                text.append(f'<text x="{x + _PAD:.1f}" y="{baseline:.1f}" {style[kind]}>{escape(line)}</text>')
        return "\n".join([*text, "</svg>", ""])

    _repr_svg_ = svg  # how notebooks show it

    def save(self, path):
        """Writes the picture (NAME.svg) or Graphviz's source (NAME.dot, NAME.gv). ValueError for other names."""
        path = pathlib.Path(path)
        if path.suffix not in (".svg", ".dot", ".gv"):
            raise ValueError(f"Graph.save: '{path.name}' should end in .svg, .dot or .gv")
        path.write_text(self.svg() if path.suffix == ".svg" else self.dot(), encoding="utf-8")


def graph(tensor, names=None, gradients=True):
    """The graph that computed a tensor, as a Graph: to save, to show in a notebook, or to read.

    Args:
        tensor: any tensor that requires a gradient, of any shape; a loss, as a rule.
        names: titles and their tensors, a dict; `dict(model.named_parameters())` names a model's. A named tensor is
            shown with its title and its value. What has no name is shown with its value where the graph has saved it
            for backward.
        gradients: whether to compute the gradient of the tensor (of its sum, if it has several elements) by everything
            in the graph. The graph is kept, hooks are called, nobody's .grad changes.

    Raises:
        TypeError: tensor, or a value of names, is not a tensor.
        RuntimeError: the tensor does not require grad; or gradients are wanted of a graph that backward has released
            (draw it before, or keep it with retain_graph=True).
    """
    names = dict(names or {})
    for what, t in (("the first argument", tensor), *((f"names['{k}']", v) for k, v in names.items())):
        if not isinstance(t, TensorBase):
            raise TypeError(f"viz.graph(): {what} must be a Tensor, not {type(t).__name__}")
    if not tensor.requires_grad:
        raise RuntimeError("viz.graph(): the tensor does not require grad, so that no graph was recorded")
    root, root_nr = autograd.graph.get_gradient_edge(tensor)[:2]
    picture = Graph()
    number = {}  # of each node's box
    for node in _walk(root):
        number[node] = len(picture.boxes)
        leaf = None if node._n else node.variable
        box = Box("operation", _operation(node)) if leaf is None else Box("leaf", "", {0: Output("", leaf.detach())})
        picture.boxes.append(box)
        picture.edges += [(number[n], number[node]) for n, _ in node.next_functions if n is not None]

    def output(node, nr):
        return picture.boxes[number[node]].outputs.setdefault(nr, Output())

    constants = {}  # of each storage address and shape: the number of the box
    for node in list(number):
        for slot, value in _saved(node):
            if slot >= _RESULT:
                output(node, slot - _RESULT).value = value
                continue
            source, nr = node.next_functions[slot]
            if source is not None:
                output(source, nr).value = value
                continue
            key = value.data_ptr(), tuple(value.shape)
            if key not in constants:
                constants[key] = len(picture.boxes)
                picture.boxes.append(Box("constant", "", {0: Output("", value)}))
            picture.edges.append((constants[key], number[node]))
    output(root, root_nr).value = tensor.detach()
    for title, t in names.items():
        if t.requires_grad:
            node, nr = autograd.graph.get_gradient_edge(t)[:2]
            if node in number:
                output(node, nr).title, output(node, nr).value = title, t.detach()
        elif (key := (t.data_ptr(), tuple(t.shape))) in constants:
            picture.boxes[constants[key]].outputs[0].title = title
    if gradients:
        for (node, nr), grad in _gradients(tensor, number).items():
            output(node, nr).grad = grad
    return picture


def _operation(node):
    name = node.name().rsplit("::", 1)[-1]
    return name.rstrip("0123456789").removesuffix("Backward").lower()


def _walk(root):
    """The nodes below one, operands first. A loop: graphs are deeper than Python recurses."""
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((n, False) for n, _ in reversed(node.next_functions) if n is not None and n not in seen)
    return order


def _saved(node):
    """What a node has saved for backward, as pairs of slot and tensor."""
    for k in range(lib.ad_node_nsaved(node._n) if node._n else 0):
        h = lib.ad_node_saved(node._n, k)
        if h:
            yield lib.ad_node_saved_slot(node._n, k), wrap(h).detach()
        elif lib.ad_error_class() != lib.AD_ERR_RUNTIME:  # that one: written since, and not what the operation saw
            _core.fail()


def _gradients(tensor, nodes):
    """The gradient of the tensor by each result of the nodes: what backward hands each of them."""
    found, leaves, hooks = {}, [], []
    try:
        for node in nodes:
            if not node._n:
                leaves.append(node)
                continue

            def note(grads, node=node):
                found.update({(node, k): g.detach().clone() for k, g in enumerate(grads) if g is not None})

            hooks.append(node.register_prehook(note))
        seed = autograd.graph.get_gradient_edge(tensor)
        ones = tensor.detach().new_ones(tensor.shape)
        grads = autograd.grad(tensor, [n.variable for n in leaves], ones, retain_graph=True, allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()
    found.update({(n, 0): g for n, g in zip(leaves, grads) if g is not None})
    found.setdefault((seed[0], seed[1]), ones)
    return found


def _numbers(t):
    if t.numel() == 0:
        return "empty"
    if t.numel() <= _SHOWN:
        return _written(t.tolist())
    if t.dtype.is_complex:
        return "complex"
    return f"{_short(t.min().item())} .. {_short(t.max().item())}"


def _written(v):
    return "[" + " ".join(map(_written, v)) + "]" if isinstance(v, list) else _short(v)


def _short(v):
    return f"{v:.4g}" if isinstance(v, float) else str(v)


def _layout(size, edges):
    """Places of boxes of these sizes: their upper left corners, the points of each edge, and the whole's size."""
    n = len(size)
    below = [[] for _ in range(n)]  # what each box goes into
    for a, b in edges:
        below[a].append(b)
    layer = [0] * n
    into = [0] * n
    for _, b in edges:
        into[b] += 1
    ready = [k for k in range(n) if not into[k]]
    sources = list(ready)
    for k in ready:  # grows: longest paths
        for b in below[k]:
            layer[b] = max(layer[b], layer[k] + 1)
            into[b] -= 1
            if not into[b]:
                ready.append(b)
    for k in sources:  # operands stand beside their first use
        layer[k] = min((layer[b] for b in below[k]), default=1) - 1

    size = [*size]
    chains = []  # each edge as a path over dummies, one a layer
    for a, b in edges:
        chain = [a]
        for between in range(layer[a] + 1, layer[b]):
            chain.append(len(size))
            size.append((0.0, 0.0))
            layer.append(between)
        chains.append([*chain, b])
    near = [([], []) for _ in size]  # neighbours on the left, on the right
    for chain in chains:
        for a, b in zip(chain, chain[1:]):
            near[a][1].append(b)
            near[b][0].append(a)
    columns = [[] for _ in range(max(layer, default=0) + 1)]
    for k in range(len(size)):
        columns[layer[k]].append(k)

    y = [0.0] * len(size)  # of the middle
    for column in columns:
        _stack(column, [0.0] * len(column), size, y)
    for sweep in range(24):
        forth = sweep % 2 == 0
        for column in columns if forth else reversed(columns):
            want = []
            for k in column:
                found = near[k][not forth] or near[k][forth]
                want.append(sum(y[j] for j in found) / len(found) if found else y[k])
            order = sorted(range(len(column)), key=want.__getitem__)
            column[:] = [column[i] for i in order]
            _stack(column, [want[i] for i in order], size, y)

    x, left = [0.0] * len(size), 12.0
    for column in columns:
        wide = max((size[k][0] for k in column), default=0.0)
        for k in column:
            x[k] = left + wide / 2
        left += wide + _GAP_X
    top = min((y[k] - size[k][1] / 2 for k in range(n)), default=0.0) - 12
    y = [v - top for v in y]
    paths = []
    for chain in chains:
        a, b = chain[0], chain[-1]
        inner = []
        for k in chain[1:-1]:  # level past the boxes of its layer
            wide = max(size[j][0] for j in columns[layer[k]]) / 2
            inner += [(x[k] - wide, y[k]), (x[k] + wide, y[k])]
        paths.append([(x[a] + size[a][0] / 2, y[a]), *inner, (x[b] - size[b][0] / 2, y[b])])
    bottom = max((y[k] + size[k][1] / 2 for k in range(n)), default=0.0)
    corners = [(x[k] - size[k][0] / 2, y[k] - size[k][1] / 2) for k in range(n)]
    return corners, paths, left - _GAP_X + 12, bottom + 12


def _stack(column, want, size, y):
    """Places a column's boxes in its order, as near as may be to where they want to be: runs of boxes that touch move
    together to the mean of their wishes (isotonic regression by pooling)."""
    runs = []  # [number of boxes, sum of (wish - offset within the column)]
    offset, offsets = 0.0, []
    for i, k in enumerate(column):
        if i:
            offset += (size[column[i - 1]][1] + size[k][1]) / 2 + _GAP_Y
        offsets.append(offset)
        runs.append([1, want[i] - offset])
        while len(runs) > 1 and runs[-2][1] * runs[-1][0] >= runs[-1][1] * runs[-2][0]:
            count, total = runs.pop()
            runs[-1][0] += count
            runs[-1][1] += total
    at = 0
    for count, total in runs:
        for i in range(at, at + count):
            y[column[i]] = total / count + offsets[i]
        at += count

"""Pictures of the recorded graph."""

import xml.etree.ElementTree as ElementTree

import pytest

import autodiffc as ad
from autodiffc import nn, viz
from autodiffc.nn import functional as F


def simple():
    x, w = ad.tensor([1.0, 2.0]), ad.tensor([3.0, -1.0], requires_grad=True)
    product = x * w
    return x, w, product, product.sum()


def boxes(graph, kind):
    return [b for b in graph.boxes if b.kind == kind]


def test_boxes_hold_values_and_gradients():
    x, w, product, loss = simple()
    g = viz.graph(loss, {"x": x, "w": w, "product": product, "loss": loss})
    (leaf,), (constant,) = boxes(g, "leaf"), boxes(g, "constant")
    assert leaf.outputs[0].title == "w" and leaf.outputs[0].grad.tolist() == [1, 2]
    assert constant.outputs[0].title == "x" and constant.outputs[0].grad is None
    by_name = {b.operation: b.outputs[0] for b in boxes(g, "operation")}
    assert set(by_name) == {"mul", "sum"}
    assert by_name["mul"].value.tolist() == [3, -2] and by_name["mul"].grad.tolist() == [1, 1]
    assert by_name["sum"].value.item() == 1 and by_name["sum"].grad.item() == 1
    assert by_name["mul"].shape == (2,) and by_name["sum"].shape == ()
    place = {id(b): k for k, b in enumerate(g.boxes)}
    mul, total = (place[id(b)] for b in boxes(g, "operation"))
    assert set(g.edges) == {(place[id(leaf)], mul), (place[id(constant)], mul), (mul, total)}


def test_nothing_changes():
    x, w, product, loss = simple()
    viz.graph(loss)
    assert w.grad is None
    loss.backward()
    assert w.grad.tolist() == [1, 2]


def test_pictures_are_well_formed(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
    loss = F.cross_entropy(model(ad.randn(2, 1, 8, 8)), ad.tensor([1, 2]))
    g = viz.graph(loss, dict(model.named_parameters()))
    g.save(tmp_path / "loss.svg")
    root = ElementTree.fromstring((tmp_path / "loss.svg").read_text())
    tag = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{tag}rect")) == len(g.boxes) + 1  # and the background
    shown = [t.text for t in root.iter(f"{tag}text")]
    assert {"0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias"} <= set(shown)
    places = [[float(r.get(k)) for k in ("x", "y", "width", "height")] for r in root.findall(f"{tag}rect")[1:]]
    width, height = float(root.get("width")), float(root.get("height"))
    for k, (x, y, w, h) in enumerate(places):
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
        for x2, y2, w2, h2 in places[:k]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y, "boxes lie on each other"
    g.save(tmp_path / "loss.dot")
    dot = (tmp_path / "loss.dot").read_text()
    assert dot.startswith("digraph") and dot.count(" -> ") == len(g.edges) and dot.count("{") == dot.count("}")


def test_text_is_escaped():
    w = ad.ones(1, requires_grad=True)
    g = viz.graph(w.sum(), {'<"&\\>': w})
    ElementTree.fromstring(g.svg())
    assert '<\\"&\\\\>' in g.dot()


def test_a_long_chain_does_not_recurse():
    y = ad.ones(1, requires_grad=True)
    for _ in range(3000):
        y = y * 1.0
    g = viz.graph(y)
    assert len(boxes(g, "operation")) == 3000 and g.boxes[0].outputs[0].grad.item() == 1


def test_mistakes(tmp_path):
    x, w, _, loss = simple()
    with pytest.raises(TypeError, match="must be a Tensor"):
        viz.graph(1.0)
    with pytest.raises(TypeError, match="names\\['w'\\]"):
        viz.graph(loss, {"w": 2})
    with pytest.raises(RuntimeError, match="does not require grad"):
        viz.graph(x)
    with pytest.raises(ValueError, match="should end in"):
        viz.graph(loss).save(tmp_path / "loss.bmp")
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        viz.graph(loss)

"""Normalizations against PyTorch."""

# ruff: noqa: B023
import numpy as np
import pytest

from .both import check, tensor

pytestmark = pytest.mark.parity
RNG = np.random.default_rng(3)

LAYERS = [
    ("BatchNorm1d", (4,), (6, 4)),
    ("BatchNorm1d", (4,), (6, 4, 3)),
    ("BatchNorm2d", (4,), (3, 4, 5, 3)),
    ("BatchNorm3d", (4,), (2, 4, 2, 3, 2)),
    ("InstanceNorm1d", (4,), (2, 4, 6)),
    ("InstanceNorm2d", (4,), (2, 4, 3, 3)),
    ("InstanceNorm2d", (4,), (4, 3, 3)),
    ("InstanceNorm3d", (4,), (2, 4, 2, 2, 3)),
    ("GroupNorm", (2, 4), (3, 4, 5)),
    ("LayerNorm", (6,), (3, 4, 6)),
    ("LayerNorm", ((4, 6),), (3, 4, 6)),
    ("RMSNorm", (6,), (3, 4, 6)),
]
OPTIONS = [
    {},
    {"affine": False},
    {"affine": True},
    {"bias": False},
    {"eps": 0.1},
    {"momentum": None},
    {"momentum": 0.7},
    {"track_running_stats": False},
    {"track_running_stats": True},
    {"elementwise_affine": False},
]


@pytest.mark.parametrize("name,args,sizes", LAYERS)
@pytest.mark.parametrize("options", OPTIONS)
def test_layer(name, args, sizes, options):
    batches = [RNG.standard_normal(sizes).astype("f") * 2 + 1 for _ in range(3)]

    def run(T):
        layer = getattr(T.nn, name)(*args, **options)
        seen = [repr(layer)]
        for batch in batches:
            x = tensor(T, batch, grad=True)
            y = layer(x)
            (y.sin() * y).sum().backward()
            seen += [y, x.grad]
        seen += [p.grad for p in layer.parameters()] + [layer.state_dict()]
        layer.eval()
        x = tensor(T, batches[0], grad=True)
        layer.zero_grad()
        y = layer(x)
        (y.sin() * y).sum().backward()
        return [*seen, y, x.grad, [p.grad for p in layer.parameters()]]

    check(run, 2e-4)


def test_wrong():
    for fn in (
        lambda T: T.nn.BatchNorm2d(3)(T.ones(2, 3)),
        lambda T: T.nn.BatchNorm1d(3)(T.ones(1, 3)),
        lambda T: T.nn.BatchNorm1d(3)(T.ones(2, 4)),
        lambda T: T.nn.BatchNorm1d(3)(T.ones(2, 3).double()),
        lambda T: T.nn.BatchNorm1d(-1),
        lambda T: T.nn.LayerNorm(3)(T.ones(2, 4)),
        lambda T: T.nn.LayerNorm(3)(T.ones(2, 3).long()),
        lambda T: T.nn.GroupNorm(2, 3),
        lambda T: T.nn.GroupNorm(2, 4)(T.ones(2, 3, 3)),
        lambda T: T.nn.GroupNorm(4, 4)(T.ones(1, 4)),
        lambda T: T.nn.InstanceNorm1d(3)(T.ones(2, 3)),
        lambda T: T.nn.InstanceNorm1d(3)(T.ones(2, 3, 1)),
        lambda T: T.nn.InstanceNorm2d(3, affine=True)(T.ones(2, 4, 3, 3)),
        lambda T: T.nn.RMSNorm(3)(T.ones(2, 4)),
        lambda T: T.nn.functional.batch_norm(T.ones(2, 3), None, None),
        lambda T: T.nn.functional.instance_norm(T.ones(2, 3, 4), use_input_stats=False),
    ):
        check(fn)

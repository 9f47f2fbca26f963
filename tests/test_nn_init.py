"""Initial values: pinned to PyTorch 2.13's for a seed, and what each distribution promises."""

import math

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn

# fmt: off
PINNED = [  # seed 3, size (3, 4)
    ("uniform_", {"a": -2.0, "b": 3.0}, [-1.9786824, -1.4721532, -0.57078761, -1.8652258, 0.3580718,
     -1.6994185, 1.8593292, 1.7184968, 0.97210604, 2.4392834, 0.25515664, 1.9974532]),
    ("normal_", {"mean": 1.0, "std": 2.0}, [2.6065521, 1.3496668, 1.1779562, -0.22743602, 1.0923649,
     -1.7365184, 1.6749902, 3.0222318, -1.8703587, 2.9548635, 2.0440998, 3.4758334]),
    ("trunc_normal_", {}, [0.80327606, 0.17483339, 0.088978097, -0.61371803, 0.04618245, -1.3682592,
     0.33749509, 1.0111159, -1.4351794, 0.97743177, 0.52204996, 1.2379167]),
    ("trunc_normal_", {"a": 1.0, "b": 2.0}, [1.0042635, 1.1055694, 1.2858424, 1.0269549, 1.4716144,
     1.1147958, 1.2608796, 1.805172, 1.1393621, 1.8878567, 1.0666459, 1.7994907]),
    ("xavier_uniform_", {}, [-0.9179256, -0.73034364, -0.39654267, -0.87590945, -0.05255999, -0.81450635,
     0.50339776, 0.45124355, 0.1748341, 0.718171, -0.090672366, 0.55454892]),
    ("xavier_normal_", {"gain": 2.0}, [0.85873824, 0.18690476, 0.095121585, -0.65609217, 0.049371116,
     -1.4627306, 0.36079744, 1.0809283, -1.5342712, 1.0449185, 0.55809486, 1.3233886]),
    ("kaiming_uniform_", {"a": 0.5}, [-1.0861043, -0.86415428, -0.46919563, -1.0363901, -0.062189821,
     -0.96373695, 0.59562826, 0.53391862, 0.2068665, 0.84975141, -0.10728499, 0.65615112]),
    ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}, [0.65587217, 0.14275087, 0.072650313,
     -0.50109863, 0.037707813, -1.1171789, 0.2755636, 0.82557261, -1.171819, 0.79806972, 0.42625198,
     1.0107547]),
    ("orthogonal_", {"gain": 2.0}, [1.5601373, 0.33956456, 0.17281488, -1.1919743, 0.83166993, -1.5917286,
     0.51961982, 0.71043694, 0.29914874, 1.0236742, 1.4379097, 0.89163738]),
    ("sparse_", {"sparsity": 0.4}, [0.0, 0.0017483339, 0.0, 0.0, 0.0, 0.0, 0.0, 0.010111159, -0.014351794,
     0.0, 0.0052204994, 0.0]),
]
# fmt: on


@pytest.mark.parametrize("name,options,expected", PINNED)
def test_pinned(name, options, expected):
    ad.manual_seed(3)
    t = ad.empty(3, 4)
    assert getattr(nn.init, name)(t, **options) is t
    np.testing.assert_allclose(t.numpy().ravel(), np.float32(expected), rtol=2e-5, atol=2e-6)


def test_generator_leaves_the_default_stream_alone():
    ad.manual_seed(1)
    before = ad.rand(2).numpy()
    ad.manual_seed(1)
    a = nn.init.normal_(ad.empty(3), generator=ad.Generator().manual_seed(5)).numpy()
    b = nn.init.normal_(ad.empty(3), generator=ad.Generator().manual_seed(5)).numpy()
    assert (a == b).all() and (ad.rand(2).numpy() == before).all()


def test_layers_start_as_in_pytorch():
    ad.manual_seed(3)
    m = nn.Linear(3, 2)
    np.testing.assert_allclose(
        m.weight.detach().numpy(),
        [[-0.57242715, -0.45544925, -0.24728779], [-0.54622549, -0.03277691, -0.50793397]],
        rtol=1e-6,
    )
    np.testing.assert_allclose(m.bias.detach().numpy(), [0.31392363, 0.28139979], rtol=1e-6)
    ad.manual_seed(3)
    np.testing.assert_allclose(
        nn.Embedding(2, 3, padding_idx=0).weight.detach().numpy(),
        [[0, 0, 0], [-0.61371803, 0.04618245, -1.36825919]],
        rtol=1e-5,
    )
    assert nn.PReLU().weight.tolist() == [0.25]


def test_distributions():
    ad.manual_seed(0)
    t = nn.init.trunc_normal_(ad.empty(300, 200), std=2.0, a=-1.0, b=3.0).numpy()
    assert t.min() >= -1 and t.max() <= 3
    x = np.linspace(-1, 3, 200001)
    density = np.exp(-(x**2) / 8)
    assert t.mean() == pytest.approx((x * density).sum() / density.sum(), abs=0.02)
    bound = math.sqrt(6 / (20 + 30))
    t = nn.init.xavier_uniform_(ad.empty(30, 20)).numpy()
    assert abs(t).max() <= bound and abs(t).max() > 0.95 * bound
    t = nn.init.kaiming_normal_(ad.empty(400, 50, 2), nonlinearity="relu").numpy()
    assert t.std() == pytest.approx(math.sqrt(2 / 100), rel=0.02)
    for shape in ((4, 7), (7, 4), (5, 3, 2)):
        q = nn.init.orthogonal_(ad.empty(*shape), gain=2.0).numpy().reshape(shape[0], -1)
        gram = q @ q.T if q.shape[0] < q.shape[1] else q.T @ q
        np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-5)
    assert (nn.init.sparse_(ad.empty(10, 6), 0.3).numpy() == 0).sum(0).tolist() == [3] * 6


def test_plain_values():
    assert (nn.init.eye_(ad.empty(2, 3)).numpy() == np.eye(2, 3)).all()
    assert nn.init.constant_(ad.empty(2), 3.5).tolist() == [3.5, 3.5]
    assert nn.init.ones_(ad.empty(2)).tolist() == [1, 1] and nn.init.zeros_(ad.empty(2)).tolist() == [0, 0]
    d = nn.init.dirac_(ad.empty(4, 2, 3), groups=2).numpy()
    assert d.sum() == 4 and all(d[g * 2 + c, c, 1] == 1 for g in range(2) for c in range(2))


def test_no_gradient_is_recorded():
    p = nn.Parameter(ad.empty(3, 3))
    for name in ("uniform_", "normal_", "eye_", "xavier_uniform_", "orthogonal_", "trunc_normal_"):
        assert getattr(nn.init, name)(p) is p and p.is_leaf and p.requires_grad
    assert nn.init.sparse_(p, 0.1).is_leaf


def test_gains():
    gains = {
        "linear": 1,
        "conv2d": 1,
        "sigmoid": 1,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "selu": 0.75,
        "leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
    }
    for name, gain in gains.items():
        assert nn.init.calculate_gain(name) == gain
    assert nn.init.calculate_gain("leaky_relu", 1) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: nn.init.eye_(ad.empty(2)),
        lambda: nn.init.dirac_(ad.empty(2, 2)),
        lambda: nn.init.dirac_(ad.empty(3, 2, 3), 2),
        lambda: nn.init.xavier_normal_(ad.empty(2)),
        lambda: nn.init.kaiming_uniform_(ad.empty(2, 2), mode="fan"),
        lambda: nn.init.orthogonal_(ad.empty(2)),
        lambda: nn.init.sparse_(ad.empty(2), 0.1),
        lambda: nn.init.calculate_gain("what"),
        lambda: nn.init.calculate_gain("leaky_relu", True),
    ],
)
def test_refused(call):
    with pytest.raises(ValueError):
        call()


def test_warnings():
    with pytest.warns(UserWarning, match="no-op"):
        nn.init.kaiming_uniform_(ad.empty(0, 3))
    with pytest.warns(UserWarning, match="more than 2 std"):
        nn.init.trunc_normal_(ad.empty(2), mean=5.0)
    with pytest.warns(FutureWarning, match="uniform_"):
        nn.init.uniform(ad.empty(2))

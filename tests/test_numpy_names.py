"""axis= and keepdims=, NumPy's names for dim and keepdim, wherever PyTorch takes them."""

import pytest

import autodiffc as T

BOTH = ["sum", "mean", "prod", "var", "std", "amax", "amin", "logsumexp", "nansum", "nanmean", "max", "min", "argmax",
        "argmin", "all", "any", "median", "nanmedian", "mode"]
AXIS = ["softmax", "log_softmax", "cumsum", "cumprod", "logcumsumexp", "cummax", "cummin", "sort", "argsort", "squeeze",
        "unsqueeze", "unbind", "count_nonzero", "diff"]
WITH_NUMBER = {"topk": 2, "kthvalue": 1, "chunk": 2, "tensor_split": 2, "repeat_interleave": 2, "quantile": 0.5}


def same(a, b):
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return T.equal(a, b)


@pytest.mark.parametrize("name", BOTH + AXIS + list(WITH_NUMBER))
def test_axis(name):
    x = T.randn(2, 3, generator=T.Generator().manual_seed(1))
    args = [WITH_NUMBER[name]] if name in WITH_NUMBER else []
    wanted = getattr(x, name)(*args, dim=1)
    assert same(tuple(getattr(x, name)(*args, axis=1)), tuple(wanted))
    assert same(tuple(getattr(T, name)(x, *args, axis=1)), tuple(wanted))
    if name in BOTH + ["kthvalue", "quantile"]:
        kept = getattr(x, name)(*args, dim=1, keepdim=True)
        assert same(tuple(getattr(x, name)(*args, axis=1, keepdims=True)), tuple(kept))


def test_axis_of_joins():
    x = T.arange(6).reshape(2, 3)
    for name in ("cat", "concat", "stack"):
        assert T.equal(getattr(T, name)([x, x], axis=1), getattr(T, name)([x, x], 1))
    y = x.clone().unsqueeze_(axis=0)
    assert y.shape == (1, 2, 3) and y.squeeze_(axis=0).shape == (2, 3)


def test_a_dimension_must_be_given():
    for name in ("softmax", "cumsum", "unsqueeze", "logsumexp"):
        with pytest.raises(TypeError, match="missing 1 required positional"):
            getattr(T.ones(2), name)()

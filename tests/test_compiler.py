"""torch.compiler: what surrounds compile()."""

import warnings

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn


def test_reset_forgets_programs_and_reasons():
    step = ad.compile(lambda x: x * 2)
    model = ad.compile(nn.Linear(3, 2))
    for _ in range(3):
        step(ad.ones(3))
        model(ad.ones(1, 3)).sum().backward()
    assert len(step.stats()) == 1 and len(model._step.stats()) == 1
    y = model(ad.ones(1, 3)).sum()
    before = ad.memory_stats()["bytes_in_use"]
    ad.compiler.reset()
    assert not step.stats() and not model._step.stats() and ad.memory_stats()["bytes_in_use"] <= before
    y.backward()  # a call before goes on
    assert step(ad.ones(3)).tolist() == [2, 2, 2] and model(ad.ones(1, 3)).shape == (1, 2)
    reads = ad.compile(lambda x: x * 2 if x.sum() > 0 else x)
    for _ in range(2):
        with pytest.warns(UserWarning, match="runs as it is"):
            reads(ad.ones(3))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            reads(ad.ones(3))
        ad._dynamo.reset()


def test_disable_runs_at_each_call():
    seen = []

    @ad.compiler.disable
    def note(x):
        seen.append(float(x.sum()))
        return x + 1

    def step(x):
        return note(x * 2) * 3

    compiled = ad.compile(step)
    with pytest.warns(UserWarning, match=r"torch.compiler.disable.*test_compiler.py, line"):
        for k in range(3):
            assert compiled(ad.full((2,), float(k))).tolist() == [(2.0 * k + 1) * 3] * 2
    assert seen == [0.0, 4.0, 8.0]
    with pytest.raises(ad.CaptureError, match="disable.*because"):
        ad.compile(lambda x: ad.compiler.disable(lambda y: y + 1, reason="because")(x), fullgraph=True)(ad.ones(2))
    assert ad.compile(note) is note
    layer = ad.compiler.disable(nn.Linear(2, 2))
    assert isinstance(layer, nn.Linear) and layer(ad.ones(1, 2)).shape == (1, 2)
    with pytest.raises(TypeError):
        ad.compiler.disable(3)


def test_stances():
    runs = []

    def f(x):
        runs.append(len(runs))
        return x + 1

    def g(x):
        return x + 1

    step = ad.compile(g)
    step(ad.ones(2))
    step(ad.ones(2))
    eager = ad.compile(f)
    with ad.compiler.set_stance("force_eager"), warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert eager(ad.ones(2)).tolist() == [2, 2]
        assert step(ad.ones(3)).tolist() == [2, 2, 2]
    assert len(runs) == 3 and len(step.stats()) == 1
    with ad.compiler.set_stance("fail_on_recompile"):
        assert step(ad.zeros(2)).tolist() == [1, 1]
        with pytest.raises(RuntimeError, match="fail_on_recompile"):
            step(ad.zeros(3))

    @ad.compiler.set_stance("eager_on_recompile")
    def inside():
        return step(ad.zeros(3))

    assert inside().tolist() == [1, 1, 1] and len(step.stats()) == 1
    assert step(ad.zeros(3)).tolist() == [1, 1, 1] and len(step.stats()) == 2
    with pytest.raises(RuntimeError, match="invalid"):
        ad.compiler.set_stance("sideways")


def test_whether_a_step_is_being_recorded():
    def step(x):
        return x * (2 if ad.compiler.is_compiling() else 3)

    assert not ad.compiler.is_compiling() and not ad.compiler.is_dynamo_compiling()
    compiled = ad.compile(step)
    np.testing.assert_array_equal(compiled(ad.ones(2)).numpy(), [2, 2])
    np.testing.assert_array_equal(compiled(ad.ones(2)).numpy(), [2, 2])
    assert ad.compiler.list_backends() == ["inductor"]
    with pytest.raises(AttributeError):
        _ = ad.compiler.no_such_name

"""The examples come to the same with PyTorch: the same numbers where rounding does not grow, else the same claims."""

import pytest

from .. import examples

CLOSE = {  # what is compared, and how near it must be
    "descent": (["path", "steps", "top", "plain", "momentum"], 1e-12),
    "directions": (["length", "steepest", "best", "slope"], 1e-6),
    "backprop": (["loss", "gradient"], 1e-12),
    "batches": (["variance", "least", "full", "line"], 1e-3),
    "momentum": (["path"], 1e-12),
    "optimizers": (["schedules"], 0.02),
    "matrix_calculus": (["jacobian"], 1e-12),
    "policy": ([], 0),
    "regression": (["train", "test", "weights", "lengths"], 1e-3),
    "features": (["raw"], 1e-3),
    "autoencoder": (["first_error", "principal"], 1e-3),
    "contrastive": (["before"], 0.01),
    "compiled": (["last_loss"], 0.02),
    "chargpt": (["common"], 1e-4),
    "gan": ([], 0),
}


@pytest.mark.parametrize("check", examples.NUMPY_ALONE + examples.LONGER, ids=lambda check: check.__name__)
def test_both_backends(check, tmp_path):
    if check.__name__ in ("regression", "features", "autoencoder", "contrastive", "compiled", "gan"):
        pytest.importorskip("sklearn", reason="the extra `examples` is not installed")
    if check.__name__ == "compiled":  # it runs both itself
        n = examples.run("compiled", tmp_path, OMP_NUM_THREADS="1")
        assert n["last_loss"] == pytest.approx(n["torch_loss"], rel=0.05)
        return
    # one thread: its threads wait for each other where other tests keep the cores busy
    theirs = examples.run(check.__name__, tmp_path, "--backend", "torch", OMP_NUM_THREADS="1")
    check(theirs)
    names, rtol = CLOSE[check.__name__]
    if names:
        ours = examples.run(check.__name__, tmp_path)
        for name in names:
            pairs = [(ours[name], theirs[name])]
            while isinstance(pairs[0][0], (list, dict)):
                lists = [[list(v.values()) if isinstance(v, dict) else v for v in pair] for pair in pairs]
                pairs = [p for a, b in lists for p in zip(a, b, strict=True)]
            for a, b in pairs:
                assert a == pytest.approx(b, rel=rtol, abs=rtol * 1e-3), name

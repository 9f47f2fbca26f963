"""Runs the examples as a user does, each in a process of its own, and says what their numbers must be."""

import json
import math
import pathlib

import numpy as np
import pytest

from . import child

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(name, folder, *options, **environment):
    """The numbers that examples/NAME.py comes to. Its own assertions hold too, or the process fails."""
    numbers = folder / f"{name}.json"
    script = str(ROOT / "examples" / f"{name}.py")
    done = child.run(script, "--out", str(folder), "--numbers", str(numbers), *options, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(numbers.read_text())


def descent(n):
    assert n["path"][:4] == pytest.approx([1, 0.6, 0.36, 0.216], rel=1e-15)
    assert [n["last"][r] for r in ("0.25", "0.5")] == [0, -1]
    for rate in (0.02, 0.1, 0.45, 0.52):
        assert n["last"][str(rate)] == pytest.approx((1 - 4 * rate) ** 25, rel=1e-12)
    assert n["steps"] == math.ceil(math.log(1e-6 / 4) / math.log(0.6)) and n["top"] == pytest.approx(2, abs=1e-9)
    assert n["plain"] > 0.25 and n["momentum"] < -0.3


def directions(n):
    gx = math.cos(0.8) * math.cos(-0.3) + 0.1 * -0.6
    gy = -0.5 * math.sin(0.8) * math.sin(-0.3) + 0.1 * 0.8
    assert n["length"] == pytest.approx(math.hypot(gx, gy), rel=1e-12)
    assert n["steepest"] == pytest.approx(math.atan2(gy, gx), rel=1e-12)
    assert abs(n["best"] - n["steepest"]) <= math.radians(0.25) + 1e-9 and n["off"] < 2


def backprop(n):
    assert n["hand"] < 1e-14 and n["difference"] < 1e-8 and np.shape(n["gradient"]) == (3, 2)


def batches(n):
    assert n["bias"] < 1e-5
    assert np.polyfit(np.log([1, 4, 16, 64, 256]), np.log(n["variance"]), 1)[0] == pytest.approx(-1, abs=0.1)
    assert n["full"] == pytest.approx(n["least"], rel=1e-3) and n["line"] == pytest.approx([3, 2], abs=0.1)


def momentum(n):
    assert max(n["apart"][k] for k in n["apart"] if "constant" in k) < 1e-13
    assert all(n["parting"][k] == 16 and n["apart"][k] > 0.1 for k in n["apart"] if "falling" in k)


def optimizers(n):
    assert len(n["valley"]) == len(n["network"]) == 15 and len(n["schedules"]) == 16
    assert max(n["valley"].values()) < 0.33 and max(n["network"].values()) < 0.05


def matrix_calculus(n):
    assert len(n["errors"]) == 11 and max(map(max, n["errors"].values())) < 1e-12
    assert np.abs(np.sum(n["jacobian"], axis=1)).max() < 1e-12  # what layer norm gives does not change with the mean


def policy(n):
    assert n["reward"] >= 475 and n["curve"][0] < 100 < 475 < n["curve"][-1]


def chargpt(n):
    assert n["trained"] < 1.7 and n["unseen"] < 2.2 < 3 < n["common"] and len(n["written"]) == 400


def regression(n):
    assert n["apart"] < 1e-3 and n["train"] > 0.5 and n["test"] > 0.3 and len(n["weights"]) == 11


def features(n):
    assert n["raw"] < 0.7 and n["learned"] > 0.9 and n["learned_accuracy"] > n["raw_accuracy"] + 0.05


def autoencoder(n):
    assert n["test_error"] < 0.035 < 0.05 < n["principal"]


def gan(n):
    assert min(n["share"]) >= 1 / 32 and sum(n["share"]) >= 0.8 and min(n["kinds"]) >= 0.01


def contrastive(n):
    assert n["before"] < 0.5 and n["after"] > 0.95 and n["told"] > 0.95


def compiled(n):
    assert n["same"] is True and n["accuracy"] >= 0.97 and n["faster"] > 1


NUMPY_ALONE = [descent, directions, backprop, batches, momentum, optimizers, matrix_calculus, policy]
LONGER = [chargpt, regression, features, autoencoder, gan, contrastive, compiled]  # or with scikit-learn's data

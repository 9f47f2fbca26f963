"""Several Python threads at once, processes made by fork and spawn, and the number of threads."""

import faulthandler
import importlib.util
import multiprocessing
import os
import threading
import time

import numpy as np
import pytest

import autodiffc as T
from autodiffc._native import lib

from . import child

COUNT = 4


def together(work, count=COUNT):
    """Runs work(k) in `count` threads that start at one moment; raises what any of them raised."""
    barrier, failures, results = threading.Barrier(count), [], [None] * count

    def run(k):
        try:
            barrier.wait()
            results[k] = work(k)
        except BaseException as e:  # handed to the test
            failures.append(e)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
        assert not t.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]
    return results


def leaf(*sizes, seed=0):
    return T.from_numpy(np.random.default_rng(seed).uniform(-1, 1, sizes)).requires_grad_()


def loss_of(w, x):
    return ((x @ w).relu() * 0.5).exp().sum()


def large_gradient(seed):
    """A gradient whose loops are long enough for the pool, as bytes."""
    w = T.from_numpy(np.random.default_rng(seed).uniform(-1, 1, 300_000).astype(np.float32)).requires_grad_()
    (g,) = T.autograd.grad(((w * 2.0).exp() * w).sum(), w)
    return g.numpy().tobytes()


def test_independent_graphs():
    expected = [large_gradient(k) for k in range(COUNT)]

    def work(k):
        return all(large_gradient(k) == expected[k] for _ in range(10))

    assert all(together(work))


def test_shared_weights():
    """Threads accumulate into the same leaves: nothing is lost. The gradients are whole numbers, exact in any order."""
    w = T.from_numpy(np.arange(64.0)).requires_grad_()

    def work(k):
        for _ in range(200):
            (w * (k + 1.0)).sum().backward()

    together(work)
    np.testing.assert_array_equal(w.grad.numpy(), np.full(64, 200.0 * sum(range(1, COUNT + 1))))


def test_one_graph_walked_by_all():
    w, x = leaf(8, 8), leaf(8, 8, seed=1)
    loss = loss_of(w, x)
    loss.backward(retain_graph=True)
    once = w.grad.numpy().copy()
    w.grad = x.grad = None

    def work(k):
        for _ in range(100):
            loss.backward(retain_graph=True)

    together(work)
    np.testing.assert_allclose(w.grad.numpy(), once * 100 * COUNT, rtol=1e-10)


def test_one_graph_walked_and_freed():
    """Without retain_graph the threads race for the saved tensors: each call succeeds or raises, none crashes."""
    for round_ in range(100):
        w, x = leaf(8, 8), leaf(8, 8, seed=round_)
        y = x
        for _ in range(20):
            y = (y @ w).relu().exp() * 0.1
        loss = y.sum()

        def work(k, loss=loss):
            try:
                loss.backward()
            except RuntimeError as e:
                assert "second time" in str(e)
                return False
            return True

        together(work, 2)


def test_gradients_set_and_read_while_others_accumulate():
    w = leaf(16)

    def work(k):
        for _ in range(300):
            if k % 2:
                g = w.grad
                w.grad = None
                if g is not None:
                    g.numpy().sum()
            else:
                (w * 2.0).sum().backward()

    together(work)


def test_views_of_one_base_are_read_by_all():
    base = leaf(50, 50) * 1.0
    expected = base.detach().numpy().copy()

    def work(k):
        for i in range(300):
            row = base.select(0, i % 50)
            np.testing.assert_array_equal(row.detach().numpy(), expected[i % 50])
            row.transpose(0, 0).sum()

    together(work)


def test_tensors_die_on_other_threads():
    made, lock = [], threading.Lock()

    def work(k):
        for i in range(500):
            w = leaf(8, seed=i)
            y = (w * 2.0).exp()
            with lock:
                made.append((w, y))
                gone = made.pop(0) if len(made) > 20 else None
            del gone

    together(work)


def test_grad_mode_is_per_thread():
    inside, done = threading.Event(), threading.Event()

    def quiet():
        with T.no_grad():
            inside.set()
            done.wait(10)
            assert not T.is_grad_enabled()

    t = threading.Thread(target=quiet)
    t.start()
    assert inside.wait(10)
    try:
        assert T.is_grad_enabled()
        assert (leaf(2) * 2.0).requires_grad
    finally:
        done.set()
        t.join()
    with T.no_grad():
        assert together(lambda k: T.is_grad_enabled(), 1) == [True]


def test_errors_are_per_thread():
    def work(k):
        for _ in range(200):
            with pytest.raises(RuntimeError, match=rf"\({k + 2}\)"):
                T.ones(k + 2) + T.ones(k + 20)

    together(work)


def test_number_of_threads_changed_while_others_compute():
    expected = large_gradient(0)

    def work(k):
        for i in range(30):
            if k == 0:
                assert lib.ad_set_num_threads(1 + i % 4) == 0
            else:
                assert large_gradient(0) == expected

    together(work)


# ---- processes ----


def child_of_fork(work):
    """Runs work() in a forked child; the child's exit status tells whether it returned."""
    pid = os.fork()
    if pid == 0:
        try:
            faulthandler.dump_traceback_later(30, exit=True)
            work()
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    raise AssertionError("the child hangs")


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_after_the_pool_has_run():
    lib.ad_set_num_threads(4)
    expected = large_gradient(0)

    def work():
        assert large_gradient(0) == expected
        assert lib.ad_get_num_threads() == 4

    assert child_of_fork(work) == 0
    assert large_gradient(0) == expected


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_while_other_threads_compute():
    """Whatever the other threads hold at that moment (the allocator, the pool, a gradient) is free in the child."""
    lib.ad_set_num_threads(3)
    expected, stop = large_gradient(0), threading.Event()
    w = leaf(200_000)

    def busy():
        while not stop.is_set():
            (w * 1.0).sum().backward()

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for t in threads:
        t.start()

    def work():
        assert large_gradient(0) == expected
        v = leaf(10)
        for _ in range(3):
            (v * 2.0).sum().backward()

    try:
        for _ in range(15):
            assert child_of_fork(work) == 0
    finally:
        stop.set()
        for t in threads:
            t.join()


def spawned(seed):
    return large_gradient(seed)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("how", [m for m in multiprocessing.get_all_start_methods() if m != "forkserver"])
def test_multiprocessing(how):
    expected = [large_gradient(k) for k in range(2)]
    with multiprocessing.get_context(how).Pool(2) as pool:
        assert pool.map_async(spawned, [0, 1]).get(60) == expected


# ---- the number of threads ----


def test_number_of_threads():
    lib.ad_set_num_threads(3)
    assert lib.ad_get_num_threads() == 3
    for bad in (0, -1):
        assert lib.ad_set_num_threads(bad) < 0
    assert lib.ad_get_num_threads() == 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_affinity_is_respected():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from autodiffc._native import lib; print(lib.ad_get_num_threads())"
    )
    done = child.run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1"


# ---- threadpoolctl ----

CONTROLLED = """
from autodiffc._native import lib
lib.ad_set_num_threads(3)
found = [i for i in threadpoolctl.threadpool_info() if i["user_api"] == "autodiffc"]
assert len(found) == 1 and found[0]["num_threads"] == 3 and found[0]["version"], found
with threadpoolctl.threadpool_limits(1, user_api="autodiffc"):
    assert lib.ad_get_num_threads() == 1
assert lib.ad_get_num_threads() == 3
with threadpoolctl.threadpool_limits({"autodiffc": 2}):
    assert lib.ad_get_num_threads() == 2
assert lib.ad_get_num_threads() == 3
"""


@pytest.mark.skipif(not importlib.util.find_spec("threadpoolctl"), reason="needs threadpoolctl")
@pytest.mark.parametrize("first", ["autodiffc", "threadpoolctl"])
def test_threadpoolctl(first):
    """Found and limited whichever of the two is imported first."""
    second = {"autodiffc": "threadpoolctl", "threadpoolctl": "autodiffc"}[first]
    done = child.run("-c", f"import {first}\nimport {second}\n" + CONTROLLED)
    assert done.returncode == 0, done.stderr


def test_threadpoolctl_is_not_imported():
    done = child.run("-c", "import sys, autodiffc; assert 'threadpoolctl' not in sys.modules")
    assert done.returncode == 0, done.stderr

"""Which of equal elements an index names: the positions that PyTorch 2.13 gives, which scripts go on with."""

import pytest

import autodiffc as T

X = T.arange(40) * 7 % 5
RISING = [
    10, 20, 25, 15, 30, 35, 5, 0, 33, 8, 28, 13, 3, 38, 23, 18, 31, 1, 36, 26,
    21, 6, 16, 11, 39, 19, 4, 34, 9, 29, 14, 24, 12, 27, 32, 7, 17, 37, 2, 22,
]  # fmt: skip
FALLING = [
    17, 2, 37, 22, 7, 32, 27, 12, 9, 24, 14, 29, 19, 34, 4, 39, 21, 1, 26, 31,
    36, 16, 11, 6, 18, 23, 38, 13, 28, 3, 8, 33, 0, 20, 5, 35, 10, 30, 15, 25,
]  # fmt: skip


@pytest.mark.parametrize("dtype", [T.int64, T.float32, T.float64, T.uint8])
def test_sort(dtype):
    x = X.to(dtype)
    assert x.argsort().tolist() == RISING
    assert x.argsort(descending=True).tolist() == FALLING
    assert x.sort(stable=True)[1].tolist() == sorted(range(40), key=X.tolist().__getitem__)
    assert T.stack([x, x], 1).sort(0)[1][:, 1].tolist() == RISING


def test_selection():
    assert T.topk(X, 9)[1].tolist() == [22, 12, 27, 32, 7, 37, 17, 2, 9]
    few = T.arange(200) * 7 % 5
    assert T.topk(few, 3)[1].tolist() == [12, 7, 2]
    assert T.topk(few, 3, largest=False)[1].tolist() == [10, 5, 0]
    assert [T.kthvalue(X, k)[1].item() for k in (1, 9, 20, 40)] == [15, 28, 11, 12]
    assert T.mode(X)[1].item() == 0
    assert T.median(X, 0)[1].item() == 16


def test_quadratic_input_is_sorted_by_a_heap():
    """A vector that takes the quicksort beyond its levels: the median of three is always the second least."""
    n = 2000
    half = n // 2
    x = [0] * n
    for i in range(1, half + 1):
        if i % 2:
            x[i - 1], x[i] = i, half + i
        x[half + i - 1] = 2 * i
    x = T.tensor(x) // 2  # pairs that tie
    values, at = x.sort()
    assert values.tolist() == sorted(x.tolist())
    assert sorted(at.tolist()) == list(range(n)) and x[at].equal(values)


@pytest.mark.parametrize("dtype", [T.int64, T.int32, T.int16, T.uint8])
def test_long_vectors_of_integers_rise_in_order(dtype):
    """From 32768 elements on equal integers of a vector stay as they were; not so falling, nor bool or floats."""
    x = (T.arange(1 << 15) * 7 % 5).to(dtype)
    stable = x.sort(stable=True, dim=0)[1]
    assert x.argsort().equal(stable) and x.sort()[1].equal(stable)
    assert not x[1:].argsort().equal(x[1:].sort(stable=True, dim=0)[1])
    assert not x.float().argsort().equal(stable) and not x[None].argsort()[0].equal(stable)
    falling = x.sort(stable=True, dim=0, descending=True)[1]
    assert not x.argsort(descending=True).equal(falling)


def insertion(x, k):
    """The k greatest of x as a heap of the first k leaves them: the textbook's heap, element by element."""
    heap = [(-v, i) for i, v in enumerate(x[:k])]

    def place(at, n, item):
        top = at
        while (child := 2 * at + 2) < n:
            child -= heap[child][0] < heap[child - 1][0]
            heap[at], at = heap[child], child
        if child == n:
            heap[at], at = heap[child - 1], child - 1
        while at > top and heap[(at - 1) // 2][0] < item[0]:
            heap[at], at = heap[(at - 1) // 2], (at - 1) // 2
        heap[at] = item

    for i in reversed(range(k // 2)):
        place(i, k, heap[i])
    for i, v in enumerate(x[k:], k):
        if -v < heap[0][0]:
            place(0, k, (-v, i))
    for n in reversed(range(1, k)):
        item, heap[n] = heap[n], heap[0]
        place(0, n, item)
    return [i for _, i in heap]


@pytest.mark.parametrize("dtype", [T.int64, T.float32, T.float64])
@pytest.mark.parametrize("values", [3, 60])
def test_topk_of_long_lines(dtype, values):
    x = [(i * i * 31 + i // 7) % values for i in range(1000)]
    for k in (1, 4, 15):
        assert T.topk(T.tensor(x, dtype=dtype), k)[1].tolist() == insertion(x, k)
        assert T.topk(-T.tensor(x, dtype=dtype), k, largest=False)[1].tolist() == insertion(x, k)

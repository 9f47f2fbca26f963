"""Rows of the operators, until their families have modules of their own."""

import numpy as np

from tests.case import Case, In

CASES = [
    Case(
        "add/operator",
        lambda T, a, b: a + b,
        lambda a, b: a + b,
        [In(3, 4), In(4)],
        dtypes="fi",
        broadcast=True,
        elementwise=True,
    ),
    Case(
        "sub/operator",
        lambda T, a, b: a - b,
        lambda a, b: a - b,
        [In(3, 4), In(3, 4)],
        dtypes="fi",
        broadcast=True,
        elementwise=True,
    ),
    Case("mul/number", lambda T, a: 3.0 * a, lambda a: 3.0 * a, [In(3, 4)], dtypes="fi", elementwise=True),
    Case("exp/method", lambda T, a: a.exp(), np.exp, [In(3, 4)], dtypes="fi", elementwise=True),
    Case(
        "relu/method",
        lambda T, a: a.relu(),
        lambda a: np.maximum(a, 0),
        [In(3, 4)],
        dtypes="fi",
        elementwise=True,
    ),
    Case("sum/method", lambda T, a: a.sum(), np.sum, [In(3, 4)], dtypes="fi"),
]

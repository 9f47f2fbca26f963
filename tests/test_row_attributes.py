"""Rows refuse what means nothing to them: see tests/row_attributes.py."""

import pytest

from . import child

ROWS = (
    "index index_put index_grad index_select index_add index_copy index_fill gather gather_grad scatter scatter_reduce "
    "take put_flat pick put sort topk kthvalue median_dim mode max_dim min_dim argmax argmin searchsorted runs "
    "embedding embedding_bag flip roll tril triu masked_fill masked_select masked_scatter nonzero"
)


@pytest.mark.parametrize("seed", [0, 1])
def test_indexing_and_order(tmp_path, seed):
    log = tmp_path / "log"
    done = child.run("-m", "tests.row_attributes", str(seed), *ROWS.split(), "--calls", "60", "--log", str(log))
    assert done.returncode == 0 and done.stdout.startswith("done "), log.read_text() + done.stderr

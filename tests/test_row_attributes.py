"""Rows refuse what means nothing to them: see tests/row_attributes.py."""

import pytest

from autodiffc._core import OP

from . import child

ROWS = (
    "index index_put index_grad index_select index_add index_copy index_fill gather gather_grad scatter scatter_reduce "
    "take put_flat pick put sort topk kthvalue median_dim mode max_dim min_dim argmax argmin searchsorted runs "
    "embedding embedding_bag flip roll tril triu masked_fill masked_select masked_scatter nonzero"
)


OTHERS = (
    "sgd_step adam_step adamw_step adadelta_step adagrad_step adamax_step nadam_step radam_step rprop_step "
    "rmsprop_step asgd_step lion_step adafactor_step muon_step scale_all clip_all total_norm full linspace logspace "
    "arange eye to cumsum cumprod as_strided view_dtype split sum mean cummax logcumsumexp softmax log_softmax "
    "histogram one_hot clone copy contiguous permute expand slice select cat prod var"
)


@pytest.mark.parametrize("rows", [ROWS, OTHERS], ids=["indexing and order", "others"])
def test_rows(tmp_path, rows):
    log = tmp_path / "log"
    names = [name for name in rows.split() if name in OP]
    assert len(names) > 30
    done = child.run("-m", "tests.row_attributes", "1", *names, "--calls", "25", "--log", str(log))
    assert done.returncode == 0 and done.stdout.startswith("done "), log.read_text() + done.stderr

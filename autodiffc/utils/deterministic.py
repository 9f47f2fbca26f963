"""torch.utils.deterministic: remembered; memory from torch.empty is not filled."""

fill_uninitialized_memory = True

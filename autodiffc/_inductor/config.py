"""Settings of PyTorch's compiler, which are remembered and change nothing."""

suppress_errors = False
cache_size_limit = 8

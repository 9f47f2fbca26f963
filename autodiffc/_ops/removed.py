"""Functions that PyTorch removed in 1.13: the names raise what they raise there, and say what to call."""


def _removed(name, instead):
    def function(*args, **kwargs):
        raise RuntimeError(f"This function was deprecated since version 1.9 and is now removed. `torch.{name}` is "
                           f"deprecated in favor of {instead}.")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"RuntimeError: removed from PyTorch; use {instead}."
    return function


solve = _removed("solve", "`torch.linalg.solve`, which has its arguments reversed")
lstsq = _removed("lstsq", "`torch.linalg.lstsq`, which has its arguments reversed")
eig = _removed("eig", "`torch.linalg.eig` or `torch.linalg.eigvals`")
symeig = _removed("symeig", "`torch.linalg.eigh` or `torch.linalg.eigvalsh`")
matrix_rank = _removed("matrix_rank", "`torch.linalg.matrix_rank`")

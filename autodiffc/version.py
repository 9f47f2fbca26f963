"""Which PyTorch this library answers as, and which version of the library it is."""

autodiffc = "0.1.0"
"""The library's own version."""
__version__ = f"2.13.0+autodiffc.{autodiffc}"
"""PyTorch's, whose interface this is."""
debug = False
cuda = hip = rocm = xpu = git_version = None

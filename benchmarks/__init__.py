"""Ratios against PyTorch and JAX, measured side by side in one run: python -m benchmarks."""

"""Every public function and method has a row in tests/cases, or stands in a list with the file that tests it."""

import importlib
import pathlib
import re
import types

import pytest

import autodiffc as T

from .case import resolve
from .op_cases import CASES

HERE = pathlib.Path(__file__).parent
PLACES = {
    "test_allocator.py": "empty_cache",
    "test_distributions.py": "binomial",
    "test_complex.py": (
        "complex polar view_as_complex view_as_real Tensor.cfloat Tensor.cdouble Tensor.chalf "
        "fft.fft fft.ifft fft.fft2 fft.ifft2 fft.fftn fft.ifftn "
        "fft.rfft fft.irfft fft.rfft2 fft.irfft2 fft.rfftn fft.irfftn fft.hfft fft.ihfft "
        "fft.hfft2 fft.ihfft2 fft.hfftn fft.ihfftn stft istft Tensor.stft Tensor.istft"
    ),
    "test_namespaces.py": (
        "are_deterministic_algorithms_enabled get_default_device get_deterministic_debug_mode "
        "get_float32_matmul_precision is_autocast_enabled load save set_default_device "
        "set_default_tensor_type set_float32_matmul_precision use_deterministic_algorithms Tensor.is_shared "
        "Tensor.new Tensor.resize Tensor.share_memory_"
    ),
    "test_numpy.py": ("as_tensor from_dlpack frombuffer to_dlpack"),
    "test_tensor.py": (
        "asarray can_cast empty empty_strided from_numpy get_num_threads is_complex is_grad_enabled "
        "is_inference memory_stats numel promote_types range result_type set_num_threads set_printoptions "
        "show_config tensor sparse.sum Tensor.as_subclass Tensor.backward Tensor.bfloat16 Tensor.cuda "
        "Tensor.data_ptr Tensor.is_complex Tensor.is_contiguous Tensor.is_inference Tensor.item Tensor.numel "
        "Tensor.resize_ Tensor.set_ Tensor.storage Tensor.storage_offset Tensor.stride Tensor.tolist "
        "Tensor.type Tensor.untyped_storage"
    ),
    "test_norm.py": ("batch_norm group_norm instance_norm layer_norm"),
    "test_hypothesis.py": ("broadcast_shapes"),
    "test_queries.py": (
        "clear_autocast_cache dsmm empty_like empty_permuted get_autocast_dtype get_device_module "
        "get_num_interop_threads imag is_autocast_cache_enabled is_conj "
        "is_deterministic_algorithms_warn_only_enabled is_neg is_nonzero is_same_size is_signed is_storage "
        "is_warn_always_enabled lu rnn_relu_cell rnn_tanh_cell set_autocast_cache_enabled set_autocast_dtype "
        "set_autocast_enabled set_deterministic_debug_mode set_flush_denormal set_num_interop_threads "
        "set_warn_always typename view_as_real linalg.eig linalg.eigvals Tensor.apply_ Tensor.dim_order "
        "Tensor.element_size Tensor.get_device Tensor.is_conj Tensor.is_neg Tensor.is_nonzero "
        "Tensor.is_pinned Tensor.is_same_size Tensor.is_set_to Tensor.is_signed Tensor.map_ Tensor.ndimension "
        "Tensor.nelement Tensor.new_empty Tensor.new_empty_strided Tensor.new_tensor Tensor.record_stream "
        "Tensor.resize_as Tensor.resize_as_ Tensor.storage_type Tensor.to_sparse_coo"
    ),
    "test_random.py": (
        "compile fork_rng get_rng_state initial_seed is_floating_point manual_seed poisson rand randint randn "
        "randperm seed set_rng_state Tensor.is_floating_point Tensor.numpy Tensor.requires_grad_"
    ),
    "test_indexing.py": ("embedding_renorm_"),
    "test_optim_rules.py": ("get_default_dtype set_default_dtype"),
    "test_rnn.py": ("gru gru_cell lstm lstm_cell rnn_relu rnn_tanh"),
    "test_sparse.py": (
        "hspmm is_tensor smm sparse_coo_tensor spmm sparse.addmm sparse.log_softmax sparse.mm sparse.softmax "
        "sparse.spdiags Tensor.coalesce Tensor.dense_dim Tensor.dim Tensor.indices "
        "Tensor.is_coalesced Tensor.size Tensor.smm Tensor.sparse_dim Tensor.sparse_mask Tensor.to_dense "
        "Tensor.to_sparse Tensor.values"
    ),
    "test_hook.py": ("install load_ipython_extension uninstall unload_ipython_extension"),
    "test_autograd.py": ("is_inference_mode_enabled Tensor.detach_"),
    "test_vmap.py": "vmap",
    "test_transformer.py": ("nn.functional.multi_head_attention_forward"),
    "test_attention.py": ("nn.functional.scaled_dot_product_attention"),
    "test_nn_module.py": ("Tensor.cpu"),
    "test_data.py": ("Tensor.pin_memory"),
    "test_hooks.py": ("Tensor.register_hook Tensor.register_post_accumulate_grad_hook Tensor.retain_grad"),
}
"""What no row can say (it makes tensors of a class, asks, sets, draws, or writes files), by the file of its test."""


def covered():
    """The functions that rows call: their identities, as one function has several names."""
    found = {id(resolve(T, c.base)) for c in CASES}
    for name in {c.method for c in CASES} | {c.inplace for c in CASES}:
        found.add(id(getattr(T.Tensor, name or "", None)))
    return found


def public(path):
    """The functions of a module, or methods of Tensor, that are public: {name: function}."""
    owner = T.Tensor if path == "Tensor" else importlib.import_module(f"autodiffc.{path}" if path else "autodiffc")
    found = {}
    for name in owner.__all__ if path in ("linalg", "sparse", "fft") else dir(owner):  # the others have no helpers
        try:
            value = getattr(owner, name)
        except (AttributeError, ImportError):  # listed because PyTorch has it
            continue
        plain = callable(value) and not isinstance(value, (type, types.ModuleType, T.dtype))
        if plain and not name.startswith("_"):
            found[f"{path}.{name}" if path else name] = value
    return found


@pytest.mark.parametrize("path", ["", "nn.functional", "linalg", "special", "fft", "sparse", "Tensor"])
def test_every_function_has_a_row(path):
    rows = covered()
    methods = {f"Tensor.{n}" for c in CASES for n in (c.method, c.inplace) if n}
    elsewhere = {n for names in PLACES.values() for n in names.split()}
    bare = [n for n, f in public(path).items() if id(f) not in rows and n not in methods and n not in elsewhere]
    assert not bare, f"no row in tests/cases: {bare}"


@pytest.mark.parametrize("place", sorted(PLACES))
def test_places_are_right(place):
    text = (HERE / place).read_text()
    names = {n for path in ("", "nn.functional", "linalg", "sparse", "fft", "Tensor") for n in public(path)}
    for name in PLACES[place].split():
        assert name in names, f"{name} is not public any more"
        assert re.search(rf"\b{name.rpartition('.')[2]}\b", text), f"{place} does not name {name}"

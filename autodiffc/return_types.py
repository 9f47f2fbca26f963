"""The named tuples that operations with several results return, as torch.return_types has them."""


def _make(name, fields):
    def __new__(cls, values):
        return tuple.__new__(cls, values)

    def __repr__(self):
        return f"torch.return_types.{name}(\n" + ",\n".join(f"{f}={v!r}" for f, v in zip(fields, self)) + ")"

    def __reduce__(self):
        return (type(self), (tuple(self),))

    body = {"__slots__": (), "__new__": __new__, "__repr__": __repr__, "__reduce__": __reduce__, "__module__": __name__,
            "n_fields": len(fields), "n_sequence_fields": len(fields), "_fields": fields}
    for k, f in enumerate(fields):
        body[f] = property(lambda self, k=k: self[k])
    return type(name, (tuple,), body)


_BOTH = ("values", "indices")
max = _make("max", _BOTH)
min = _make("min", _BOTH)
sort = _make("sort", _BOTH)
topk = _make("topk", _BOTH)
kthvalue = _make("kthvalue", _BOTH)
median = _make("median", _BOTH)
nanmedian = _make("nanmedian", _BOTH)
mode = _make("mode", _BOTH)
cummax = _make("cummax", _BOTH)
cummin = _make("cummin", _BOTH)
aminmax = _make("aminmax", ("min", "max"))
histogram = _make("histogram", ("hist", "bin_edges"))
frexp = _make("frexp", ("mantissa", "exponent"))
geqrf = _make("geqrf", ("a", "tau"))

slogdet = linalg_slogdet = _make("linalg_slogdet", ("sign", "logabsdet"))
linalg_qr = _make("linalg_qr", ("Q", "R"))
linalg_svd = _make("linalg_svd", ("U", "S", "Vh"))
linalg_eigh = _make("linalg_eigh", ("eigenvalues", "eigenvectors"))
linalg_inv_ex = _make("linalg_inv_ex", ("inverse", "info"))
linalg_solve_ex = _make("linalg_solve_ex", ("result", "info"))
linalg_cholesky_ex = _make("linalg_cholesky_ex", ("L", "info"))
linalg_lu_factor = _make("linalg_lu_factor", ("LU", "pivots"))
linalg_lu_factor_ex = _make("linalg_lu_factor_ex", ("LU", "pivots", "info"))
linalg_lu = _make("linalg_lu", ("P", "L", "U"))
linalg_ldl_factor = _make("linalg_ldl_factor", ("LD", "pivots"))
linalg_ldl_factor_ex = _make("linalg_ldl_factor_ex", ("LD", "pivots", "info"))
linalg_lstsq = _make("linalg_lstsq", ("solution", "residuals", "rank", "singular_values"))
lu_unpack = _make("lu_unpack", ("P", "L", "U"))
triangular_solve = _make("triangular_solve", ("solution", "cloned_coefficient"))
qr = _make("qr", ("Q", "R"))
svd = _make("svd", ("U", "S", "V"))

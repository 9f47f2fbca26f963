/* The entry points of autodiffc.h that are not one module's own: handles to tensors, and ways to call an
 * operation with few arguments. */
#include <string.h>
#include "core.h"
#include "cpu.h"
#include "generator.h"
#include "pool.h"
#include "program.h"
#include "rows.h"

#define T(h) ((ad_tensor *)(h))
#define H(t) ((ad_handle)(t))

/* ---- library ---- */

int ad_init(const ad_callbacks *callbacks) {
    const char *why = NULL;
    graph_callbacks = *callbacks;
    pool_poll = callbacks->interrupted;
    if (kern_select(&why)) return ad_fail(AD_ERR_RUNTIME, "%s", why);
    rng_use_loops(!strcmp(kern->name, "sse2") ? "base"
                                              : kern->name); /* where there are none of it: the best */
    generator_start();
    return 0;
}
const char *ad_isa(void) { return kern->name; }
const char *ad_cpu(void) { return cpu_describe(); }
int ad_get_num_threads(void) { return pool_num_threads(); }
int ad_set_num_threads(int n) {
    return pool_set_num_threads(n)
               ? ad_fail(AD_ERR_RUNTIME, "set_num_threads expects a positive integer, got %d", n)
               : 0;
}

/* ---- tensors ---- */

void ad_retain(ad_handle t) { tensor_ref(T(t)); }
void ad_release(ad_handle t) { tensor_unref(T(t)); }

ad_handle ad_empty(int dtype, const int64_t *sizes, int64_t ndim) {
    if (ndim > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %lld, the most is %d", (long long)ndim,
                       AD_MAXDIM),
               0;
    return H(tensor_new(dtype, (int)ndim, sizes));
}

ad_handle ad_empty_strided(int dtype, const int64_t *sizes, const int64_t *strides, int64_t ndim) {
    int64_t extent = 1, step, numel;
    if (ndim > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %lld, the most is %d", (long long)ndim,
                       AD_MAXDIM),
               0;
    if (dims_numel((int)ndim, sizes, &numel)) return 0;
    for (int64_t d = 0; d < ndim; d++) {
        if (strides[d] < 0)
            return ad_fail(AD_ERR_RUNTIME, "empty_strided: negative strides are not supported"), 0;
        if (numel && (__builtin_mul_overflow(sizes[d] - 1, strides[d], &step) ||
                      __builtin_add_overflow(extent, step, &extent)))
            return ad_fail(AD_ERR_RUNTIME, "empty_strided: the extent overflows int64"), 0;
    }
    if (!numel) extent = 0;
    ad_tensor *flat = tensor_new(dtype, 1, &extent);
    if (flat && tensor_set_geometry(flat, (int)ndim, sizes, strides)) {
        tensor_unref(flat);
        return 0;
    }
    return H(flat);
}

ad_handle ad_full(int dtype, const int64_t *sizes, int64_t ndim, double f, int64_t i) {
    ad_attr at = {.i = {dtype, i}, .f = {f}, .list = sizes, .nlist = ndim};
    return H(ad_apply1(OP_full, 0, NULL, &at));
}

ad_handle ad_scalar_f(double v, int dtype) { return H(tensor_scalar(dtype, v, (int64_t)0)); }
ad_handle ad_scalar_i(int64_t v, int dtype) { return H(tensor_scalar(dtype, (double)v, v)); }

ad_handle ad_from_memory(int dtype, intptr_t data, const int64_t *sizes, const int64_t *strides, int64_t ndim,
                         int64_t owner, int readonly) {
    int64_t numel, last = 0;
    if (ndim > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %lld, the most is %d", (long long)ndim,
                       AD_MAXDIM),
               0;
    if (dims_numel((int)ndim, sizes, &numel)) return 0;
    for (int64_t d = 0; d < ndim; d++) {
        if (strides[d] < 0)
            return ad_fail(AD_ERR_VALUE,
                           "At least one stride in the given numpy array is negative, and tensors with "
                           "negative strides are not currently supported. (You can probably work around "
                           "this by making a copy of your array  with array.copy().)"),
                   0;
        if (numel) last += (sizes[d] - 1) * strides[d];
    }
    ad_tensor *t = tensor_new(dtype, 0, NULL);
    if (!t) return 0;
    if (tensor_set_geometry(t, (int)ndim, sizes, strides)) {
        tensor_unref(t);
        return 0;
    }
    t->storage->data = (void *)data;
    t->storage->nbytes = numel ? (size_t)(last + 1) * dtype_size[dtype] : 0;
    t->storage->owner = owner;
    t->storage->exposed = true;
    t->storage->readonly = readonly;
    return H(t);
}

ad_handle ad_on_storage(ad_handle h, int dtype, int64_t offset, const int64_t *sizes, const int64_t *strides,
                        int64_t ndim) {
    ad_tensor *src = T(h);
    int64_t last = offset, step, numel, have = (int64_t)(src->storage->nbytes / dtype_size[dtype]);
    if (ndim < 0 || ndim > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %lld, the most is %d", (long long)ndim,
                       AD_MAXDIM),
               0;
    if (dims_numel((int)ndim, sizes, &numel)) return 0;
    for (int64_t d = 0; d < ndim; d++)
        if (strides[d] < 0 || __builtin_mul_overflow(sizes[d] ? sizes[d] - 1 : 0, strides[d], &step) ||
            __builtin_add_overflow(last, step, &last))
            return ad_fail(AD_ERR_RUNTIME, "strides %s of sizes %s are negative or overflow",
                           fmt_sizes((int)ndim, strides), fmt_sizes((int)ndim, sizes)),
                   0;
    if (offset < 0 || (numel && last >= have))
        return ad_fail(AD_ERR_RUNTIME,
                       "setStorage: sizes %s, strides %s, storage offset %lld, and itemsize %d are out of "
                       "bounds for storage of "
                       "size %zu",
                       fmt_sizes((int)ndim, sizes), fmt_sizes((int)ndim, strides), (long long)offset,
                       dtype_size[dtype], src->storage->nbytes),
               0;
    ad_tensor *t = tensor_alias(src, (int)ndim, sizes, strides, offset);
    if (t) t->dtype = (uint8_t)dtype;
    return H(t);
}

/* A tensor of dtype `to` with a copy of contiguous memory. No operation is applied: a program that is being
 * captured must not read the memory again. */
ad_handle ad_from_copy(int from, intptr_t data, const int64_t *sizes, int64_t ndim, int to) {
    if (ndim > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %lld, the most is %d", (long long)ndim,
                       AD_MAXDIM),
               0;
    ad_tensor *t = tensor_new(to, (int)ndim, sizes);
    if (!t) return 0;
    ad_storage store = {.data = (void *)data};
    ad_tensor src = *t;
    src.storage = &store;
    src.dtype = (uint8_t)from;
    tensor_copy_data(t, &src);
    return H(t);
}

int ad_dtype_of(ad_handle t) { return T(t)->dtype; }
int ad_ndim(ad_handle t) { return T(t)->ndim; }
int64_t ad_numel(ad_handle t) { return T(t)->numel; }
const int64_t *ad_sizes(ad_handle t) { return T(t)->sizes; }
const int64_t *ad_strides(ad_handle t) { return T(t)->strides; }
int64_t ad_offset(ad_handle t) { return T(t)->offset; }
intptr_t ad_data_ptr(ad_handle t) {
    T(t)->storage->exposed = true;
    return T(t)->numel ? (intptr_t)tensor_data(T(t)) : 0;
}
intptr_t ad_storage_ptr(ad_handle t) { return (intptr_t)T(t)->storage; }
intptr_t ad_storage_data(ad_handle t) {
    T(t)->storage->exposed = true;
    return (intptr_t)T(t)->storage->data;
}
int64_t ad_storage_nbytes(ad_handle t) { return (int64_t)T(t)->storage->nbytes; }
int ad_storage_readonly(ad_handle t) { return T(t)->storage->readonly; }
int64_t ad_version_of(ad_handle t) { return atomic_load(&T(t)->storage->version); }
void ad_bump_version(ad_handle t) { atomic_fetch_add(&T(t)->storage->version, 1); }
int ad_overlaps(ad_handle a, ad_handle b) {
    if (T(a)->storage != T(b)->storage || !T(a)->numel || !T(b)->numel) return 0;
    return a == b || !tensor_disjoint(T(a), T(b));
}
int ad_is_contiguous(ad_handle t) { return tensor_is_contiguous(T(t)); }

int ad_item(ad_handle h) {
    ad_tensor *t = T(h);
    if (tls.capture && !ad_capture_constant(h) &&
        program_refuse("reading a value from a tensor (item(), float(), `if tensor`)"))
        return -1;
    if (ad_check_values(h)) return -1;
    if (t->numel != 1)
        return ad_fail(AD_ERR_RUNTIME, "a Tensor with %lld elements cannot be converted to Scalar",
                       (long long)t->numel);
    return dtype_is_float(t->dtype) ? 0 : t->dtype == AD_BOOL ? 2 : 1;
}
double ad_item_f(ad_handle t) { return tensor_get_f64(T(t)); }
int64_t ad_item_i(ad_handle t) { return tensor_get_i64(T(t)); }

/* t becomes another handle to src's memory: .data = src */
int ad_set_data(ad_handle h, ad_handle src_h) {
    ad_tensor *t = T(h), *src = T(src_h);
    if (t->storage == src->storage && t->offset == src->offset && t->dtype == src->dtype &&
        t->batch == src->batch && tensor_same_sizes(t, src) &&
        dims_equal(t->ndim, t->strides, src->ndim, src->strides))
        return 0; /* t.data -= x */
    if (tls.capture) {
        int noted = program_set_data(t, src);
        if (noted < 0) return -1;
        if (!noted && program_refuse("pointing a tensor at other memory (.data = ..., set_())")) return -1;
    }
    if (tensor_set_geometry(t, src->ndim, src->sizes, src->strides)) return -1;
    atomic_fetch_add(&src->storage->refs, 1);
    atomic_fetch_add(&t->storage->moved, 1);
    storage_release(t->storage);
    t->storage = src->storage;
    batch_ref(src->batch);
    batch_unref(t->batch);
    t->batch = src->batch;
    t->offset = src->offset;
    t->dtype = src->dtype;
    return 0;
}

int ad_set_strided(ad_handle h, ad_handle src, int64_t offset, const int64_t *sizes, const int64_t *strides,
                   int64_t ndim) {
    int64_t list[2 * AD_MAXDIM];
    if (ndim > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %lld, the most is %d", (long long)ndim,
                       AD_MAXDIM);
    memcpy(list, sizes, (size_t)ndim * sizeof *list);
    memcpy(list + ndim, strides, (size_t)ndim * sizeof *list);
    ad_attr at = {.i = {ndim, offset}, .list = list, .nlist = 2 * ndim};
    bool was = tls.no_grad;
    tls.no_grad = true;
    ad_tensor *view = ad_apply1(OP_as_strided, 1, (ad_tensor *[]){T(src)}, &at);
    tls.no_grad = was;
    if (!view) return -1;
    int status = ad_set_data(h, H(view));
    tensor_unref(view);
    return status;
}

int ad_resize(ad_handle h, const int64_t *sizes, int64_t ndim) {
    ad_tensor *t = T(h);
    int64_t strides[AD_MAXDIM], numel;
    if (ndim > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %lld, the most is %d", (long long)ndim,
                       AD_MAXDIM);
    if (dims_equal(t->ndim, t->sizes, (int)ndim, sizes)) return 0;
    if (ad_check_values(h)) return -1;
    if (tls.capture && program_refuse("resizing a tensor")) return -1;
    if (dims_numel((int)ndim, sizes, &numel)) return -1;
    dims_contiguous_strides((int)ndim, sizes, strides);
    int64_t need;
    if (__builtin_add_overflow(numel, t->offset, &need) ||
        __builtin_mul_overflow(need, (int64_t)dtype_size[t->dtype], &need))
        return ad_fail(AD_ERR_RUNTIME, "the storage of a tensor of size %s overflows int64",
                       fmt_sizes((int)ndim, sizes));
    atomic_fetch_add(&t->storage->moved, 1);
    if ((size_t)need > t->storage->nbytes) {
        if (!t->storage->block || t->storage->owner)
            return ad_fail(AD_ERR_RUNTIME, "Trying to resize storage that is not resizable");
        ad_storage *s = storage_new((size_t)need);
        if (!s) return -1;
        memcpy(s->data, t->storage->data, t->storage->nbytes);
        storage_release(t->storage);
        t->storage = s;
    }
    return tensor_set_geometry(t, (int)ndim, sizes, strides);
}

ad_handle ad_detach(ad_handle h, int share_version) {
    ad_tensor *t = T(h), *d = tensor_alias(t, t->ndim, t->sizes, t->strides, t->offset);
    if (d && !share_version) d->flags |= AD_T_NO_VERSION;
    return H(d);
}

/* ---- calling an operation ---- */

ad_handle ad_op1(int op, ad_handle a) { return H(ad_apply1(op, 1, (ad_tensor *[]){T(a)}, NULL)); }
ad_handle ad_op2(int op, ad_handle a, ad_handle b) {
    return H(ad_apply1(op, 2, (ad_tensor *[]){T(a), T(b)}, NULL));
}
ad_handle ad_op3(int op, ad_handle a, ad_handle b, ad_handle c) {
    return H(ad_apply1(op, 3, (ad_tensor *[]){T(a), T(b), T(c)}, NULL));
}

static ad_tensor *wrapped(int dtype, double f, int64_t i) {
    ad_tensor *t = tensor_scalar(dtype, f, i);
    if (t) t->flags |= AD_T_WRAPPED;
    return t;
}

static ad_handle with_scalar(int op, ad_handle a, ad_tensor *s, int reversed) {
    if (!s) return 0;
    ad_tensor *in[2] = {reversed ? s : T(a), reversed ? T(a) : s}, *y = ad_apply1(op, 2, in, NULL);
    tensor_unref(s);
    return H(y);
}
ad_handle ad_op2f(int op, ad_handle a, double s, int reversed) {
    return with_scalar(op, a, wrapped(AD_F64, s, 0), reversed);
}
/* An int beside a tensor of a narrower integer type is cut to that type before the two are computed with, as
 * PyTorch has it: 300 equals a uint8 of 44. Division is in floating point, and exponents have a check of
 * their own. */
static ad_tensor *wrapped_int(int op, ad_handle a, int64_t s) {
    int dtype = ad_ops[op].promo & P_FLOAT ? AD_I64 : T(a)->dtype;
    int64_t cut = dtype == AD_U8    ? (uint8_t)s
                  : dtype == AD_I8  ? (int8_t)s
                  : dtype == AD_I16 ? (int16_t)s
                  : dtype == AD_I32 ? (int32_t)s
                                    : s;
    if (ad_ops[op].promo & P_EXPONENT) {
        if (cut != s && s >= 0)
            return ad_fail_null(AD_ERR_RUNTIME, "%s: the exponent %lld does not fit into %s", ad_ops[op].name,
                                (long long)s, dtype_name[dtype]);
        cut = s;
    }
    return wrapped(AD_I64, 0, cut);
}
ad_handle ad_op2i(int op, ad_handle a, int64_t s, int reversed) {
    return with_scalar(op, a, reversed ? wrapped(AD_I64, 0, s) : wrapped_int(op, a, s), reversed);
}
ad_handle ad_op2b(int op, ad_handle a, int s, int reversed) {
    return with_scalar(op, a, wrapped(AD_BOOL, 0, s), reversed);
}

static ad_tensor *scalars3(int op, ad_handle a, double s, double r, bool inplace) {
    ad_tensor *in[3] = {T(a), wrapped(AD_F64, s, 0), wrapped(AD_F64, r, 0)}, *y = NULL;
    if (in[1] && in[2]) y = inplace ? ad_apply_inplace(op, 3, in, NULL) : ad_apply1(op, 3, in, NULL);
    tensor_unref(in[1]);
    tensor_unref(in[2]);
    return y;
}
ad_handle ad_op3ff(int op, ad_handle a, double s, double r) { return H(scalars3(op, a, s, r, false)); }
ad_handle ad_op3ff_(int op, ad_handle a, double s, double r) { return H(scalars3(op, a, s, r, true)); }

ad_handle ad_number(int kind, double f, int64_t i) {
    if (kind == 0) return H(wrapped(AD_F64, f, 0));
    return H(wrapped(kind == 1 ? AD_I64 : AD_BOOL, 0, i));
}

static ad_handle apply3(int op, ad_tensor *a, ad_tensor *b, ad_tensor *c, int inplace) {
    ad_tensor *in[3] = {a, b, c};
    if (!b || !c) return 0;
    return H(inplace ? ad_apply_inplace(op, 3, in, NULL) : ad_apply1(op, 3, in, NULL));
}
ad_handle ad_op3n(int op, ad_handle a, ad_handle b, double s, int kind, int inplace) {
    ad_tensor *c = T(ad_number(kind, s, kind ? (int64_t)s : 0));
    ad_handle y = apply3(op, T(a), T(b), c, inplace);
    tensor_unref(c);
    return y;
}
ad_handle ad_op3nn(int op, ad_handle a, double s, int kind_s, double r, int kind_r, int inplace) {
    ad_tensor *b = T(ad_number(kind_s, s, kind_s ? (int64_t)s : 0)),
              *c = b ? T(ad_number(kind_r, r, kind_r ? (int64_t)r : 0)) : NULL;
    ad_handle y = apply3(op, T(a), b, c, inplace);
    tensor_unref(b);
    tensor_unref(c);
    return y;
}

/* Moves several outputs to where ad_take_result() finds them; the first is returned at once. */
static ad_handle apply_several(const ad_op *op, int nin, ad_tensor *const *in, const ad_attr *at) {
    if (op->nout < 0 && (nin < 1 || !in[0]))
        return ad_fail(AD_ERR_TYPE, "%s(): argument 'input' (position 1) must be Tensor, not None", op->name),
               0;
    int n = op->nout >= 0 ? op->nout : op->count(nin, in, at);
    if (n < 0) return 0;
    if (n == 1 && op->nout == 1) return H(ad_apply1((int)(op - ad_ops), nin, in, at));
    if (op->flags & AD_OP_FIRST) {
        ad_tensor *out[3];
        if (ad_apply(op, nin, in, at, out) < 0) return 0;
        for (int k = 1; k < n; k++) tensor_unref(out[k]);
        return H(out[0]);
    }
    for (int k = 0; k < tls.nresults; k++) tensor_unref(tls.results[k]);
    if (tls.results) mem_free(tls.results, (size_t)(tls.nresults ? tls.nresults : 1) * sizeof *tls.results);
    tls.nresults = 0;
    tls.results = mem_alloc((size_t)(n ? n : 1) * sizeof *tls.results);
    if (!tls.results) return 0;
    ad_tensor **results = tls.results; /* applying may run Python, which may call again */
    tls.results = NULL;
    if (ad_apply(op, nin, in, at, results) < 0) {
        mem_free(results, (size_t)(n ? n : 1) * sizeof *results);
        return 0;
    }
    tls.results = results;
    tls.nresults = n;
    return n ? ad_take_result(0) : -1;
}
int ad_result_count(void) { return tls.nresults; }
ad_handle ad_take_result(int k) {
    if (k < 0 || k >= tls.nresults) return 0;
    ad_handle h = H(tls.results[k]);
    tls.results[k] = NULL;
    return h;
}

ad_handle ad_op1i(int op, ad_handle a, int64_t i0, int64_t i1, int64_t i2) {
    ad_attr at = {.i = {i0, i1, i2}};
    return apply_several(&ad_ops[op], 1, (ad_tensor *[]){T(a)}, &at);
}
ad_handle ad_op2x(int op, ad_handle a, ad_handle b, int64_t i0, int64_t i1, int64_t i2, double f0) {
    ad_attr at = {.i = {i0, i1, i2}, .f = {f0}};
    return apply_several(&ad_ops[op], 2, (ad_tensor *[]){T(a), T(b)}, &at);
}
ad_handle ad_op3x(int op, ad_handle a, ad_handle b, ad_handle c, int64_t i0, int64_t i1, double f0) {
    ad_attr at = {.i = {i0, i1}, .f = {f0}};
    return apply_several(&ad_ops[op], 3, (ad_tensor *[]){T(a), T(b), T(c)}, &at);
}
ad_handle ad_op1l(int op, ad_handle a, const int64_t *list, int64_t n, int64_t i0, int64_t i1) {
    ad_attr at = {.i = {i0, i1}, .list = list, .nlist = n};
    return apply_several(&ad_ops[op], 1, (ad_tensor *[]){T(a)}, &at);
}

static int fill_attr(ad_attr *at, const int64_t *i, int64_t ni, const double *f, int64_t nf,
                     const int64_t *list, int64_t nlist) {
    memset(at, 0, sizeof *at);
    if (ni > 8 || nf > 6)
        return ad_fail(AD_ERR_RUNTIME, "an operation takes at most 8 integers and 6 floats");
    if (ni) memcpy(at->i, i, (size_t)ni * sizeof *i);
    if (nf) memcpy(at->f, f, (size_t)nf * sizeof *f);
    at->list = list;
    at->nlist = nlist;
    return 0;
}
ad_handle ad_opn(int op, const ad_handle *in, int64_t nin, const int64_t *i, int64_t ni, const double *f,
                 int64_t nf, const int64_t *list, int64_t nlist) {
    ad_attr at;
    if (fill_attr(&at, i, ni, f, nf, list, nlist)) return 0;
    return apply_several(&ad_ops[op], (int)nin, (ad_tensor *const *)in, &at);
}
ad_handle ad_opn_(int op, const ad_handle *in, int64_t nin, const int64_t *i, int64_t ni, const double *f,
                  int64_t nf, const int64_t *list, int64_t nlist) {
    ad_attr at;
    if (fill_attr(&at, i, ni, f, nf, list, nlist)) return 0;
    return H(ad_apply_inplace(op, (int)nin, (ad_tensor *const *)in, &at));
}

ad_handle ad_matmul(ad_handle a, ad_handle b) { return H(op_matmul(T(a), T(b))); }
ad_handle ad_linear(ad_handle x, ad_handle weight, ad_handle bias) {
    if (AD_UNLIKELY(T(weight)->ndim == 1)) { /* one output, without a dimension of its own */
        ad_handle y = ad_matmul(x, weight);
        if (!y || !bias) return y;
        ad_handle sum = ad_op2(OP_add, y, bias);
        ad_release(y);
        return sum;
    }
    return H(ad_apply1(OP_linear, 3, (ad_tensor *[]){T(x), T(weight), T(bias)}, NULL));
}
ad_handle ad_op1_(int op, ad_handle a) { return H(ad_apply_inplace(op, 1, (ad_tensor *[]){T(a)}, NULL)); }
ad_handle ad_op2_(int op, ad_handle a, ad_handle b) {
    return H(ad_apply_inplace(op, 2, (ad_tensor *[]){T(a), T(b)}, NULL));
}
ad_handle ad_op3_(int op, ad_handle a, ad_handle b, ad_handle c) {
    return H(ad_apply_inplace(op, 3, (ad_tensor *[]){T(a), T(b), T(c)}, NULL));
}
static ad_handle with_scalar_(int op, ad_handle a, ad_tensor *s) {
    if (!s) return 0;
    ad_handle y = ad_op2_(op, a, H(s));
    tensor_unref(s);
    return y;
}
ad_handle ad_op2f_(int op, ad_handle a, double s) { return with_scalar_(op, a, wrapped(AD_F64, s, 0)); }
ad_handle ad_op2i_(int op, ad_handle a, int64_t s) { return with_scalar_(op, a, wrapped_int(op, a, s)); }
ad_handle ad_op2b_(int op, ad_handle a, int s) { return with_scalar_(op, a, wrapped(AD_BOOL, 0, s)); }

/* Whether ad_copy_out() would do: everything that can be told before `out` is touched. */
int ad_fits_out(ad_handle src_h, ad_handle out_h) {
    ad_tensor *src = T(src_h), *out = T(out_h);
    if (!out) return ad_fail(AD_ERR_TYPE, "out is no tensor");
    if ((dtype_is_float(src->dtype) && !dtype_is_float(out->dtype)) ||
        (src->dtype != AD_BOOL && out->dtype == AD_BOOL))
        return ad_fail(AD_ERR_RUNTIME, "result type %s can't be cast to the desired output type %s",
                       dtype_class[src->dtype], dtype_class[out->dtype]);
    if (!tls.no_grad && (tensor_wants_grad(src) || tensor_wants_grad(out)))
        return ad_fail(AD_ERR_RUNTIME,
                       "functions with out=... arguments don't support automatic differentiation, but one of "
                       "the arguments requires grad.");
    if (out->storage->readonly)
        return ad_fail(AD_ERR_RUNTIME, "out= lies in read-only memory (it came from a read-only array)");
    bool same = tensor_same_sizes(src, out);
    if (!same && (size_t)(src->numel + out->offset) * dtype_size[out->dtype] > out->storage->nbytes &&
        (!out->storage->block || out->storage->owner))
        return ad_fail(AD_ERR_RUNTIME, "Trying to resize storage that is not resizable");
    return same ? graph_check_inplace(out, false) : 0;
}

/* out= : out takes the size and the values of src, or is left as it was. */
ad_handle ad_copy_out(ad_handle src_h, ad_handle out_h) {
    ad_tensor *src = T(src_h), *out = T(out_h);
    if (ad_fits_out(src_h, out_h)) return 0;
    if (ad_resize(out_h, src->sizes, src->ndim)) return 0;
    return H(ad_apply_inplace(OP_copy, 2, (ad_tensor *[]){out, src}, NULL));
}

/* ---- autograd ---- */

int ad_requires_grad(ad_handle t) { return tensor_wants_grad(T(t)); }
int ad_set_requires_grad(ad_handle h, int on) {
    ad_tensor *t = T(h);
    if (t->node) {
        if (on) return 0;
        return ad_fail(AD_ERR_RUNTIME,
                       "you can only change requires_grad flags of leaf variables. If you want to use a "
                       "computed variable in a subgraph that doesn't require differentiation use "
                       "var_no_grad = var.detach().");
    }
    if (on && !dtype_is_float(t->dtype))
        return ad_fail(AD_ERR_RUNTIME, "only Tensors of floating point dtype can require gradients");
    if (on && (t->flags & AD_T_INFERENCE) && !tls.inference)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.");
    if (!on == !(t->flags & AD_T_REQUIRES_GRAD)) return 0;
    atomic_fetch_add(&t->storage->moved, 1);
    t->flags = (uint16_t)(on ? t->flags | AD_T_REQUIRES_GRAD : t->flags & ~AD_T_REQUIRES_GRAD);
    return 0;
}
int ad_is_leaf(ad_handle t) { return graph_node_of(T(t)) == NULL; }
int ad_is_view(ad_handle t) { return T(t)->base != NULL; }
ad_handle ad_base(ad_handle t) { return H(tensor_ref(T(t)->base)); }
int ad_output_nr(ad_handle t) { return (int)T(t)->out_nr; }
int ad_retains_grad(ad_handle t) { return T(t)->flags & AD_T_RETAINS_GRAD && T(t)->node; }
ad_handle ad_grad(ad_handle t) {
    if (tls.capture) program_touch_grad(T(t), false);
    lock_take(grad_lock(T(t)));
    ad_tensor *g = tensor_ref(T(t)->grad);
    lock_drop(grad_lock(T(t)));
    return H(g);
}
static void swap_grad(ad_tensor *t, ad_tensor *g) { /* takes the reference */
    lock_take(grad_lock(t));
    ad_tensor *old = t->grad;
    t->grad = g;
    lock_drop(grad_lock(t));
    if (AD_UNLIKELY(t->rows != NULL)) rows_clear(t);
    tensor_unref(old);
}
int ad_set_grad(ad_handle h, ad_handle g_h) {
    ad_tensor *t = T(h), *g = T(g_h);
    if (g && g->dtype != t->dtype)
        return ad_fail(
            AD_ERR_RUNTIME,
            "attempting to assign a gradient with dtype '%s' to a tensor with grad_dtype '%s'. The "
            "gradient must match the tensor's dtype.",
            dtype_class[g->dtype], dtype_class[t->dtype]);
    if (g && !tensor_same_sizes(t, g))
        return ad_fail(
            AD_ERR_RUNTIME,
            "attempting to assign a gradient of size '%s' to a tensor of size '%s'. Please ensure that "
            "the gradient and the tensor are the same size",
            fmt_sizes(g->ndim, g->sizes), fmt_sizes(t->ndim, t->sizes));
    if (tls.capture && program_touch_grad(t, true)) return -1;
    swap_grad(t, tensor_ref(g));
    return 0;
}
int ad_detach_(ad_handle h) {
    ad_tensor *t = T(h);
    if (t->base)
        return ad_fail(AD_ERR_RUNTIME,
                       "Can't detach views in-place. Use detach() instead. If you are using "
                       "DistributedDataParallel (DDP) for training, and gradient_as_bucket_view is set as "
                       "True, gradients are views of DDP buckets, and hence detach_() cannot be called on "
                       "these gradients.");
    graph_set_history(t, NULL, 0);
    if (t->flags & AD_T_REQUIRES_GRAD) atomic_fetch_add(&t->storage->moved, 1);
    t->flags &= (uint16_t)~AD_T_REQUIRES_GRAD;
    t->epoch++;
    return 0;
}
int ad_zero_grads(const ad_handle *h, int64_t n, int set_to_none) {
    ad_attr zero = {.f = {0}};
    for (int64_t k = 0; k < n; k++) {
        ad_tensor *t = T(h[k]);
        if (tls.capture && program_touch_grad(t, set_to_none)) return -1;
        if (AD_UNLIKELY(t->rows != NULL)) rows_clear(t);
        if (!t->grad) continue;
        if (set_to_none) {
            swap_grad(t, NULL);
            continue;
        }
        if (t->grad->node) graph_set_history(t->grad, NULL, 0); /* as grad.detach_() */
        bool was = tls.no_grad;
        tls.no_grad = true;
        ad_tensor *done = ad_apply_inplace(OP_fill, 1, &t->grad, &zero);
        tls.no_grad = was;
        if (!done) return -1;
        tensor_unref(done);
    }
    return 0;
}

int ad_grad_enabled(void) { return !tls.grad_off; }
int ad_set_grad_enabled(int on) {
    int was = !tls.grad_off;
    tls.grad_off = !on;
    tls.no_grad = tls.grad_off || tls.inference;
    return was;
}
int ad_inference_mode(void) { return tls.inference; }
int ad_set_inference_mode(int on) {
    int was = tls.inference;
    tls.inference = on != 0;
    tls.no_grad = tls.grad_off || tls.inference;
    return was;
}
int ad_is_inference(ad_handle t) { return (T(t)->flags & AD_T_INFERENCE) != 0; }

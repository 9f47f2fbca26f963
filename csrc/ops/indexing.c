/* x[...]: an index expression comes from Python as a list of codes, and is taken apart here: integers,
 * slices, None and ... are one view; what tensors stand for is one `index` or `index_put` of that view. */
#include <math.h>
#include <string.h>
#include "../program.h"
#include "index.h"

enum {
    CODE_INT,   /* index */
    CODE_SLICE, /* start, stop, step */
    CODE_NONE,
    CODE_ELLIPSIS,
    CODE_TENSOR, /* the next tensor of the call */
    CODE_BOOL,   /* 0 or 1 */
};
static const int code_length[] = {2, 4, 1, 1, 1, 2};

/* ---- index_view(x): list = codes without tensors. Trailing dimensions are kept whole ---- */

static int64_t dims_consumed(const int64_t *codes, int64_t n) {
    int64_t used = 0;
    for (int64_t k = 0; k < n; k += code_length[codes[k]])
        used += codes[k] == CODE_INT || codes[k] == CODE_SLICE;
    return used;
}

int index_view_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    const int64_t *codes = c->at->list, n = c->at->nlist;
    int d = 0, o = 0;
    s->dtype = x->dtype;
    s->strided = true;
    s->offset = x->offset;
    int64_t used = dims_consumed(codes, n);
    if (used > x->ndim) return ad_fail(AD_ERR_INDEX, "too many indices for tensor of dimension %d", x->ndim);
    bool dots = false;
    for (int64_t k = 0; k < n; k += code_length[codes[k]]) {
        const int64_t *a = codes + k + 1;
        int64_t size = d < x->ndim ? x->sizes[d] : 1, stride = d < x->ndim ? x->strides[d] : 1;
        if (o >= AD_MAXDIM)
            return ad_fail(AD_ERR_RUNTIME, "too many dimensions: more than %d in the result of an index",
                           AD_MAXDIM);
        switch (codes[k]) {
        case CODE_INT: {
            int64_t i = a[0];
            if (i < -size || i >= size)
                return ad_fail(AD_ERR_INDEX, "index %lld is out of bounds for dimension %d with size %lld",
                               (long long)i, d, (long long)size);
            s->offset += (i < 0 ? i + size : i) * stride;
            d++;
            break;
        }
        case CODE_SLICE: {
            int64_t start = a[0], stop = a[1], step = a[2];
            if (step <= 0)
                return ad_fail(AD_ERR_VALUE,
                               step ? "step must be greater than zero" : "slice step cannot be zero");
            if (start < 0) start += size;
            if (stop < 0) stop += size;
            start = start < 0 ? 0 : start > size ? size : start;
            stop = stop < start ? start : stop > size ? size : stop;
            int64_t count = (stop - start) / step + ((stop - start) % step != 0);
            s->offset += start * stride;
            s->sizes[o] = count;
            s->strides[o++] = count > 1 ? stride * step : stride;
            d++;
            break;
        }
        case CODE_NONE:
            s->sizes[o] = 1;
            s->strides[o++] = d < x->ndim ? size * stride : 1;
            break;
        case CODE_ELLIPSIS:
            if (dots) break; /* a second one stands for nothing */
            dots = true;
            for (int64_t kept = x->ndim - used; kept > 0; kept--) {
                if (o >= AD_MAXDIM)
                    return ad_fail(AD_ERR_RUNTIME,
                                   "too many dimensions: more than %d in the result of an index", AD_MAXDIM);
                s->sizes[o] = x->sizes[d];
                s->strides[o++] = x->strides[d++];
            }
            break;
        }
    }
    if (o + x->ndim - d > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %d, the most is %d", o + x->ndim - d, AD_MAXDIM);
    for (; d < x->ndim; d++) {
        s->sizes[o] = x->sizes[d];
        s->strides[o++] = x->strides[d];
    }
    s->ndim = (uint8_t)o;
    return 0;
}

/* ---- view_scatter(x, src): x with src where a view shows; attributes as those of `unview`, but the list
 * is the view's own and i[6] is 0 ---- */

int view_scatter_infer(ad_call *c) {
    const ad_tensor *src = c->in[1];
    ad_spec part = {.ndim = 0};
    ad_call view = {.op = &ad_ops[c->at->i[7]], .nin = 1, .nout = 1, .in = c->in, .spec = &part, .at = c->at};
    if (c->at->i[7] == OP_slice && c->at->i[3] <= 0)
        return ad_fail(AD_ERR_RUNTIME, "slice step must be positive");
    if (view.op->infer(&view)) return -1;
    if (!dims_equal(part.ndim, part.sizes, src->ndim, src->sizes))
        return ad_fail(
            AD_ERR_RUNTIME,
            "expected src to have a size equal to the slice of self. src size = %s, slice size = %s",
            fmt_sizes(src->ndim, src->sizes), fmt_sizes(part.ndim, part.sizes));
    spec_like(&c->spec[0], c->in[0]);
    return 0;
}
void view_scatter_run(const ad_call *c) {
    ad_tensor *out = c->out[0], part = *out;
    ad_spec spec;
    view_of(c->at, out, &spec);
    part.ndim = spec.ndim;
    part.offset = spec.offset;
    part.sizes = spec.sizes;
    part.strides = spec.strides;
    part.numel = c->in[1]->numel;
    tensor_copy_data(&part, c->in[1]);
}
void view_scatter_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 1);
    if (vjp_needs(v, 0)) {
        ad_tensor *in[2] = {v->g[0], em_zeros(&v->E, v->g[0]->dtype, m->ndim, m->sizes)};
        if (in[1]) v->gin[0] = em_op(&v->E, OP_view_scatter, 2, in, v->at);
    }
    if (vjp_needs(v, 1))
        v->gin[1] = em_cast(&v->E, em_op(&v->E, (int)v->at->i[7], 1, &v->g[0], v->at), m->dtype);
}

/* ---- taking an expression apart ---- */

typedef struct advanced { /* an index tensor and the dimension of the view that it starts at */
    ad_tensor *t;
    int dim;
} advanced;

typedef struct expression {
    ad_tensor *x, *view; /* the view: a new reference, x itself where nothing is left to view */
    int nadv, nidx;
    advanced adv[AD_MAXDIM];
    ad_tensor *idx[AD_MAXDIM]; /* integer indices; new references */
    int64_t dims[AD_MAXDIM];
} expression;

static bool is_mask(const ad_tensor *t) { return t->dtype == AD_BOOL || t->dtype == AD_U8; }

static void expression_free(expression *e) {
    tensor_unref(e->view);
    for (int i = 0; i < e->nadv; i++) tensor_unref(e->adv[i].t);
    for (int i = 0; i < e->nidx; i++) tensor_unref(e->idx[i]);
}

static int add_advanced(expression *e, ad_tensor *t, int64_t dim) { /* takes the reference */
    if (!t) return -1;
    if (e->nadv == AD_MAXDIM) {
        tensor_unref(t);
        return ad_fail(AD_ERR_INDEX, "too many indices for tensor of dimension %d", e->x->ndim);
    }
    e->adv[e->nadv++] = (advanced){t, (int)dim};
    return 0;
}

/* x[True] is a dimension of size 1 indexed by [0]; x[False] by nothing. */
static ad_tensor *bool_index(bool on) {
    int64_t n = on;
    return tensor_zeros(AD_I64, 1, &n);
}

/* Splits codes into the view and the index tensors. */
static int take_apart(expression *e, ad_tensor *x, const int64_t *codes, int64_t n, ad_tensor *const *tensors,
                      bool write) {
    int64_t list[INDEX_CODES], at = 0, used = 0, next = 0, dim = 0;
    bool plain = true, dots = false;
    memset(e, 0, offsetof(expression, adv));
    e->x = x;
    for (int64_t k = 0; k < n; k += code_length[codes[k]]) {
        if (codes[k] == CODE_INT || codes[k] == CODE_SLICE) used++;
        if (codes[k] != CODE_TENSOR) continue;
        const ad_tensor *t = tensors[next++];
        if (t->dtype != AD_I64 && t->dtype != AD_I32 && !is_mask(t) &&
            !(t->ndim == 0 && dtype_is_int(t->dtype)))
            return ad_fail(AD_ERR_INDEX, "tensors used as indices must be long, int, byte or bool tensors");
        used += is_mask(t) ? t->ndim : 1;
    }
    if (used > x->ndim) {
        if (!x->ndim && n && codes[0] == CODE_INT)
            return ad_fail(AD_ERR_INDEX, "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or "
                                         "`tensor.item<T>()` in C++ to convert a 0-dim tensor to a number");
        if (!x->ndim && n && codes[0] == CODE_SLICE)
            return ad_fail(AD_ERR_INDEX, "slice() cannot be applied to a 0-dim tensor.");
        return ad_fail(AD_ERR_INDEX, "too many indices for tensor of dimension %d", x->ndim);
    }
    next = 0;
    for (int64_t k = 0; k < n; k += code_length[codes[k]]) {
        int64_t code = codes[k], len = code_length[code],
                keep = code == CODE_INT || code == CODE_NONE || code == CODE_SLICE ? len : 0;
        ad_tensor *t = NULL;
        if (code == CODE_TENSOR) t = tensors[next++];
        if (at + 4 * (t ? t->ndim + 1 : 1) > INDEX_CODES)
            return ad_fail(AD_ERR_INDEX, "too many indices: the result would have more than %d dimensions",
                           AD_MAXDIM);
        memcpy(list + at, codes + k, (size_t)keep * sizeof *list);
        switch (code) {
        case CODE_INT:
            plain = false;
            break;
        case CODE_SLICE:
            plain &= codes[k + 1] == 0 && codes[k + 2] == INT64_MAX && codes[k + 3] == 1;
            dim++;
            break;
        case CODE_NONE:
            plain = false;
            dim++;
            break;
        case CODE_ELLIPSIS:
            if (dots) break;
            dots = true;
            keep = 1;
            list[at] = CODE_ELLIPSIS;
            dim += x->ndim - used;
            break;
        case CODE_BOOL:
            keep = 1;
            list[at] = CODE_NONE;
            plain = false;
            if (add_advanced(e, bool_index(codes[k + 1]), dim)) return -1;
            dim++;
            break;
        case CODE_TENSOR:
            if (t->ndim == 0 && !is_mask(t) && !tls.capture &&
                !t->batch) { /* its value is an integer index */
                keep = 2;
                list[at] = CODE_INT;
                list[at + 1] = tensor_get_i64(t);
                plain = false;
                break;
            }
            if (t->ndim == 0 && is_mask(t)) {
                if (ad_check_values((ad_handle)t)) return -1;
                if (tls.capture && program_refuse("indexing with a 0-d mask")) return -1;
                keep = 1;
                list[at] = CODE_NONE;
                plain = false;
                if (add_advanced(e, bool_index(tensor_get_i64(t) != 0), dim)) return -1;
                dim++;
                break;
            }
            int covers = is_mask(t) ? t->ndim : 1;
            for (int d = 0; d < covers; d++)
                memcpy(list + at + 4 * d, (int64_t[4]){CODE_SLICE, 0, INT64_MAX, 1}, 4 * sizeof *list);
            keep = 4 * covers;
            if (add_advanced(e, tensor_ref(t), dim)) return -1;
            dim += covers;
            break;
        }
        at += keep;
    }
    if (plain && (e->nadv || write)) {
        e->view = tensor_ref(x);
        return 0;
    }
    ad_attr a = {.list = list, .nlist = at};
    e->view = ad_apply1(OP_index_view, 1, &x, &a);
    return e->view ? 0 : -1;
}

static int check_mask(const expression *e, const advanced *a) {
    for (int d = 0; d < a->t->ndim; d++)
        if (a->t->sizes[d] != e->view->sizes[a->dim + d])
            return ad_fail(AD_ERR_INDEX,
                           "The shape of the mask %s at index %d does not match the shape of the indexed "
                           "tensor %s at index %d",
                           fmt_sizes(a->t->ndim, a->t->sizes), d, fmt_sizes(e->view->ndim, e->view->sizes),
                           a->dim + d);
    return 0;
}

/* uint8 masks as bool: nonzero reads them the same, the masked_ rows want bool. */
static ad_tensor *bool_mask(ad_tensor *t) {
    ad_attr at = {.i = {AD_BOOL}};
    return t->dtype == AD_BOOL ? tensor_ref(t) : ad_apply1(OP_to, 1, &t, &at);
}

/* Fills idx and dims: masks become the coordinates of what is set. */
static int resolve(expression *e) {
    for (int i = 0; i < e->nadv; i++) {
        advanced *a = &e->adv[i];
        int covers = is_mask(a->t) ? a->t->ndim : 1;
        if (e->nidx + covers > AD_MAXDIM)
            return ad_fail(AD_ERR_INDEX, "too many indices for tensor of dimension %d", e->view->ndim);
        if (!is_mask(a->t)) {
            e->dims[e->nidx] = a->dim;
            e->idx[e->nidx++] = tensor_ref(a->t);
            continue;
        }
        if (check_mask(e, a)) return -1;
        ad_tensor *where = ad_apply1(OP_nonzero, 1, &a->t, NULL);
        if (!where) return -1;
        for (int d = 0; d < covers; d++) {
            ad_tensor *column =
                tensor_alias(where, 1, where->sizes, where->strides, where->offset + d * where->strides[1]);
            if (!column) {
                tensor_unref(where);
                return -1;
            }
            e->dims[e->nidx] = a->dim + d;
            e->idx[e->nidx++] = column;
        }
        tensor_unref(where);
    }
    return 0;
}

static ad_tensor *apply_index(expression *e, int op, ad_tensor *value, int64_t accumulate, bool inplace) {
    ad_tensor *in[AD_MAXDIM + 2] = {e->view, value};
    int first = value ? 2 : 1;
    if (resolve(e)) return NULL;
    memcpy(in + first, e->idx, (size_t)e->nidx * sizeof *in);
    ad_attr at = {.i = {accumulate}, .list = e->dims, .nlist = e->nidx};
    return inplace ? ad_apply_inplace(op, first + e->nidx, in, &at) : ad_apply1(op, first + e->nidx, in, &at);
}

ad_handle ad_getitem(ad_handle x, const int64_t *codes, int64_t n, const ad_handle *tensors) {
    expression e;
    ad_tensor *y = NULL;
    if (!take_apart(&e, (ad_tensor *)x, codes, n, (ad_tensor *const *)tensors, false)) {
        if (!e.nadv) y = tensor_ref(e.view);
        else if (e.nadv == 1 && is_mask(e.adv[0].t) && e.adv[0].t->ndim == e.view->ndim) {
            ad_tensor *mask = check_mask(&e, &e.adv[0]) ? NULL : bool_mask(e.adv[0].t);
            if (mask) y = ad_apply1(OP_masked_select, 2, (ad_tensor *[]){e.view, mask}, NULL);
            tensor_unref(mask);
        } else y = apply_index(&e, OP_index, NULL, 0, false);
    }
    expression_free(&e);
    return (ad_handle)y;
}

/* One integer, the commonest of all. */
ad_handle ad_getitem_int(ad_handle h, int64_t index) {
    ad_tensor *x = (ad_tensor *)h;
    int64_t codes[2] = {CODE_INT, index};
    if (AD_UNLIKELY(!x->ndim)) return ad_getitem(h, codes, 2, NULL);
    ad_attr at = {.list = codes, .nlist = 2};
    return (ad_handle)ad_apply1(OP_index_view, 1, &x, &at);
}

/* ---- writing ---- */

/* A Python number as a 0-d tensor of a dtype; NULL with the error where it does not fit. */
static ad_tensor *number_as(int dtype, int kind, double f, int64_t i) {
    static const int64_t lowest[] = {INT64_MIN, 0, INT8_MIN, INT16_MIN, INT32_MIN, INT64_MIN};
    static const int64_t highest[] = {INT64_MAX, UINT8_MAX, INT8_MAX, INT16_MAX, INT32_MAX, INT64_MAX};
    if (dtype_is_float(dtype)) {
        if (kind) f = (double)i;
        if (dtype != AD_F64 && dtype != AD_BF16 && isfinite(f) &&
            fabs(f) > (dtype == AD_F16 ? 65504.0 : 3.4028234663852886e38))
            goto bad;
    } else if (!kind) {
        if (dtype == AD_BOOL) i = f != 0;
        else if (!(f >= -9223372036854775808.0 && f < 9223372036854775808.0)) goto bad;
        else i = (int64_t)f;
    }
    /* unsigned takes what its signed counterpart would, as PyTorch does */
    if (!dtype_is_float(dtype) && (i < (dtype == AD_U8 ? -255 : lowest[dtype]) || i > highest[dtype]))
        goto bad;
    return tensor_scalar(dtype, f, i);
bad:
    return ad_fail_null(AD_ERR_RUNTIME, "value cannot be converted to type %s without overflow",
                        dtype_name[dtype]);
}

ad_handle ad_number_as(int dtype, int kind, double f, int64_t i) {
    return (ad_handle)number_as(dtype, kind, f, i);
}

/* A mask beside a tensor with `after` more dimensions. */
static ad_tensor *trailing_ones(ad_tensor *mask, int after) {
    int64_t sizes[AD_MAXDIM];
    if (!after) return tensor_ref(mask);
    for (int d = 0; d < mask->ndim + after; d++) sizes[d] = d < mask->ndim ? mask->sizes[d] : 1;
    return op_reshape(mask, mask->ndim + after, sizes);
}

/* The view under one mask takes one value: nothing depends on how many are set. */
static ad_tensor *fill_masked(expression *e, ad_tensor *value) {
    advanced *a = &e->adv[0];
    ad_tensor *mask = NULL, *wide = NULL, *one = NULL, *y = NULL;
    if (check_mask(e, a)) return NULL;
    mask = bool_mask(a->t);
    if (mask) wide = trailing_ones(mask, e->view->ndim - a->dim - mask->ndim);
    if (wide) one = op_reshape(value, 0, NULL);
    if (one) y = ad_apply_inplace(OP_masked_fill, 3, (ad_tensor *[]){e->view, wide, one}, NULL);
    tensor_unref(mask);
    tensor_unref(wide);
    tensor_unref(one);
    return y;
}

static ad_tensor *write_basic(ad_tensor *view, ad_tensor *value) {
    int lead = 0;
    while (value->ndim - lead > view->ndim && value->sizes[lead] == 1) lead++;
    ad_tensor *fit = lead ? op_reshape(value, value->ndim - lead, value->sizes + lead) : tensor_ref(value);
    ad_tensor *y = fit ? ad_apply_inplace(OP_copy, 2, (ad_tensor *[]){view, fit}, NULL) : NULL;
    tensor_unref(fit);
    return y;
}

static ad_tensor *write_advanced(expression *e, ad_tensor *value, int64_t accumulate, bool inplace,
                                 bool convert) {
    ad_tensor *fit = NULL, *y = NULL;
    bool shares = value->storage == e->view->storage;
    if (convert && !value->ndim && value->dtype != e->view->dtype) {
        ad_attr at = {.i = {e->view->dtype}};
        fit = ad_apply1(OP_to, 1, &value, &at);
    } else if (shares && inplace) fit = ad_apply1(OP_clone, 1, &value, NULL);
    else fit = tensor_ref(value);
    int lead = 0; /* leading ones that the result has no place for */
    while (fit && lead < fit->ndim && fit->sizes[lead] == 1) lead++;
    if (fit && lead && fit->ndim > 1) {
        ad_tensor *less = op_reshape(fit, fit->ndim - lead, fit->sizes + lead);
        tensor_unref(fit);
        fit = less;
    }
    if (fit) y = apply_index(e, OP_index_put, fit, accumulate, inplace);
    tensor_unref(fit);
    return y;
}

/* x[codes] = value. `value` 0: the number f (kind 0) or i. */
int ad_setitem(ad_handle x, const int64_t *codes, int64_t n, const ad_handle *tensors, ad_handle value,
               int kind, double f, int64_t i) {
    expression e;
    ad_tensor *v = (ad_tensor *)value, *y = NULL, *target = (ad_tensor *)x;
    v = v ? tensor_ref(v) : number_as(target->dtype, kind, f, i);
    if (!v) return -1;
    if (!take_apart(&e, target, codes, n, (ad_tensor *const *)tensors, true)) {
        if (!e.nadv) y = write_basic(e.view, v);
        else if (e.nadv == 1 && is_mask(e.adv[0].t) && v->numel == 1 &&
                 (!v->ndim || v->dtype == e.view->dtype))
            y = fill_masked(&e, v);
        else y = write_advanced(&e, v, 0, true, true);
    }
    expression_free(&e);
    tensor_unref(v);
    tensor_unref(y);
    return y ? 0 : -1;
}

/* index_put: the expression is tensors alone. */
ad_handle ad_index_put(ad_handle x, const ad_handle *tensors, const int64_t *codes, int64_t n,
                       ad_handle value, int accumulate, int inplace) {
    expression e;
    ad_tensor *y = NULL;
    if (!take_apart(&e, (ad_tensor *)x, codes, n, (ad_tensor *const *)tensors, true))
        y = write_advanced(&e, (ad_tensor *)value, accumulate, inplace, false);
    expression_free(&e);
    return (ad_handle)y;
}

/* ---- take_along_dim: gather with the other dimensions broadcast ---- */

ad_handle ad_take_along_dim(ad_handle xh, ad_handle ih, int64_t dim) {
    ad_tensor *x = (ad_tensor *)xh, *index = (ad_tensor *)ih, *in[2] = {NULL, NULL}, *y = NULL, *neg = NULL,
              *wrapped = NULL;
    if (index->dtype != AD_I64)
        return ad_fail(AD_ERR_RUNTIME, "take_along_dim(): dtype of indices should be Long but got %s",
                       dtype_class[index->dtype]),
               0;
    if (x->ndim != index->ndim)
        return ad_fail(AD_ERR_RUNTIME,
                       "take_along_dim(): input and indices should have the same number of dimensions, but "
                       "got %d "
                       "dimensions for input, and %d dimensions for indices",
                       x->ndim, index->ndim),
               0;
    int d = dim_wrap(dim, x->ndim);
    if (d < 0) return 0;
    int64_t xs[AD_MAXDIM], is[AD_MAXDIM];
    for (int k = 0; k < x->ndim; k++) {
        int64_t a = x->sizes[k], b = index->sizes[k], both = a == 1 ? b : a;
        if (k != d && a != b && a != 1 && b != 1)
            return ad_fail(AD_ERR_RUNTIME,
                           "The size of tensor a (%lld) must match the size of tensor b (%lld) at "
                           "non-singleton dimension %d",
                           (long long)a, (long long)b, k),
                   0;
        xs[k] = k == d ? a : both;
        is[k] = k == d ? b : both;
    }
    int64_t size = x->ndim ? x->sizes[d] : 1, bad;
    ad_tensor *i = tensor_ref(index);
    if (index_bad(index, -size, size, &bad)) {
        ad_fail(AD_ERR_RUNTIME, "index %lld is out of bounds for dimension %d with size %lld", (long long)bad,
                d, (long long)size);
        goto done;
    }
    if (tls.capture || index_bad(index, 0, size, &bad)) { /* negative ones count from the end */
        ad_tensor *zero = tensor_scalar(AD_I64, 0, 0), *length = tensor_scalar(AD_I64, 0, size);
        if (zero && length) neg = ad_apply1(OP_lt, 2, (ad_tensor *[]){index, zero}, NULL);
        if (neg) wrapped = ad_apply1(OP_add, 2, (ad_tensor *[]){index, length}, NULL);
        tensor_unref(i);
        i = wrapped ? ad_apply1(OP_where, 3, (ad_tensor *[]){neg, wrapped, index}, NULL) : NULL;
        tensor_unref(zero);
        tensor_unref(length);
        if (!i) goto done;
    }
    ad_attr ex = {.list = xs, .nlist = x->ndim}, ei = {.list = is, .nlist = x->ndim}, at = {.i = {dim}};
    in[0] = dims_equal(x->ndim, x->sizes, x->ndim, xs) ? tensor_ref(x) : ad_apply1(OP_expand, 1, &x, &ex);
    if (in[0])
        in[1] = dims_equal(x->ndim, i->sizes, x->ndim, is) ? tensor_ref(i) : ad_apply1(OP_expand, 1, &i, &ei);
    if (in[1]) y = ad_apply1(OP_gather, 2, in, &at);
done:
    tensor_unref(i);
    tensor_unref(neg);
    tensor_unref(wrapped);
    tensor_unref(in[0]);
    tensor_unref(in[1]);
    return (ad_handle)y;
}

/* out= must not be read while it is written: not one of the inputs, nor a tensor that overlaps itself. */
int ad_check_out(ad_handle out_h, const ad_handle *in, int64_t n) {
    const ad_tensor *out = (ad_tensor *)out_h;
    bool bad = tensor_self_overlaps(out);
    for (int64_t k = 0; k < n && !bad; k++) {
        const ad_tensor *t = (ad_tensor *)in[k];
        int64_t last[2] = {0, 0};
        if (t->storage != out->storage || !t->numel || !out->numel) continue;
        for (int d = 0; d < t->ndim; d++) last[0] += (t->sizes[d] - 1) * t->strides[d];
        for (int d = 0; d < out->ndim; d++) last[1] += (out->sizes[d] - 1) * out->strides[d];
        bad = t->offset <= out->offset + last[1] && out->offset <= t->offset + last[0];
    }
    return bad ? ad_fail(
                     AD_ERR_RUNTIME,
                     "unsupported operation: some elements of the input tensor and the written-to tensor "
                     "refer to "
                     "a single memory location. Please clone() the tensor before performing the operation.")
               : 0;
}

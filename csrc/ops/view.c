/* Views: rows whose outputs share the storage of their input. infer computes the geometry; there is
 * nothing to run. Rows that read a part (select, slice, ...) share one adjoint: `unview`, which puts a
 * gradient into the part of a zero tensor that the view would show. */
#include <string.h>
#include "../core.h"
#include "declare.h"

/* ---- view(list = sizes, one of which may be -1) ---- */

/* Fills in a -1 and checks the count of elements. */
static int resolve_sizes(const ad_tensor *x, const int64_t *want, int64_t n, int64_t *sizes) {
    int64_t known = 1, hole = -1;
    if (n > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %lld, the most is %d", (long long)n, AD_MAXDIM);
    for (int64_t d = 0; d < n; d++) {
        sizes[d] = want[d];
        if (want[d] == -1) {
            if (hole >= 0) return ad_fail(AD_ERR_RUNTIME, "only one dimension can be inferred");
            hole = d;
        } else if (want[d] < 0)
            return ad_fail(AD_ERR_RUNTIME, "invalid shape dimension %lld at index %lld of shape %s",
                           (long long)want[d], (long long)d, fmt_sizes((int)n, want));
        else if (__builtin_mul_overflow(known, want[d], &known)) goto bad;
    }
    if (hole >= 0) {
        if (!known)
            return ad_fail(AD_ERR_RUNTIME,
                           "cannot reshape tensor of 0 elements into shape %s because the unspecified "
                           "dimension size -1 can be any value and is ambiguous",
                           fmt_sizes((int)n, want));
        if (x->numel % known) goto bad;
        sizes[hole] = x->numel / known;
    } else if (known != x->numel) goto bad;
    return 0;
bad:
    return ad_fail(AD_ERR_RUNTIME, "shape '%s' is invalid for input of size %lld", fmt_sizes((int)n, want),
                   (long long)x->numel);
}

/* Strides that show x in other sizes without a copy; false when there are none. */
static bool view_strides(const ad_tensor *x, int n, const int64_t *sizes, int64_t *strides) {
    if (!x->numel || !x->ndim) {
        dims_contiguous_strides(n, sizes, strides);
        return true;
    }
    int d = n - 1;
    int64_t chunk = 1, have = 1, base = x->strides[x->ndim - 1];
    for (int k = x->ndim - 1; k >= 0; k--) { /* chunks of dimensions that lie evenly in memory */
        chunk *= x->sizes[k];
        bool ends = k == 0 || (x->sizes[k - 1] != 1 && x->strides[k - 1] != chunk * base);
        if (!ends) continue;
        while (d >= 0 && (have < chunk || sizes[d] == 1)) {
            strides[d] = have * base;
            have *= sizes[d--];
        }
        if (have != chunk) return false;
        if (k > 0) {
            base = x->strides[k - 1];
            chunk = have = 1;
        }
    }
    return d == -1;
}

int view_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    const ad_tensor *x = c->in[0];
    if (resolve_sizes(x, c->at->list, c->at->nlist, s->sizes)) return -1;
    s->dtype = x->dtype;
    s->ndim = (uint8_t)c->at->nlist;
    s->offset = x->offset;
    s->strided = true;
    if (!view_strides(x, s->ndim, s->sizes, s->strides))
        return ad_fail(AD_ERR_RUNTIME,
                       "view size is not compatible with input tensor's size and stride (at least one "
                       "dimension spans across two contiguous subspaces). Use .reshape(...) instead.");
    return 0;
}
void view_vjp(ad_vjp *v) {
    v->gin[0] = em_reshape(&v->E, v->g[0], vjp_meta(v, 0)->ndim, vjp_meta(v, 0)->sizes);
}

ad_tensor *op_reshape(ad_tensor *x, int64_t n, const int64_t *want) {
    int64_t sizes[AD_MAXDIM], strides[AD_MAXDIM];
    if (resolve_sizes(x, want, n, sizes)) return NULL;
    ad_attr at = {.list = sizes, .nlist = n};
    if (view_strides(x, (int)n, sizes, strides)) return ad_apply1(OP_view, 1, &x, &at);
    ad_tensor *flat = ad_apply1(OP_contiguous, 1, &x, NULL);
    if (!flat) return NULL;
    ad_tensor *y = ad_apply1(OP_view, 1, &flat, &at);
    tensor_unref(flat);
    return y;
}

ad_handle ad_reshape(ad_handle x, const int64_t *sizes, int64_t n) {
    if (n > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %lld, the most is %d", (long long)n, AD_MAXDIM),
               0;
    return (ad_handle)op_reshape((ad_tensor *)x, n, sizes);
}

/* ---- view_dtype(i[0] = dtype): the same bytes read as another type ---- */

int view_dtype_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    int dtype = (int)c->at->i[0], last = x->ndim - 1;
    if (c->at->i[0] < 0 || c->at->i[0] >= AD_DTYPES)
        return ad_fail(AD_ERR_TYPE, "view: there is no such dtype");
    int64_t have = dtype_size[x->dtype], want = dtype_size[dtype], ratio;
    spec_view(s, x);
    s->dtype = (uint8_t)dtype;
    if (have == want) return 0;
    if (!x->ndim)
        return ad_fail(AD_ERR_RUNTIME, "self.dim() cannot be 0 to view %s as %s (different element sizes)",
                       dtype_class[x->dtype], dtype_class[dtype]);
    if (x->strides[last] != 1)
        return ad_fail(AD_ERR_RUNTIME,
                       "self.stride(-1) must be 1 to view %s as %s (different element sizes), but got %lld",
                       dtype_class[x->dtype], dtype_class[dtype], (long long)x->strides[last]);
    if (have > want) {
        ratio = have / want;
        for (int d = 0; d < last; d++) s->strides[d] *= ratio;
        s->offset *= ratio;
        if (__builtin_mul_overflow(s->sizes[last], ratio, &s->sizes[last]))
            return ad_fail(AD_ERR_RUNTIME, "the size of the view overflows int64");
        return 0;
    }
    ratio = want / have;
    if (x->sizes[last] % ratio)
        return ad_fail(AD_ERR_RUNTIME,
                       "self.size(-1) must be divisible by %lld to view %s as %s (different element sizes), "
                       "but got %lld",
                       (long long)ratio, dtype_class[x->dtype], dtype_class[dtype],
                       (long long)x->sizes[last]);
    if (x->offset % ratio)
        return ad_fail(AD_ERR_RUNTIME,
                       "self.storage_offset() must be divisible by %lld to view %s as %s (different element "
                       "sizes), but got %lld",
                       (long long)ratio, dtype_class[x->dtype], dtype_class[dtype], (long long)x->offset);
    for (int d = 0; d < last; d++) {
        if (x->strides[d] % ratio)
            return ad_fail(AD_ERR_RUNTIME,
                           "self.stride(%d) must be divisible by %lld to view %s as %s (different element "
                           "sizes), but got %lld",
                           d, (long long)ratio, dtype_class[x->dtype], dtype_class[dtype],
                           (long long)x->strides[d]);
        s->strides[d] /= ratio;
    }
    s->sizes[last] /= ratio;
    s->offset /= ratio;
    return 0;
}

/* ---- permutations ---- */

int transpose_infer(ad_call *c) { /* i[0], i[1]: the two dimensions */
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    int a = dim_wrap(c->at->i[0], x->ndim), b = a < 0 ? -1 : dim_wrap(c->at->i[1], x->ndim);
    if (b < 0) return -1;
    spec_view(s, x);
    if (!x->ndim) return 0;
    int64_t size = s->sizes[a], stride = s->strides[a];
    s->sizes[a] = s->sizes[b];
    s->strides[a] = s->strides[b];
    s->sizes[b] = size;
    s->strides[b] = stride;
    return 0;
}
void transpose_vjp(ad_vjp *v) { v->gin[0] = em_op(&v->E, OP_transpose, 1, &v->g[0], v->at); }

int permute_infer(ad_call *c) { /* list: the dimensions in their new order */
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    bool seen[AD_MAXDIM] = {false};
    if (c->at->nlist != x->ndim)
        return ad_fail(AD_ERR_RUNTIME,
                       "permute(sparse_coo): number of dimensions in the tensor input does not match the "
                       "length of the desired ordering of dimensions i.e. input.dim() = %d is not equal "
                       "to len(dims) = %lld",
                       x->ndim, (long long)c->at->nlist);
    spec_view(s, x);
    for (int d = 0; d < x->ndim; d++) {
        int from = dim_wrap(c->at->list[d], x->ndim);
        if (from < 0) return -1;
        if (seen[from]) return ad_fail(AD_ERR_RUNTIME, "permute(): duplicate dims are not allowed.");
        seen[from] = true;
        s->sizes[d] = x->sizes[from];
        s->strides[d] = x->strides[from];
    }
    return 0;
}
void permute_vjp(ad_vjp *v) {
    int64_t back[AD_MAXDIM];
    int n = (int)v->at->nlist;
    for (int d = 0; d < n; d++) back[v->at->list[d] < 0 ? v->at->list[d] + n : v->at->list[d]] = d;
    v->gin[0] = em1l(&v->E, OP_permute, v->g[0], back, n, 0);
}

/* ---- expand(list = sizes; -1 keeps one) ---- */

int expand_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    int n = (int)c->at->nlist, lead = n - x->ndim;
    if (lead < 0)
        return ad_fail(AD_ERR_RUNTIME,
                       "expand(%sTensor{%s}, size=%s): the number of sizes provided (%d) must be greater or "
                       "equal to the number of dimensions in the tensor (%d)",
                       dtype_class[x->dtype], fmt_sizes(x->ndim, x->sizes), fmt_sizes(n, c->at->list), n,
                       x->ndim);
    if (n > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %d, the most is %d", n, AD_MAXDIM);
    s->dtype = x->dtype;
    s->ndim = (uint8_t)n;
    s->strided = true;
    s->offset = x->offset;
    for (int d = n - 1; d >= 0; d--) {
        int64_t want = c->at->list[d], have = d < lead ? 1 : x->sizes[d - lead];
        if (want == -1) {
            if (d < lead)
                return ad_fail(AD_ERR_RUNTIME,
                               "The expanded size of the tensor (-1) isn't allowed in a leading, "
                               "non-existing dimension %d",
                               d);
            want = have;
        }
        if (have != want && have != 1)
            return ad_fail(AD_ERR_RUNTIME,
                           "The expanded size of the tensor (%lld) must match the existing size (%lld) at "
                           "non-singleton dimension %d.  Target sizes: %s.  Tensor sizes: %s",
                           (long long)want, (long long)have, d, fmt_sizes(n, c->at->list),
                           fmt_sizes(x->ndim, x->sizes));
        s->sizes[d] = want;
        s->strides[d] = d < lead       ? (d + 1 < n && want == 1 ? s->sizes[d + 1] * s->strides[d + 1] : 0)
                        : have == want ? x->strides[d - lead]
                                       : 0;
    }
    return 0;
}
void expand_vjp(ad_vjp *v) {
    v->gin[0] = em_sum_to(&v->E, v->g[0], vjp_meta(v, 0)->ndim, vjp_meta(v, 0)->sizes);
}

/* ---- squeeze(list = dimensions, i[0] = 1: all of size 1), unsqueeze(i[0] = dimension) ---- */

int squeeze_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    bool drop[AD_MAXDIM] = {false};
    for (int64_t k = 0; k < c->at->nlist; k++) {
        int d = dim_wrap(c->at->list[k], x->ndim);
        if (d < 0) return -1;
        if (x->ndim) drop[d] = true;
    }
    s->dtype = x->dtype;
    s->strided = true;
    s->offset = x->offset;
    int n = 0;
    for (int d = 0; d < x->ndim; d++) {
        if (x->sizes[d] == 1 && (drop[d] || c->at->i[0])) continue;
        s->sizes[n] = x->sizes[d];
        s->strides[n++] = x->strides[d];
    }
    s->ndim = (uint8_t)n;
    return 0;
}

int unsqueeze_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    int at = dim_wrap(c->at->i[0], x->ndim + 1);
    if (at < 0) return -1;
    if (x->ndim + 1 > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %d, the most is %d", x->ndim + 1, AD_MAXDIM);
    s->dtype = x->dtype;
    s->strided = true;
    s->offset = x->offset;
    s->ndim = (uint8_t)(x->ndim + 1);
    for (int d = 0; d < s->ndim; d++) {
        if (d == at) {
            s->sizes[d] = 1;
            s->strides[d] = at < x->ndim ? x->sizes[at] * x->strides[at] : 1;
        } else {
            s->sizes[d] = x->sizes[d - (d > at)];
            s->strides[d] = x->strides[d - (d > at)];
        }
    }
    return 0;
}

int alias_infer(ad_call *c) {
    spec_view(&c->spec[0], c->in[0]);
    return 0;
}

/* ---- parts ---- */

int select_infer(ad_call *c) { /* i[0] = dimension, i[1] = index */
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    if (!x->ndim) return ad_fail(AD_ERR_INDEX, "select() cannot be applied to a 0-dim tensor.");
    int dim = dim_wrap(c->at->i[0], x->ndim);
    if (dim < 0) return -1;
    int64_t index = c->at->i[1], size = x->sizes[dim];
    if (index < -size || index >= size)
        return ad_fail(AD_ERR_INDEX, "index %lld is out of bounds for dimension %d with size %lld",
                       (long long)index, dim, (long long)size);
    if (index < 0) index += size;
    s->dtype = x->dtype;
    s->strided = true;
    s->offset = x->offset + index * x->strides[dim];
    s->ndim = (uint8_t)(x->ndim - 1);
    for (int d = 0; d < s->ndim; d++) {
        s->sizes[d] = x->sizes[d + (d >= dim)];
        s->strides[d] = x->strides[d + (d >= dim)];
    }
    return 0;
}

int slice_infer(ad_call *c) { /* i[0] = dimension, i[1] = start, i[2] = end, i[3] = step (0 is 1) */
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    if (!x->ndim) return ad_fail(AD_ERR_INDEX, "slice() cannot be applied to a 0-dim tensor.");
    int dim = dim_wrap(c->at->i[0], x->ndim);
    if (dim < 0) return -1;
    int64_t size = x->sizes[dim], start = c->at->i[1], end = c->at->i[2],
            step = c->at->i[3] ? c->at->i[3] : 1;
    if (step < 0) return ad_fail(AD_ERR_VALUE, "step must be greater than zero");
    if (start < 0) start += size;
    if (end < 0) end += size;
    if (start < 0) start = 0;
    if (start > size) start = size;
    if (end < start) end = start;
    if (end > size) end = size;
    spec_view(s, x);
    s->offset += start * x->strides[dim];
    int64_t span = end - start;
    s->sizes[dim] = span / step + (span % step != 0);
    s->strides[dim] = x->strides[dim] * (s->sizes[dim] > 1 ? step : 1);
    return 0;
}

int diagonal_infer(ad_call *c) { /* i[0] = offset, i[1], i[2] = dimensions */
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    int a = dim_wrap(c->at->i[1], x->ndim), b = a < 0 ? -1 : dim_wrap(c->at->i[2], x->ndim);
    if (b < 0) return -1;
    if (a == b)
        return ad_fail(AD_ERR_RUNTIME, "diagonal dimensions cannot be identical %lld, %lld",
                       (long long)c->at->i[1], (long long)c->at->i[2]);
    int64_t off = c->at->i[0], rows = x->sizes[a], cols = x->sizes[b];
    int64_t n = off >= 0 ? (rows < cols - off ? rows : cols - off) : (rows + off < cols ? rows + off : cols);
    if (n < 0) n = 0;
    s->dtype = x->dtype;
    s->strided = true;
    s->offset = x->offset + (n ? (off >= 0 ? off * x->strides[b] : -off * x->strides[a]) : 0);
    int k = 0;
    for (int d = 0; d < x->ndim; d++) {
        if (d == a || d == b) continue;
        s->sizes[k] = x->sizes[d];
        s->strides[k++] = x->strides[d];
    }
    s->sizes[k] = n;
    s->strides[k++] = x->strides[a] + x->strides[b];
    s->ndim = (uint8_t)k;
    return 0;
}

int unfold_infer(ad_call *c) { /* i[0] = dimension, i[1] = window, i[2] = step */
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    int dim = dim_wrap(c->at->i[0], x->ndim);
    if (dim < 0) return -1;
    int64_t size = c->at->i[1], step = c->at->i[2], have = x->ndim ? x->sizes[dim] : 1;
    if (size < 0) return ad_fail(AD_ERR_RUNTIME, "size is %lld but must be >= 0", (long long)size);
    if (size > have)
        return ad_fail(AD_ERR_RUNTIME, "maximum size for tensor at dimension %d is %lld but size is %lld",
                       dim, (long long)have, (long long)size);
    if (step <= 0) return ad_fail(AD_ERR_RUNTIME, "step is %lld but must be > 0", (long long)step);
    spec_view(s, x);
    if (s->ndim + 1 > AD_MAXDIM) return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %d", s->ndim + 1);
    int64_t stride = x->ndim ? x->strides[dim] : 1;
    s->sizes[s->ndim] = size;
    s->strides[s->ndim] = stride;
    if (x->ndim) {
        s->sizes[dim] = (have - size) / step + 1;
        s->strides[dim] = stride * step;
    }
    s->ndim++;
    return 0;
}

/* ---- the adjoint of a part: unview(g) = zeros of the input's sizes, plus g where the view shows ----
 * i[0..5]: the view's own; i[6]: how many of the list are the input's sizes (the rest is the view's list);
 * i[7]: the view's row. */

void view_of(const ad_attr *at, ad_tensor *whole, ad_spec *part) {
    ad_attr own = *at;
    own.list = at->list + at->i[6];
    own.nlist = at->nlist - at->i[6];
    ad_call c = {.op = &ad_ops[at->i[7]], .nin = 1, .nout = 1, .in = &whole, .spec = part, .at = &own};
    int status = ad_ops[at->i[7]].infer(&c);
    (void)status; /* the forward pass accepted the same arguments */
}

int unview_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    s->dtype = c->in[0]->dtype;
    s->ndim = (uint8_t)c->at->i[6];
    dims_copy(s->sizes, c->at->list, s->ndim);
    return 0;
}

void unview_run(const ad_call *c) {
    ad_tensor *out = c->out[0], part = *out;
    ad_spec spec;
    int64_t sizes[AD_MAXDIM], strides[AD_MAXDIM];
    if (!out->numel) return;
    memset(tensor_data(out), 0, (size_t)out->numel * dtype_size[out->dtype]);
    view_of(c->at, out, &spec);
    part.ndim = spec.ndim;
    part.offset = spec.offset;
    part.sizes = sizes;
    part.strides = strides;
    part.numel = c->in[0]->numel;
    memcpy(sizes, spec.sizes, sizeof sizes);
    memcpy(strides, spec.strides, sizeof strides);
    if (tensor_self_overlaps(&part)) strided_accumulate(&part, c->in[0]);
    else tensor_copy_data(&part, c->in[0]);
}
void unview_vjp(ad_vjp *v) {
    ad_attr own = *v->at;
    own.list = v->at->list + v->at->i[6];
    own.nlist = v->at->nlist - v->at->i[6];
    v->gin[0] = em_op(&v->E, (int)v->at->i[7], 1, &v->g[0], &own);
}

/* The rule of every view that shows a part. */
void part_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    ad_attr at = *v->at;
    int64_t list[AD_MAXDIM + INDEX_CODES];
    memcpy(list, m->sizes, m->ndim * sizeof *list);
    dims_copy(list + m->ndim, v->at->list, v->at->nlist);
    at.list = list;
    at.nlist = m->ndim + v->at->nlist;
    at.i[6] = m->ndim;
    at.i[7] = v->node->op - ad_ops;
    v->gin[0] = em_op(&v->E, OP_unview, 1, &v->g[0], &at);
}

/* ---- split(list = sizes of the parts, i[0] = dimension; i[1] = 1: unbind) ---- */

int split_count(int nin, ad_tensor *const *in, const ad_attr *at) {
    (void)nin;
    if (!at->i[1]) return (int)at->nlist;
    int dim = dim_wrap(at->i[0], in[0]->ndim);
    if (dim < 0) return -1;
    if (!in[0]->ndim) return ad_fail(AD_ERR_RUNTIME, "Dimension specified as 0 but tensor has no dimensions");
    return (int)in[0]->sizes[dim];
}

int split_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    if (!x->ndim) return ad_fail(AD_ERR_RUNTIME, "split expects at least a 1-dimensional tensor");
    int dim = dim_wrap(c->at->i[0], x->ndim);
    if (dim < 0) return -1;
    int64_t at = 0;
    for (int k = 0; k < c->nout; k++) {
        ad_spec *s = &c->spec[k];
        spec_view(s, x);
        s->offset += at * x->strides[dim];
        int64_t n = c->at->i[1] ? 1 : c->at->list[k];
        if (n < 0)
            return ad_fail(AD_ERR_RUNTIME,
                           "split_with_sizes expects split_sizes have only non-negative entries, but got "
                           "split_sizes=%s",
                           fmt_sizes((int)c->at->nlist, c->at->list));
        at += n;
        s->sizes[dim] = n;
        if (!c->at->i[1]) continue;
        s->ndim--;
        for (int d = dim; d < s->ndim; d++) {
            s->sizes[d] = s->sizes[d + 1];
            s->strides[d] = s->strides[d + 1];
        }
    }
    if (at != x->sizes[dim])
        return ad_fail(AD_ERR_RUNTIME,
                       "split_with_sizes expects split_sizes to sum exactly to %lld (input tensor's size at "
                       "dimension %lld), but got split_sizes=%s",
                       (long long)x->sizes[dim], (long long)c->at->i[0],
                       fmt_sizes((int)c->at->nlist, c->at->list));
    return 0;
}

void split_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    int dim = dim_wrap(v->at->i[0], m->ndim);
    ad_tensor *room[16], **part = room;
    if (v->nout > 16 && !(part = mem_alloc((size_t)v->nout * sizeof *part))) {
        v->E.failed = true;
        return;
    }
    for (int k = 0; k < v->nout; k++) {
        int64_t sizes[AD_MAXDIM];
        memcpy(sizes, m->sizes, m->ndim * sizeof *sizes);
        sizes[dim] = v->at->i[1] ? 1 : v->at->list[k];
        part[k] =
            v->g[k] ? em_reshape(&v->E, v->g[k], m->ndim, sizes) : em_zeros(&v->E, m->dtype, m->ndim, sizes);
    }
    ad_attr at = {.i = {dim}};
    v->gin[0] = em_op(&v->E, OP_cat, v->nout, part, &at);
    if (part != room) mem_free(part, (size_t)v->nout * sizeof *part);
}

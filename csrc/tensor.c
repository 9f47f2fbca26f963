/* Storage and tensors: geometry, views, reference counts. */
#include <string.h>
#include <limits.h>
#include "core.h"

/* ---- storage ---- */

#define STORAGE_HEADER 64 /* the struct and its data are one block; data stays 64-byte aligned */
_Static_assert(sizeof(ad_storage) <= STORAGE_HEADER, "the storage header outgrew its place");

ad_storage *storage_new(size_t nbytes) {
    size_t block = STORAGE_HEADER + nbytes;
    ad_storage *s = mem_alloc_kind(block, MEM_STORAGE);
    if (!s) return NULL;
    atomic_init(&s->refs, 1);
    atomic_init(&s->version, 0);
    s->data = (char *)s + STORAGE_HEADER;
    s->nbytes = nbytes;
    s->block = block;
    s->owner = 0;
    s->readonly = 0;
    s->exposed = 0;
    atomic_init(&s->unseen, 0);
    s->recorded = 0;
    s->graded = 0;
    atomic_init(&s->pinned, 0);
    s->backing = NULL;
    atomic_init(&s->moved, 0);
    s->born = tls.capture_id;
    return s;
}

void storage_release(ad_storage *s) {
    if (!s) return;
    if (!count_down(&s->refs)) {
        /* Recording a step would otherwise keep every value that it ever had. */
        if (AD_UNLIKELY(s->recorded) && s->born == tls.capture_id && s->refs == s->pinned)
            mem_discard(s->data, s->nbytes);
        return;
    }
    graph_drop(s->owner);
    if (s->backing) storage_release(s->backing); /* which has none itself */
    mem_free_kind(s, s->block, MEM_STORAGE);
}

/* ---- geometry ---- */

int dims_numel(int ndim, const int64_t *sizes, int64_t *numel) {
    int64_t n = 1, nonzero = 1;
    for (int d = 0; d < ndim; d++) {
        if (sizes[d] < 0)
            return ad_fail(AD_ERR_RUNTIME, "Trying to create tensor with negative dimension %lld: %s",
                           (long long)sizes[d], fmt_sizes(ndim, sizes));
        n *= sizes[d] ? 1 : 0;
        if (sizes[d] && __builtin_mul_overflow(nonzero, sizes[d], &nonzero))
            return ad_fail(AD_ERR_RUNTIME, "the number of elements of a tensor of size %s overflows int64",
                           fmt_sizes(ndim, sizes));
    }
    *numel = n * nonzero;
    return 0;
}

void dims_contiguous_strides(int ndim, const int64_t *sizes, int64_t *strides) {
    int64_t s = 1;
    for (int d = ndim - 1; d >= 0; d--) {
        strides[d] = s;
        if (sizes[d] > 1) s *= sizes[d];
    }
}

bool dims_contiguous(int ndim, const int64_t *sizes, const int64_t *strides) {
    int64_t s = 1;
    for (int d = ndim - 1; d >= 0; d--) {
        if (sizes[d] == 0) return true;
        if (sizes[d] == 1) continue;
        if (strides[d] != s) {
            for (int e = 0; e < d; e++)
                if (sizes[e] == 0) return true;
            return false;
        }
        s *= sizes[d];
    }
    return true;
}

bool dims_dense(int ndim, const int64_t *sizes, const int64_t *strides) {
    int order[AD_MAXDIM], n = 0;
    for (int d = 0; d < ndim; d++) {
        if (sizes[d] == 0) return true;
        if (sizes[d] == 1) continue;
        int k = n++;
        for (; k > 0 && strides[order[k - 1]] > strides[d]; k--) order[k] = order[k - 1];
        order[k] = d;
    }
    int64_t s = 1;
    for (int k = 0; k < n; k++) {
        if (strides[order[k]] != s) return false;
        s *= sizes[order[k]];
    }
    return true;
}

bool tensor_self_overlaps(const ad_tensor *t) {
    if (tensor_is_contiguous(t)) return false;
    /* Sorted by stride, each dimension must step beyond all that the smaller ones reach. */
    int order[AD_MAXDIM], n = 0;
    for (int d = 0; d < t->ndim; d++) {
        if (t->sizes[d] == 0) return false;
        if (t->sizes[d] == 1) continue;
        int k = n++;
        for (; k > 0 && t->strides[order[k - 1]] > t->strides[d]; k--) order[k] = order[k - 1];
        order[k] = d;
    }
    int64_t reach = 0;
    for (int k = 0; k < n; k++) {
        if (t->strides[order[k]] <= reach) return true;
        reach += t->strides[order[k]] * (t->sizes[order[k]] - 1);
    }
    return false;
}

static void tensor_span(const ad_tensor *t, int64_t *lo, int64_t *hi) { /* in bytes of the storage */
    int64_t last = 0;
    for (int d = 0; d < t->ndim; d++) last += (t->sizes[d] - 1) * t->strides[d];
    *lo = t->offset * dtype_size[t->dtype];
    *hi = *lo + (last + 1) * dtype_size[t->dtype];
}

void tensor_reach(const ad_tensor *t, const char **begin, const char **end) {
    int64_t lo, hi;
    tensor_span(t, &lo, &hi);
    *begin = (const char *)t->storage->data + lo;
    *end = t->numel ? (const char *)t->storage->data + hi : *begin;
}

bool tensor_disjoint(const ad_tensor *a, const ad_tensor *b) {
    int64_t alo, ahi, blo, bhi;
    tensor_span(a, &alo, &ahi);
    tensor_span(b, &blo, &bhi);
    return ahi <= blo || bhi <= alo;
}

bool tensor_partial_overlap(const ad_tensor *a, const ad_tensor *b) {
    if (!a->numel || !b->numel) return false;
    if (a->dtype == b->dtype && a->offset == b->offset && tensor_same_sizes(a, b) &&
        dims_equal(a->ndim, a->strides, b->ndim, b->strides))
        return false;
    if (tensor_disjoint(a, b)) return false;
    /* Strided regions may interleave without meeting: only dense ones are known to share elements. */
    return dims_dense(a->ndim, a->sizes, a->strides) && dims_dense(b->ndim, b->sizes, b->strides);
}

bool dims_equal(int na, const int64_t *a, int nb, const int64_t *b) {
    if (na != nb) return false;
    for (int d = 0; d < na; d++)
        if (a[d] != b[d]) return false;
    return true;
}

bool tensor_same_sizes(const ad_tensor *a, const ad_tensor *b) {
    return dims_equal(a->ndim, a->sizes, b->ndim, b->sizes);
}

int dim_wrap(int64_t dim, int ndim) {
    int n = ndim ? ndim : 1;
    if (dim < -n || dim >= n)
        return ad_fail(AD_ERR_INDEX,
                       "Dimension out of range (expected to be in range of [%d, %d], but got %lld)", -n,
                       n - 1, (long long)dim);
    return (int)(dim < 0 ? dim + n : dim);
}

/* ---- tensors ---- */

static ad_tensor *tensor_blank(int dtype, int ndim) {
    ad_tensor *t = mem_alloc_kind(sizeof *t, MEM_TENSOR);
    if (!t) return NULL;
    memset(t, 0, offsetof(ad_tensor, dims));
    atomic_init(&t->refs, 1);
    t->dtype = (uint8_t)dtype;
    t->ndim = (uint8_t)ndim;
    if (AD_LIKELY(ndim <= AD_INLINE_DIMS)) {
        t->sizes = t->dims;
        t->strides = t->dims + AD_INLINE_DIMS;
    } else {
        t->sizes = mem_alloc(2 * (size_t)ndim * sizeof(int64_t));
        if (!t->sizes) {
            mem_free_kind(t, sizeof *t, MEM_TENSOR);
            return NULL;
        }
        t->strides = t->sizes + ndim;
    }
    return t;
}

static int check_ndim(int64_t ndim) {
    if (ndim < 0 || ndim > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %lld, the most is %d", (long long)ndim,
                       AD_MAXDIM);
    return 0;
}

ad_tensor *tensor_new(int dtype, int ndim, const int64_t *sizes) {
    int64_t numel;
    size_t nbytes;
    if (check_ndim(ndim) || dims_numel(ndim, sizes, &numel)) return NULL;
    if (__builtin_mul_overflow((size_t)numel, dtype_size[dtype], &nbytes) || nbytes > (size_t)INT64_MAX)
        return ad_fail_null(AD_ERR_RUNTIME, "the storage of a %s tensor of size %s overflows int64",
                            dtype_name[dtype], fmt_sizes(ndim, sizes));
    ad_tensor *t = tensor_blank(dtype, ndim);
    if (!t) return NULL;
    t->storage = storage_new(nbytes);
    if (!t->storage) {
        tensor_free(t);
        return NULL;
    }
    t->numel = numel;
    for (int d = 0; d < ndim; d++) t->sizes[d] = sizes[d];
    dims_contiguous_strides(ndim, t->sizes, t->strides);
    return t;
}

/* Dense in the order of the given strides. */
ad_tensor *tensor_new_strided(int dtype, int ndim, const int64_t *sizes, const int64_t *strides) {
    ad_tensor *t = tensor_new(dtype, ndim, sizes);
    if (t)
        for (int d = 0; d < ndim; d++) t->strides[d] = strides[d];
    return t;
}

ad_tensor *tensor_alias(ad_tensor *src, int ndim, const int64_t *sizes, const int64_t *strides,
                        int64_t offset) {
    int64_t numel;
    if (check_ndim(ndim) || dims_numel(ndim, sizes, &numel)) return NULL;
    ad_tensor *t = tensor_blank(src->dtype, ndim);
    if (!t) return NULL;
    t->storage = src->storage;
    count_up(&t->storage->refs);
    t->offset = offset;
    t->numel = numel;
    t->batch = batch_ref(src->batch);
    t->flags = src->flags & (AD_T_NO_VERSION | AD_T_INFERENCE | AD_T_CAPTURED);
    for (int d = 0; d < ndim; d++) {
        t->sizes[d] = sizes[d];
        t->strides[d] = strides[d];
    }
    return t;
}

int tensor_set_geometry(ad_tensor *t, int ndim, const int64_t *sizes, const int64_t *strides) {
    int64_t numel, own[2 * AD_MAXDIM]; /* the arguments may point into t */
    if (check_ndim(ndim) || dims_numel(ndim, sizes, &numel)) return -1;
    memcpy(own, sizes, (size_t)ndim * sizeof *sizes);
    memcpy(own + ndim, strides, (size_t)ndim * sizeof *strides);
    int64_t *room = t->dims, *old = t->sizes;
    if (ndim > AD_INLINE_DIMS && !(room = mem_alloc(2 * (size_t)ndim * sizeof *room))) return -1;
    size_t old_bytes = 2 * (size_t)t->ndim * sizeof *old;
    t->sizes = room;
    t->strides = room + (ndim > AD_INLINE_DIMS ? ndim : AD_INLINE_DIMS);
    memcpy(t->sizes, own, (size_t)ndim * sizeof *own);
    memcpy(t->strides, own + ndim, (size_t)ndim * sizeof *own);
    if (old != t->dims) mem_free(old, old_bytes);
    t->ndim = (uint8_t)ndim;
    t->numel = numel;
    return 0;
}

ad_tensor *tensor_scalar(int dtype, double f, int64_t i) {
    ad_tensor *t = tensor_new(dtype, 0, NULL);
    if (!t) return NULL;
    if (dtype_is_float(dtype)) dtype_stores[dtype][CT_F64](1, t->storage->data, 0, &f);
    else dtype_stores[dtype][CT_I64](1, t->storage->data, 0, &i);
    return t;
}

ad_tensor *tensor_zeros(int dtype, int ndim, const int64_t *sizes) {
    ad_attr at = {.i = {dtype}, .list = sizes, .nlist = ndim};
    return ad_apply1(OP_full, 0, NULL, &at);
}

/* A tensor may hold the last reference to its base, that one to its own node, and so on: what a release
 * sets free is queued on the thread, never released by recursion. */
static _Thread_local ad_tensor *doomed;
static _Thread_local bool draining;

static void doom(ad_tensor *t) {
    t->numel = (int64_t)(intptr_t)doomed; /* geometry is no longer needed: the link lives there */
    doomed = t;
}

void tensor_free(ad_tensor *t) {
    doom(t);
    if (draining) return;
    draining = true;
    while (doomed) {
        t = doomed;
        doomed = (ad_tensor *)(intptr_t)t->numel;
        if (t->flags & AD_T_RETAINS_GRAD) {
            lock_take(&hook_lock);
            if (t->node)
                for (ad_hook *h = t->node->hooks; h; h = h->next)
                    if (h->store == t) h->store = NULL;
            lock_drop(&hook_lock);
        }
        hooks_free(t->hooks);
        node_unref(t->node);
        tensor_unref(t->base);
        tensor_unref(t->grad);
        tangents_free(t->tangents);
        if (AD_UNLIKELY(t->rows != NULL)) rows_free(t->rows);
        batch_unref(t->batch);
        storage_release(t->storage);
        if (t->sizes != t->dims) mem_free(t->sizes, 2 * (size_t)t->ndim * sizeof(int64_t));
        mem_free_kind(t, sizeof *t, MEM_TENSOR);
    }
    draining = false;
}

/* Rows on whole batches. A rule computes the physical outputs, the plan's dimensions in front of a sample's,
 * with the row itself or with others; no rule: batch.c goes through the samples.
 *
 * Worth a rule is what costs little for one sample, and what is faster for all together: elementwise rows
 * (which broadcast anyway), reductions, products, the linear layer and convolutions whose weights all samples
 * share. */
#include <string.h>
#include "batch.h"
#include "watch.h"
#include "ops/declare.h"

#define FEW 4

static int plain(int op, int nin, ad_tensor **in, const ad_attr *at, ad_tensor **out, ad_tensor *target) {
    return apply_row(&ad_ops[op], nin, in, at, out, target);
}

static bool batched(const ad_tensor *t) { return t && t->batch; }

/* A physical result of another dtype than the samples' is converted. */
static int in_dtype(const ad_call *c, ad_tensor **out) {
    if ((*out)->dtype == c->spec[0].dtype) return 1;
    ad_attr at = {.i = {c->spec[0].dtype}};
    ad_tensor *y = *out;
    int status = plain(OP_to, 1, &y, &at, out, NULL);
    tensor_unref(y);
    return status < 0 ? -1 : 1;
}

/* Operands that broadcast: the dimensions of the batch come before the most that a sample has. Operands
 * without dimensions take part in promotion as such, so that they are converted first. */
static int broadcasting(const ad_call *c, const batch_plan *p, ad_tensor **out) {
    ad_tensor *in[FEW], *own[FEW] = {NULL}, *target = NULL;
    int most = 0, status = -1;
    bool row = c->op->flags & AD_OP_EW;
    if (c->nin > FEW) return 0;
    for (int i = 0; i < c->nin; i++)
        if (c->in[i] && c->in[i]->ndim > most) most = c->in[i]->ndim;
    for (int i = 0; i < c->nin; i++) {
        in[i] = c->in[i];
        if (!batched(in[i])) continue;
        ad_tensor *t = batch_operand(in[i], p, most - in[i]->ndim, false);
        int common =
            row && !c->inplace && !in[i]->ndim && in[i]->dtype != AD_BOOL ? ew_common(c) : in[i]->dtype;
        if (t && common != t->dtype) {
            ad_attr at = {.i = {common}};
            ad_tensor *cast, *from = t;
            t = plain(OP_to, 1, &from, &at, &cast, NULL) < 0 ? NULL : cast;
            tensor_unref(from);
        }
        if (!(own[i] = in[i] = t)) goto done;
    }
    if (c->inplace) {
        target = own[0];
        target->flags |= AD_T_NO_VERSION; /* the write is counted once, by the caller */
        ad_tensor *y;
        if (plain((int)(c->op - ad_ops), c->nin, in, c->at, &y, target) < 0) goto done;
        tensor_unref(y);
        status = 2;
    } else if (plain((int)(c->op - ad_ops), c->nin, in, c->at, out, NULL) >= 0)
        status = c->nout == 1 ? in_dtype(c, out) : 1;
done:
    for (int i = 0; i < c->nin; i++) tensor_unref(own[i]);
    return status;
}

/* One operand, dimensions in a list. Without dimensions a sample gets one to reduce. */
static int reduction(const ad_call *c, const batch_plan *p, ad_tensor **out) {
    const ad_tensor *x = c->in[0];
    int64_t list[AD_MAXDIM];
    ad_attr at = *c->at;
    int n = x->ndim ? x->ndim : 1;
    if (at.nlist > n) return 0;
    if (at.nlist)
        for (int64_t k = 0; k < at.nlist; k++) list[k] = p->n + dim_wrap(at.list[k], x->ndim);
    else
        for (int k = 0; k < n; k++) list[k] = p->n + k;
    at.nlist = at.nlist ? at.nlist : n;
    at.list = list;
    if (!x->ndim) at.i[0] = 0;
    ad_tensor *in = batch_operand(c->in[0], p, 0, true);
    if (in && !x->ndim) { /* a last dimension of size 1 */
        ad_attr last = {.i = {-1}};
        ad_tensor *wide;
        int made = plain(OP_unsqueeze, 1, &in, &last, &wide, NULL);
        tensor_unref(in);
        in = made < 0 ? NULL : wide;
    }
    if (!in) return -1;
    int status = plain((int)(c->op - ad_ops), 1, &in, &at, out, NULL);
    tensor_unref(in);
    return status < 0 ? -1 : 1;
}

/* Operands of the same sizes, a dimension as first attribute. */
static int along(const ad_call *c, const batch_plan *p, ad_tensor **out) {
    ad_tensor *in[FEW] = {NULL};
    ad_attr at = *c->at;
    int status = -1;
    if (!c->in[0]->ndim || c->nin > FEW) return 0;
    at.i[0] = p->n + dim_wrap(at.i[0], c->in[0]->ndim);
    for (int i = 0; i < c->nin; i++) {
        if (!tensor_same_sizes(c->in[i], c->in[0])) return 0;
        if (!(in[i] = batch_operand(c->in[i], p, 0, true))) goto done;
    }
    status = plain((int)(c->op - ad_ops), c->nin, in, &at, out, NULL) < 0 ? -1 : 1;
done:
    for (int i = 0; i < c->nin; i++) tensor_unref(in[i]);
    return status;
}

/* cat and stack: i[0] = dimension, of `more` dimensions than the operands have. */
static int joining(const ad_call *c, const batch_plan *p, int more, ad_tensor **out) {
    ad_attr at = *c->at;
    int ndim = c->spec[0].ndim, made = 0, status = -1;
    for (int i = 0; i < c->nin; i++)
        if (c->in[i]->ndim + more != ndim) return 0; /* an empty one */
    ad_tensor **in = mem_alloc((size_t)c->nin * sizeof *in);
    if (!in) return -1;
    at.i[0] = p->n + dim_wrap(at.i[0], ndim);
    for (; made < c->nin; made++)
        if (!(in[made] = batch_operand(c->in[made], p, 0, true))) goto done;
    status = plain((int)(c->op - ad_ops), c->nin, in, &at, out, NULL) < 0 ? -1 : 1;
done:
    for (int i = 0; i < made; i++) tensor_unref(in[i]);
    mem_free(in, (size_t)c->nin * sizeof *in);
    return status;
}

/* The first operand is batched, and the row takes any dimensions before those that it needs. */
static int leading(const ad_call *c, const batch_plan *p, int which, ad_tensor **out) {
    ad_tensor *in[FEW];
    if (c->nin > FEW) return 0;
    for (int i = 0; i < c->nin; i++) {
        if (i != which && batched(c->in[i])) return 0;
        in[i] = c->in[i];
    }
    if (!(in[which] = batch_operand(c->in[which], p, 0, true))) return -1;
    int status = plain((int)(c->op - ad_ops), c->nin, in, c->at, out, NULL);
    tensor_unref(in[which]);
    return status < 0 ? -1 : 1;
}

/* The physical sizes of output 0. */
static int out_sizes(const ad_call *c, const batch_plan *p, int64_t *sizes) {
    for (int k = 0; k < p->n; k++) sizes[k] = p->dim[k].size;
    dims_copy(sizes + p->n, c->spec[0].sizes, c->spec[0].ndim);
    return p->n + c->spec[0].ndim;
}

static int reshaped(const ad_call *c, const batch_plan *p, ad_em *E, ad_tensor *y, ad_tensor **out) {
    int64_t sizes[AD_MAXDIM];
    int n = out_sizes(c, p, sizes);
    *out = tensor_ref(em_reshape(E, y, n, sizes));
    return *out ? 1 : -1;
}

/* A product of matrices. Where all samples share the right one, their rows are one tall matrix; products over
 * a single term (the gradient of a weight for one sample) are multiplications. */
static int product(const ad_call *c, const batch_plan *p, ad_tensor **out) {
    ad_em E = {0};
    ad_tensor *a = c->in[0], *b = c->in[1];
    int most = a->ndim > b->ndim ? a->ndim : b->ndim;
    int64_t k = a->sizes[a->ndim - 1];
    int status = -1;
    if (batched(a) && !batched(b) && b->ndim == 2 && k) {
        int64_t rows[2] = {-1, k};
        ad_tensor *tall = em_keep(&E, batch_operand(a, p, 0, true));
        rows[0] = tall ? tall->numel / k : 0;
        tall = em_reshape(&E, tall, 2, rows);
        status = reshaped(c, p, &E, em2(&E, OP_mm, tall, b), out);
    } else {
        if (batched(a)) a = em_keep(&E, batch_operand(a, p, most - a->ndim, false));
        if (batched(b)) b = em_keep(&E, batch_operand(b, p, most - b->ndim, false));
        bool scale = k == 1 && a && dtype_is_float(a->dtype);
        *out = tensor_ref(em2(&E, scale ? OP_mul : OP_matmul, a, b));
        status = *out ? 1 : -1;
    }
    em_done(&E);
    return status;
}

static int linear_layer(const ad_call *c, const batch_plan *p, ad_tensor **out) {
    ad_tensor *x = c->in[0], *w = c->in[1], *b = c->in[2];
    if (!batched(w) && !batched(b)) return leading(c, p, 0, out);
    ad_em E = {0};
    int pad = x->ndim < 2 ? 0 : x->ndim - 2; /* of a weight, before its two dimensions */
    ad_tensor *rows = batched(x) ? em_keep(&E, batch_operand(x, p, 0, false)) : x;
    if (x->ndim < 2) rows = em1i(&E, OP_unsqueeze, rows, -2, 0, 0);
    ad_tensor *wide = batched(w) ? em_keep(&E, batch_operand(w, p, pad, false)) : w;
    ad_tensor *y = em2(&E, OP_matmul, rows, em1i(&E, OP_transpose, wide, -2, -1, 0));
    if (b && b->ndim) {
        ad_tensor *bias = batched(b) ? em_keep(&E, batch_operand(b, p, pad + 1, false)) : b;
        y = em2(&E, OP_add, y, bias);
    } else if (b) {
        em_done(&E);
        return 0;
    }
    /* Where only the bias or only the weight is of some level, the sizes are complete all the same. */
    int status = y && !E.failed ? reshaped(c, p, &E, y, out) : -1;
    em_done(&E);
    return status;
}

/* A convolution whose weights all samples share: the samples are more of what it has many of anyway. */
static int convolution(const ad_call *c, const batch_plan *p, ad_tensor **out) {
    const ad_tensor *x = c->in[0];
    int rank = (int)c->at->i[1];
    int64_t sizes[AD_MAXDIM], list[AD_MAXDIM];
    if (!batched(x) || batched(c->in[1]) || batched(c->in[2])) return 0;
    bool many = x->ndim == rank + 2; /* a sample is a batch itself */
    ad_attr at = *c->at;
    int64_t given = at.nlist - 3 * rank; /* sizes of the result, in calls from gradient rules */
    bool sized = at.i[2] == HOW_SIZED;
    if (sized && given != x->ndim) return 0;
    ad_em E = {0};
    ad_tensor *all = em_keep(&E, batch_operand(c->in[0], p, 0, true));
    sizes[0] = p->total * (many ? x->sizes[0] : 1);
    dims_copy(sizes + 1, x->sizes + many, x->ndim - many);
    all = em_reshape(&E, all, rank + 2, sizes);
    if (sized) {
        dims_copy(list, at.list, 3 * rank);
        list[3 * rank] = p->total * (many ? at.list[3 * rank] : 1);
        dims_copy(list + 3 * rank + 1, at.list + 3 * rank + many, given - many);
        at.list = list;
        at.nlist = 3 * rank + rank + 2;
    }
    ad_tensor *y =
        all ? em_op(&E, (int)(c->op - ad_ops), 3, (ad_tensor *[]){all, c->in[1], c->in[2]}, &at) : NULL;
    int status = y ? reshaped(c, p, &E, y, out) : -1;
    em_done(&E);
    return status;
}

/* Draws for all samples at once, in the order of the batch. */
static int drawing(const ad_call *c, const batch_plan *p, ad_tensor **out) {
    int op = (int)(c->op - ad_ops);
    if (op == OP_multinomial || op == OP_randperm || op == OP_sample_dirichlet) return 0;
    if (!c->nin) {
        int64_t list[2 * (AD_MAXDIM + BATCH_DEPTH)];
        ad_attr at = *c->at;
        at.nlist = out_sizes(c, p, list);
        at.list = list;
        at.i[1] = 0; /* contiguous */
        return plain(op, 0, NULL, &at, out, NULL) < 0 ? -1 : 1;
    }
    ad_tensor *in[FEW], *own[FEW] = {NULL}, *y;
    int most = 0, status = -1;
    if (c->nin > FEW || (c->inplace && c->nout > 1)) return 0;
    for (int i = 0; i < c->nin; i++)
        if (c->in[i] && c->in[i]->ndim > most) most = c->in[i]->ndim;
    for (int i = 0; i < c->nin; i++) {
        in[i] = c->in[i];
        if (in[i] && !(in[i] = own[i] = batch_operand(in[i], p, most - in[i]->ndim, true))) goto done;
    }
    if (c->inplace) {
        own[0]->flags |= AD_T_NO_VERSION;
        if (plain(op, c->nin, in, c->at, &y, own[0]) >= 0) {
            tensor_unref(y);
            status = 2;
        }
    } else if (plain(op, c->nin, in, c->at, out, NULL) >= 0) status = 1;
done:
    for (int i = 0; i < c->nin; i++) tensor_unref(own[i]);
    return status;
}

int batch_rule(const ad_call *c, const batch_plan *p, ad_tensor **out) {
    if (c->op->flags & AD_OP_RANDOM) return drawing(c, p, out);
    if (c->op->flags & AD_OP_EW || c->op - ad_ops == OP_copy) return broadcasting(c, p, out);
    if (c->inplace) return 0;
    switch ((int)(c->op - ad_ops)) {
    case OP_sum:
    case OP_mean:
    case OP_nansum:
    case OP_amax:
    case OP_amin:
    case OP_logsumexp:
    case OP_norm:
    case OP_std:
    case OP_var:
    case OP_any:
    case OP_all:
    case OP_count_nonzero:
        return reduction(c, p, out);
    case OP_softmax:
    case OP_log_softmax:
    case OP_softmax_grad:
    case OP_log_softmax_grad:
    case OP_cumsum:
    case OP_cumprod:
    case OP_max_dim:
    case OP_min_dim:
        return along(c, p, out);
    case OP_cat:
        return joining(c, p, 0, out);
    case OP_stack:
        return joining(c, p, 1, out);
    case OP_mm:
    case OP_bmm:
    case OP_matmul:
        return product(c, p, out);
    case OP_linear:
        return linear_layer(c, p, out);
    case OP_conv:
    case OP_conv_transpose:
        return convolution(c, p, out);
    case OP_contiguous:
    case OP_to:
    case OP_clone:
        return leading(c, p, 0, out);
    case OP_embedding:
        return leading(c, p, 1, out);
    default:
        return 0;
    }
}

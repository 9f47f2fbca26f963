/* The gradient of a recurrent layer: one call of rnn_grad; where the gradient itself is to be differentiated,
 * and in forward mode, the layer written out in operations that have rules of their own. */
#include "composed.h"
#include "declare.h"
#include "rnn.h"

static ad_tensor *em_slice(ad_em *E, ad_tensor *t, int dim, int64_t from, int64_t to) {
    if (!t || (from == 0 && to == t->sizes[dim < 0 ? dim + t->ndim : dim])) return t;
    return em1i(E, OP_slice, t, dim, from, to);
}
static ad_tensor *em_cat(ad_em *E, int n, ad_tensor **t) {
    return em_op(E, OP_cat, n, t, &(ad_attr){.i = {0}});
}
static ad_tensor *em_linear(ad_em *E, ad_tensor *x, ad_tensor *w, ad_tensor *b) {
    return x && w ? em_op(E, OP_linear, 3, (ad_tensor *[]){x, w, b}, NULL) : NULL;
}
static ad_tensor *em_chunk(ad_em *E, ad_tensor *t, int64_t h, int k) {
    return em_slice(E, t, -1, k * h, (k + 1) * h);
}

/* One step: x and h0 of n rows, *c their cells. Returns the state. */
static ad_tensor *em_step(ad_em *E, int kind, ad_tensor *x, ad_tensor *h0, ad_tensor **c, ad_tensor **in) {
    int64_t h = in[RNN_W]->sizes[0] / rnn_gates(kind);
    ad_tensor *p = em_linear(E, h0, in[RNN_W], in[RNN_BIAS]);
    if (kind == RNN_GRU) {
        ad_tensor *r = em1(E, OP_sigmoid, em2(E, OP_add, em_chunk(E, x, h, 0), em_chunk(E, p, h, 0)));
        ad_tensor *z = em1(E, OP_sigmoid, em2(E, OP_add, em_chunk(E, x, h, 1), em_chunk(E, p, h, 1)));
        ad_tensor *n = em2(E, OP_add, em_chunk(E, x, h, 2), em2(E, OP_mul, r, em_chunk(E, p, h, 2)));
        n = em1(E, OP_tanh, n);
        return em2(E, OP_add, em2(E, OP_mul, em2(E, OP_sub, h0, n), z), n);
    }
    p = em2(E, OP_add, x, p);
    if (kind != RNN_LSTM) return em1(E, kind == RNN_RELU ? OP_relu : OP_tanh, p);
    ad_tensor *i = em1(E, OP_sigmoid, em_chunk(E, p, h, 0)), *f = em1(E, OP_sigmoid, em_chunk(E, p, h, 1));
    ad_tensor *g = em1(E, OP_tanh, em_chunk(E, p, h, 2)), *o = em1(E, OP_sigmoid, em_chunk(E, p, h, 3));
    *c = em2(E, OP_add, em2(E, OP_mul, f, *c), em2(E, OP_mul, i, g));
    ad_tensor *y = em2(E, OP_mul, o, em1(E, OP_tanh, *c));
    return in[RNN_PROJ] ? em_linear(E, y, in[RNN_PROJ], NULL) : y;
}

/* The state after a step of n rows; the others keep theirs. */
static ad_tensor *em_update(ad_em *E, ad_tensor *all, ad_tensor *part, int64_t n) {
    if (!all || !part || n == all->sizes[0]) return part;
    return em_cat(E, 2, (ad_tensor *[]){part, em_slice(E, all, 0, n, all->sizes[0])});
}

static void compose(ad_em *E, const ad_attr *at, ad_tensor **in, ad_tensor **out) {
    int kind = (int)at->i[0];
    bool packed = at->nlist > 0, reverse = at->i[1];
    ad_tensor *x = in[RNN_X], *h = in[RNN_H0], *c = in[RNN_C0];
    if (at->i[3]) x = em1i(E, OP_transpose, x, 0, 1, 0);
    if (!x) return;
    int64_t steps = packed ? at->nlist : x->sizes[0], row = reverse && packed ? x->sizes[0] : 0;
    ad_tensor **y = steps ? mem_alloc((size_t)steps * sizeof *y) : NULL;
    if (!y) {
        E->failed |= steps > 0;
        return;
    }
    for (int64_t step = 0; step < steps && !E->failed; step++) {
        int64_t t = reverse ? steps - 1 - step : step, n = packed ? at->list[t] : x->sizes[1];
        if (reverse && packed) row -= n;
        ad_tensor *xt = packed ? em_slice(E, x, 0, row, row + n) : em1i(E, OP_select, x, 0, t, 0);
        if (!reverse && packed) row += n;
        ad_tensor *part = c ? em_slice(E, c, 0, 0, n) : NULL;
        y[t] = em_step(E, kind, xt, em_slice(E, h, 0, 0, n), &part, in);
        h = em_update(E, h, y[t], n);
        if (c) c = em_update(E, c, part, n);
    }
    if (!E->failed) {
        ad_tensor *all = em_cat(E, (int)steps, y);
        int64_t sizes[3] = {steps, h->sizes[0], h->sizes[1]};
        out[RNN_Y] = packed ? all : em_reshape(E, all, 3, sizes);
        out[RNN_HN] = h;
        out[RNN_CN] = c;
    }
    mem_free(y, (size_t)steps * sizeof *y);
}

void rnn_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    ad_tensor *in[RNN_INPUTS];
    vjp_optional_in(v, RNN_INPUTS, in);
    if (E->failed) return;
    if (!grad_is_final()) {
        composed_vjp(v, RNN_INPUTS, in, compose);
        return;
    }
    int64_t want = (vjp_needs(v, RNN_W) ? 1 : 0) | (in[RNN_BIAS] && vjp_needs(v, RNN_BIAS) ? 2 : 0) |
                   (in[RNN_PROJ] && vjp_needs(v, RNN_PROJ) ? 4 : 0);
    ad_attr at = *v->at;
    at.i[2] = want;
    ad_tensor *args[] = {v->g[RNN_Y],
                         v->g[RNN_HN],
                         in[RNN_C0] ? v->g[RNN_CN] : NULL,
                         vjp_out(v, in[RNN_C0] ? RNN_Y : RNN_CELLS),
                         vjp_out(v, RNN_GATES),
                         vjp_out(v, RNN_CELLS),
                         in[RNN_H0],
                         in[RNN_C0],
                         in[RNN_W],
                         in[RNN_PROJ]};
    ad_tensor *out[RNN_GRADIENTS];
    if (E->failed) return;
    if (ad_apply(&ad_ops[OP_rnn_grad], 10, args, &at, out) < 0) {
        E->failed = true;
        return;
    }
    static const int from[RNN_INPUTS] = {RNN_DX, RNN_DH0, RNN_DC0, RNN_DW, RNN_DBIAS, RNN_DPROJ};
    for (int k = 0; k < RNN_GRADIENTS; k++) em_keep(E, out[k]);
    for (int i = 0; i < RNN_INPUTS; i++)
        if (in[i] && vjp_needs(v, i)) v->gin[i] = out[from[i]];
}

void rnn_jvp(ad_jvp *j) { composed_jvp(j, compose); }

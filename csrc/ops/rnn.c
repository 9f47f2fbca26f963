/* A recurrent layer in one direction over a whole sequence, and its gradient.
 *
 * rnn(x, h0, c0, w, bias, proj) -> y, gates, cells, hn, cn. cells: of an LSTM; of the others a copy of y,
 * which serves the gradient when y is written in place. x holds the input's products, biases included: [T, B,
 * G H], or [N, G H] for sequences of different lengths, the longest first, packed step by step; the list is
 * then how many of them each step has. h0 is [B, P], c0 (LSTM) [B, H], w [G H, P], bias (GRU) [3 H] of the
 * state's products, proj (LSTM) [P, H]; without it P = H. i[0] = kind, i[1] = backwards in time.
 *
 * A sequence of the batch does not depend on the others: the batch is cut into parts by shape, and each part
 * goes through all steps on one thread, with no barrier between steps. */
#include <string.h>
#include "../gemm.h"
#include "../pool.h"
#include "declare.h"
#include "rnn.h"

/* Elements of w beyond which a part of the batch would reread it from far: the products of a step are shared
 * among the threads instead. */
#define FAR_WEIGHT ((int64_t)1 << 20)
/* Multiply-adds below which one thread works alone, as in the matrix product. */
#define ALONE ((int64_t)1 << 19)
#define PART_ROWS 16

typedef struct sequence {
    int kind, g, ct;
    bool reverse;
    int64_t steps, batch, total, h, p; /* total: rows of x */
    const int64_t *sizes;              /* of each step, or NULL: `batch` */
    int64_t parts, part;               /* how many, and rows of one */
    size_t es;
    bool flip; /* forward: w is transposed into the workspace first */
} sequence;

static size_t round_up(size_t bytes) { return (bytes + 63) & ~(size_t)63; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static sequence sequence_of(const ad_tensor *x, const ad_tensor *h0, const ad_tensor *w, const ad_attr *at) {
    sequence s = {.kind = (int)at->i[0], .reverse = at->i[1]};
    s.g = rnn_gates(s.kind);
    s.ct = dtype_compute(x->dtype);
    s.es = ct_size[s.ct];
    s.batch = h0->sizes[0];
    s.p = h0->sizes[1];
    s.h = w->sizes[0] / s.g;
    if (at->nlist) {
        s.sizes = at->list;
        s.steps = at->nlist;
        s.total = x->sizes[0];
    } else {
        s.steps = x->sizes[0];
        s.total = s.steps * s.batch;
    }
    int64_t weight = s.g * s.h * s.p;
    s.parts = 1;
    if (s.batch >= 4 && weight <= FAR_WEIGHT && weight * s.total >= ALONE) {
        s.parts = (s.batch + PART_ROWS - 1) / PART_ROWS;
        s.parts += s.parts & 1;
    }
    s.part = (s.batch + s.parts - 1) / s.parts;
    s.flip = s.steps > 1 && s.batch > 1;
    return s;
}

static int64_t rows_at(const sequence *s, int64_t t) { return s->sizes ? s->sizes[t] : s->batch; }

/* ---- shapes ---- */

static int check_size(const char *name, const ad_tensor *t, int ndim, int64_t a, int64_t b,
                      const ad_tensor *x) {
    if (t->ndim != ndim || t->sizes[0] != a || (ndim > 1 && t->sizes[1] != b))
        return ad_fail(AD_ERR_RUNTIME, "rnn: expected %s of size [%lld%s%.0lld], got %s", name, (long long)a,
                       ndim > 1 ? ", " : "", ndim > 1 ? (long long)b : 0LL, fmt_sizes(t->ndim, t->sizes));
    if (t->dtype != x->dtype)
        return ad_fail(AD_ERR_RUNTIME, "rnn: the input's products are %s, but %s is %s", dtype_name[x->dtype],
                       name, dtype_name[t->dtype]);
    return 0;
}

int rnn_infer(ad_call *c) {
    const ad_tensor *x = c->in[RNN_X], *h0 = c->in[RNN_H0], *c0 = c->in[RNN_C0], *w = c->in[RNN_W];
    int64_t kind = c->at->i[0], n = c->at->nlist;
    if (!x || !h0 || !w || kind < RNN_TANH || kind > RNN_GRU || (kind == RNN_LSTM) != (c0 != NULL))
        return ad_fail(AD_ERR_RUNTIME, "rnn: an input is missing or the kind %lld is unknown",
                       (long long)kind);
    int64_t g = rnn_gates((int)kind);
    if (x->dtype != AD_F32 && x->dtype != AD_F64)
        return ad_fail(AD_ERR_NOT_IMPLEMENTED,
                       "\"rnn\" not implemented for '%s': convert the input and the "
                       "weights to float32",
                       dtype_class[x->dtype]);
    if (x->ndim != (n ? 2 : 3) || h0->ndim != 2 || w->ndim != 2 || w->sizes[0] % g || w->sizes[0] == 0)
        return ad_fail(AD_ERR_RUNTIME, "rnn: sizes %s of the products, %s of the state and %s of the weight",
                       fmt_sizes(x->ndim, x->sizes), fmt_sizes(h0->ndim, h0->sizes),
                       fmt_sizes(w->ndim, w->sizes));
    int64_t h = w->sizes[0] / g, p = w->sizes[1], b = h0->sizes[0], all = 0;
    if (x->sizes[x->ndim - 1] != g * h)
        return ad_fail(AD_ERR_RUNTIME,
                       "rnn: the input's products have %lld features, the weight asks for %lld",
                       (long long)x->sizes[x->ndim - 1], (long long)(g * h));
    if (!n && x->sizes[1] != b)
        return ad_fail(AD_ERR_RUNTIME, "rnn: a batch of %lld, but hx is of size %s", (long long)x->sizes[1],
                       fmt_sizes(h0->ndim, h0->sizes));
    for (int64_t t = 0; t < n; t++) {
        int64_t k = c->at->list[t];
        if (k <= 0 || k > (t ? c->at->list[t - 1] : b) || __builtin_add_overflow(all, k, &all))
            return ad_fail(AD_ERR_RUNTIME,
                           "rnn: batch_sizes must be positive, not grow, and start with the batch %lld; "
                           "batch_sizes[%lld] is %lld",
                           (long long)b, (long long)t, (long long)k);
    }
    if (n && (all != x->sizes[0] || c->at->list[0] != b))
        return ad_fail(AD_ERR_RUNTIME,
                       "rnn: batch_sizes sum to %lld and begin with %lld, for %lld rows and hx %s",
                       (long long)all, (long long)c->at->list[0], (long long)x->sizes[0],
                       fmt_sizes(h0->ndim, h0->sizes));
    if (check_size("hx", h0, 2, b, p, x) || check_size("weight_hh", w, 2, g * h, p, x)) return -1;
    if (c0 && check_size("cx", c0, 2, b, h, x)) return -1;
    if (c->in[RNN_BIAS] && check_size("bias_hh", c->in[RNN_BIAS], 1, g * h, 0, x)) return -1;
    if (c->in[RNN_PROJ] && check_size("weight_hr", c->in[RNN_PROJ], 2, p, h, x)) return -1;
    if (!c->in[RNN_PROJ] && p != h)
        return ad_fail(AD_ERR_RUNTIME, "rnn: a weight_hh of size %s has no weight_hr",
                       fmt_sizes(w->ndim, w->sizes));
    for (int k = 0; k < RNN_OUTPUTS; k++) {
        ad_spec *s = &c->spec[k];
        if (k < RNN_HN) spec_like(s, x);
        else spec_like(s, h0);
        s->nondiff = k == RNN_GATES || k == RNN_CELLS;
    }
    int last = x->ndim - 1;
    c->spec[RNN_Y].sizes[last] = p;
    c->spec[RNN_GATES].sizes[last] = kind == RNN_LSTM || kind == RNN_GRU ? 4 * h : 0;
    c->spec[RNN_CELLS].sizes[last] = h;
    c->spec[RNN_CN].sizes[1] = kind == RNN_LSTM ? h : 0;
    return 0;
}

/* ---- forward ---- */

typedef struct forward {
    sequence s;
    const char *x, *w, *bias, *proj;
    char *y, *gates, *cells, *hn, *cn, *room, *gemm;
    int64_t rsw, csw; /* of w as it is multiplied from the right */
} forward;

static void multiply(const sequence *s, int64_t m, int64_t n, int64_t k, const char *a, int64_t lda,
                     const char *b, int64_t rsb, int64_t csb, char *c, int64_t ldc, bool add, void *scratch) {
    gemm_epilogue epi = {.accumulate = add};
    gemm_args g = {.type = s->ct,
                   .m = m,
                   .n = n,
                   .k = k,
                   .a = a,
                   .rsa = lda,
                   .csa = 1,
                   .b = b,
                   .rsb = rsb,
                   .csb = csb,
                   .c = c,
                   .ldc = ldc,
                   .epi = add ? &epi : NULL,
                   .scratch = scratch};
    gemm_run(&g);
}

static size_t product_scratch(const sequence *s, int64_t m, int64_t n, int64_t k, int64_t rsa, int64_t csa,
                              int64_t rsb, int64_t csb) {
    gemm_args g = {
        .type = s->ct, .m = m, .n = n, .k = k, .rsa = rsa, .csa = csa, .rsb = rsb, .csb = csb, .ldc = n};
    return round_up(gemm_scratch(&g));
}

/* The most that any step's product needs. */
static size_t multiply_scratch(const sequence *s, int64_t n, int64_t k, int64_t rsb, int64_t csb) {
    size_t most = product_scratch(s, s->batch, n, k, k, 1, rsb, csb);
    for (int64_t t = 1; s->sizes && t < s->steps; t++) {
        if (s->sizes[t] == s->sizes[t - 1]) continue;
        size_t bytes = product_scratch(s, s->sizes[t], n, k, k, 1, rsb, csb);
        if (bytes > most) most = bytes;
    }
    return most;
}

static void forward_part(int64_t begin, int64_t end, void *ctx) {
    const forward *f = ctx;
    const sequence *s = &f->s;
    const rnn_kernels *kernels = &kern->rnn;
    int64_t es = (int64_t)s->es, h = s->h, p = s->p, gh = s->g * h, saved = 4 * h;
    int64_t from = begin * s->part, to = least(end * s->part, s->batch);
    bool gated = s->kind == RNN_LSTM || s->kind == RNN_GRU;
    int64_t row = s->reverse ? s->total : 0; /* where the step begins */
    for (int64_t step = 0; step < s->steps; step++) {
        int64_t t = s->reverse ? s->steps - 1 - step : step, n = rows_at(s, t);
        if (s->reverse) row -= n;
        int64_t first = row;
        if (!s->reverse) row += n;
        int64_t m = least(to, n) - from;
        if (m <= 0) {
            if (s->reverse) continue;
            break;
        }
        first += from;
        char *into = gated ? f->gates + first * saved * es : f->y + first * h * es;
        multiply(s, m, gh, p, f->hn + from * p * es, p, f->w, f->rsw, f->csw, into, gated ? saved : h, false,
                 f->gemm);
        for (int64_t r = 0; r < m; r++) {
            const char *x = f->x + (first + r) * gh * es;
            char *gates = f->gates + (first + r) * saved * es, *y = f->y + (first + r) * p * es;
            char *hn = f->hn + (from + r) * p * es;
            switch (s->kind) {
            case RNN_LSTM:
                kernels->lstm[s->ct](h, x, gates, f->cn + (from + r) * h * es,
                                     f->cells + (first + r) * h * es,
                                     f->proj ? f->room + (from + r) * h * es : y);
                break;
            case RNN_GRU:
                kernels->gru[s->ct](h, x, f->bias, gates, hn, y);
                break;
            default:
                kernels->simple[s->ct](h, x, y, s->kind == RNN_RELU);
            }
        }
        if (f->proj)
            multiply(s, m, p, h, f->room + from * h * es, h, f->proj, 1, h, f->y + first * p * es, p, false,
                     f->gemm);
        if (s->kind != RNN_LSTM)
            memcpy(f->cells + first * h * es, f->y + first * h * es, (size_t)(m * h * es));
        memcpy(f->hn + from * p * es, f->y + first * p * es, (size_t)(m * p * es));
    }
}

static void flip(const sequence *s, const char *w, int64_t rows, int64_t cols, char *out) {
    for (int64_t i = 0; i < rows; i += 16)
        for (int64_t j = 0; j < cols; j++)
            for (int64_t k = i; k < rows && k < i + 16; k++) {
                if (s->ct == CT_F32) ((float *)out)[j * rows + k] = ((const float *)w)[k * cols + j];
                else ((double *)out)[j * rows + k] = ((const double *)w)[k * cols + j];
            }
}

static sequence sequence_of_call(const ad_call *c) {
    return sequence_of(c->in[RNN_X], c->in[RNN_H0], c->in[RNN_W], c->at);
}

/* The workspace: w transposed, the states before projection, the products' own. */
static void forward_room(const ad_call *c, const sequence *s, size_t *room, size_t *gemm, size_t *all) {
    int64_t gh = s->g * s->h;
    size_t w = s->flip ? round_up((size_t)(gh * s->p) * s->es) : 0;
    *room = w;
    *gemm = *room + (c->in[RNN_PROJ] ? round_up((size_t)(s->batch * s->h) * s->es) : 0);
    *all = *gemm;
    if (s->parts > 1) return;
    size_t a = s->flip ? multiply_scratch(s, gh, s->p, gh, 1) : multiply_scratch(s, gh, s->p, 1, s->p);
    size_t b = c->in[RNN_PROJ] ? multiply_scratch(s, s->p, s->h, 1, s->h) : 0;
    *all += a > b ? a : b;
}

size_t rnn_scratch(const ad_call *c) {
    sequence s = sequence_of_call(c);
    size_t room, gemm, all;
    forward_room(c, &s, &room, &gemm, &all);
    return all;
}

void rnn_run(const ad_call *c) {
    forward f = {.s = sequence_of_call(c),
                 .x = tensor_data(c->in[RNN_X]),
                 .w = tensor_data(c->in[RNN_W]),
                 .bias = c->in[RNN_BIAS] ? tensor_data(c->in[RNN_BIAS]) : NULL,
                 .proj = c->in[RNN_PROJ] ? tensor_data(c->in[RNN_PROJ]) : NULL,
                 .y = tensor_data(c->out[RNN_Y]),
                 .gates = tensor_data(c->out[RNN_GATES]),
                 .cells = tensor_data(c->out[RNN_CELLS]),
                 .hn = tensor_data(c->out[RNN_HN]),
                 .cn = tensor_data(c->out[RNN_CN])};
    sequence *s = &f.s;
    size_t room, gemm, all;
    forward_room(c, s, &room, &gemm, &all);
    f.room = (char *)c->scratch + room;
    f.gemm = all > gemm ? (char *)c->scratch + gemm : NULL;
    if (!s->batch) return;
    tensor_copy_data(c->out[RNN_HN], c->in[RNN_H0]);
    if (s->kind == RNN_LSTM) tensor_copy_data(c->out[RNN_CN], c->in[RNN_C0]);
    f.rsw = 1;
    f.csw = s->p;
    if (s->flip) {
        flip(s, f.w, s->g * s->h, s->p, c->scratch);
        f.w = c->scratch;
        f.rsw = s->g * s->h;
        f.csw = 1;
    }
    pool_parallel_for(s->parts, 1, forward_part, &f);
}

/* ---- backward: rnn_grad(gy, ghn, gcn, y, gates, cells, h0, c0, w, proj). i[2]: bits of which weights'
 * gradients are wanted: 1 w, 2 bias, 4 proj ---- */

enum { G_Y, G_HN, G_CN, G_OUT, G_GATES, G_CELLS, G_H0, G_C0, G_W, G_PROJ };

int rnn_grad_infer(ad_call *c) {
    const ad_tensor *y = c->in[G_OUT], *h0 = c->in[G_H0], *w = c->in[G_W], *proj = c->in[G_PROJ];
    int64_t want = c->at->i[2];
    spec_like(&c->spec[RNN_DX], y);
    c->spec[RNN_DX].sizes[y->ndim - 1] = w->sizes[0];
    spec_like(&c->spec[RNN_DH0], h0);
    spec_like(&c->spec[RNN_DC0], c->in[G_C0] ? c->in[G_C0] : h0);
    if (!c->in[G_C0]) c->spec[RNN_DC0].sizes[0] = 0;
    spec_like(&c->spec[RNN_DW], w);
    if (!(want & 1)) c->spec[RNN_DW].sizes[0] = 0;
    spec_like(&c->spec[RNN_DBIAS], w);
    c->spec[RNN_DBIAS].ndim = 1;
    if (!(want & 2)) c->spec[RNN_DBIAS].sizes[0] = 0;
    spec_like(&c->spec[RNN_DPROJ], proj ? proj : w);
    if (!(want & 4)) c->spec[RNN_DPROJ].sizes[0] = 0;
    return 0;
}

typedef struct backward {
    sequence s;
    const char *gy, *y, *gates, *cells, *h0, *c0, *w, *proj;
    char *dx, *dh, *dc, *dgates, *part, *before, *dstate, *out, *room, *gemm;
} backward;

static sequence backward_sequence(const ad_call *c) {
    return sequence_of(c->in[G_OUT], c->in[G_H0], c->in[G_W], c->at);
}

/* The workspace, in order: the gradient of the state's products where it is not dx (GRU), a part of its sum,
 * the state before each row, and with a projection the gradient of each state, the state before it is
 * projected, and a row of its gradient for each sequence. */
static size_t backward_room(const ad_call *c, const sequence *s, backward *b) {
    int64_t gh = s->g * s->h;
    size_t used = 0, a = 0, w = 0, sum = 0;
    char *base = c->scratch;
    backward none;
    if (!b) b = &none;
    b->dgates = base + used;
    if (s->kind == RNN_GRU) used += round_up((size_t)(s->total * gh) * s->es);
    b->part = base + used;
    used += round_up((size_t)gh * s->es);
    b->before = base + used;
    used += round_up((size_t)(s->total * s->p) * s->es);
    b->dstate = base + used;
    b->out = b->room = NULL;
    if (c->in[G_PROJ]) {
        used += round_up((size_t)(s->total * s->p) * s->es);
        b->out = base + used;
        used += round_up((size_t)(s->total * s->h) * s->es);
        b->room = base + used;
        used += round_up((size_t)(s->batch * s->h) * s->es);
    }
    b->gemm = base + used;
    if (s->parts == 1) {
        a = multiply_scratch(s, s->p, gh, s->p, 1);
        if (c->in[G_PROJ]) sum = multiply_scratch(s, s->h, s->p, s->h, 1);
    }
    w = product_scratch(s, gh, s->p, s->total, 1, gh, s->p, 1);
    if (sum > a) a = sum;
    if (w > a) a = w;
    if (c->in[G_PROJ]) {
        w = product_scratch(s, s->p, s->h, s->total, 1, s->p, s->h, 1);
        if (w > a) a = w;
    }
    return used + a;
}
size_t rnn_grad_scratch(const ad_call *c) {
    sequence s = backward_sequence(c);
    return backward_room(c, &s, NULL) + 64;
}

static void backward_part(int64_t begin, int64_t end, void *ctx) {
    const backward *b = ctx;
    const sequence *s = &b->s;
    const rnn_kernels *kernels = &kern->rnn;
    int64_t es = (int64_t)s->es, h = s->h, p = s->p, gh = s->g * h, saved = 4 * h;
    int64_t from = begin * s->part, to = least(end * s->part, s->batch);
    size_t wide = (size_t)(p * es);
    int64_t row = s->reverse ? 0 : s->total;
    void *gemm = s->parts == 1 ? b->gemm : NULL;
    for (int64_t step = 0; step < s->steps; step++) { /* against the direction of the layer */
        int64_t t = s->reverse ? step : s->steps - 1 - step, n = rows_at(s, t);
        int64_t last = s->reverse ? s->steps - 1 : 0, there = s->reverse ? t + 1 : t - 1;
        if (!s->reverse) row -= n;
        int64_t first = row + from, earlier = s->reverse ? row + n : row - (t ? rows_at(s, t - 1) : 0);
        if (s->reverse) row += n;
        int64_t m = least(to, n) - from, known = t == last ? 0 : rows_at(s, there);
        if (m <= 0) {
            if (!s->reverse) continue;
            break;
        }
        for (int64_t r = 0; r < m; r++) {
            bool inside = from + r < known; /* else the step began from h0 */
            const char *h0 = inside ? b->y + (earlier + from + r) * p * es : b->h0 + (from + r) * p * es;
            char *dh = b->dh + (from + r) * p * es;
            if (b->gy) kernels->add[s->ct](p, dh, b->gy + (first + r) * p * es);
            memcpy(b->before + (first + r) * p * es, h0, wide);
        }
        if (b->proj) {
            memcpy(b->dstate + first * p * es, b->dh + from * p * es, (size_t)m * wide);
            multiply(s, m, h, p, b->dh + from * p * es, p, b->proj, h, 1, b->room + from * h * es, h, false,
                     gemm);
        }
        for (int64_t r = 0; r < m; r++) {
            bool inside = from + r < known;
            int64_t at = first + r;
            char *dx = b->dx + at * gh * es, *dh = b->dh + (from + r) * p * es;
            const char *gates = b->gates + at * saved * es;
            switch (s->kind) {
            case RNN_LSTM: {
                const char *c0 =
                    inside ? b->cells + (earlier + from + r) * h * es : b->c0 + (from + r) * h * es;
                const char *cell = b->cells + at * h * es;
                kernels->lstm_grad[s->ct](h, gates, c0, cell, b->proj ? b->room + (from + r) * h * es : dh,
                                          b->dc + (from + r) * h * es, dx);
                if (b->proj) kernels->lstm_out[s->ct](h, gates, cell, b->out + at * h * es);
                break;
            }
            case RNN_GRU:
                kernels->gru_grad[s->ct](h, gates, b->before + at * h * es, dh, dx, b->dgates + at * gh * es);
                break;
            default:
                kernels->simple_grad[s->ct](h, b->y + at * h * es, dh, dx, s->kind == RNN_RELU);
            }
        }
        multiply(s, m, p, gh, b->dgates + first * gh * es, gh, b->w, p, 1, b->dh + from * p * es, p,
                 s->kind == RNN_GRU, gemm);
    }
}

void rnn_grad_run(const ad_call *c) {
    backward b = {.s = backward_sequence(c),
                  .gy = c->in[G_Y] ? tensor_data(c->in[G_Y]) : NULL,
                  .y = tensor_data(c->in[G_OUT]),
                  .gates = tensor_data(c->in[G_GATES]),
                  .cells = tensor_data(c->in[G_CELLS]),
                  .h0 = tensor_data(c->in[G_H0]),
                  .c0 = c->in[G_C0] ? tensor_data(c->in[G_C0]) : NULL,
                  .w = tensor_data(c->in[G_W]),
                  .proj = c->in[G_PROJ] ? tensor_data(c->in[G_PROJ]) : NULL,
                  .dx = tensor_data(c->out[RNN_DX]),
                  .dh = tensor_data(c->out[RNN_DH0]),
                  .dc = tensor_data(c->out[RNN_DC0])};
    const sequence *s = &b.s;
    int64_t gh = s->g * s->h;
    backward_room(c, s, &b);
    if (s->kind != RNN_GRU) b.dgates = b.dx;
    for (int k = G_HN; k <= G_CN; k++) {
        ad_tensor *to = c->out[k == G_HN ? RNN_DH0 : RNN_DC0];
        if (c->in[k] && to->numel) tensor_copy_data(to, c->in[k]);
        else memset(tensor_data(to), 0, (size_t)to->numel * s->es);
    }
    if (s->batch) pool_parallel_for(s->parts, 1, backward_part, &b);
    gemm_args g = {.type = s->ct,
                   .m = gh,
                   .n = s->p,
                   .k = s->total,
                   .a = b.dgates,
                   .rsa = 1,
                   .csa = gh,
                   .b = b.before,
                   .rsb = s->p,
                   .csb = 1,
                   .c = tensor_data(c->out[RNN_DW]),
                   .ldc = s->p,
                   .scratch = b.gemm};
    if (c->at->i[2] & 1) gemm_run(&g);
    if (c->at->i[2] & 2) { /* in parts, for the rounding */
        char *sum = tensor_data(c->out[RNN_DBIAS]);
        memset(sum, 0, (size_t)gh * s->es);
        for (int64_t i = 0; i < s->total; i += 128) {
            kern->fold_cols[RED_sum][s->ct](least(128, s->total - i), gh, b.dgates + i * gh * (int64_t)s->es,
                                            gh, NULL, b.part);
            kern->rnn.add[s->ct](gh, sum, b.part);
        }
    }
    if (c->at->i[2] & 4) {
        g.m = s->p;
        g.n = s->h;
        g.a = b.dstate;
        g.csa = s->p;
        g.b = b.out;
        g.rsb = s->h;
        g.c = tensor_data(c->out[RNN_DPROJ]);
        g.ldc = s->h;
        gemm_run(&g);
    }
}

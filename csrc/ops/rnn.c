/* A recurrent layer in one direction over a whole sequence, and its gradient.
 *
 * rnn(x, h0, c0, w, bias, proj) -> y, gates, cells, hn, cn. cells: of an LSTM; of the others a copy of y,
 * which serves the gradient when y is written in place. x holds the input's products, biases included: [T, B,
 * G H], or [N, G H] for sequences of different lengths, the longest first, packed step by step; the list is
 * then how many of them each step has. h0 is [B, P], c0 (LSTM) [B, H], w [G H, P], bias (GRU) [3 H] of the
 * state's products, proj (LSTM) [P, H]; without it P = H. i[0] = kind, i[1] = backwards in time; i[3]: x is
 * [B, T, G H], all else as it is without.
 *
 * A sequence of the batch does not depend on the others: the batch is cut into parts by shape, and each part
 * goes through all steps on one thread, with no barrier between steps.
 *
 * What bounds it: the products of an LSTM of 35 steps, 20 sequences and 128 features are 550 million
 * operations, forward and backward: 8.6 million cycles at the 64 operations that an AVX-512 core begins in
 * one. All of it takes 10.0 million on one thread, and as many on two (470 of 518 GFLOP/s). The steps' own
 * products, in tiles of 10 rows, reach 98 % of the 64; those of the input and the weights' gradients, 700 x
 * 128 x 512 each way, 91 to 95 %; the gates take 0.65 million cycles, most of them division; packing the
 * weights and the rest 0.5 million. That is 1.3 times PyTorch's speed (366 GFLOP/s); 1.5 times would be 549,
 * above what the processors do. Tried: sums unrolled four times, which changed nothing. Where the processors
 * are in different core complexes (a cache line takes 200 ns between them, not 40), a step takes 1.4 times as
 * long, PyTorch's too: half of what the products of the input leave for a part lies with the other processor.
 */
#include <string.h>
#include "../gemm.h"
#include "../pool.h"
#include "declare.h"
#include "rnn.h"

/* Bytes of w beyond which a part of the batch would reread it from far: the work of a step is shared among
 * the threads instead. */
#define FAR_WEIGHT ((int64_t)1 << 19)
/* Multiply-adds below which one thread works alone, as in the matrix product. */
#define ALONE ((int64_t)1 << 19)
#define PART_ROWS 32   /* most rows of a part */
#define STEP_ROWS 4096 /* elements of a step's gates in a chunk */

typedef struct sequence {
    int kind, g, ct;
    bool reverse;
    int64_t steps, batch, total, h, p; /* total: rows of x */
    bool batch_first;                  /* of x */
    const int64_t *sizes;              /* of each step, or NULL: `batch` */
    int64_t parts, part;               /* how many, and rows of one */
    size_t es;
    bool pack; /* weights are packed into the workspace first */
} sequence;

static size_t round_up(size_t bytes) { return (bytes + 63) & ~(size_t)63; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Rows of a part: those that share a batch best between two threads, and between four, when a tile of r rows
 * takes r + 2. */
static int64_t part_rows(int64_t batch, int64_t mr) {
    int64_t best = batch, least_cost = INT64_MAX;
    for (int64_t rows = 1; rows <= PART_ROWS && rows < batch; rows++) {
        int64_t n = (batch + rows - 1) / rows, tiles = (rows + mr - 1) / mr;
        int64_t cost = ((rows + tiles - 1) / tiles + 2) * tiles * (4 * ((n + 1) / 2) + (n + 3) / 4);
        if (cost <= least_cost) best = rows, least_cost = cost;
    }
    return best;
}

static sequence sequence_of(const ad_tensor *x, bool batch_first, const ad_tensor *h0, const ad_tensor *w,
                            const ad_attr *at) {
    sequence s = {.kind = (int)at->i[0], .reverse = at->i[1], .batch_first = batch_first};
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
        s.steps = x->sizes[s.batch_first];
        s.total = s.steps * s.batch;
    }
    int64_t weight = s.g * s.h * s.p;
    s.pack = s.steps > 1 && s.batch > 1;
    bool apart = s.pack && s.batch >= 4 && weight * (int64_t)s.es <= FAR_WEIGHT && weight * s.total >= ALONE;
    s.part = apart ? part_rows(s.batch, kern->gemm[s.ct]->mr) : s.batch;
    s.parts = s.part ? (s.batch + s.part - 1) / s.part : 1;
    return s;
}

static int64_t rows_at(const sequence *s, int64_t t) { return s->sizes ? s->sizes[t] : s->batch; }

/* Where row i of step t lies in x, when it lies in row k of all else; and how far apart such rows are. */
static int64_t row_of_x(const sequence *s, int64_t t, int64_t i, int64_t k) {
    return s->batch_first ? i * s->steps + t : k;
}
static int64_t apart_in_x(const sequence *s) { return s->batch_first ? s->steps : 1; }

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
    bool batch_first = c->at->i[3];
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
    if (n && batch_first) return ad_fail(AD_ERR_RUNTIME, "rnn: a packed sequence has no batch to be first");
    if (!n && x->sizes[!batch_first] != b)
        return ad_fail(AD_ERR_RUNTIME, "rnn: a batch of %lld, but hx is of size %s",
                       (long long)x->sizes[!batch_first], fmt_sizes(h0->ndim, h0->sizes));
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
        if (k >= RNN_HN || !batch_first) continue;
        s->sizes[0] = x->sizes[1];
        s->sizes[1] = x->sizes[0];
    }
    int last = x->ndim - 1;
    c->spec[RNN_Y].sizes[last] = p;
    c->spec[RNN_GATES].sizes[last] = kind == RNN_LSTM || kind == RNN_GRU ? 4 * h : 0;
    c->spec[RNN_CELLS].sizes[last] = h;
    c->spec[RNN_CN].sizes[1] = kind == RNN_LSTM ? h : 0;
    return 0;
}

/* ---- products of a step ---- */

/* B of A B: [k, n], as it lies or in panels (kernels/gemm_types.h). */
typedef struct weights {
    const char *p;
    int64_t n, k, rs, cs;
    bool packed;
} weights;

static size_t packed_bytes(const sequence *s, int64_t n, int64_t k) {
    int64_t nr = kern->gemm[s->ct]->nr;
    return s->pack ? round_up((size_t)((n + nr - 1) / nr * nr * k) * s->es) : 0;
}

static weights weights_of(const sequence *s, const char *p, int64_t n, int64_t k, int64_t rs, int64_t cs,
                          char *room) {
    const gemm_kernels *kernels = kern->gemm[s->ct];
    int64_t es = (int64_t)s->es;
    if (!s->pack) return (weights){p, n, k, rs, cs, false};
    for (int64_t j = 0; j < n; j += kernels->nr)
        kernels->pack_b(least(kernels->nr, n - j), k, p + j * cs * es, cs, rs, room + j * k * es);
    return (weights){room, n, k, 0, 0, true};
}

typedef struct product {
    const sequence *s;
    const weights *w;
    const char *a;
    char *c;
    int64_t m, lda, ldc;
    bool add;
} product;

static void multiply_panels(int64_t begin, int64_t end, void *ctx) {
    const product *x = ctx;
    const gemm_kernels *kernels = kern->gemm[x->s->ct];
    int64_t es = (int64_t)x->s->es, nr = kernels->nr, tiles = (x->m + kernels->mr - 1) / kernels->mr;
    gemm_piece piece = {.m = x->m, .rsa = x->lda, .csa = 1, .rsb = nr, .csb = 1, .ldc = x->ldc};
    piece.tile_rows = (x->m + tiles - 1) / tiles;
    piece.tile_step = piece.tile_rows * x->lda;
    for (int64_t j = begin * nr; j < end * nr && j < x->w->n; j += nr) {
        piece.n = least(nr, x->w->n - j);
        piece.c = x->c + j * es;
        for (int64_t k = 0; k < x->w->k; k += kernels->kc) {
            piece.k = least(kernels->kc, x->w->k - k);
            piece.a = x->a + k * es;
            piece.b = x->w->p + (j * x->w->k + k * nr) * es;
            piece.add = x->add || k > 0;
            kernels->tiles(&piece, 1);
        }
    }
}

static gemm_args plain_args(const sequence *s, const weights *w, int64_t m, int64_t lda, int64_t ldc) {
    return (gemm_args){.type = s->ct,
                       .m = m,
                       .n = w->n,
                       .k = w->k,
                       .rsa = lda,
                       .csa = 1,
                       .b = w->p,
                       .rsb = w->rs,
                       .csb = w->cs,
                       .ldc = ldc};
}

static size_t plain_bytes(const sequence *s, int64_t n, int64_t k, int64_t rs, int64_t cs) {
    weights w = {NULL, n, k, rs, cs, false};
    gemm_args g = plain_args(s, &w, s->batch, k, n);
    return s->pack ? 0 : round_up(gemm_scratch(&g));
}

/* C[m, n] (+)= A W; shares the panels out among the threads where the caller has not shared out the batch. */
static void multiply(const sequence *s, int64_t m, const char *a, int64_t lda, const weights *w, char *c,
                     int64_t ldc, bool add, void *scratch) {
    if (w->packed) {
        product x = {s, w, a, c, m, lda, ldc, add};
        int64_t nr = kern->gemm[s->ct]->nr, work = m * nr * w->k;
        pool_parallel_for((w->n + nr - 1) / nr, work < ALONE / 2 ? ALONE / 2 / (work + 1) + 1 : 1,
                          multiply_panels, &x);
        return;
    }
    gemm_epilogue epi = {.accumulate = add};
    gemm_args g = plain_args(s, w, m, lda, ldc);
    g.a = a;
    g.c = c;
    g.epi = add ? &epi : NULL;
    g.scratch = scratch;
    gemm_run(&g);
}

/* ---- forward ---- */

typedef struct forward {
    sequence s;
    const char *x, *bias;
    weights w, proj; /* proj.p: NULL without */
    char *y, *gates, *cells, *hn, *cn, *room, *gemm;
} forward;

typedef struct forward_step {
    const forward *f;
    int64_t t, first, from; /* where its rows begin, in the sequence and in the batch */
} forward_step;

static void forward_rows(int64_t begin, int64_t end, void *ctx) {
    const forward_step *at = ctx;
    const forward *f = at->f;
    const sequence *s = &f->s;
    const rnn_kernels *kernels = &kern->rnn;
    int64_t es = (int64_t)s->es, h = s->h, p = s->p, gh = s->g * h, saved = 4 * h;
    for (int64_t r = begin; r < end; r++) {
        int64_t k = at->first + r, b = at->from + r;
        const char *x = f->x + row_of_x(s, at->t, b, k) * gh * es;
        char *gates = f->gates + k * saved * es, *y = f->y + k * p * es;
        switch (s->kind) {
        case RNN_LSTM:
            kernels->lstm[s->ct](h, x, gates, f->cn + b * h * es, f->cells + k * h * es,
                                 f->proj.p ? f->room + b * h * es : y);
            break;
        case RNN_GRU:
            kernels->gru[s->ct](h, x, f->bias, gates, f->hn + b * p * es, y);
            break;
        default:
            kernels->simple[s->ct](h, x, y, s->kind == RNN_RELU);
        }
    }
}

static void forward_part(int64_t begin, int64_t end, void *ctx) {
    const forward *f = ctx;
    const sequence *s = &f->s;
    int64_t es = (int64_t)s->es, h = s->h, p = s->p, saved = 4 * h;
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
        multiply(s, m, f->hn + from * p * es, p, &f->w, into, gated ? saved : h, false, f->gemm);
        forward_step at = {f, t, first, from};
        pool_parallel_for(m, STEP_ROWS / h + 1, forward_rows, &at);
        if (f->proj.p)
            multiply(s, m, f->room + from * h * es, h, &f->proj, f->y + first * p * es, p, false, f->gemm);
        if (s->kind != RNN_LSTM)
            memcpy(f->cells + first * h * es, f->y + first * h * es, (size_t)(m * h * es));
        memcpy(f->hn + from * p * es, f->y + first * p * es, (size_t)(m * p * es));
    }
}

static sequence sequence_of_call(const ad_call *c) {
    return sequence_of(c->in[RNN_X], c->at->i[3], c->in[RNN_H0], c->in[RNN_W], c->at);
}

/* The workspace: the weights in panels, the states before projection, what the products want. */
static size_t forward_room(const ad_call *c, const sequence *s, forward *f) {
    const ad_tensor *w = c->in[RNN_W], *proj = c->in[RNN_PROJ];
    int64_t gh = s->g * s->h;
    size_t panels = packed_bytes(s, gh, s->p), more = proj ? packed_bytes(s, s->p, s->h) : 0,
           room = proj ? round_up((size_t)(s->batch * s->h) * s->es) : 0,
           gemm = plain_bytes(s, gh, s->p, 1, s->p), other = proj ? plain_bytes(s, s->p, s->h, 1, s->h) : 0;
    if (f) {
        char *base = c->scratch;
        f->w = weights_of(s, tensor_data(w), gh, s->p, 1, s->p, base);
        if (proj) f->proj = weights_of(s, tensor_data(proj), s->p, s->h, 1, s->h, base + panels);
        f->room = base + panels + more;
        f->gemm = base + panels + more + room;
    }
    return panels + more + room + (gemm > other ? gemm : other);
}

size_t rnn_scratch(const ad_call *c) {
    sequence s = sequence_of_call(c);
    return forward_room(c, &s, NULL);
}

void rnn_run(const ad_call *c) {
    forward f = {.s = sequence_of_call(c),
                 .x = tensor_data(c->in[RNN_X]),
                 .bias = c->in[RNN_BIAS] ? tensor_data(c->in[RNN_BIAS]) : NULL,
                 .y = tensor_data(c->out[RNN_Y]),
                 .gates = tensor_data(c->out[RNN_GATES]),
                 .cells = tensor_data(c->out[RNN_CELLS]),
                 .hn = tensor_data(c->out[RNN_HN]),
                 .cn = tensor_data(c->out[RNN_CN])};
    if (!f.s.batch) return;
    forward_room(c, &f.s, &f);
    tensor_copy_data(c->out[RNN_HN], c->in[RNN_H0]);
    if (f.s.kind == RNN_LSTM) tensor_copy_data(c->out[RNN_CN], c->in[RNN_C0]);
    pool_parallel_for(f.s.parts, 1, forward_part, &f);
}

/* ---- backward: rnn_grad(gy, ghn, gcn, y, gates, cells, h0, c0, w, proj). i[2]: bits of which weights'
 * gradients are wanted: 1 w, 2 bias, 4 proj ---- */

enum { G_Y, G_HN, G_CN, G_OUT, G_GATES, G_CELLS, G_H0, G_C0, G_W, G_PROJ };

int rnn_grad_infer(ad_call *c) {
    const ad_tensor *y = c->in[G_OUT], *h0 = c->in[G_H0], *w = c->in[G_W], *proj = c->in[G_PROJ];
    int64_t want = c->at->i[2];
    spec_like(&c->spec[RNN_DX], y);
    c->spec[RNN_DX].sizes[y->ndim - 1] = w->sizes[0];
    if (c->at->i[3]) {
        c->spec[RNN_DX].sizes[0] = y->sizes[1];
        c->spec[RNN_DX].sizes[1] = y->sizes[0];
    }
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
    const char *gy, *y, *gates, *cells, *h0, *c0;
    weights w, proj; /* proj.p: NULL without */
    char *dx, *dh, *dc, *dgates, *part, *before, *dstate, *out, *room, *gemm;
} backward;

static sequence backward_sequence(const ad_call *c) {
    sequence s = sequence_of(c->in[G_OUT], false, c->in[G_H0], c->in[G_W], c->at); /* y has the steps first */
    s.batch_first = c->at->i[3];
    return s;
}

static size_t sum_bytes(const sequence *s, int64_t m, int64_t n) { /* of a weight's gradient */
    gemm_args g = {
        .type = s->ct, .m = m, .n = n, .k = s->total, .rsa = 1, .csa = m, .rsb = n, .csb = 1, .ldc = n};
    return round_up(gemm_scratch(&g));
}

static size_t most(size_t a, size_t b) { return a > b ? a : b; }

/* The workspace, in order: the gradient of the state's products where it is not dx (GRU), a part of its sum,
 * the state before each row, the weights in panels, and with a projection the gradient of each state, the
 * state before it is projected, and a row of its gradient for each sequence. */
static size_t backward_room(const ad_call *c, const sequence *s, backward *b) {
    const ad_tensor *w = c->in[G_W], *proj = c->in[G_PROJ];
    int64_t gh = s->g * s->h, total = s->total, h = s->h, p = s->p;
    size_t sizes[] = {s->kind == RNN_GRU ? round_up((size_t)(total * gh) * s->es) : 0,
                      round_up((size_t)gh * s->es),
                      round_up((size_t)(total * p) * s->es),
                      packed_bytes(s, p, gh),
                      proj ? packed_bytes(s, h, p) : 0,
                      proj ? round_up((size_t)(total * p) * s->es) : 0,
                      proj ? round_up((size_t)(total * h) * s->es) : 0,
                      proj ? round_up((size_t)(s->batch * h) * s->es) : 0};
    enum { PARTS = sizeof sizes / sizeof *sizes };
    char *at[PARTS + 1];
    at[0] = c->scratch;
    size_t all = 0;
    for (int k = 0; k < PARTS; k++) {
        all += sizes[k];
        at[k + 1] = (char *)c->scratch + all;
    }
    if (b) {
        b->dgates = s->kind == RNN_GRU ? at[0] : b->dx;
        b->part = at[1];
        b->before = at[2];
        b->w = weights_of(s, tensor_data(w), p, gh, p, 1, at[3]);
        if (proj) b->proj = weights_of(s, tensor_data(proj), h, p, h, 1, at[4]);
        b->dstate = at[5];
        b->out = at[6];
        b->room = at[7];
        b->gemm = at[PARTS];
    }
    size_t gemm = most(plain_bytes(s, p, gh, p, 1), sum_bytes(s, gh, p));
    if (proj) gemm = most(gemm, most(plain_bytes(s, h, p, h, 1), sum_bytes(s, p, h)));
    return all + gemm;
}
size_t rnn_grad_scratch(const ad_call *c) {
    sequence s = backward_sequence(c);
    return backward_room(c, &s, NULL);
}

typedef struct backward_step {
    const backward *b;
    int64_t t, first, from; /* where its rows begin, in the sequence and in the batch */
    int64_t earlier, known; /* where the step before it in the layer's direction begins, and rows of that */
} backward_step;

/* What the outputs give to the gradient of the state, and the state before. */
static void gather_rows(int64_t begin, int64_t end, void *ctx) {
    const backward_step *at = ctx;
    const backward *b = at->b;
    const sequence *s = &b->s;
    int64_t wide = s->p * (int64_t)s->es;
    for (int64_t r = begin; r < end; r++) {
        int64_t k = at->first + r, i = at->from + r;
        const char *before = i < at->known ? b->y + (at->earlier + i) * wide : b->h0 + i * wide;
        if (b->gy) kern->rnn.add[s->ct](s->p, b->dh + i * wide, b->gy + k * wide);
        memcpy(b->before + row_of_x(s, at->t, i, k) * wide, before, (size_t)wide);
    }
}

static void backward_rows(int64_t begin, int64_t end, void *ctx) {
    const backward_step *at = ctx;
    const backward *b = at->b;
    const sequence *s = &b->s;
    const rnn_kernels *kernels = &kern->rnn;
    int64_t es = (int64_t)s->es, h = s->h, gh = s->g * h;
    for (int64_t r = begin; r < end; r++) {
        int64_t k = at->first + r, i = at->from + r, x = row_of_x(s, at->t, i, k);
        char *dx = b->dx + x * gh * es, *dh = b->dh + i * s->p * es;
        const char *gates = b->gates + k * 4 * h * es, *cell = b->cells + k * h * es;
        switch (s->kind) {
        case RNN_LSTM: {
            const char *c0 = i < at->known ? b->cells + (at->earlier + i) * h * es : b->c0 + i * h * es;
            kernels->lstm_grad[s->ct](h, gates, c0, cell, b->proj.p ? b->room + i * h * es : dh,
                                      b->dc + i * h * es, dx);
            if (b->proj.p) kernels->lstm_out[s->ct](h, gates, cell, b->out + k * h * es);
            break;
        }
        case RNN_GRU:
            kernels->gru_grad[s->ct](h, gates, b->before + x * h * es, dh, dx, b->dgates + x * gh * es);
            break;
        default:
            kernels->simple_grad[s->ct](h, b->y + k * h * es, dh, dx, s->kind == RNN_RELU);
        }
    }
}

static void backward_part(int64_t begin, int64_t end, void *ctx) {
    const backward *b = ctx;
    const sequence *s = &b->s;
    int64_t es = (int64_t)s->es, h = s->h, p = s->p, gh = s->g * h;
    int64_t from = begin * s->part, to = least(end * s->part, s->batch), grain = STEP_ROWS / h + 1;
    int64_t row = s->reverse ? 0 : s->total, last = s->reverse ? s->steps - 1 : 0;
    for (int64_t step = 0; step < s->steps; step++) { /* against the direction of the layer */
        int64_t t = s->reverse ? step : s->steps - 1 - step, n = rows_at(s, t);
        if (!s->reverse) row -= n;
        backward_step at = {.b = b, .t = t, .first = row + from, .from = from};
        if (t != last) {
            at.known = rows_at(s, s->reverse ? t + 1 : t - 1);
            at.earlier = s->reverse ? row + n : row - at.known;
        }
        if (s->reverse) row += n;
        int64_t m = least(to, n) - from;
        if (m <= 0) {
            if (!s->reverse) continue;
            break;
        }
        char *dh = b->dh + from * p * es;
        pool_parallel_for(m, grain, gather_rows, &at);
        if (b->proj.p) {
            memcpy(b->dstate + at.first * p * es, dh, (size_t)(m * p * es));
            multiply(s, m, dh, p, &b->proj, b->room + from * h * es, h, false, b->gemm);
        }
        pool_parallel_for(m, grain, backward_rows, &at);
        const char *dgates = b->dgates + row_of_x(s, t, from, at.first) * gh * es;
        multiply(s, m, dgates, apart_in_x(s) * gh, &b->w, dh, p, s->kind == RNN_GRU, b->gemm);
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
                  .dx = tensor_data(c->out[RNN_DX]),
                  .dh = tensor_data(c->out[RNN_DH0]),
                  .dc = tensor_data(c->out[RNN_DC0])};
    const sequence *s = &b.s;
    int64_t gh = s->g * s->h;
    backward_room(c, s, &b);
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

/* Scaled dot product attention, dropout(softmax(q k^T scale + mask)) v, without ever holding all scores.
 *
 * attention(q, k, v, mask, keep) -> out, lse. q [*, L, E], k [*, S, E], v [*, S, D], mask [*, L, S] of bool
 * or of q's dtype, or none; keep [*, L, S] of bool, or none: the weights that dropout leaves. Rows of q, k
 * and v are read as they lie, or copied first where they have gaps. lse keeps log(sum(exp(scores))) for the
 * gradient.
 *
 *   f[0]: the scale where i[2] is set, else it is 1 / sqrt(E)
 *   f[1]: the probability of dropout
 *   i[0]: causal, key j for query i when j <= i
 *   i[1]: out lies with L outside of the leading dimensions
 *   i[3]: q's last leading dimension may be a multiple of k's and v's; neighbouring heads share a key head
 *
 * Blocks of QUERIES and KEYS go through an online softmax (Dao et al., "FlashAttention", 2022; Rabe and
 * Staats, "Self-attention does not need O(n^2) memory", 2021). A block of scores is held with a key in each
 * row: then the products take k and v as they lie, and sums over keys need no shuffles. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "attention.h"
#include "declare.h"

#define QUERIES 64
#define KEYS 64
#define WORK ((int64_t)1 << 18) /* multiply-adds of a chunk */

typedef struct matrix { /* one head's */
    char *p;
    int64_t rs; /* in elements */
} matrix;

typedef struct attention {
    int ct;
    size_t es;
    bool causal;
    double scale;
    int lead; /* leading dimensions */
    const int64_t *sizes;
    int64_t heads, group, l, s, e, d, blocks;
    const ad_tensor *q, *k, *v, *mask, *keep, *out, *lse;
    double kept; /* 1 / (1 - p): what dropout multiplies by */
} attention;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static attention describe(const ad_tensor *q, const ad_tensor *k, const ad_tensor *v, const ad_tensor *mask,
                          const ad_tensor *keep, const ad_attr *at) {
    int n = q->ndim;
    attention a = {.ct = dtype_compute(q->dtype),
                   .causal = at->i[0],
                   .scale = at->i[2] ? at->f[0] : attention_scale(q),
                   .lead = n - 2,
                   .sizes = q->sizes,
                   .heads = 1,
                   .group = 1,
                   .l = q->sizes[n - 2],
                   .s = k->sizes[n - 2],
                   .e = q->sizes[n - 1],
                   .d = v->sizes[n - 1],
                   .q = q,
                   .k = k,
                   .v = v,
                   .mask = mask,
                   .keep = keep};
    a.kept = q->dtype == AD_F64 ? 1 / (1 - at->f[1]) : 1 / (float)(1 - at->f[1]);
    a.es = ct_size[a.ct];
    for (int i = 0; i < a.lead; i++) a.heads *= q->sizes[i];
    if (a.lead && k->sizes[a.lead - 1]) a.group = q->sizes[a.lead - 1] / k->sizes[a.lead - 1];
    a.blocks = (a.l + QUERIES - 1) / QUERIES;
    return a;
}

/* The matrix of a query head; `share`: the tensor has one for a group of them. */
static char *head_of(const attention *a, const ad_tensor *t, int64_t head, bool share) {
    int64_t at = 0;
    for (int i = a->lead - 1; i >= 0; i--) {
        int64_t x = head % a->sizes[i];
        head /= a->sizes[i];
        if (share && i == a->lead - 1) x /= a->group;
        at += x * t->strides[i];
    }
    return (char *)tensor_data(t) + at * dtype_size[t->dtype];
}
static matrix rows_of(const attention *a, const ad_tensor *t, int64_t head, bool share) {
    return (matrix){head_of(a, t, head, share), t->strides[t->ndim - 2]};
}
static char *row(const attention *a, matrix m, int64_t i) { return m.p + i * m.rs * (int64_t)a->es; }

/* ---- rows with gaps ---- */

typedef struct gapless { /* a tensor, or its copy in the workspace */
    ad_tensor t;
    ad_storage s;
    int64_t strides[AD_MAXDIM];
} gapless;

static size_t gap_bytes(const ad_tensor *t) {
    if (t->sizes[t->ndim - 1] <= 1 || t->strides[t->ndim - 1] == 1) return 0;
    return ((size_t)t->numel * dtype_size[t->dtype] + 63) & ~(size_t)63;
}

static const ad_tensor *without_gaps(const ad_tensor *t, gapless *g, char **room) {
    size_t bytes = gap_bytes(t);
    if (!bytes) return t;
    g->t = *t;
    g->s = (ad_storage){.data = *room, .nbytes = bytes};
    g->t.storage = &g->s;
    g->t.offset = 0;
    g->t.strides = g->strides;
    dims_contiguous_strides(t->ndim, t->sizes, g->strides);
    tensor_copy_data(&g->t, t);
    *room += bytes;
    return &g->t;
}

size_t attention_scratch(const ad_call *c) {
    return gap_bytes(c->in[0]) + gap_bytes(c->in[1]) + gap_bytes(c->in[2]);
}
size_t attention_grad_scratch(const ad_call *c) {
    return gap_bytes(c->in[0]) + gap_bytes(c->in[1]) + gap_bytes(c->in[2]) + gap_bytes(c->in[3]);
}

/* ---- shapes ---- */

static int misfit(const ad_call *c, const char *what) {
    const ad_tensor *q = c->in[0], *k = c->in[1], *v = c->in[2];
    return ad_fail(AD_ERR_RUNTIME, "scaled_dot_product_attention: %s: query %s, key %s, value %s", what,
                   fmt_sizes(q->ndim, q->sizes), fmt_sizes(k->ndim, k->sizes), fmt_sizes(v->ndim, v->sizes));
}

/* Sizes of `like` but for the width of a row; the other dimensions lie in the order of its own strides, so
 * that what undoes a transposition on the way in finds rows in order. */
static void spec_as(ad_spec *s, const ad_tensor *like, int64_t width) {
    int n = like->ndim, order[AD_MAXDIM]; /* the innermost first */
    spec_like(s, like);
    s->sizes[n - 1] = width;
    for (int k = 0; k < n - 1; k++) {
        int d = n - 2 - k, at = k;
        for (; at > 0 && like->strides[order[at - 1]] > like->strides[d] && like->strides[d] > 0; at--)
            order[at] = order[at - 1];
        order[at] = d;
    }
    s->strided = true;
    s->strides[n - 1] = 1;
    int64_t step = width;
    for (int k = 0; k < n - 1; k++) {
        s->strides[order[k]] = step;
        step *= s->sizes[order[k]] > 1 ? s->sizes[order[k]] : 1;
    }
}

int attention_infer(ad_call *c) {
    const ad_tensor *q = c->in[0], *k = c->in[1], *v = c->in[2];
    int n = q->ndim;
    if (n < 2 || k->ndim != n || v->ndim != n) return misfit(c, "dimensions differ");
    if (q->dtype != AD_F32 && q->dtype != AD_F64)
        return ad_fail(AD_ERR_RUNTIME, "expected scalar type Float but found %s", dtype_class[q->dtype]);
    if (k->dtype != q->dtype || v->dtype != q->dtype) return misfit(c, "dtypes differ");
    for (int i = 0; i < n - 2; i++) {
        int64_t x = q->sizes[i], y = k->sizes[i];
        bool shared = c->at->i[3] && i == n - 3 && y > 0 && x % y == 0;
        if (y != v->sizes[i] || (x != y && !shared)) return misfit(c, "leading dimensions differ");
    }
    if (q->sizes[n - 1] != k->sizes[n - 1] || k->sizes[n - 2] != v->sizes[n - 2])
        return misfit(c, "sizes do not fit");
    if (q->sizes[n - 1] > ATTENTION_WIDTH || v->sizes[n - 1] > ATTENTION_WIDTH)
        return misfit(c, "more than 256 features");
    for (int i = 3; i < 5; i++) { /* masks */
        const ad_tensor *mask = c->in[i];
        if (!mask) continue;
        bool fits = mask->ndim == n && mask->sizes[n - 1] == k->sizes[n - 2];
        for (int d = 0; d < n - 1 && fits; d++) fits = mask->sizes[d] == q->sizes[d];
        if (!fits || (mask->dtype != AD_BOOL && (i == 4 || mask->dtype != q->dtype)))
            return ad_fail(
                AD_ERR_RUNTIME,
                "scaled_dot_product_attention: a mask of size %s and dtype %s for query %s and key %s",
                fmt_sizes(mask->ndim, mask->sizes), dtype_name[mask->dtype], fmt_sizes(n, q->sizes),
                fmt_sizes(n, k->sizes));
    }
    ad_spec *out = &c->spec[0];
    spec_as(out, q, v->sizes[n - 1]);
    if (c->at->i[1]) { /* positions outside of all else */
        int64_t step = out->sizes[n - 1];
        for (int d = n - 3; d >= 0; d--) {
            out->strides[d] = step;
            step *= out->sizes[d] > 1 ? out->sizes[d] : 1;
        }
        out->strides[n - 2] = step;
    }
    spec_like(&c->spec[1], q);
    c->spec[1].ndim = (uint8_t)(n - 1);
    c->spec[1].nondiff = true;
    return 0;
}

/* ---- blocks ---- */

typedef char block_scores[QUERIES * KEYS * 8] __attribute__((aligned(64)));
typedef char block_packed[QUERIES * ATTENTION_WIDTH * 8] __attribute__((aligned(64)));
typedef char block_line[QUERIES * 8] __attribute__((aligned(64)));

static int64_t even(int64_t total, int64_t most) {
    int64_t parts = (total + most - 1) / most;
    return parts ? (total + parts - 1) / parts : 1;
}

/* C[m, n] (+)= A B, the sum over k; B's rows have unit stride, or B is packed in panels. */
static void product(const attention *a, int64_t m, int64_t n, int64_t k, const char *x, int64_t rsa,
                    int64_t csa, const char *y, int64_t rsb, bool packed, char *c, int64_t ldc, bool add) {
    const gemm_kernels *kernels = kern->gemm[a->ct];
    gemm_piece p = {.m = m,
                    .n = n,
                    .k = k,
                    .a = x,
                    .rsa = rsa,
                    .csa = csa,
                    .b = y,
                    .rsb = packed ? kernels->nr : rsb,
                    .csb = 1,
                    .panel_step = packed ? kernels->nr * k : kernels->nr,
                    .c = c,
                    .ldc = ldc,
                    .add = add};
    p.tile_rows = even(m, kernels->mr);
    p.tile_step = p.tile_rows * rsa;
    if (m && n) kernels->tiles(&p, packed);
}

static void fill(const attention *a, char *p, int64_t n, double v) {
    if (a->ct == CT_F32)
        for (int64_t i = 0; i < n; i++) ((float *)p)[i] = (float)v;
    else
        for (int64_t i = 0; i < n; i++) ((double *)p)[i] = v;
}

/* `rows` rows of m, n wide, times `factor`, as a matrix of n rows in panels; what the last panel has no rows
 * for is 0. */
static void pack(const attention *a, matrix m, int64_t rows, int64_t n, double factor, char *out) {
    const gemm_kernels *kernels = kern->gemm[a->ct];
    int64_t nr = kernels->nr, all = (rows + nr - 1) / nr * nr;
    for (int64_t i = 0; i < rows; i += nr) {
        char *panel = out + i * n * (int64_t)a->es;
        if (rows - i < nr) memset(panel, 0, (size_t)(nr * n) * a->es);
        kernels->pack_b(least(nr, rows - i), n, row(a, m, i), m.rs, 1, panel);
    }
    char one[8];
    fill(a, one, 1, factor);
    if (factor != 1) kern->attention.scale[a->ct](1, all * n, 0, out, one);
}

typedef struct block {
    int64_t head, q0, nq, k0, nk; /* queries and keys */
    int64_t c0, cols; /* the first column that any of these keys is for, and how many from there on: whole
                         vectors */
} block;

typedef uint8_t block_bytes[KEYS * QUERIES] __attribute__((aligned(64)));

/* Swaps the bits of x that lie under `mask << by` with those of y under `mask`. */
static void swap_bits(uint64_t *x, uint64_t *y, int by, uint64_t mask) {
    uint64_t t = (*x >> by ^ *y) & mask;
    *y ^= t;
    *x ^= t << by;
}

/* A block of a mask of bytes, whose element for query i and key j is p[i * rs + j * cs], with a key in each
 * row as the scores have it. Eight by eight at a time, in words, by swapping quarters of halving size
 * (Eklundh, 1972). */
static void turn(const block *b, const uint8_t *p, int64_t rs, int64_t cs, uint8_t *out) {
    p += b->q0 * rs + b->k0 * cs;
    for (int64_t i0 = b->c0 / 8 * 8; i0 < b->c0 + b->cols; i0 += 8)
        for (int64_t j0 = 0; j0 < b->nk; j0 += 8) {
            uint64_t x[8] = {0};
            int64_t rows = least(8, b->nq - i0), n = least(8, b->nk - j0);
            for (int64_t r = 0; r < rows; r++) {
                const uint8_t *from = p + (i0 + r) * rs + j0 * cs;
                if (cs == 1 && n == 8) memcpy(&x[r], from, 8);
                else
                    for (int64_t j = 0; j < n; j++) x[r] |= (uint64_t)from[j * cs] << 8 * j;
            }
            for (int r = 0; r < 4; r++) swap_bits(&x[r], &x[r + 4], 32, 0xffffffff);
            for (int r = 0; r < 6; r += r == 1 ? 3 : 1) swap_bits(&x[r], &x[r + 2], 16, 0xffff0000ffff);
            for (int r = 0; r < 8; r += 2) swap_bits(&x[r], &x[r + 1], 8, 0xff00ff00ff00ff);
            for (int64_t j = 0; j < n; j++) memcpy(out + (j0 + j) * QUERIES + i0, &x[j], 8);
        }
}

/* Scores of a block times `factor` where the mask t of bool is set, else `other`. */
static void choose(const attention *a, const block *b, const ad_tensor *t, double factor, double other,
                   char *s) {
    block_bytes bytes;
    turn(b, (const uint8_t *)head_of(a, t, b->head, false), t->strides[t->ndim - 2], t->strides[t->ndim - 1],
         bytes);
    kern->attention.choose[a->ct](b->nk, b->cols, QUERIES, s + b->c0 * (int64_t)a->es, bytes + b->c0, factor,
                                  other);
}

/* Most rows of a mask that is causal or for padding change nothing. */
static void apply_bool(const attention *a, const block *b, const char *p, int64_t rs, int64_t cs, char *s) {
    static const char nothing[KEYS] = {[0 ... KEYS - 1] = 1};
    bool any = cs != 1;
    if (rs == 0) { /* the same for all queries */
        for (int64_t j = 0; j < b->nk; j++)
            if (!p[(b->k0 + j) * cs]) fill(a, s + (j * QUERIES + b->c0) * (int64_t)a->es, b->cols, -INFINITY);
        return;
    }
    for (int64_t i = b->c0; i < b->nq && !any; i++)
        any = memcmp(p + (b->q0 + i) * rs + b->k0, nothing, (size_t)b->nk) != 0;
    if (any) choose(a, b, a->mask, 1, -INFINITY, s);
}

/* A mask that is added: a panel of queries at a time is turned as the packing of a matrix turns it. */
static void apply_added(const attention *a, const block *b, const char *p, int64_t rs, int64_t cs, char *s) {
    static const double nothing[KEYS];
    const gemm_kernels *kernels = kern->gemm[a->ct];
    int64_t size = (int64_t)a->es, nr = kernels->nr;
    bool any = cs != 1 || rs == 0;
    for (int64_t i = b->c0; i < b->nq && !any; i++)
        any = memcmp(p + ((b->q0 + i) * rs + b->k0) * size, nothing, (size_t)(b->nk * size)) != 0;
    if (!any) return;
    char panel[KEYS * QUERIES * 8] __attribute__((aligned(64)));
    for (int64_t i = b->c0; i < b->nq; i += nr) {
        int64_t cols = least(nr, b->c0 + b->cols - i);
        kernels->pack_b(least(nr, b->nq - i), b->nk, p + ((b->q0 + i) * rs + b->k0 * cs) * size, rs, cs,
                        panel);
        kern->attention.add[a->ct](b->nk, cols, QUERIES, s + i * size, nr, panel);
    }
}

/* The mask and what lies behind a causal query, on scores of a block; s is its first row. */
static void apply_mask(const attention *a, const block *b, char *s) {
    if (a->mask) {
        const ad_tensor *t = a->mask;
        int64_t rs = t->strides[t->ndim - 2], cs = t->strides[t->ndim - 1];
        (t->dtype == AD_BOOL ? apply_bool : apply_added)(a, b, head_of(a, t, b->head, false), rs, cs, s);
    }
    if (!a->causal) return;
    for (int64_t j = 0; j < b->nk; j++) {
        int64_t end = least(b->k0 + j - b->q0, b->c0 + b->cols); /* the first query that sees the key */
        if (end > b->c0) fill(a, s + (j * QUERIES + b->c0) * (int64_t)a->es, end - b->c0, -INFINITY);
    }
}

/* Dropout, on weights of a block or on what is to become their gradient. */
static void apply_keep(const attention *a, const block *b, char *s) { choose(a, b, a->keep, a->kept, 0, s); }

/* Whether the mask hides every key of a block from every query, as it does behind the end of a padded
 * sequence or outside of a window. A block that does not is mostly known by its first element. */
static bool hidden(const attention *a, const block *b) {
    const ad_tensor *t = a->mask;
    if (!t) return false;
    int64_t rs = t->strides[t->ndim - 2], cs = t->strides[t->ndim - 1];
    const char *p = head_of(a, t, b->head, false);
    for (int64_t i = b->c0; i < (rs ? b->nq : b->c0 + 1); i++) {
        int64_t at = (b->q0 + i) * rs + b->k0 * cs;
        for (int64_t j = 0; j < b->nk; j++, at += cs)
            if (t->dtype == AD_BOOL ? p[at]
                : a->ct == CT_F32   ? ((const float *)p)[at] != -INFINITY
                                    : ((const double *)p)[at] != -INFINITY)
                return false;
    }
    return true;
}

/* The next block of keys from k0 on for queries [q0, q0 + nq), narrower on the diagonal. False after the
 * last. */
static bool next_keys(const attention *a, block *b, int64_t end) {
    b->k0 += b->nk;
    int64_t last = a->causal ? least(end, b->q0 + b->nq) : end;
    if (b->k0 >= last) return false;
    int64_t nr = kern->gemm[a->ct]->nr, lanes = kern->vector_bytes / (int64_t)a->es;
    bool diagonal = a->causal && b->k0 + KEYS > b->q0;
    b->nk = least(diagonal ? KEYS / 2 : KEYS, last - b->k0);
    int64_t ahead = a->causal ? b->k0 - b->q0 : 0;
    b->c0 = ahead > 0 ? ahead / nr * nr : 0;
    b->cols = (b->nq - b->c0 + lanes - 1) / lanes * lanes;
    return true;
}

static void scores(const attention *a, const block *b, matrix k, const char *packed, int64_t width, char *s) {
    product(a, b->nk, b->cols, width, row(a, k, b->k0), k.rs, 1, packed + b->c0 * width * (int64_t)a->es, 0,
            true, s + b->c0 * (int64_t)a->es, QUERIES, false);
}

/* ---- forward ---- */

static void attend(int64_t begin, int64_t end, void *ctx) {
    const attention *a = ctx;
    const attention_kernels *kernels = &kern->attention;
    int64_t es = (int64_t)a->es;
    block_packed qt;
    block_scores s;
    block_line max, sum, alpha;
    for (int64_t task = begin; task < end; task++) {
        int64_t part = a->blocks - 1 - task % a->blocks; /* causal: the longest first */
        block b = {.head = task / a->blocks, .q0 = part * QUERIES};
        b.nq = least(QUERIES, a->l - b.q0);
        matrix q = rows_of(a, a->q, b.head, false), k = rows_of(a, a->k, b.head, true),
               v = rows_of(a, a->v, b.head, true), o = rows_of(a, a->out, b.head, false);
        q.p = row(a, q, b.q0);
        o.p = row(a, o, b.q0);
        pack(a, q, b.nq, a->e, a->scale, qt);
        fill(a, max, QUERIES, -INFINITY);
        fill(a, sum, QUERIES, 0);
        bool first = true;
        while (next_keys(a, &b, a->s)) {
            if (hidden(a, &b)) continue;
            int64_t skip = b.c0 * es;
            scores(a, &b, k, qt, a->e, s);
            apply_mask(a, &b, s);
            kernels->softmax[a->ct](b.nk, b.cols, QUERIES, s + skip, max + skip, sum + skip, alpha + skip);
            if (a->keep) apply_keep(a, &b, s);
            if (!first) kernels->scale[a->ct](b.nq - b.c0, a->d, o.rs, row(a, o, b.c0), alpha + skip);
            product(a, b.nq - b.c0, a->d, b.nk, s + skip, 1, QUERIES, row(a, v, b.k0), v.rs, false,
                    row(a, o, b.c0), o.rs, !first);
            first = false;
        }
        char *lse = head_of(a, a->lse, b.head, false) + b.q0 * es;
        for (int64_t i = 0; i < b.nq; i++) {
            if (first) fill(a, row(a, o, i), a->d, 0); /* no keys */
            if (a->ct == CT_F32) {
                float t = ((float *)sum)[i];
                ((float *)lse)[i] = t == 0 ? INFINITY : ((float *)max)[i] + logf(t);
                ((float *)alpha)[i] = t == 0 ? 0 : 1 / t;
            } else {
                double t = ((double *)sum)[i];
                ((double *)lse)[i] = t == 0 ? INFINITY : ((double *)max)[i] + log(t);
                ((double *)alpha)[i] = t == 0 ? 0 : 1 / t;
            }
        }
        if (!first) kernels->scale[a->ct](b.nq, a->d, o.rs, o.p, alpha);
    }
}

static int64_t grain_of(const attention *a) {
    int64_t work = QUERIES * (a->s + 1) * (a->e + a->d + 1);
    return work < WORK ? WORK / work : 1;
}

void attention_run(const ad_call *c) {
    gapless room[3];
    const ad_tensor *in[3];
    char *at = c->scratch;
    for (int i = 0; i < 3; i++) in[i] = without_gaps(c->in[i], &room[i], &at);
    attention a = describe(in[0], in[1], in[2], c->in[3], c->in[4], c->at);
    a.out = c->out[0];
    a.lse = c->out[1];
    if (a.out->numel) pool_parallel_for(a.heads * a.blocks, grain_of(&a), attend, &a);
}

/* ---- backward: attention_grad(g, q, k, v, mask, keep, out, lse) -> dq, dk, dv ---- */

int attention_grad_infer(ad_call *c) {
    for (int i = 0; i < 3; i++) {
        const ad_tensor *t = c->in[1 + i];
        spec_as(&c->spec[i], t, t->sizes[t->ndim - 1]);
    }
    return 0;
}

typedef struct backward {
    attention a;
    const ad_tensor *g;
    ad_tensor *dq, *dk, *dv;
    int64_t chunks; /* of the keys, when heads are too few to share out */
} backward;

enum { WANT_Q = 1, WANT_KV = 2 };
#define CHUNK (2 * KEYS)

/* What a block of queries gives: its own gradient, and its part of that of the keys in [k0, end). */
static void go_back(const backward *w, int64_t head, int64_t q0, int64_t k0, int64_t end, int want) {
    const attention *a = &w->a;
    const attention_kernels *kernels = &kern->attention;
    int64_t es = (int64_t)a->es;
    block_packed qt, gt;
    block_scores s, ds;
    block_line lse, dot;
    block b = {.head = head, .q0 = q0, .k0 = k0};
    b.nq = least(QUERIES, a->l - q0);
    matrix q = rows_of(a, a->q, head, false), k = rows_of(a, a->k, head, true),
           v = rows_of(a, a->v, head, true), o = rows_of(a, a->out, head, false),
           g = rows_of(a, w->g, head, false), dq = rows_of(a, w->dq, head, false),
           dk = rows_of(a, w->dk, head, true), dv = rows_of(a, w->dv, head, true);
    q.p = row(a, q, q0);
    o.p = row(a, o, q0);
    g.p = row(a, g, q0);
    dq.p = row(a, dq, q0);
    pack(a, q, b.nq, a->e, a->scale, qt);
    pack(a, g, b.nq, a->d, 1, gt);
    fill(a, lse, QUERIES, INFINITY);
    fill(a, dot, QUERIES, 0);
    memcpy(lse, head_of(a, a->lse, head, false) + q0 * es, (size_t)(b.nq * es));
    for (int64_t i = 0; i < b.nq; i++)
        fill(a, dot + i * es, 1, kernels->dot[a->ct](a->d, row(a, g, i), row(a, o, i)));
    bool first = true;
    while (next_keys(a, &b, end)) {
        if (hidden(a, &b)) continue;
        int64_t skip = b.c0 * es, nq = b.nq - b.c0;
        scores(a, &b, k, qt, a->e, s);
        apply_mask(a, &b, s);
        scores(a, &b, v, gt, a->d, ds);
        if (a->keep) apply_keep(a, &b, ds);
        kernels->grad[a->ct](b.nk, b.cols, QUERIES, s + skip, ds + skip, lse + skip, dot + skip, a->scale);
        if (a->keep) apply_keep(a, &b, s);
        if (want & WANT_KV) {
            product(a, b.nk, a->d, nq, s + skip, QUERIES, 1, row(a, g, b.c0), g.rs, false, row(a, dv, b.k0),
                    dv.rs, true);
            product(a, b.nk, a->e, nq, ds + skip, QUERIES, 1, row(a, q, b.c0), q.rs, false, row(a, dk, b.k0),
                    dk.rs, true);
        }
        if (want & WANT_Q)
            product(a, nq, a->e, b.nk, ds + skip, 1, QUERIES, row(a, k, b.k0), k.rs, false, row(a, dq, b.c0),
                    dq.rs, !first);
        first = false;
    }
    if (first && (want & WANT_Q))
        for (int64_t i = 0; i < b.nq; i++) fill(a, row(a, dq, i), a->e, 0);
}

static void clear(const attention *a, const ad_tensor *t, int64_t head, int64_t from, int64_t to) {
    matrix m = rows_of(a, t, head, true);
    for (int64_t i = from; i < to; i++) fill(a, row(a, m, i), t->sizes[t->ndim - 1], 0);
}

/* Either a thread has a key head to itself, or, where that would leave threads without work, blocks of
 * queries and chunks of keys are shared out, which takes seven products in place of five. Both ways add up
 * the same blocks in the same order, so that the choice, which depends on the number of threads, does not
 * show in the bits. */

/* All of a key head: its queries one after the other, each block in one go. */
static void back_heads(int64_t begin, int64_t end, void *ctx) {
    const backward *w = ctx;
    const attention *a = &w->a;
    for (int64_t task = begin; task < end; task++) {
        clear(a, w->dk, task * a->group, 0, a->s);
        clear(a, w->dv, task * a->group, 0, a->s);
        for (int64_t h = 0; h < a->group; h++)
            for (int64_t q0 = 0; q0 < a->l; q0 += QUERIES)
                go_back(w, task * a->group + h, q0, 0, a->s, WANT_Q | WANT_KV);
    }
}

static void back_queries(int64_t begin, int64_t end, void *ctx) {
    const backward *w = ctx;
    const attention *a = &w->a;
    for (int64_t task = begin; task < end; task++)
        go_back(w, task / a->blocks, (a->blocks - 1 - task % a->blocks) * QUERIES, 0, a->s, WANT_Q);
}

static void back_keys(int64_t begin, int64_t end, void *ctx) {
    const backward *w = ctx;
    const attention *a = &w->a;
    for (int64_t task = begin; task < end; task++) {
        int64_t head = task / w->chunks * a->group, k0 = task % w->chunks * CHUNK,
                k1 = least(k0 + CHUNK, a->s);
        clear(a, w->dk, head, k0, k1);
        clear(a, w->dv, head, k0, k1);
        for (int64_t h = 0; h < a->group; h++)
            for (int64_t q0 = a->causal ? k0 / QUERIES * QUERIES : 0; q0 < a->l; q0 += QUERIES)
                go_back(w, head + h, q0, k0, k1, WANT_KV);
    }
}

void attention_grad_run(const ad_call *c) {
    gapless room[4];
    const ad_tensor *in[4];
    char *at = c->scratch;
    for (int i = 0; i < 4; i++) in[i] = without_gaps(c->in[i], &room[i], &at);
    backward w = {.a = describe(in[1], in[2], in[3], c->in[4], c->in[5], c->at),
                  .g = in[0],
                  .dq = c->out[0],
                  .dk = c->out[1],
                  .dv = c->out[2]};
    attention *a = &w.a;
    a->out = c->in[6];
    a->lse = c->in[7];
    w.chunks = (a->s + CHUNK - 1) / CHUNK;
    int64_t heads = a->group ? a->heads / a->group : 0;
    int64_t threads = pool_num_threads(), rounds = (heads + threads - 1) / threads;
    if (heads * 7 >= rounds * threads * 5 || (a->blocks <= 2 && w.chunks <= 1)) {
        int64_t work = (a->l + 1) * (a->s + 1) * (a->e + a->d + 1) * (a->group + 1);
        pool_parallel_for(heads, work < WORK ? WORK / work : 1, back_heads, &w);
    } else {
        pool_parallel_for(a->heads * a->blocks, grain_of(a), back_queries, &w);
        pool_parallel_for(heads * w.chunks, 1, back_keys, &w);
    }
}

/* Systems of triangular matrices, by substitution.
 *
 * triangular(A [..., n, n], B [..., n, k]) -> X of A X = B; i[0] = A is upper triangular, i[1] = its diagonal
 * counts as ones. The other triangle is not read; a zero on the diagonal gives infinities, as in LAPACK.
 * Columns of X do not depend on each other: many go by rows of X, in tasks of COLS; few by inner products
 * along the rows of A, with X turned so that both lie side by side. */
#include <string.h>
#include "../pool.h"
#include "declare.h"

#define COLS 64 /* columns that go together by rows */
#define FEW 8   /* columns up to which inner products are taken */

int triangular_infer(ad_call *c) {
    const ad_tensor *a = c->in[0], *b = c->in[1];
    int d = a->ndim;
    if (d < 2 || b->ndim != d || a->sizes[d - 1] != a->sizes[d - 2] || b->sizes[d - 2] != a->sizes[d - 1] ||
        !dims_equal(d - 2, a->sizes, d - 2, b->sizes))
        return ad_fail(AD_ERR_RUNTIME, "triangular: incompatible shapes %s and %s", fmt_sizes(d, a->sizes),
                       fmt_sizes(b->ndim, b->sizes));
    if (a->dtype != b->dtype || (a->dtype != AD_F32 && a->dtype != AD_F64))
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"triangular_solve_cpu\" not implemented for '%s' and '%s'",
                       dtype_class[a->dtype], dtype_class[b->dtype]);
    spec_like(&c->spec[0], b);
    return 0;
}

typedef struct system {
    int64_t n, k, tasks; /* tasks of each matrix */
    int ct;
    bool upper, unit;
    const char *a, *b;
    char *x, *room;
} system;

#define AT(p, at) ((p) + (at) * size)
#define SOLVE(T)                                                                                             \
    for (int64_t at = 0; at < n; at++) {                                                                     \
        int64_t i = s->upper ? n - 1 - at : at, from = s->upper ? i + 1 : 0, done = s->upper ? at : i;       \
        const T *row = (const T *)a + i * n;                                                                 \
        for (int64_t c = 0; c < k; c++) {                                                                    \
            T *line = (T *)turned + c * n, v = ((const T *)b)[i * k + c];                                    \
            if (done) v -= (T)kern->dot[s->ct](done, row + from, line + from);                               \
            line[i] = s->unit ? v : v / row[i];                                                              \
            ((T *)x)[i * k + c] = line[i];                                                                   \
        }                                                                                                    \
    }

/* By inner products; turned: X by columns. */
static void solve_few(const system *s, const char *a, const char *b, char *x, char *turned) {
    int64_t n = s->n, k = s->k;
    if (s->ct == CT_F32) SOLVE(float)
    else SOLVE(double)
}

/* Columns [first, first + cols), by rows of X. */
static void solve_many(const system *s, const char *a, const char *b, char *x, int64_t first, int64_t cols) {
    int64_t n = s->n, k = s->k, size = (int64_t)ct_size[s->ct];
    for (int64_t at = 0; at < n; at++) {
        int64_t i = s->upper ? n - 1 - at : at, from = s->upper ? i + 1 : 0, to = s->upper ? n : i;
        char *row = AT(x, i * k + first);
        memcpy(row, AT(b, i * k + first), (size_t)(cols * size));
        for (int64_t j = from; j < to; j++) {
            double f = s->ct == CT_F32 ? ((const float *)a)[i * n + j] : ((const double *)a)[i * n + j];
            kern->axpy[s->ct](cols, -f, AT(x, j * k + first), row);
        }
        if (s->unit) continue;
        for (int64_t c = 0; c < cols; c++)
            if (s->ct == CT_F32) ((float *)row)[c] /= ((const float *)a)[i * n + i];
            else ((double *)row)[c] /= ((const double *)a)[i * n + i];
    }
}

static void solve_range(int64_t begin, int64_t end, void *ctx) {
    const system *s = ctx;
    int64_t size = (int64_t)ct_size[s->ct];
    for (int64_t t = begin; t < end; t++) {
        int64_t m = t / s->tasks, first = t % s->tasks * COLS,
                cols = s->k - first < COLS ? s->k - first : COLS;
        const char *a = AT(s->a, m * s->n * s->n), *b = AT(s->b, m * s->n * s->k);
        char *x = AT(s->x, m * s->n * s->k);
        if (s->k <= FEW) solve_few(s, a, b, x, AT(s->room, m * s->n * s->k));
        else solve_many(s, a, b, x, first, cols);
    }
}

size_t triangular_scratch(const ad_call *c) {
    const ad_tensor *b = c->in[1];
    return b->sizes[b->ndim - 1] <= FEW ? (size_t)b->numel * dtype_size[b->dtype] : 0;
}
void triangular_run(const ad_call *c) {
    ad_tensor *x = c->out[0];
    int d = x->ndim;
    if (!x->numel) return;
    system s = {.n = x->sizes[d - 2], .k = x->sizes[d - 1], .ct = dtype_compute(x->dtype)};
    s.upper = c->at->i[0], s.unit = c->at->i[1];
    s.a = tensor_data(c->in[0]), s.b = tensor_data(c->in[1]), s.x = tensor_data(x), s.room = c->scratch;
    s.tasks = s.k <= FEW ? 1 : (s.k + COLS - 1) / COLS;
    int64_t work = s.n * s.n * (s.k < COLS ? s.k : COLS), grain = 65536 / work;
    pool_parallel_for(x->numel / (s.n * s.k) * s.tasks, grain < 1 ? 1 : grain, solve_range, &s);
}

static ad_tensor *turned(ad_em *E, ad_tensor *t) { return em1i(E, OP_transpose, t, -1, -2, 0); }
static ad_tensor *em_solve(ad_em *E, ad_tensor *a, ad_tensor *b, bool upper, bool unit) {
    ad_attr at = {.i = {upper, unit}};
    return a && b ? em_op(E, OP_triangular, 2, (ad_tensor *[]){a, b}, &at) : NULL;
}
/* The part of a matrix that counts: without the diagonal where that is all ones. */
static ad_tensor *em_part(ad_em *E, ad_tensor *t, bool upper, bool unit) {
    return em1i(E, upper ? OP_triu : OP_tril, t, upper ? unit : -(int)unit, 0, 0);
}
void triangular_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    bool upper = v->at->i[0], unit = v->at->i[1];
    ad_tensor *gb = em_solve(E, turned(E, vjp_in(v, 0)), v->g[0], !upper, unit);
    v->gin[1] = gb;
    if (vjp_needs(v, 0))
        v->gin[0] = em_part(E, em1(E, OP_neg, em2(E, OP_matmul, gb, turned(E, vjp_out(v, 0)))), upper, unit);
}
void triangular_jvp(ad_jvp *j) { /* A X' = B' - A' X */
    ad_em *E = &j->E;
    const ad_call *c = j->c;
    bool upper = c->at->i[0], unit = c->at->i[1];
    ad_tensor *t = j->t[1];
    if (j->t[0]) {
        ad_tensor *part = em2(E, OP_matmul, em_part(E, j->t[0], upper, unit), c->out[0]);
        t = t ? em2(E, OP_sub, t, part) : em1(E, OP_neg, part);
    }
    j->tout[0] = em_solve(E, c->in[0], t, upper, unit);
}

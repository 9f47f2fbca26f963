/* Order along a dimension: extremes with their positions, sort, topk, k-th value, median, mode, and search in
 * what is sorted. i[0] = dimension, i[1] = keepdim (or descending, or largest).
 *
 * Sorting goes by a 64-bit key that orders as the value does, NaN above all, -0 equal to 0. Which of equal
 * elements an index names is told in tie_order.h. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "declare.h"
#include "lines.h"
#include "tie_order.h"

#define TILE 1024
#define WORK 32768
#define SORT_CHUNKS 16 /* each has its own scratch */

static int64_t dim_size(const ad_tensor *x, int64_t dim) {
    return x->ndim ? x->sizes[dim < 0 ? dim + x->ndim : dim] : 1;
}

/* values and indices of a dimension that goes away */
static int infer_select(ad_call *c, const char *name) {
    const ad_tensor *x = c->in[0];
    int d = dim_wrap(c->at->i[0], x->ndim);
    if (d < 0) return -1;
    if (x->ndim && !x->sizes[d])
        return ad_fail(AD_ERR_INDEX, "%s(): Expected reduction dim %d to have non-zero size.", name, d);
    ad_spec *s = &c->spec[0];
    int n = 0;
    for (int k = 0; k < x->ndim; k++)
        if (k != d || c->at->i[1]) s->sizes[n++] = k == d ? 1 : x->sizes[k];
    s->ndim = (uint8_t)n;
    s->dtype = x->dtype;
    if (c->nout == 1) {
        s->dtype = AD_I64;
        return 0;
    }
    c->spec[1].ndim = s->ndim;
    memcpy(c->spec[1].sizes, s->sizes, (size_t)n * sizeof *s->sizes);
    c->spec[1].dtype = AD_I64;
    c->spec[1].nondiff = true;
    return 0;
}

/* ---- pick and put: reading at positions along a dimension, and its adjoint ---- */

int pick_infer(ad_call *c) {
    spec_like(&c->spec[0], c->in[1]);
    c->spec[0].dtype = c->in[0]->dtype;
    return 0;
}
int put_infer(ad_call *c) { /* i[1] = size along the dimension */
    spec_like(&c->spec[0], c->in[0]);
    if (c->in[0]->ndim) c->spec[0].sizes[dim_wrap(c->at->i[0], c->in[0]->ndim)] = c->at->i[1];
    return 0;
}
void pick_run(const ad_call *c) {
    const ad_tensor *x = c->in[0], *index = c->in[1];
    if (!index->numel) return;
    lines l = lines_of(index->ndim, index->sizes, c->at->i[0]);
    int64_t n = dim_size(x, c->at->i[0]), es = dtype_size[x->dtype];
    const int64_t *at = tensor_data(index);
    char *out = tensor_data(c->out[0]);
    for (int64_t o = 0, p = 0; o < l.outer; o++) {
        const char *base = (char *)tensor_data(x) + o * n * l.inner * es;
        for (int64_t k = 0; k < l.n; k++)
            for (int64_t i = 0; i < l.inner; i++, p++)
                memcpy(out + p * es, base + (at[p] * l.inner + i) * es, (size_t)es);
    }
}
void put_run(const ad_call *c) {
    const ad_tensor *g = c->in[0], *index = c->in[1];
    ad_tensor *y = c->out[0];
    int es = dtype_size[y->dtype], ct = dtype_compute(y->dtype);
    memset(tensor_data(y), 0, (size_t)y->numel * (size_t)es);
    if (!index->numel) return;
    lines l = lines_of(index->ndim, index->sizes, c->at->i[0]);
    int64_t n = dim_size(y, c->at->i[0]);
    const int64_t *at = tensor_data(index);
    const char *src = tensor_data(g);
    for (int64_t o = 0, p = 0; o < l.outer; o++) {
        char *base = (char *)tensor_data(y) + o * n * l.inner * es;
        for (int64_t k = 0; k < l.n; k++)
            for (int64_t i = 0; i < l.inner; i++, p++) {
                char *to = base + (at[p] * l.inner + i) * es;
                union {
                    float f;
                    double d;
                    int64_t i;
                } a, b;
                dtype_loads[y->dtype][ct](1, &a, to, es);
                dtype_loads[y->dtype][ct](1, &b, src + p * es, es);
                if (ct == CT_F32) a.f += b.f;
                else if (ct == CT_F64) a.d += b.d;
                else a.i = (int64_t)((uint64_t)a.i + (uint64_t)b.i);
                dtype_stores[y->dtype][ct](1, to, es, &a);
            }
    }
}
void pick_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    ad_attr at = {.i = {v->at->i[0], m->ndim ? m->sizes[dim_wrap(v->at->i[0], m->ndim)] : 1}};
    ad_tensor *index = vjp_in(v, 1);
    if (index) v->gin[0] = em_op(&v->E, OP_put, 2, (ad_tensor *[]){v->g[0], index}, &at);
}
void put_vjp(ad_vjp *v) {
    ad_attr at = {.i = {v->at->i[0]}};
    ad_tensor *index = vjp_in(v, 1);
    if (index) v->gin[0] = em_op(&v->E, OP_pick, 2, (ad_tensor *[]){v->g[0], index}, &at);
}

/* The gradient of values that were read at the second output's positions; a dropped dimension comes back
 * as 1. */
static void chosen_vjp(ad_vjp *v, bool reduces) {
    const ad_meta *m = vjp_meta(v, 0);
    if (!v->g[0]) return;
    ad_tensor *g = v->g[0], *index = vjp_out(v, 1);
    int64_t sizes[AD_MAXDIM];
    int d = dim_wrap(v->at->i[0], m->ndim);
    ad_attr at = {.i = {d, m->ndim ? m->sizes[d] : 1}};
    if (reduces && m->ndim) {
        memcpy(sizes, m->sizes, m->ndim * sizeof *sizes);
        sizes[d] = 1;
        g = em_reshape(&v->E, g, m->ndim, sizes);
        index = em_reshape(&v->E, index, m->ndim, sizes);
    }
    if (g && index) v->gin[0] = em_op(&v->E, OP_put, 2, (ad_tensor *[]){g, index}, &at);
}
static void chosen_jvp(ad_jvp *j, bool reduces) {
    const ad_tensor *x = j->c->in[0];
    int64_t sizes[AD_MAXDIM];
    int d = dim_wrap(j->c->at->i[0], x->ndim);
    ad_attr at = {.i = {d}};
    ad_tensor *index = j->c->out[1], *y = j->c->out[0];
    if (reduces && x->ndim) {
        memcpy(sizes, x->sizes, x->ndim * sizeof *sizes);
        sizes[d] = 1;
        index = em_reshape(&j->E, index, x->ndim, sizes);
    }
    if (index)
        j->tout[0] = em_reshape(&j->E, em_op(&j->E, OP_pick, 2, (ad_tensor *[]){j->t[0], index}, &at),
                                y->ndim, y->sizes);
}
#define CHOSEN(name, reduces)                                                                                \
    void name##_vjp(ad_vjp *v) { chosen_vjp(v, reduces); }                                                   \
    void name##_jvp(ad_jvp *j) { chosen_jvp(j, reduces); }
CHOSEN(max_dim, true)
CHOSEN(min_dim, true)
CHOSEN(kthvalue, true)
CHOSEN(median_dim, true)
CHOSEN(mode, true)
CHOSEN(sort, false)
CHOSEN(topk, false)

/* ---- the extreme of each line, and where it first stands; NaN wins ---- */

typedef struct extreme {
    lines l;
    const ad_tensor *x;
    bool least;
    ad_tensor *value; /* or NULL */
    int64_t *index;
} extreme;

static void extreme_lines(int64_t begin, int64_t end, void *ctx) {
    const extreme *e = ctx;
    const lines *l = &e->l;
    _Alignas(64) char tile[TILE * 8];
    int dt = e->x->dtype, ct = dtype_compute(dt);
    int64_t es = dtype_size[dt];
    bool direct = l->inner == 1 && (dt == AD_F32 || dt == AD_F64 || dt == AD_I64);
    fold_kernel kernel = kern->fold[e->least ? RED_min : RED_max][ct];
    if (l->inner > 1 && l->n <= INT32_MAX && (dt == AD_F32 || dt == AD_F64 || dt == AD_I64)) {
        for (int64_t i = begin, m; i < end; i += m) { /* columns side by side */
            m = l->inner - i % l->inner;
            if (m > end - i) m = end - i;
            if (m > TILE) m = TILE;
            char *top = e->value ? (char *)tensor_data(e->value) + i * es : tile;
            kern->extreme_cols[ct](l->n, m, l->inner, (char *)tensor_data(e->x) + line_start(l, i, l->n) * es,
                                   e->least, top, e->index + i);
        }
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        const char *base = (char *)tensor_data(e->x) + line_start(l, i, l->n) * es;
        int64_t best = 0;
        union {
            float f;
            double d;
            int64_t i;
        } top, m;
        for (int64_t k = 0; k < l->n; k += TILE) {
            int64_t n = l->n - k < TILE ? l->n - k : TILE, at = 0;
            const void *p = base + k * l->inner * es;
            if (!direct) {
                dtype_loads[dt][ct](n, tile, p, l->inner * es);
                p = tile;
            }
            kernel(n, p, NULL, &m);
            bool better;
#define FIND(T, f)                                                                                           \
    better = !k || (e->least ? m.f < top.f : m.f > top.f) || (m.f != m.f && top.f == top.f);                 \
    if (better) {                                                                                            \
        const T *q = p;                                                                                      \
        if (m.f != m.f)                                                                                      \
            while (q[at] == q[at]) at++;                                                                     \
        else                                                                                                 \
            while (q[at] != m.f) at++;                                                                       \
        best = k + at;                                                                                       \
        top.f = m.f;                                                                                         \
    }
            if (ct == CT_F32) {
                FIND(float, f)
            } else if (ct == CT_F64) {
                FIND(double, d)
            } else {
                FIND(int64_t, i)
            }
        }
        e->index[i] = best;
        if (e->value) memcpy((char *)tensor_data(e->value) + i * es, base + best * l->inner * es, (size_t)es);
    }
}

static void run_extreme(const ad_call *c, const lines *l, bool least) {
    extreme e = {.l = *l, .x = c->in[0], .least = least, .index = tensor_data(c->out[c->nout - 1])};
    if (c->nout == 2) e.value = c->out[0];
    int64_t grain = lines_grain(l, WORK);
    if (l->inner > 1) grain = (grain + 63) / 64 * 64; /* columns of whole cache lines */
    pool_parallel_for(l->count, grain, extreme_lines, &e);
}
static lines lines_in(const ad_call *c) { return lines_of(c->in[0]->ndim, c->in[0]->sizes, c->at->i[0]); }

int max_dim_infer(ad_call *c) { return infer_select(c, "max"); }
int min_dim_infer(ad_call *c) { return infer_select(c, "min"); }
void max_dim_run(const ad_call *c) {
    lines l = lines_in(c);
    run_extreme(c, &l, false);
}
void min_dim_run(const ad_call *c) {
    lines l = lines_in(c);
    run_extreme(c, &l, true);
}

int argmax_infer(ad_call *c) { /* i[2] = a dimension is given */
    const ad_tensor *x = c->in[0];
    if (x->dtype == AD_BOOL) return ad_fail(AD_ERR_RUNTIME, "%s(): does not support bool input", c->op->name);
    if (c->at->i[2]) return infer_select(c, c->op->name);
    if (!x->numel)
        return ad_fail(AD_ERR_INDEX,
                       "%s(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
                       "reduction dim with the 'dim' argument.",
                       c->op->name);
    ad_spec *s = &c->spec[0];
    s->dtype = AD_I64;
    s->ndim = (uint8_t)(c->at->i[1] ? x->ndim : 0);
    for (int d = 0; d < s->ndim; d++) s->sizes[d] = 1;
    return 0;
}
int argmin_infer(ad_call *c) { return argmax_infer(c); }
static void run_arg(const ad_call *c, bool least) {
    lines l = lines_in(c);
    if (!c->at->i[2]) l = lines_of(1, &c->in[0]->numel, 0);
    run_extreme(c, &l, least);
}
void argmax_run(const ad_call *c) { run_arg(c, false); }
void argmin_run(const ad_call *c) { run_arg(c, true); }

/* ---- sorting one line ---- */

#define KEY_NAN UINT64_MAX
#define RADIX 128 /* elements of a line from which digits beat merges */

static inline uint64_t key_f64(double d) {
    if (d != d) return KEY_NAN;
    d += 0.0;
    uint64_t u;
    memcpy(&u, &d, 8);
    return u >> 63 ? ~u : u | (uint64_t)1 << 63;
}
static inline uint64_t key_f32(float f) { /* 32 bits: half the passes */
    if (f != f) return UINT32_MAX;
    f += 0.0f;
    uint32_t u;
    memcpy(&u, &f, 4);
    return u >> 31 ? ~u : u | (uint32_t)1 << 31;
}

/* Keys of a line. `down` turns the order round, and stability stays. Returns the key of NaN. */
static uint64_t keys_of(const ad_tensor *x, const char *base, int64_t n, int64_t step, bool down, pair *p) {
    int ct = dtype_compute(x->dtype);
    _Alignas(64) char tile[TILE * 8];
    uint64_t all = ct == CT_F32 ? UINT32_MAX : UINT64_MAX;
    for (int64_t k = 0; k < n; k += TILE) {
        int64_t m = n - k < TILE ? n - k : TILE;
        dtype_loads[x->dtype][ct](m, tile, base + k * step, step);
        for (int64_t j = 0; j < m; j++) {
            uint64_t key = ct == CT_F32   ? key_f32(((float *)tile)[j])
                           : ct == CT_F64 ? key_f64(((double *)tile)[j])
                                          : (uint64_t)((int64_t *)tile)[j] ^ (uint64_t)1 << 63;
            p[k + j] = (pair){down ? all ^ key : key, k + j};
        }
    }
    return ct == CT_I64 ? 0 : down ? 0 : all;
}

/* Sorts p[0..n), stable; tmp is as long. */
static void sort_pairs(pair *p, pair *tmp, int64_t n) {
    if (n <= 24) {
        sort_small(p, n);
        return;
    }
    pair *from = p, *to = tmp;
    if (n < RADIX) { /* merges of short runs */
        for (int64_t i = 0; i < n; i += 16) sort_small(p + i, n - i < 16 ? n - i : 16);
        for (int64_t w = 16; w < n; w *= 2) {
            for (int64_t i = 0; i < n; i += 2 * w) {
                int64_t a = i, am = i + w < n ? i + w : n, b = am, bm = i + 2 * w < n ? i + 2 * w : n;
                for (int64_t k = i; k < bm; k++)
                    to[k] = a < am && (b == bm || from[a].key <= from[b].key) ? from[a++] : from[b++];
            }
            pair *t = from;
            from = to;
            to = t;
        }
    } else { /* by digits, of fewer bits where lines are short; bits that are all alike are passed over */
        int bits = n < 4096 ? 8 : 11;
        uint64_t differ = 0, mask = ((uint64_t)1 << bits) - 1;
        for (int64_t i = 1; i < n; i++) differ |= from[i].key ^ from[0].key;
        for (int shift = 0; shift < 64; shift += bits) {
            int64_t count[2048], sum = 0;
            if (!(differ >> shift & mask)) continue;
            memset(count, 0, (size_t)(mask + 1) * sizeof *count);
            for (int64_t i = 0; i < n; i++) count[from[i].key >> shift & mask]++;
            for (uint64_t d = 0; d <= mask; d++) {
                int64_t c = count[d];
                count[d] = sum;
                sum += c;
            }
            for (int64_t i = 0; i < n; i++) to[count[from[i].key >> shift & mask]++] = from[i];
            pair *t = from;
            from = to;
            to = t;
        }
    }
    if (from != p) memcpy(p, from, (size_t)n * sizeof *p);
}

/* ---- what is made of sorted lines ---- */

enum { SORT, TOPK, KTH, MEDIAN, MODE };
enum { QUICK = 64, QUICK_BLOCK = 64 }; /* topk: up to how many; elements whose extreme is taken at once */

typedef struct sorting {
    lines l;
    int what;
    const ad_tensor *x;
    ad_tensor *value, *index;
    int64_t k, grain;
    bool flag;  /* descending, largest, or ignore NaN */
    bool plain; /* the order of equal elements is PyTorch's unstable one; topk: sorted */
    pair *scratch;
} sorting;

static int64_t sort_grain(const lines *l) {
    int64_t g = lines_grain(l, WORK / 2), least = (l->count + SORT_CHUNKS - 1) / SORT_CHUNKS;
    return g > least ? g : least > 0 ? least : 1;
}
static size_t sort_bytes(const ad_call *c) {
    lines l = lines_in(c);
    int64_t g = sort_grain(&l);
    return (size_t)((l.count + g - 1) / g) * 2 * (size_t)l.n * sizeof(pair);
}

static bool any_equal(const pair *p, int64_t n) { /* of a sorted line */
    for (int64_t i = 1; i < n; i++)
        if (p[i].key == p[i - 1].key) return true;
    return false;
}

/* The k first of a line in order, where k is small: most blocks are left out by their extreme alone. False
 * where equal elements are among them or at their border, whose order is another matter. */
static bool quick_top(const float *x, int64_t n, int64_t k, bool largest, pair *p) {
    uint64_t turn = largest ? UINT32_MAX : 0, tied = UINT64_MAX;
    fold_kernel extreme = kern->fold[largest ? RED_max : RED_min][CT_F32];
    float worst = 0, best;
    int64_t have = 0;
    for (int64_t at = 0; at < n; at += QUICK_BLOCK) {
        int64_t m = n - at < QUICK_BLOCK ? n - at : QUICK_BLOCK;
        if (have == k) {
            extreme(m, x + at, NULL, &best);
            if (largest ? best < worst : best > worst) continue; /* not where one is NaN */
        }
        for (int64_t j = at; j < at + m; j++) {
            uint64_t key = key_f32(x[j]) ^ turn, gone = UINT64_MAX;
            if (have == k) {
                gone = p[k - 1].key;
                if (key == gone) tied = key;
                if (key >= gone) continue;
            } else have++;
            int64_t i = have - 1;
            for (; i > 0 && p[i - 1].key > key; i--) p[i] = p[i - 1];
            p[i] = (pair){key, j};
            if (gone == p[have - 1].key) tied = gone;
        }
        if (have == k) worst = x[p[k - 1].at];
    }
    return tied != p[k - 1].key && !any_equal(p, k);
}

static void sort_lines(int64_t begin, int64_t end, void *ctx) {
    const sorting *s = ctx;
    const lines *l = &s->l;
    pair *p = s->scratch + begin / s->grain * 2 * l->n, *tmp = p + l->n;
    int64_t es = dtype_size[s->x->dtype], n = l->n, step = l->inner * es;
    char *value = tensor_data(s->value);
    int64_t *index = tensor_data(s->index);
    for (int64_t i = begin; i < end; i++) {
        const char *base = (char *)tensor_data(s->x) + line_start(l, i, n) * es;
        int64_t outs = s->what == SORT ? n : s->what == TOPK ? s->k : 1, first = 0;
        bool quick = s->what == TOPK && s->plain && s->x->dtype == AD_F32 && l->inner == 1 && s->k > 0 &&
                     s->k <= QUICK && n >= 8 * s->k && quick_top((const float *)base, n, s->k, s->flag, p);
        uint64_t nan = 0;
        if (!quick) nan = keys_of(s->x, base, n, step, (s->what == SORT || s->what == TOPK) && s->flag, p);
        if (s->what == TOPK) {
            if (!quick) order_least(p, s->k, n, s->plain);
        } else if (s->what == KTH) order_kth(p, first = s->k, n);
        else {
            sort_pairs(p, tmp, n);
            if (s->what == MEDIAN) {
                int64_t m = n; /* how many are numbers */
                while (nan && m > 0 && p[m - 1].key == nan) m--;
                first = m == n || (s->flag && m) ? (m - 1) / 2 : m;
            }
            if (s->plain && n > ORDER_SHORT && any_equal(p, n)) {
                keys_of(s->x, base, n, step, s->what == SORT && s->flag, p);
                order_sort(p, n);
            }
        }
        if (s->what == MODE) {
            int64_t longest = 0;
            for (int64_t a = 0, b; a < n; a = b) {
                for (b = a; b < n && p[b].key == p[a].key; b++) {}
                if (b - a > longest) {
                    longest = b - a;
                    first = b - 1;
                }
            }
        }
        int64_t out = line_start(l, i, outs);
        for (int64_t k = 0; k < outs; k++) {
            int64_t at = p[first + k].at;
            memcpy(value + (out + k * l->inner) * es, base + at * step, (size_t)es);
            index[out + k * l->inner] = at;
        }
    }
}

static void run_sort(const ad_call *c, int what, int64_t k, bool flag, bool plain) {
    sorting s = {.what = what,
                 .x = c->in[0],
                 .value = c->out[0],
                 .index = c->out[1],
                 .k = k,
                 .flag = flag,
                 .plain = plain,
                 .scratch = c->scratch};
    s.l = lines_in(c);
    if (!s.l.n) return;
    s.grain = sort_grain(&s.l);
    pool_parallel_for(s.l.count, s.grain, sort_lines, &s);
}

static int infer_both(ad_call *c, int64_t n) {
    for (int k = 0; k < 2; k++) {
        spec_like(&c->spec[k], c->in[0]);
        if (c->in[0]->ndim) c->spec[k].sizes[dim_wrap(c->at->i[0], c->in[0]->ndim)] = n;
    }
    c->spec[1].dtype = AD_I64;
    c->spec[1].nondiff = true;
    return 0;
}
int sort_infer(ad_call *c) { /* i[1] = descending, i[2] = stable */
    return dim_wrap(c->at->i[0], c->in[0]->ndim) < 0 ? -1 : infer_both(c, dim_size(c->in[0], c->at->i[0]));
}
size_t sort_scratch(const ad_call *c) { return sort_bytes(c); }
void sort_run(const ad_call *c) { run_sort(c, SORT, 0, c->at->i[1], !c->at->i[2]); }

int topk_infer(ad_call *c) { /* i[1] = 1 for the largest, + 2 for any order; i[2] = k */
    if (dim_wrap(c->at->i[0], c->in[0]->ndim) < 0) return -1;
    if (c->at->i[2] < 0 || c->at->i[2] > dim_size(c->in[0], c->at->i[0]))
        return ad_fail(AD_ERR_RUNTIME,
                       "topk(): selected index k = %lld out of range for a dimension of size %lld",
                       (long long)c->at->i[2], (long long)dim_size(c->in[0], c->at->i[0]));
    return infer_both(c, c->at->i[2]);
}
size_t topk_scratch(const ad_call *c) { return sort_bytes(c); }
void topk_run(const ad_call *c) { run_sort(c, TOPK, c->at->i[2], c->at->i[1] & 1, !(c->at->i[1] & 2)); }

int kthvalue_infer(ad_call *c) { /* i[2] = k, from 1 */
    if (infer_select(c, "kthvalue")) return -1;
    if (c->at->i[2] < 1 || c->at->i[2] > dim_size(c->in[0], c->at->i[0]))
        return ad_fail(AD_ERR_RUNTIME, "kthvalue(): selected number k out of range for dimension %lld",
                       (long long)c->at->i[0]);
    return 0;
}
size_t kthvalue_scratch(const ad_call *c) { return sort_bytes(c); }
void kthvalue_run(const ad_call *c) { run_sort(c, KTH, c->at->i[2] - 1, false, true); }

int median_dim_infer(ad_call *c) { return infer_select(c, "median"); } /* i[2] = ignore NaN */
size_t median_dim_scratch(const ad_call *c) { return sort_bytes(c); }
void median_dim_run(const ad_call *c) { run_sort(c, MEDIAN, 0, c->at->i[2], false); }

int mode_infer(ad_call *c) { return infer_select(c, "mode"); }
size_t mode_scratch(const ad_call *c) { return sort_bytes(c); }
void mode_run(const ad_call *c) { run_sort(c, MODE, 0, false, true); }

/* ---- searchsorted(boundaries, values, sorter or none): i[0] = right, i[1] = int32 ---- */

int searchsorted_infer(ad_call *c) {
    const ad_tensor *b = c->in[0], *v = c->in[1], *order = c->in[2];
    if (!b->ndim && b->numel)
        return ad_fail(AD_ERR_RUNTIME,
                       "torch.searchsorted(): boundaries tensor should have positive dimension");
    if (b->dtype != v->dtype && !(v->flags & AD_T_WRAPPED))
        return ad_fail(
            AD_ERR_RUNTIME,
            "torch.searchsorted(): boundary tensor and input value tensor should have same dtype, but got "
            "boundary tensor dtype %s and input value tensor dtype %s",
            dtype_name[b->dtype], dtype_name[v->dtype]);
    if (b->ndim != 1 && v->ndim != 0) {
        bool same = b->ndim == v->ndim;
        for (int d = 0; d + 1 < b->ndim && same; d++) same = b->sizes[d] == v->sizes[d];
        if (!same)
            return ad_fail(
                AD_ERR_RUNTIME,
                "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions "
                "of boundaries tensor and input value tensor must match, but we got boundaries tensor %s "
                "and input value tensor %s",
                fmt_sizes(b->ndim, b->sizes), fmt_sizes(v->ndim, v->sizes));
    } else if (b->ndim != 1)
        return ad_fail(
            AD_ERR_RUNTIME,
            "torch.searchsorted(): input value can be a scalar only when boundaries tensor dimension is 1, "
            "but we got boundaries tensor dim(%d) and input value's dim(0) numel(1)",
            b->ndim);
    if (order) {
        if (order->dtype != AD_I64)
            return ad_fail(AD_ERR_RUNTIME,
                           "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype %s",
                           dtype_class[order->dtype]);
        if (!tensor_same_sizes(order, b))
            return ad_fail(AD_ERR_RUNTIME,
                           "torch.searchsorted(): boundary and sorter must have the same size, but got "
                           "boundary tensor %s "
                           "and got sorter tensor %s",
                           fmt_sizes(b->ndim, b->sizes), fmt_sizes(order->ndim, order->sizes));
        const int64_t *at = tensor_data(order);
        int64_t n = b->sizes[b->ndim - 1];
        for (int64_t k = 0; k < order->numel; k++)
            if (at[k] < 0 || at[k] >= n)
                return ad_fail(AD_ERR_RUNTIME, "torch.searchsorted(): sorter index out of range");
    }
    if (c->at->i[1] && b->sizes[b->ndim - 1] >= INT32_MAX)
        return ad_fail(
            AD_ERR_RUNTIME,
            "torch.searchsorted(): the size of boundaries' last dimension should be less than INT32_MAX");
    spec_like(&c->spec[0], v);
    c->spec[0].dtype = c->at->i[1] ? AD_I32 : AD_I64;
    return 0;
}

typedef struct search {
    const ad_tensor *b, *v;
    const int64_t *order;
    ad_tensor *out;
    int64_t n, per; /* boundaries; values that share them */
    bool right;
} search;

/* Steps that halve what is left, without branches on the values. NaN is above all. */
#define SEARCH(T)                                                                                            \
    {                                                                                                        \
        const T *b = (const T *)tensor_data(s->b) + row, want = ((const T *)tensor_data(s->v))[k];           \
        int64_t left = s->n;                                                                                 \
        for (; left > 1; left -= left / 2) {                                                                 \
            T got = b[lo + left / 2 - 1];                                                                    \
            lo += (s->right ? !(got > want) : !(got >= want)) ? left / 2 : 0;                                \
        }                                                                                                    \
        if (left) lo += s->right ? !(b[lo] > want) : !(b[lo] >= want);                                       \
    }
static void search_plain(int64_t begin, int64_t end, void *ctx) {
    const search *s = ctx;
    int64_t row = 0;
    for (int64_t k = begin; k < end; k++) {
        int64_t lo = 0;
        if (s->b->ndim > 1) row = k / s->per * s->n;
        if (s->b->dtype == AD_F32) SEARCH(float)
        else if (s->b->dtype == AD_F64) SEARCH(double)
        else SEARCH(int64_t)
        if (s->out->dtype == AD_I64) ((int64_t *)tensor_data(s->out))[k] = lo;
        else ((int32_t *)tensor_data(s->out))[k] = (int32_t)lo;
    }
}

static void search_any(int64_t begin, int64_t end, void *ctx) {
    const search *s = ctx;
    const ad_tensor *b = s->b, *v = s->v;
    bool ints = dtype_is_int(b->dtype) && dtype_is_int(v->dtype);
    int ct = ints ? CT_I64 : CT_F64;
    typedef union {
        double d;
        int64_t i;
    } number;
    for (int64_t k = begin; k < end; k++) {
        int64_t row = b->ndim > 1 ? k / s->per * s->n : 0, lo = 0, hi = s->n;
        number want, got;
        dtype_loads[v->dtype][ct](1, &want, (char *)tensor_data(v) + k * dtype_size[v->dtype], 0);
        while (lo < hi) {
            int64_t mid = lo + (hi - lo) / 2, at = row + (s->order ? s->order[row + mid] : mid);
            if (at < row || at >= row + s->n) break; /* a sorter that changed after it was checked */
            dtype_loads[b->dtype][ct](1, &got, (char *)tensor_data(b) + at * dtype_size[b->dtype], 0);
            bool left = ints ? (s->right ? got.i <= want.i : got.i < want.i)
                             : (s->right ? !(got.d > want.d) : !(got.d >= want.d));
            if (left) lo = mid + 1;
            else hi = mid;
        }
        dtype_stores[s->out->dtype][CT_I64](1, (char *)tensor_data(s->out) + k * dtype_size[s->out->dtype], 0,
                                            &lo);
    }
}

void searchsorted_run(const ad_call *c) {
    search s = {.b = c->in[0], .v = c->in[1], .out = c->out[0], .right = c->at->i[0]};
    int dt = s.b->dtype;
    s.order = c->in[2] ? tensor_data(c->in[2]) : NULL;
    s.n = s.b->sizes[s.b->ndim - 1];
    s.per = s.b->ndim == 1 ? s.v->numel : s.v->sizes[s.v->ndim - 1];
    bool plain = !s.order && dt == s.v->dtype && (dt == AD_F32 || dt == AD_F64 || dt == AD_I64);
    pool_parallel_for(s.v->numel, 4096, plain ? search_plain : search_any, &s);
}

/* ---- runs(x): rows of x that follow each other and are equal. Outputs: where each run starts, and the run
 * that each row belongs to. NaN equals nothing. ---- */

static bool row_starts(const ad_tensor *x, int64_t row, int64_t width) {
    if (!row) return true;
    int64_t es = dtype_size[x->dtype], bytes = width * es;
    const char *p = (char *)tensor_data(x) + row * bytes, *before = p - bytes;
    if (!dtype_is_float(x->dtype)) return memcmp(p, before, (size_t)bytes) != 0;
    for (int64_t j = 0; j < width; j++) {
        double a, b;
        dtype_loads[x->dtype][CT_F64](1, &a, p + j * es, 0);
        dtype_loads[x->dtype][CT_F64](1, &b, before + j * es, 0);
        if (!(a == b)) return true;
    }
    return false;
}

int runs_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    if (!x->ndim) return ad_fail(AD_ERR_RUNTIME, "runs: expected at least 1 dimension");
    int64_t n = x->sizes[0], width = n ? x->numel / n : 0, found = 0;
    for (int64_t k = 0; k < n; k++) found += row_starts(x, k, width);
    for (int k = 0; k < 2; k++) {
        c->spec[k].dtype = AD_I64;
        c->spec[k].ndim = 1;
        c->spec[k].sizes[0] = k ? n : found;
    }
    return 0;
}
void runs_run(const ad_call *c) {
    const ad_tensor *x = c->in[0];
    int64_t n = x->sizes[0], width = n ? x->numel / n : 0, found = 0, room = c->out[0]->numel;
    int64_t *starts = tensor_data(c->out[0]), *run = tensor_data(c->out[1]);
    for (int64_t k = 0; k < n; k++) {
        if (row_starts(x, k, width) && found < room) starts[found++] = k;
        run[k] = found - 1;
    }
}

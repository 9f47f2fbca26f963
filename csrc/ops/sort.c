/* Order along a dimension: sort, topk, k-th value, median, mode. i[0] = dimension, i[1] = keepdim (or
 * descending, or largest).
 *
 * Sorting goes by a key of 32 or 64 bits that orders as the value does, NaN above all, -0 equal to 0. A key
 * of 32 bits (float32 and less; integers whose line spans less than 2^32) and a position fit one word, which
 * halves what is moved. Which of equal elements an index names is told in tie_order.h: where keys are few
 * beside the elements that order is made at once; otherwise a radix sort looks first whether there are equal
 * ones at all. A line alone is shared out among threads once the first partitions have cut it up. Lines
 * across memory are sorted ACROSS at a time, from a copy that lies along them. */
#include <string.h>
#include "../pool.h"
#include "index.h"
#include "order.h"

#define TILE 1024
#define WORK 32768
#define SORT_CHUNKS 16 /* each has its own scratch */
#define ORDER_SHORT 16
#define ORDER_RADIX 128 /* elements of a line from which digits beat merges */
#define SORT_LONG (1 << 16)
#define LONG_PARTS 2048
#define ACROSS 16
#define ACROSS_MOST 8192 /* longer lines lie apart in any case */

enum { SORT, TOPK, KTH, MEDIAN, MODE };
enum { QUICK = 64, QUICK_BLOCK = 64 }; /* topk: up to how many; elements whose extreme is taken at once */

typedef struct sorting {
    lines l;
    int what;
    const ad_tensor *x;
    ad_tensor *value, *index;
    int64_t k, grain, outs; /* outs: results of a line */
    bool flag;              /* descending, largest, or ignore NaN */
    bool down;              /* the order is turned round */
    bool plain;             /* the order of equal elements is PyTorch's unstable one; topk: sorted */
    char *scratch;
} sorting;

static inline int order_levels(int64_t n) { return n > 0 ? 2 * (63 - __builtin_clzll((uint64_t)n)) : 0; }

static inline uint64_t key_f64(double d) {
    if (d != d) return UINT64_MAX;
    d += 0.0;
    uint64_t u;
    memcpy(&u, &d, 8);
    return u >> 63 ? ~u : u | (uint64_t)1 << 63;
}
static inline uint32_t key_f32(float f) {
    f += 0.0f;
    uint32_t u;
    memcpy(&u, &f, 4);
    u ^= (uint32_t)((int32_t)u >> 31) | (uint32_t)1 << 31;
    return f != f ? UINT32_MAX : u;
}

typedef struct pair {
    uint64_t key;
    int64_t at;
} pair;
#define ORDER_E pair
#define ORDER_LESS(a, b) ((a).key < (b).key)
#define ORDER_KEY(e) ((e).key)
#define ORDER_AT(e) ((e).at)
#define ORDER_MAKE(key, at) ((pair){key, at})
#define ORDER_ALL UINT64_MAX
#define ORDER_FN(name) pair_##name
#include "sort_line.h"

/* A key of 32 bits above its position. */
typedef uint64_t word;
#define ORDER_E word
#define ORDER_LESS(a, b) ((a) >> 32 < (b) >> 32)
#define ORDER_KEY(e) ((e) >> 32)
#define ORDER_AT(e) ((int64_t)((e) & UINT32_MAX))
#define ORDER_MAKE(key, at) ((word)(key) << 32 | (word)(at))
#define ORDER_ALL UINT32_MAX
#define ORDER_FN(name) word_##name
#include "sort_line.h"

static int64_t sort_grain(const lines *l) {
    int64_t g = lines_grain(l, WORK / 2), least = (l->count + SORT_CHUNKS - 1) / SORT_CHUNKS;
    g = g > least ? g : least > 0 ? least : 1;
    return l->inner >= ACROSS ? (g + ACROSS - 1) / ACROSS * ACROSS : g;
}
static bool sort_across(const lines *l) { return l->inner > 1 && l->n <= ACROSS_MOST; }
static size_t sort_each(const lines *l, int64_t size) { /* bytes of one chunk */
    return (size_t)l->n * (2 * sizeof(pair) + (size_t)(sort_across(l) ? ACROSS * size : 0)) + 64;
}
static size_t sort_bytes(const ad_call *c) {
    lines l = order_lines(c);
    int64_t g = sort_grain(&l);
    return (size_t)((l.count + g - 1) / g) * sort_each(&l, dtype_size[c->in[0]->dtype]);
}

/* The k first of a line in order, where k is small: most blocks are left out by their extreme alone. False
 * where equal elements are among them or at their border, whose order is another matter. */
static bool quick_top(const float *x, int64_t n, int64_t k, bool largest, word *p) {
    word turn = largest ? UINT32_MAX : 0, tied = UINT64_MAX;
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
            word key = key_f32(x[j]) ^ turn, gone = UINT64_MAX;
            if (have == k) {
                gone = p[k - 1] >> 32;
                if (key == gone) tied = key;
                if (key >= gone) continue;
            } else have++;
            int64_t i = have - 1;
            for (; i > 0 && p[i - 1] >> 32 > key; i--) p[i] = p[i - 1];
            p[i] = key << 32 | (word)j;
            if (gone == p[have - 1] >> 32) tied = gone;
        }
        if (have == k) worst = x[p[k - 1] & UINT32_MAX];
    }
    return tied != p[k - 1] >> 32 && !word_any_equal(p, k);
}

static inline uint64_t key_at(int dtype, const void *x, int64_t k) {
    return dtype == AD_F32   ? key_f32(((const float *)x)[k])
           : dtype == AD_F64 ? key_f64(((const double *)x)[k])
                             : (uint64_t)((const int64_t *)x)[k] ^ (uint64_t)1 << 63;
}
/* The same by the heap that says which of equal elements stay; blocks that cannot enter it are left out. */
static void heap_top(const sorting *s, const void *x, pair *p) {
    int64_t n = s->l.n, k = s->k, es = dtype_size[s->x->dtype];
    int dt = s->x->dtype;
    uint64_t turn = s->down ? UINT64_MAX : 0,
             nan = dtype_is_float(dt) && !s->down ? dt == AD_F32 ? UINT32_MAX : UINT64_MAX : 0;
    fold_kernel extreme = kern->fold[s->down ? RED_max : RED_min][dtype_compute(dt)];
    for (int64_t i = 0; i < k; i++) p[i] = (pair){key_at(dt, x, i) ^ turn, i};
    pair_heap_least(p, k, k);
    for (int64_t at = k; at < n; at += QUICK_BLOCK) {
        int64_t m = n - at < QUICK_BLOCK ? n - at : QUICK_BLOCK;
        double room;
        extreme(m, (const char *)x + at * es, NULL, &room);
        uint64_t best = key_at(dt, &room, 0) ^ turn;
        if (best >= p[0].key && !(nan && best == nan)) continue; /* NaN hides what is less */
        for (int64_t j = at; j < at + m; j++) {
            uint64_t key = key_at(dt, x, j) ^ turn;
            if (key < p[0].key) pair_heap_place(p, 0, k, (pair){key, j});
        }
    }
    pair_heap_unfold(p, k);
}

/* Whether keys of 32 bits will do; the least value of a line of integers; and whether its keys are close. */
static bool short_keys(const sorting *s, const char *base, int64_t step, uint64_t *least, bool *dense) {
    int dt = s->x->dtype;
    int64_t n = s->l.n, lo = INT64_MAX, hi = INT64_MIN;
    *least = 0;
    *dense = n > 1 << 14;
    if (dt == AD_F64) *least = 0;
    else if (dt >= AD_F16) *dense |= dt != AD_F32 && n > 256;
    else if (dt != AD_I64) {
        static const int64_t lowest[] = {0, 0, INT8_MIN, INT16_MIN, INT32_MIN};
        *least = (uint64_t)lowest[dt];
        *dense |= n > (dt == AD_I32 ? 1 << 10 : 16);
    } else {
        if (step == 8) {
            kern->fold[RED_min][CT_I64](n, base, NULL, &lo);
            kern->fold[RED_max][CT_I64](n, base, NULL, &hi);
        } else
            for (int64_t k = 0; k < n; k++) {
                int64_t v = *(const int64_t *)(base + k * step);
                lo = v < lo ? v : lo;
                hi = v > hi ? v : hi;
            }
        uint64_t span = (uint64_t)hi - (uint64_t)lo;
        *dense |= span / (uint64_t)n < (uint64_t)n / 2;
        *least = span <= UINT32_MAX ? (uint64_t)lo : (uint64_t)1 << 63;
        if (span > UINT32_MAX) return false;
    }
    return dt != AD_F64 && n <= UINT32_MAX;
}

static void sort_line(const sorting *s, int64_t i, const char *base, int64_t step, char *room) {
    int64_t n = s->l.n;
    int dt = s->x->dtype;
    uint64_t least;
    bool dense;
    if (s->what == TOPK && s->k > 0 && s->k <= n / 64 && step == dtype_size[dt] &&
        (dt == AD_F32 || dt == AD_F64 || dt == AD_I64)) {
        heap_top(s, base, (pair *)room);
        pair_write(s, i, base, step, (pair *)room, 0, s->outs);
        return;
    }
    if (s->what == TOPK && s->plain && s->x->dtype == AD_F32 && step == 4 && s->k > 0 && s->k <= QUICK &&
        n >= 8 * s->k && n <= UINT32_MAX && quick_top((const float *)base, n, s->k, s->flag, (word *)room)) {
        word_write(s, i, base, step, (word *)room, 0, s->outs);
        return;
    }
    if (short_keys(s, base, step, &least, &dense))
        word_line(s, i, base, step, least, dense, (word *)room, (word *)room + n);
    else pair_line(s, i, base, step, least, dense, (pair *)room, (pair *)room + n);
}

static void sort_lines(int64_t begin, int64_t end, void *ctx) {
    const sorting *s = ctx;
    const lines *l = &s->l;
    int64_t es = dtype_size[s->x->dtype], n = l->n, row = l->inner * es;
    char *room = s->scratch + (size_t)(begin / s->grain) * sort_each(l, es),
         *copy = room + 2 * n * (int64_t)sizeof(pair);
    const char *x = tensor_data(s->x);
    for (int64_t i = begin, m = 1; i < end; i += m) {
        const char *base = x + line_start(l, i, n) * es;
        m = 1;
        if (!sort_across(l)) {
            sort_line(s, i, base, row, room);
            continue;
        }
        m = l->inner - i % l->inner;
        if (m > end - i) m = end - i;
        if (m > ACROSS) m = ACROSS;
        for (int64_t k = 0; k < n; k++)
            for (int64_t j = 0; j < m; j++)
                if (es == 4) memcpy(copy + (j * n + k) * 4, base + k * row + j * 4, 4);
                else if (es == 8) memcpy(copy + (j * n + k) * 8, base + k * row + j * 8, 8);
                else memcpy(copy + (j * n + k) * es, base + k * row + j * es, (size_t)es);
        for (int64_t j = 0; j < m; j++) sort_line(s, i + j, copy + j * n * es, es, room);
    }
}

static void run_sort(const ad_call *c, int what, int64_t k, bool flag, bool plain) {
    sorting s = {.what = what,
                 .x = c->in[0],
                 .value = c->out[0],
                 .index = c->out[1],
                 .k = k,
                 .flag = flag,
                 .down = flag && (what == SORT || what == TOPK),
                 .plain = plain,
                 .scratch = c->scratch};
    s.l = order_lines(c);
    if (!s.l.n) return;
    s.outs = what == SORT ? s.l.n : what == TOPK ? k : 1;
    s.grain = sort_grain(&s.l);
    if (what == SORT && plain && s.l.count == 1 && s.l.n >= SORT_LONG) {
        uint64_t least;
        bool dense;
        if (short_keys(&s, tensor_data(s.x), dtype_size[s.x->dtype], &least, &dense))
            word_long(&s, least, c->scratch, (word *)c->scratch + s.l.n);
        else pair_long(&s, least, c->scratch, (pair *)c->scratch + s.l.n);
        return;
    }
    pool_parallel_for(s.l.count, s.grain, sort_lines, &s);
}

ORDER_CHOSEN(kthvalue, true)
ORDER_CHOSEN(median_dim, true)
ORDER_CHOSEN(mode, true)
ORDER_CHOSEN(sort, false)
ORDER_CHOSEN(topk, false)

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
    return dim_wrap(c->at->i[0], c->in[0]->ndim) < 0 ? -1
                                                     : infer_both(c, order_dim_size(c->in[0], c->at->i[0]));
}
size_t sort_scratch(const ad_call *c) { return sort_bytes(c); }
/* PyTorch sorts a long vector of integers by their digits, which is stable, where it is to rise. */
static bool by_digits(const ad_call *c) {
    const ad_tensor *x = c->in[0];
    return x->ndim == 1 && x->numel >= 1 << 15 && dtype_is_int(x->dtype) && x->dtype != AD_BOOL &&
           !c->at->i[1];
}
void sort_run(const ad_call *c) { run_sort(c, SORT, 0, c->at->i[1], !c->at->i[2] && !by_digits(c)); }

int topk_infer(ad_call *c) { /* i[1] = 1 for the largest, + 2 for any order; i[2] = k */
    if (dim_wrap(c->at->i[0], c->in[0]->ndim) < 0) return -1;
    if (c->at->i[2] < 0 || c->at->i[2] > order_dim_size(c->in[0], c->at->i[0]))
        return ad_fail(AD_ERR_RUNTIME,
                       "topk(): selected index k = %lld out of range for a dimension of size %lld",
                       (long long)c->at->i[2], (long long)order_dim_size(c->in[0], c->at->i[0]));
    return infer_both(c, c->at->i[2]);
}
size_t topk_scratch(const ad_call *c) { return sort_bytes(c); }
void topk_run(const ad_call *c) { run_sort(c, TOPK, c->at->i[2], c->at->i[1] & 1, !(c->at->i[1] & 2)); }

int kthvalue_infer(ad_call *c) { /* i[2] = k, from 1 */
    if (order_infer_select(c, "kthvalue")) return -1;
    if (c->at->i[2] < 1 || c->at->i[2] > order_dim_size(c->in[0], c->at->i[0]))
        return ad_fail(AD_ERR_RUNTIME, "kthvalue(): selected number k out of range for dimension %lld",
                       (long long)c->at->i[0]);
    return 0;
}
size_t kthvalue_scratch(const ad_call *c) { return sort_bytes(c); }
void kthvalue_run(const ad_call *c) { run_sort(c, KTH, c->at->i[2] - 1, false, true); }

int median_dim_infer(ad_call *c) { return order_infer_select(c, "median"); } /* i[2] = ignore NaN */
size_t median_dim_scratch(const ad_call *c) { return sort_bytes(c); }
void median_dim_run(const ad_call *c) { run_sort(c, MEDIAN, 0, c->at->i[2], false); }

int mode_infer(ad_call *c) { return order_infer_select(c, "mode"); }
size_t mode_scratch(const ad_call *c) { return sort_bytes(c); }
void mode_run(const ad_call *c) { run_sort(c, MODE, 0, false, true); }

/* One line in order, for one form of an element; included after tie_order.h, which explains the ways, with
 * ORDER_MAKE(key, at) and ORDER_AT(e) beside what that takes. See sort.c. */
#include "tie_order.h"

/* Elements [from, to) of a line. `down` turns the order round, and stability stays. */
static void ORDER_FN(keys)(const sorting *s, const char *base, int64_t step, uint64_t least, int64_t from,
                           int64_t to, ORDER_E *p) {
    int dt = s->x->dtype, ct = dtype_compute(dt);
    uint64_t turn = s->down ? ORDER_ALL : 0;
    _Alignas(64) char tile[TILE * 8];
    for (int64_t k = from; k < to; k += TILE) {
        int64_t m = to - k < TILE ? to - k : TILE;
        const void *v = base + k * step;
        if (step != dtype_size[dt] || (dt != AD_F32 && dt != AD_F64 && dt != AD_I64)) {
            dtype_loads[dt][ct](m, tile, v, step);
            v = tile;
        }
        if (ct == CT_F32)
            for (int64_t j = 0; j < m; j++)
                p[k + j] = ORDER_MAKE(turn ^ key_f32(((const float *)v)[j]), k + j);
        else if (ct == CT_F64)
            for (int64_t j = 0; j < m; j++)
                p[k + j] = ORDER_MAKE(turn ^ key_f64(((const double *)v)[j]), k + j);
        else
            for (int64_t j = 0; j < m; j++)
                p[k + j] = ORDER_MAKE(turn ^ ((uint64_t)((const int64_t *)v)[j] - least), k + j);
    }
}

/* Values and positions of q[first...) to places [from, to) of line i's results. */
static void ORDER_FN(write)(const sorting *s, int64_t i, const char *base, int64_t step, const ORDER_E *q,
                            int64_t from, int64_t to) {
    int64_t inner = s->l.inner, out = line_start(&s->l, i, s->outs), es = dtype_size[s->x->dtype];
    char *value = (char *)tensor_data(s->value) + out * es;
    int64_t *index = (int64_t *)tensor_data(s->index) + out;
    if (inner == 1 && step == es && es >= 4) {
        for (int64_t k = from; k < to; k++) index[k] = ORDER_AT(q[k]);
        index_pick((int)es, to - from, value + from * es, base, index + from);
        return;
    }
    for (int64_t k = from; k < to; k++) {
        int64_t at = ORDER_AT(q[k]);
        memcpy(value + k * inner * es, base + at * step, (size_t)es);
        index[k * inner] = at;
    }
}

/* Line i of n elements in the order that is asked for, in p or in tmp, which are as long. `dense`: keys are
 * so close together that some will be equal. */
static void ORDER_FN(line)(const sorting *s, int64_t i, const char *base, int64_t step, uint64_t least,
                           bool dense, ORDER_E *p, ORDER_E *tmp) {
    int64_t n = s->l.n, first = 0;
    const uint64_t nan = dtype_is_float(s->x->dtype) && !s->down ? ORDER_ALL : 0;
    ORDER_E *q = p;
    ORDER_FN(keys)(s, base, step, least, 0, n, p);
    if (s->what == TOPK) ORDER_FN(least)(p, s->k, n, s->plain);
    else if (s->what == KTH) ORDER_FN(kth)(p, first = s->k, n);
    else {
        bool parts = s->plain && n > ORDER_SHORT;
        if (parts && !dense) {
            q = ORDER_FN(sort)(p, tmp, n);
            parts = ORDER_FN(any_equal)(q, n);
            if (parts) ORDER_FN(keys)(s, base, step, least, 0, n, p);
        } else dense = true;
        if (parts) ORDER_FN(parts)(p, n, order_levels(n));
        if (parts || dense) q = ORDER_FN(sort)(p, tmp, n);
    }
    if (s->what == MEDIAN) {
        int64_t m = n; /* how many are numbers */
        while (nan && m > 0 && ORDER_KEY(q[m - 1]) == nan) m--;
        first = m == n || (s->flag && m) ? (m - 1) / 2 : m;
    }
    if (s->what == MODE) {
        int64_t longest = 0;
        for (int64_t a = 0, b; a < n; a = b) {
            for (b = a; b < n && ORDER_KEY(q[b]) == ORDER_KEY(q[a]); b++) {}
            if (b - a > longest) {
                longest = b - a;
                first = b - 1;
            }
        }
    }
    ORDER_FN(write)(s, i, base, step, q + first, 0, s->outs);
}

/* ---- a long line: the first partitions one after the other, the parts by all threads ---- */

typedef struct ORDER_FN(long_line) {
    const sorting *s;
    const char *base;
    int64_t step;
    uint64_t least;
    ORDER_E *p, *tmp;
    int parts;
    struct {
        int64_t at, n;
        int levels;
    } part[LONG_PARTS];
} ORDER_FN(long_line);

static void ORDER_FN(long_keys)(int64_t begin, int64_t end, void *ctx) {
    const ORDER_FN(long_line) *j = ctx;
    ORDER_FN(keys)(j->s, j->base, j->step, j->least, begin, end, j->p);
}
static void ORDER_FN(long_part)(int64_t begin, int64_t end, void *ctx) {
    const ORDER_FN(long_line) *j = ctx;
    for (int64_t k = begin; k < end; k++) {
        int64_t at = j->part[k].at, n = j->part[k].n;
        ORDER_FN(parts)(j->p + at, n, j->part[k].levels);
        ORDER_E *q = ORDER_FN(sort)(j->p + at, j->tmp + at, n);
        ORDER_FN(write)(j->s, 0, j->base, j->step, q - at, at, at + n);
    }
}
static void ORDER_FN(long_split)(ORDER_FN(long_line) * j, int64_t at, int64_t n, int64_t most, int levels) {
    while (n > most && levels > 0 && j->parts < LONG_PARTS - 2 * 64) {
        levels--;
        int64_t cut = ORDER_FN(part)(j->p + at, n);
        ORDER_FN(long_split)(j, at + cut, n - cut, most, levels);
        n = cut;
    }
    j->part[j->parts].at = at;
    j->part[j->parts].n = n;
    j->part[j->parts++].levels = levels;
}
static void ORDER_FN(long)(const sorting *s, uint64_t least, ORDER_E *p, ORDER_E *tmp) {
    ORDER_FN(long_line)
    j = {.s = s,
         .base = tensor_data(s->x),
         .step = dtype_size[s->x->dtype],
         .least = least,
         .p = p,
         .tmp = tmp};
    int64_t n = s->l.n;
    pool_parallel_for(n, 1 << 14, ORDER_FN(long_keys), &j);
    ORDER_FN(long_split)(&j, 0, n, n / 32, order_levels(n));
    pool_parallel_for(j.parts, 1, ORDER_FN(long_part), &j);
}
#undef ORDER_E
#undef ORDER_LESS
#undef ORDER_KEY
#undef ORDER_AT
#undef ORDER_MAKE
#undef ORDER_ALL
#undef ORDER_FN

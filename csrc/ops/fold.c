/* Folding any geometry over any of its dimensions. Results depend on shapes and strides alone: work is cut
 * into blocks of fixed size, blocks into vectors; blocks are joined one after the other in double precision,
 * and so are the chunks that threads take when there are few results.
 *
 * Two ways: along the reduced dimensions when they are the fast ones in memory, else down columns, where rows
 * of a kept dimension are folded element by element. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "fold.h"

#define BLOCK 1024   /* elements that one kernel call folds to one */
#define COLS 256     /* columns that are folded together */
#define WIDE 1024    /* the same where rows are few: long stretches of each */
#define ROWS 64      /* rows that one kernel call folds */
#define PACK_ROWS 16 /* the same when rows have to be converted first */
#define CHUNK 65536  /* elements that one thread takes at a time */

enum join { ADD, MUL, MAX, MIN };
static const uint8_t joins[RED_ROWS] = {
#define RED(name, types, start, step, join) [RED_##name] = join,
#include "../kernels/reduce.def"
#undef RED
};

static fold_acc start_of(int kind, int ct) {
    fold_acc a;
    double f = joins[kind] == ADD || kind == RED_maxabs ? 0
               : joins[kind] == MUL                     ? 1
               : joins[kind] == MAX                     ? -INFINITY
                                                        : INFINITY;
    if (ct == CT_I64)
        a.i = joins[kind] == ADD ? 0 : joins[kind] == MUL ? 1 : joins[kind] == MAX ? INT64_MIN : INT64_MAX;
    else a.f = f;
    return a;
}

static inline fold_acc join(int how, int ct, fold_acc a, fold_acc b) {
    if (ct == CT_I64) {
        switch (how) {
        case ADD:
            a.i = (int64_t)((uint64_t)a.i + (uint64_t)b.i);
            break;
        case MUL:
            a.i = (int64_t)((uint64_t)a.i * (uint64_t)b.i);
            break;
        case MAX:
            a.i = a.i > b.i ? a.i : b.i;
            break;
        default:
            a.i = a.i < b.i ? a.i : b.i;
        }
        return a;
    }
    switch (how) {
    case ADD:
        a.f += b.f;
        break;
    case MUL:
        a.f *= b.f;
        break;
    case MAX:
        a.f = a.f > b.f || isnan(a.f) ? a.f : b.f;
        break;
    default:
        a.f = a.f < b.f || isnan(a.f) ? a.f : b.f;
    }
    return a;
}

typedef union number { /* of a compute type */
    float f;
    double d;
    int64_t i;
} number;

/* One element of an array of the compute type. */
static inline fold_acc widen(int ct, const void *v) {
    fold_acc a;
    if (ct == CT_F32) a.f = *(const float *)v;
    else memcpy(&a.i, v, sizeof a.i); /* double and int64 as they are */
    return a;
}

static inline void narrow(int ct, double v, void *out) {
    if (ct == CT_F32) *(float *)out = (float)v;
    else *(double *)out = v;
}

/* ---- the plan ---- */

/* Adds a dimension inside the last one, merged with it where memory allows. */
static int push(int n, int64_t *size, int64_t *step, int64_t *out, int64_t s, int64_t st, int64_t o) {
    if (n && step[n - 1] == s * st && (!out || out[n - 1] == s * o)) {
        size[n - 1] *= s;
        step[n - 1] = st;
        if (out) out[n - 1] = o;
        return n;
    }
    size[n] = s;
    step[n] = st;
    if (out) out[n] = o;
    return n + 1;
}

void fold_prepare(fold_plan *p, const ad_tensor *x, const bool *drop, int ct) {
    p->ct = ct;
    p->block = NULL;
    p->load = dtype_loads[x->dtype][ct];
    p->native = (x->dtype == AD_F32 && ct == CT_F32) || (x->dtype == AD_F64 && ct == CT_F64) ||
                (x->dtype == AD_I64 && ct == CT_I64);
    p->x = tensor_data(x);
    p->esize = dtype_size[x->dtype];
    p->nk = p->nr = 0;
    p->n = p->nout = 1;
    p->cols = 0;
    int order[AD_MAXDIM], nr = 0, col = -1;
    int64_t fastest = INT64_MAX, outs = 1, kout[AD_MAXDIM];
    for (int d = x->ndim - 1; d >= 0; d--) {
        kout[d] = outs;
        if (!drop[d]) outs *= x->sizes[d];
    }
    p->nout = outs;
    for (int d = 0; d < x->ndim; d++) {
        if (!drop[d]) continue;
        p->n *= x->sizes[d];
        if (x->sizes[d] == 1) continue;
        int k = nr++; /* the order of a fold is free: largest stride outermost */
        for (; k > 0 && x->strides[order[k - 1]] < x->strides[d]; k--) order[k] = order[k - 1];
        order[k] = d;
    }
    if (nr) {
        fastest = x->strides[order[nr - 1]];
        for (int d = 0; d < x->ndim; d++)
            if (!drop[d] && x->sizes[d] > 1 && x->strides[d] > 0 && x->strides[d] < fastest) {
                fastest = x->strides[d];
                col = d;
            }
    }
    bool taken[AD_MAXDIM] = {
        false}; /* kept dimensions that go into the columns: those that go on where col ends */
    if (col >= 0) {
        p->cols = x->sizes[col];
        p->cstep = x->strides[col] * p->esize;
        p->cout = kout[col];
        taken[col] = true;
        for (int d = x->ndim - 1; d >= 0; d--)
            if (!drop[d] && !taken[d] && x->sizes[d] > 1 && x->strides[d] == p->cols * x->strides[col] &&
                kout[d] == p->cols * p->cout) {
                p->cols *= x->sizes[d];
                taken[d] = true;
            }
    }
    for (int k = 0; k < nr; k++)
        p->nr = push(p->nr, p->rsize, p->rstep, NULL, x->sizes[order[k]], x->strides[order[k]] * p->esize, 0);
    if (!p->nr) p->nr = push(0, p->rsize, p->rstep, NULL, 1, p->esize, 0);
    for (int d = 0; d < x->ndim; d++)
        if (!drop[d] && !taken[d] && x->sizes[d] != 1)
            p->nk = push(p->nk, p->ksize, p->kstep, p->kout, x->sizes[d], x->strides[d] * p->esize, kout[d]);
    p->width = p->n <= ROWS && p->native && p->cols && p->cstep == p->esize ? WIDE : COLS;
    int64_t width = p->cols ? (p->cols < p->width ? p->cols : p->width) : 1;
    p->tiles = p->cols ? (p->cols + p->width - 1) / p->width : 1;
    p->chunk = CHUNK / width / ROWS * ROWS;
    p->chunks = p->n > p->chunk ? (p->n + p->chunk - 1) / p->chunk : 1;
    p->items = p->nout ? p->nout / (p->cols ? p->cols : 1) * p->tiles * p->chunks : 0;
}

size_t fold_scratch(const fold_plan *p) {
    return p->chunks > 1 ? (size_t)(p->nout * p->chunks) * sizeof(fold_acc) : 0;
}

/* ---- along the reduced dimensions ---- */

typedef struct cursor { /* over the reduced dimensions */
    const char *p;
    int64_t index[AD_MAXDIM];
} cursor;

static void seek(const fold_plan *p, cursor *c, const char *base, int64_t at) {
    c->p = base;
    for (int d = p->nr - 1; d >= 0; d--) {
        c->index[d] = at % p->rsize[d];
        at /= p->rsize[d];
        c->p += c->index[d] * p->rstep[d];
    }
}

/* Moves on by `by` positions of the last dimension, at most to its end. */
static void advance(const fold_plan *p, cursor *c, int64_t by) {
    int d = p->nr - 1;
    c->index[d] += by;
    c->p += by * p->rstep[d];
    while (c->index[d] == p->rsize[d] && d > 0) {
        c->p -= p->rsize[d] * p->rstep[d];
        c->index[d--] = 0;
        c->index[d]++;
        c->p += p->rstep[d];
    }
}

static fold_acc fold_line(const fold_plan *p, const char *base, int64_t begin, int64_t end,
                          const number *param) {
    _Alignas(64) char tile[BLOCK * 8];
    fold_kernel kernel = kern->fold[p->kind][p->ct];
    fold_acc acc = start_of(p->kind, p->ct);
    number r;
    int last = p->nr - 1;
    bool direct = p->native && p->rstep[last] == p->esize;
    cursor c;
    seek(p, &c, base, begin);
    while (begin < end) {
        int64_t n = 0;
        const void *from = tile;
        if (direct) {
            n = p->rsize[last] - c.index[last];
            if (n > end - begin) n = end - begin;
            if (n > BLOCK) n = BLOCK;
            from = p->block ? p->block(p->ctx, (c.p - p->x) / p->esize, n, tile) : c.p;
            advance(p, &c, n);
        } else
            while (n < BLOCK && begin + n < end) {
                int64_t run = p->rsize[last] - c.index[last];
                if (run > BLOCK - n) run = BLOCK - n;
                if (run > end - begin - n) run = end - begin - n;
                p->load(run, tile + (size_t)n * ct_size[p->ct], c.p, p->rstep[last]);
                advance(p, &c, run);
                n += run;
            }
        kernel(n, from, param, &r);
        acc = join(joins[p->kind], p->ct, acc, widen(p->ct, &r));
        begin += n;
    }
    return acc;
}

/* ---- down the columns ---- */

static void fold_columns(const fold_plan *p, const char *base, int64_t begin, int64_t end, int64_t cols,
                         const void *param, fold_acc *acc) {
    _Alignas(64) char tile[PACK_ROWS * COLS * 8], sums[WIDE * 8];
    fold_cols_kernel kernel = kern->fold_cols[p->kind][p->ct];
    int last = p->nr - 1, how = joins[p->kind];
    int64_t step = p->rstep[last], size = (int64_t)ct_size[p->ct];
    bool direct = p->native && p->cstep == p->esize && step % size == 0;
    cursor c;
    bool first = true;
    seek(p, &c, base, begin);
    while (begin < end) {
        int64_t rows = 0;
        if (direct) {
            rows = p->rsize[last] - c.index[last];
            if (rows > ROWS) rows = ROWS;
            if (rows > end - begin) rows = end - begin;
            kernel(rows, cols, c.p, step / size, param, sums);
            advance(p, &c, rows);
        } else {
            for (; rows < PACK_ROWS && begin + rows < end; rows++) {
                p->load(cols, tile + rows * cols * size, c.p, p->cstep);
                advance(p, &c, 1);
            }
            kernel(rows, cols, tile, cols, param, sums);
        }
        begin += rows;
        if (first && p->ct == CT_F32)
            for (int64_t j = 0; j < cols; j++) acc[j].f = ((const float *)sums)[j];
        else if (first) memcpy(acc, sums, (size_t)cols * sizeof *acc);
        else if (p->ct == CT_F32 && how == ADD)
            for (int64_t j = 0; j < cols; j++) acc[j].f += ((const float *)sums)[j];
        else
            for (int64_t j = 0; j < cols; j++)
                acc[j] = join(how, p->ct, acc[j], widen(p->ct, sums + j * size));
        first = false;
    }
}

/* ---- items ---- */

static void fold_items(int64_t begin, int64_t end, void *ctx) {
    const fold_plan *p = ctx;
    fold_acc acc[WIDE];
    if (!p->cols && p->native && p->nk <= 1 && p->nr == 1 && p->rstep[0] == p->esize && p->n <= BLOCK) {
        fold_kernel kernel = kern->fold[p->kind][p->ct]; /* short rows */
        fold_acc start = start_of(p->kind, p->ct);
        _Alignas(64) char tile[BLOCK * 8];
        number r, c;
        narrow(p->ct, p->param_all, &c);
        for (int64_t k = begin; k < end; k++) {
            if (p->param) narrow(p->ct, p->param[k].f, &c);
            const void *from = p->x + (p->nk ? k * p->kstep[0] : 0);
            if (p->block) from = p->block(p->ctx, p->nk ? k * p->kstep[0] / p->esize : 0, p->n, tile);
            kernel(p->n, from, &c, &r);
            p->out[k] = join(joins[p->kind], p->ct, start, widen(p->ct, &r));
        }
        return;
    }
    for (int64_t item = begin; item < end; item++) {
        int64_t rest = item, k = rest % p->chunks, out = 0;
        rest /= p->chunks;
        int64_t tile = rest % p->tiles;
        rest /= p->tiles;
        const char *base = p->x;
        for (int d = p->nk - 1; d >= 0; d--) {
            int64_t i = rest % p->ksize[d];
            rest /= p->ksize[d];
            base += i * p->kstep[d];
            out += i * p->kout[d];
        }
        int64_t from = k * p->chunk, to = p->chunks > 1 && k < p->chunks - 1 ? from + p->chunk : p->n;
        fold_acc *dst = p->chunks > 1 ? p->part + k * p->nout : p->out;
        _Alignas(64) number param[WIDE];
        if (!p->cols) {
            if (p->ct != CT_I64) narrow(p->ct, p->param ? p->param[out].f : p->param_all, param);
            dst[out] = fold_line(p, base, from, to, param);
            continue;
        }
        int64_t c0 = tile * p->width, cols = p->cols - c0 < p->width ? p->cols - c0 : p->width;
        out += c0 * p->cout;
        for (int64_t j = 0; j < cols && p->ct != CT_I64; j++) {
            double v = p->param ? p->param[out + j * p->cout].f : p->param_all;
            narrow(p->ct, v, (char *)param + (size_t)j * ct_size[p->ct]);
        }
        fold_acc *here = p->cout == 1 ? dst + out : acc;
        fold_columns(p, base + c0 * p->cstep, from, to, cols, p->ct == CT_I64 ? NULL : param, here);
        for (int64_t j = 0; j < cols && here == acc; j++) dst[out + j * p->cout] = acc[j];
    }
}

void fold_run(fold_plan *p, int kind, const fold_acc *param, double param_all, fold_acc *out, void *scratch) {
    p->kind = kind;
    p->param = param;
    p->param_all = param_all;
    p->out = out;
    p->part = scratch;
    if (!p->nout) return;
    if (!p->n) {
        for (int64_t k = 0; k < p->nout; k++) out[k] = start_of(kind, p->ct);
        return;
    }
    int64_t work = p->n < p->chunk ? p->n : p->chunk;
    if (p->cols) work *= p->cols < p->width ? p->cols : p->width;
    pool_parallel_for(p->items, CHUNK / work > 1 ? CHUNK / work : 1, fold_items, p);
    if (p->chunks > 1)
        for (int64_t k = 0; k < p->nout; k++) {
            fold_acc a = p->part[k];
            for (int64_t j = 1; j < p->chunks; j++) a = join(joins[kind], p->ct, a, p->part[j * p->nout + k]);
            out[k] = a;
        }
}

/* Fusing chains of elementwise calls: a straight-line program of rows that is run tile by tile, so that
 * the values in between stay in the first-level cache and are never written to memory unless something
 * else reads them. Each row is the kernel that eager execution calls, on the same elements, so the results
 * are the same bits.
 *
 * A chain that reads the large result of a product takes it block by block as the product's threads finish it
 * (gemm_then in gemm.h), while it is in their caches. */
#include <stdio.h>
#include <string.h>
#include "fuse.h"
#include "ops/fold.h"
#include "ops/matmul.h"
#include "pool.h"

enum {
    TILE = 512,
    REGISTERS = 8,
    REDUCED = REGISTERS,
    MOST_CALLS = 32,
    MOST_OPERANDS = 48,
    MOST_CONSTANTS = 12
};
#define GRAIN (TILE * 64)

/* How an operand is read for the flat position i of the result. */
enum mode {
    DIRECT,   /* element i */
    CONSTANT, /* one value */
    PERIODIC, /* element i % length: stretched over the leading dimensions */
    REPEATED, /* element i / length: stretched over the trailing dimensions */
    REGISTER  /* the tile of an earlier row */
};

typedef struct operand {
    int mode, index; /* which of the call's tensors, or which register */
    int64_t length;
    int tile; /* of a constant: which of the tiles that are filled once */
    bool as_bool;
} operand;

typedef struct row {
    const ad_op *op;
    ew_kernel fn;
    int nin, out_register; /* -1: the result goes to memory, tensor out_index */
    int out_index;
    size_t out_size;
    operand in[3];
} row;

/* The sum or mean that ends a chain: over everything, or over the last dimensions. */
typedef struct reduction {
    bool mean;
    int row, stored; /* the row whose result is reduced, and which output that is, or -1 */
    fold_plan plan;
} reduction;

struct fused_code {
    int ct, n, nconstants;
    reduction *end;
    struct {
        int index;
        bool as_bool;
    } constants[MOST_CONSTANTS];
    int64_t numel;
    row rows[MOST_CALLS];
};

/* ---- running ---- */

typedef struct task {
    const fused_code *f;
    const char *constants; /* a tile of each */
    const char *in[MOST_OPERANDS];
    uint8_t dtype[MOST_OPERANDS];
    char *out[MOST_CALLS + 1];
    const char *product; /* whose blocks it follows */
} task;

static void pack(const task *w, const operand *o, int64_t at, int64_t n, char *tile) {
    size_t size = o->as_bool ? 1 : ct_size[w->f->ct];
    const char *p = w->in[o->index];
    while (n > 0) {
        int64_t k = o->mode == PERIODIC ? at % o->length : at / o->length;
        int64_t run = o->length - at % o->length;
        if (run > n) run = n;
        if (o->mode == PERIODIC) memcpy(tile, p + k * (int64_t)size, (size_t)run * size);
        else if (size == 4) {
            float v = ((const float *)p)[k];
            for (int64_t i = 0; i < run; i++) ((float *)tile)[i] = v;
        } else if (size == 8) {
            double v = ((const double *)p)[k];
            for (int64_t i = 0; i < run; i++) ((double *)tile)[i] = v;
        } else memset(tile, p[k], (size_t)run);
        tile += run * (int64_t)size;
        at += run;
        n -= run;
    }
}

/* Elements at to at + n - 1, n <= TILE. The value that is reduced goes to `reduced`. */
static void run_tile(const task *w, int64_t at, int64_t n, char (*reg)[TILE * 8],
                     char (*operand_tile)[TILE * 8], char *reduced) {
    const fused_code *f = w->f;
    for (int k = 0; k < f->n; k++) {
        const row *r = &f->rows[k];
        const void *in[3];
        for (int i = 0; i < r->nin; i++) {
            const operand *o = &r->in[i];
            size_t size = o->as_bool ? 1 : ct_size[f->ct];
            if (o->mode == REGISTER) in[i] = o->index == REDUCED ? reduced : reg[o->index];
            else if (o->mode == DIRECT) in[i] = w->in[o->index] + at * (int64_t)size;
            else if (o->mode == CONSTANT) in[i] = w->constants + o->tile * (TILE * 8);
            else {
                in[i] = operand_tile[i];
                pack(w, o, at, n, operand_tile[i]);
            }
        }
        char *out = r->out_register == REDUCED ? reduced
                    : r->out_register >= 0     ? reg[r->out_register]
                                               : w->out[r->out_index] + at * (int64_t)r->out_size;
        r->fn(n, out, in, 0);
    }
}

static void fused_range(int64_t begin, int64_t end, void *ctx) {
    _Alignas(64) char reg[REGISTERS][TILE * 8], operand_tile[3][TILE * 8];
    for (int64_t at = begin; at < end; at += TILE)
        run_tile(ctx, at, end - at < TILE ? end - at : TILE, reg, operand_tile, NULL);
}

/* What a reduction folds: up to 1024 elements, of which the reduction's kernel makes one. */
static const void *reduced_block(void *ctx, int64_t at, int64_t n, void *tile) {
    _Alignas(64) char reg[REGISTERS][TILE * 8], operand_tile[3][TILE * 8];
    const task *w = ctx;
    const reduction *e = w->f->end;
    int64_t size = (int64_t)ct_size[w->f->ct];
    for (int64_t t = 0; t < n; t += TILE)
        run_tile(w, at + t, n - t < TILE ? n - t : TILE, reg, operand_tile, (char *)tile + t * size);
    return e->stored < 0 ? tile : w->out[e->stored] + at * size;
}

static size_t constant_bytes(const fused_code *f) { return (size_t)f->nconstants * TILE * 8; }

static size_t fused_scratch(const ad_call *c) {
    const fused_code *f = (const fused_code *)(intptr_t)c->at->i[0];
    if (!f->end) return constant_bytes(f);
    return constant_bytes(f) + (size_t)f->end->plan.nout * sizeof(fold_acc) + fold_scratch(&f->end->plan);
}

/* The chain whose operands follow the first `in` inputs and `out` outputs of a call. Its constants are spread
 * here, once for all tiles. */
static task task_of(const ad_call *c, int64_t code, int in, int out, char *room) {
    const fused_code *f = (const fused_code *)(intptr_t)code;
    task w = {.f = f, .constants = room};
    for (int i = in; i < c->nin; i++) {
        w.in[i - in] = tensor_data(c->in[i]);
        w.dtype[i - in] = c->in[i]->dtype;
    }
    for (int o = out; o < c->nout; o++) w.out[o - out] = tensor_data(c->out[o]);
    for (int k = 0; k < f->nconstants; k++) {
        char *tile = room + k * (TILE * 8);
        int64_t n = f->numel < TILE ? f->numel : TILE;
        int index = f->constants[k].index;
        if (f->constants[k].as_bool) dtype_load_bool[w.dtype[index]](n, tile, w.in[index], 0);
        else dtype_loads[w.dtype[index]][f->ct](n, tile, w.in[index], 0);
    }
    return w;
}

static void fused_run(const ad_call *c) {
    task w = task_of(c, c->at->i[0], 0, 0, c->scratch);
    const fused_code *f = w.f;
    if (!f->end) {
        pool_parallel_for(f->numel, GRAIN, fused_range, &w);
        return;
    }
    fold_plan plan = f->end->plan;
    fold_acc *sums = (fold_acc *)((char *)c->scratch + constant_bytes(f));
    plan.x = c->scratch; /* positions are counted from here; nothing is read */
    plan.block = reduced_block;
    plan.ctx = &w;
    fold_run(&plan, RED_sum, NULL, 0, sums, sums + plan.nout);
    for (int64_t k = 0; k < plan.nout && f->end->mean; k++) sums[k].f /= (double)plan.n;
    const ad_tensor *out = c->out[c->nout - 1];
    dtype_stores[out->dtype][CT_F64](plan.nout, tensor_data(out), dtype_size[out->dtype], sums);
}

const ad_op fused_op = {.name = "fused", .nin = -1, .nout = -1, .run = fused_run, .scratch = fused_scratch};

/* ---- a product and the chain that follows it. i[0]: the product's own, i[1]: the code, i[2]: the product's
 * row, i[3]: how many of the inputs are its; its result is the first output ---- */

static ad_call product_of(const ad_call *c, ad_attr *at, ad_tensor *in[3]) {
    int nin = (int)c->at->i[3];
    for (int k = 0; k < 3; k++) in[k] = k < nin ? c->in[k] : NULL;
    *at = (ad_attr){.i = {c->at->i[0]}};
    const ad_op *op = &ad_ops[c->at->i[2]];
    return (ad_call){
        .op = op, .nin = op->nin, .nout = 1, .in = in, .out = c->out, .at = at, .scratch = c->scratch};
}

static size_t own_scratch(const ad_call *p) { return (p->op->scratch(p) + 63) & ~(size_t)63; }

static size_t fused_product_scratch(const ad_call *c) {
    ad_tensor *in[3];
    ad_attr at;
    ad_call p = product_of(c, &at, in);
    return own_scratch(&p) + constant_bytes((const fused_code *)(intptr_t)c->at->i[1]);
}

static void fused_block(void *ctx, const void *c, int64_t rows, int64_t cols, int64_t ld) {
    const task *w = ctx;
    int64_t at = ((const char *)c - w->product) / (int64_t)ct_size[w->f->ct];
    if (rows == 1 || cols == ld) fused_range(at, at + rows * cols, ctx);
    else
        for (int64_t r = 0; r < rows; r++) fused_range(at + r * ld, at + r * ld + cols, ctx);
}

static void fused_product_run(const ad_call *c) {
    ad_tensor *in[3];
    ad_attr at;
    ad_call p = product_of(c, &at, in);
    task w = task_of(c, c->at->i[1], (int)c->at->i[3], 1, (char *)c->scratch + own_scratch(&p));
    w.product = tensor_data(c->out[0]);
    if (p.op == &ad_ops[OP_linear]) linear_run_then(&p, fused_block, &w);
    else matmul_run_then(&p, fused_block, &w);
}

const ad_op fused_product_op = {
    .name = "product", .nin = -1, .nout = -1, .run = fused_product_run, .scratch = fused_product_scratch};

fused_code *fused_code_of(const instr *i) {
    if (i->call.op == &fused_op) return (fused_code *)(intptr_t)i->at.i[0];
    return i->call.op == &fused_product_op ? (fused_code *)(intptr_t)i->at.i[1] : NULL;
}

bool fused_in_place(const instr *call, int o, const ad_storage *s) {
    const ad_call *c = &call->call;
    const fused_code *f = (const fused_code *)(intptr_t)call->at.i[0];
    int writer = 0;
    while (writer < f->n && (f->rows[writer].out_register >= 0 || f->rows[writer].out_index != o)) writer++;
    for (int k = 0; k < f->n; k++)
        for (int i = 0; i < f->rows[k].nin; i++) {
            const operand *x = &f->rows[k].in[i];
            if (x->mode == REGISTER || c->in[x->index]->storage != s) continue;
            if (x->mode != DIRECT || k > writer || c->in[x->index]->offset) return false;
        }
    return writer < f->n;
}

double fused_dear(const instr *i, bool (*dear)(int op)) {
    const fused_code *f = fused_code_of(i);
    double ns = 0;
    for (int k = 0; k < f->n; k++) ns += dear((int)(f->rows[k].op - ad_ops)) ? 0.4 : 0.1;
    return ns / (i->call.nin + i->call.nout);
}

void fused_names(const fused_code *f, char *text, size_t room) {
    size_t used = 0;
    text[0] = 0;
    for (int k = 0; k < f->n && used + 1 < room; k++)
        used += (size_t)snprintf(text + used, room - used, "%s%s", k ? ", " : "", f->rows[k].op->name);
    if (f->end && used + 1 < room) snprintf(text + used, room - used, ", %s", f->end->mean ? "mean" : "sum");
}

void fused_free(fused_code *f) {
    if (f->end) mem_free(f->end, sizeof *f->end);
    mem_free(f, sizeof *f);
}

/* ---- what can be fused ---- */

typedef struct group {
    fused_code *f;
    ad_tensor *in[MOST_OPERANDS], *out[MOST_CALLS + 1]; /* borrowed */
    int nin, nout;
    int64_t calls[MOST_CALLS + 1];      /* the last: the reduction that ends it */
    const ad_tensor *value[MOST_CALLS]; /* the result of each row */
    const ad_tensor *shape;
} group;

static int row_type(const ad_call *c) { /* the compute type, or -1 when the call cannot be fused */
    if (!(c->op->flags & AD_OP_EW) || call_reads_values(c)) return -1;
    const ad_tensor *out = c->out[0];
    if (!tensor_is_contiguous(out) || !out->numel) return -1;
    int common = ew_common(c);
    if (c->op->promo & P_WIDE && !dtype_is_float(c->in[0]->dtype)) return -1;
    if (common != AD_F32 && common != AD_F64) return -1;
    if (out->dtype != (c->op->promo & P_BOOL_OUT ? AD_BOOL : common)) return -1;
    return dtype_compute(common);
}

/* How `t` is read in a loop over `shape`; -1 for what needs packing by strides. */
static int read_mode(const ad_tensor *t, const ad_tensor *shape, int ct, bool as_bool, int64_t *length) {
    int want = as_bool ? AD_BOOL : ct == CT_F32 ? AD_F32 : AD_F64, lead = shape->ndim - t->ndim;
    int64_t own = 1, tail = 1; /* elements of t; elements of the result that share one */
    bool stretched_before = false, suffix = true, prefix = true;
    for (int d = shape->ndim - 1; d >= 0; d--) {
        int64_t size = shape->sizes[d];
        if (size == 1) continue;
        if (d < lead || t->sizes[d - lead] == 1 || t->strides[d - lead] == 0) {
            stretched_before = true;
            if (own > 1) prefix = false; /* stretched outside of a dimension that is not */
            tail *= size;
            continue;
        }
        if (t->strides[d - lead] != own) return -1;
        if (stretched_before) suffix = false;
        own *= size;
    }
    if (own == 1) return CONSTANT;
    if (t->dtype != want) return -1;
    if (!stretched_before) return DIRECT;
    *length = suffix ? own : tail;
    return suffix ? PERIODIC : prefix ? REPEATED : -1;
}

static int find_value(const group *g, const ad_tensor *t) { /* the last row that computed exactly t */
    for (int k = g->f->n - 1; k >= 0; k--)
        if (g->value[k]->storage == t->storage) return k;
    return -1;
}

static bool same_place(const ad_tensor *a, const ad_tensor *b) {
    return a->offset == b->offset && a->numel == b->numel;
}

/* Whether a call may join: what it reads of the group must be read element by element where it was
 * written, and what it writes must not be read in another way by the group. */
static bool may_join(const group *g, const ad_call *c, int ct) {
    const ad_tensor *out = c->out[0];
    int64_t length;
    if (g->f->n == MOST_CALLS || g->nin + c->nin > MOST_OPERANDS ||
        g->f->nconstants + c->nin > MOST_CONSTANTS)
        return false;
    if (g->f->n && (ct != g->f->ct || !tensor_same_sizes(out, g->shape))) return false;
    for (int i = 0; i < c->nin; i++) {
        const ad_tensor *t = c->in[i];
        int mode = read_mode(t, out, ct, (c->op->promo & P_SELECT) && i == 0, &length);
        if (mode < 0) return false;
        int from = find_value(g, t);
        if (from >= 0 &&
            (mode != DIRECT || !same_place(t, g->value[from]) || t->dtype != g->value[from]->dtype)) {
            if (t->numel != 1 || out->numel != 1 || !same_place(t, g->value[from])) return false;
        }
        if (t->storage == out->storage && (mode != DIRECT || !same_place(t, out))) return false;
    }
    for (int k = 0; k < g->nin; k++)
        if (g->in[k]->storage == out->storage &&
            (!same_place(g->in[k], out) ||
             read_mode(g->in[k], out, ct, g->in[k]->dtype == AD_BOOL, &length) != DIRECT))
            return false;
    for (int k = 0; k < g->f->n; k++)
        if (g->value[k]->storage == out->storage && !same_place(g->value[k], out)) return false;
    return true;
}

static void join(group *g, const ad_call *c, int ct, int64_t at) {
    fused_code *f = g->f;
    row *r = &f->rows[f->n];
    if (!f->n) {
        g->shape = c->out[0];
        f->ct = ct;
        f->numel = c->out[0]->numel;
    }
    r->op = c->op;
    r->fn = kern->ew[c->op->row][ct];
    r->nin = c->nin;
    r->out_size = dtype_size[c->out[0]->dtype];
    for (int i = 0; i < c->nin; i++) {
        operand *o = &r->in[i];
        ad_tensor *t = c->in[i];
        o->as_bool = (c->op->promo & P_SELECT) && i == 0;
        int from = find_value(g, t);
        if (from >= 0) {
            o->mode = REGISTER;
            o->index = from; /* for now: the row; registers are given out at the end */
            continue;
        }
        o->mode = read_mode(t, c->out[0], ct, o->as_bool, &o->length);
        int k = 0;
        while (k < g->nin && g->in[k] != t) k++;
        if (k == g->nin) g->in[g->nin++] = t;
        o->index = k;
        if (o->mode != CONSTANT) continue;
        o->tile = 0;
        while (o->tile < f->nconstants &&
               (f->constants[o->tile].index != k || f->constants[o->tile].as_bool != o->as_bool))
            o->tile++;
        if (o->tile == f->nconstants) {
            f->constants[o->tile].index = k;
            f->constants[f->nconstants++].as_bool = o->as_bool;
        }
    }
    g->calls[f->n] = at;
    g->value[f->n] = c->out[0];
    f->n++;
}

/* Gives registers to the results that only the group reads; the others go to memory, and later rows read
 * them there. False when there are not enough registers. */
static bool allocate(group *g, const bool *stored) {
    fused_code *f = g->f;
    int last[MOST_CALLS], where[MOST_CALLS], owner[REGISTERS];
    for (int k = 0; k < REGISTERS; k++) owner[k] = -1;
    for (int k = 0; k < f->n; k++) {
        last[k] = k;
        for (int i = 0; i < f->rows[k].nin; i++)
            if (f->rows[k].in[i].mode == REGISTER) last[f->rows[k].in[i].index] = k;
    }
    for (int k = 0; k < f->n; k++) {
        row *r = &f->rows[k];
        for (int i = 0; i < r->nin; i++) {
            operand *o = &r->in[i];
            if (o->mode != REGISTER) continue;
            int from = o->index;
            if (!stored[from]) {
                o->index = where[from];
                continue;
            }
            o->mode = DIRECT; /* written to memory a moment ago: still in the cache */
            int m = 0;
            while (m < g->nin && g->in[m] != g->value[from]) m++;
            if (m == g->nin) {
                if (g->nin == MOST_OPERANDS) return false;
                g->in[g->nin++] = (ad_tensor *)g->value[from];
            }
            o->index = m;
        }
        for (int q = 0; q < REGISTERS; q++) /* operands that die here free theirs, but not for this result */
            if (owner[q] >= 0 && last[owner[q]] < k) owner[q] = -1;
        r->out_register = -1;
        if (stored[k]) {
            if (f->end && f->end->row == k) f->end->stored = g->nout;
            r->out_index = g->nout;
            g->out[g->nout++] = (ad_tensor *)g->value[k];
            continue;
        }
        if (f->end && f->end->row == k) { /* a tile of its own */
            where[k] = r->out_register = REDUCED;
            continue;
        }
        int q = 0;
        while (q < REGISTERS && owner[q] >= 0) q++;
        if (q == REGISTERS) return false;
        owner[q] = k;
        where[k] = r->out_register = q;
    }
    return true;
}

/* Whether call `at`, the next after the group, sums what the group computed, in the order of the tiles. */
static int may_end(ad_program *p, group *g, int64_t at) {
    const instr *i = &p->code[at];
    const ad_call *c = &i->call;
    bool mean = c->op == &ad_ops[OP_mean], drop[AD_MAXDIM], dropped = false;
    if ((!mean && c->op != &ad_ops[OP_sum]) || c->inplace ||
        (p->has_split && at >= p->split && g->calls[0] < p->split))
        return 0;
    const ad_tensor *x = c->in[0], *out = c->out[0];
    int row = find_value(g, x);
    if (row < 0 || !same_place(x, g->value[row]) || x->dtype != g->value[row]->dtype ||
        x->dtype != out->dtype || (x->dtype != AD_F32 && x->dtype != AD_F64) ||
        dtype_compute(x->dtype) != g->f->ct || !tensor_is_contiguous(x) || !tensor_is_contiguous(out) ||
        x->numel <= 1024 || reduce_dims(x, &i->at, drop))
        return 0;
    int64_t n = 1;
    for (int d = 0; d < x->ndim; d++) {
        if (x->sizes[d] == 1) continue;
        if (dropped && !drop[d]) return 0;
        dropped |= drop[d];
        if (drop[d]) n *= x->sizes[d];
    }
    if (n < 256) return 0; /* short rows leave tiles unfilled */
    for (int k = 0; k < g->nin; k++)
        if (g->in[k]->storage == out->storage) return 0;
    for (int k = 0; k < g->f->n; k++)
        if (g->value[k]->storage == out->storage) return 0;
    reduction *e = mem_alloc(sizeof *e);
    if (!e) return -1;
    *e = (reduction){.mean = mean, .row = row, .stored = -1};
    fold_prepare(&e->plan, x, drop, g->f->ct);
    g->f->end = e;
    g->calls[g->f->n] = at;
    return 1;
}

/* Bytes of a product's result from which a chain takes it block by block: those that no cache holds until the
 * chain would come to it. Measured on a Zen 5 with 32 MB of third-level cache, this saves a tenth of the time
 * of 16384x128 @ 128x512 and gelu, and a matrix in memory. Smaller results are read back so quickly that
 * nothing is gained, and the wide blocks that a chain wants cost the product a fifth (512x512x512 and gelu).
 */
#define PRODUCT_BYTES (16 << 20)

/* The product right before the group that the group reads element by element, or -1. What the group writes
 * must not be what other threads of the product still read. */
static int64_t product_before(const ad_program *p, const group *g) {
    int64_t k = g->calls[0] - 1, length;
    while (k >= 0 && p->code[k].dead) k--;
    if (k < 0 || (p->has_split && k < p->split && g->calls[0] >= p->split)) return -1;
    const ad_call *c = &p->code[k].call;
    const ad_tensor *y = c->out[0];
    int ct = g->f->ct;
    if (c->op != &ad_ops[OP_linear] && c->op != &ad_ops[OP_mm] && c->op != &ad_ops[OP_matmul] &&
        c->op != &ad_ops[OP_bmm])
        return -1;
    if (y->dtype != (ct == CT_F32 ? AD_F32 : AD_F64) || !tensor_is_contiguous(y) || y->numel != g->f->numel ||
        y->numel * (int64_t)ct_size[ct] < PRODUCT_BYTES)
        return -1;
    bool reads = false;
    for (int i = 0; i < g->nin; i++) {
        const ad_tensor *t = g->in[i];
        if (t->storage != y->storage) continue;
        if (!same_place(t, y) || t->dtype != y->dtype || read_mode(t, g->shape, ct, false, &length) != DIRECT)
            return -1;
        reads = true;
    }
    for (int j = 0; j < g->f->n; j++)
        for (int i = 0; i < c->nin; i++)
            if (c->in[i] && c->in[i]->storage == g->value[j]->storage) return -1;
    return reads && g->nin + c->nin <= MOST_OPERANDS ? k : -1;
}

/* Where only the group reads a product's result, the product writes it where the group's last result goes,
 * which then replaces it block by block: a matrix less in memory. Returns a new tensor of that memory, or
 * NULL. */
static ad_tensor *shared_place(const ad_program *p, const group *g, const ad_tensor *product, int64_t at) {
    int64_t members[MOST_CALLS + 1];
    int n = g->f->n;
    const ad_tensor *y = g->value[n - 1];
    memcpy(members, g->calls, (size_t)n * sizeof *members);
    members[n] = at;
    if (plan_value_is_needed(p, product->storage, members, n + 1)) return NULL;
    if (g->f->rows[n - 1].out_register >= 0 || y->dtype != product->dtype) return NULL;
    for (int k = 0; k < n - 1; k++)
        if (g->value[k]->storage == product->storage || g->value[k]->storage == y->storage) return NULL;
    for (int k = 0; k < g->nin; k++)
        if (g->in[k]->storage == y->storage) return NULL;
    return tensor_alias((ad_tensor *)y, product->ndim, product->sizes, product->strides, y->offset);
}

/* `product`: the call that becomes part of the group's, or -1. */
static int replace(ad_program *p, group *g, int64_t product) {
    fused_code *f = g->f;
    bool stored[MOST_CALLS];
    int members = f->n + (f->end != NULL);
    int64_t end = g->calls[members - 1];
    for (int k = 0; k < f->n; k++) { /* overwritten later in the group: only the last write is kept */
        stored[k] = plan_value_is_needed(p, g->value[k]->storage, g->calls, members);
        for (int later = k + 1; later < f->n; later++)
            if (g->value[later]->storage == g->value[k]->storage) stored[k] = false;
    }
    if (!allocate(g, stored)) return 0;
    if (f->end) g->out[g->nout++] = p->code[end].call.out[0];
    instr *i = &p->code[end];
    const ad_call *first = product < 0 ? NULL : &p->code[product].call;
    int own = 0, nout = g->nout + !!first;
    while (first && own < first->nin && first->in[own]) own++;
    int nin = own + g->nin;
    ad_tensor **room = mem_alloc((size_t)(nin + nout + 1) * sizeof *room);
    if (!room) return -1;
    for (int k = 0; k < own; k++) room[k] = first->in[k];
    ad_tensor *shared = first ? shared_place(p, g, first->out[0], product) : NULL;
    for (int k = 0; k < g->nin; k++)
        room[own + k] = shared && g->in[k]->storage == first->out[0]->storage ? shared : g->in[k];
    if (first) room[nin] = shared ? shared : first->out[0];
    for (int k = 0; k < g->nout; k++) room[nin + !!first + k] = g->out[k];
    int status = program_rewrite(i, first ? &fused_product_op : &fused_op, nin, nout, room);
    tensor_unref(shared);
    if (status) return -1;
    if (first) {
        i->at = (ad_attr){
            .i = {p->code[product].at.i[0], (int64_t)(intptr_t)f, (int64_t)(first->op - ad_ops), own}};
        p->code[product].dead = true;
    } else i->at = (ad_attr){.i = {(int64_t)(intptr_t)f}};
    for (int k = 0; k < members - 1; k++) p->code[g->calls[k]].dead = true;
    p->fused++;
    g->f = NULL; /* the program's now */
    return 0;
}

int fuse_elementwise(ad_program *p) {
    int64_t k = 0;
    while (k < p->n) {
        group g = {.f = NULL};
        int64_t at = k;
        for (; at < p->n; at++) {
            const ad_call *c = &p->code[at].call;
            if (p->code[at].dead) continue;
            if (p->has_split && at >= p->split && g.f && g.f->n && g.calls[0] < p->split) break;
            int ct = row_type(c);
            if (ct < 0) break;
            if (!g.f) {
                if (!(g.f = mem_alloc(sizeof *g.f))) return -1;
                g.f->n = g.f->nconstants = 0;
                g.f->end = NULL;
            }
            if (!may_join(&g, c, ct)) break;
            join(&g, c, ct, at);
        }
        int status = g.f && g.f->n && at < p->n ? may_end(p, &g, at) : 0;
        bool ended = status > 0;
        int64_t product = g.f && g.f->n && !ended ? product_before(p, &g) : -1;
        if (status >= 0) status = g.f && (g.f->n + ended > 1 || product >= 0) ? replace(p, &g, product) : 0;
        bool started = g.f == NULL || g.f->n > 0;
        if (g.f) fused_free(g.f);
        if (status) return -1;
        k = at > k ? at : k + 1;
        if (!started || ended) k = at + 1;
    }
    return 0;
}

/* Elementwise rows: broadcasting, type promotion, the tiled loop, and the gradient rules that
 * elementwise.def spells out.
 *
 * The loop walks the output in flat order, tile by tile. An operand that is contiguous in that order and
 * already of the compute type is read where it lies; a scalar fills one tile once; anything else is
 * packed (and converted) into a tile that stays in the first-level cache. */
#include <string.h>
#include "../core.h"
#include "../pool.h"
#include "declare.h"

#define GRAIN (EW_TILE * 64)

/* ---- shapes and dtypes ---- */

int broadcast_sizes(int n, ad_tensor *const *in, int *ndim, int64_t *sizes) {
    int nd = 0;
    for (int i = 0; i < n; i++)
        if (in[i] && in[i]->ndim > nd) nd = in[i]->ndim;
    for (int d = 0; d < nd; d++) sizes[d] = 1;
    for (int i = 0; i < n; i++) {
        if (!in[i]) continue;
        int lead = nd - in[i]->ndim;
        for (int d = 0; d < in[i]->ndim; d++) {
            int64_t s = in[i]->sizes[d];
            if (s == 1 || s == sizes[d + lead]) continue;
            if (sizes[d + lead] != 1)
                return ad_fail(AD_ERR_RUNTIME,
                               "The size of tensor a (%lld) must match the size of tensor b (%lld) at "
                               "non-singleton dimension %d",
                               (long long)sizes[d + lead], (long long)s, d + lead);
            sizes[d + lead] = s;
        }
    }
    *ndim = nd;
    return 0;
}

/* Promotion by category, as PyTorch: tensors with dimensions decide over 0-d tensors, those over Python
 * numbers, unless the lower category is of a higher kind (bool < integer < float). */
int result_type(int n, ad_tensor *const *in) {
    int cat[3] = {-1, -1, -1};
    for (int i = 0; i < n; i++) {
        if (!in[i]) continue;
        int k = in[i]->flags & AD_T_WRAPPED ? 2 : in[i]->ndim == 0 ? 1 : 0, d = in[i]->dtype;
        cat[k] = cat[k] < 0 ? d : dtype_promote(cat[k], d);
    }
    /* A float number counts as the default float type; numbers alone, in gradient rules, stay precise. */
    if (cat[2] >= 0 && dtype_is_float(cat[2]) && (cat[0] >= 0 || cat[1] >= 0)) cat[2] = dtype_default_float();
    int r = cat[0];
    for (int k = 1; k < 3; k++) {
        if (cat[k] < 0) continue;
        if (r < 0) r = cat[k];
        else if (!dtype_is_float(r) && (dtype_is_float(cat[k]) || (r == AD_BOOL && cat[k] != AD_BOOL)))
            r = r == AD_BOOL || dtype_is_float(cat[k]) ? cat[k] : dtype_promote(r, cat[k]);
    }
    return r;
}

/* Strides of an operand over the output's dimensions: 0 where it is stretched. */
static void operand_strides(const ad_tensor *t, int ndim, const int64_t *sizes, int64_t *strides) {
    int lead = ndim - t->ndim;
    for (int d = 0; d < ndim; d++)
        strides[d] = d < lead || (t->sizes[d - lead] == 1 && sizes[d] != 1) ? 0 : t->strides[d - lead];
}

/* Results keep the order of dimensions of operands that agree on one (transposed, channels last). */
static void keep_layout(ad_call *c) {
    ad_spec *s = &c->spec[0];
    const ad_tensor *model = NULL;
    for (int i = 0; i < c->nin; i++) {
        const ad_tensor *t = c->in[i];
        if (!t || t->ndim != s->ndim || !dims_equal(t->ndim, t->sizes, s->ndim, s->sizes)) continue;
        if (tensor_is_contiguous(t)) return;
        if (!model && dims_dense(t->ndim, t->sizes, t->strides)) model = t;
    }
    if (!model) return;
    s->strided = true;
    memcpy(s->strides, model->strides, (size_t)s->ndim * sizeof *s->strides);
}

static int inputs_common(const ad_call *c) { /* the type that the operands meet in */
    int promo = c->op->promo, n = c->nin;
    ad_tensor *const *in = c->in, *tensors[3];
    if (AD_UNLIKELY(promo & P_SELECT)) {
        int r = result_type(n - 1, in + 1);
        return in[1]->flags & in[2]->flags & AD_T_WRAPPED && dtype_is_float(r) ? dtype_default_float() : r;
    }
    if (AD_UNLIKELY(promo & (P_FOLLOW | P_ALPHA))) {
        if (promo & P_ALPHA) n = 2;
        if (promo & P_FOLLOW) {
            int m = 0;
            for (int i = 0; i < n; i++)
                if (!(in[i]->flags & AD_T_WRAPPED)) tensors[m++] = in[i];
            if (m) return result_type(m, tensors);
        }
    }
    return result_type(n, in);
}

static int refuse(const char *op, int dtype) {
    return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", op, dtype_class[dtype]);
}

/* The rules that few rows have. */
static int check_rare(const ad_call *c, int promo, int common) {
    const ad_tensor *const *in = (const ad_tensor *const *)c->in;
    if ((promo & P_ALPHA) && in[2]->flags & AD_T_WRAPPED) {
        if (in[2]->dtype == AD_BOOL && common != AD_BOOL)
            return ad_fail(AD_ERR_RUNTIME, "Boolean alpha only supported for Boolean results.");
        if (dtype_is_float(in[2]->dtype) && !dtype_is_float(common))
            return ad_fail(AD_ERR_RUNTIME,
                           "For integral input tensors, argument alpha must not be a floating point number.");
    }
    if ((promo & P_EXPONENT) && dtype_is_int(common) && in[1]->flags & AD_T_WRAPPED &&
        tensor_get_i64(in[1]) < 0)
        return ad_fail(AD_ERR_RUNTIME, "Integers to negative integer powers are not allowed.");
    if ((promo & P_NO_HALF) && (common == AD_F16 || common == AD_BF16)) return refuse(c->op->name, common);
    if (promo & P_STRICT)
        for (int i = 1; i < c->nin; i++) /* a third operand without dimensions may differ, as a number may */
            if (!(in[i]->flags & AD_T_WRAPPED) && in[i]->dtype != in[0]->dtype && (in[i]->ndim || i == 1))
                return ad_fail(AD_ERR_RUNTIME,
                               "%s: expected operands of one dtype, but operand 1 is %s and operand %d is %s",
                               c->op->name, dtype_name[in[0]->dtype], i + 1, dtype_name[in[i]->dtype]);
    return 0;
}

static int refuse_bool(const ad_call *c) {
    if ((c->op->promo & P_EXPONENT) && c->in[1]->flags & AD_T_WRAPPED)
        return 0; /* of bool to True or False, which PyTorch allows */
    int op = (int)(c->op - ad_ops);
    if (op == OP_sub || op == OP_sub_scaled)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying "
            "to invert a mask, use the `~` or `logical_not()` operator instead.");
    if (op == OP_neg)
        return ad_fail(AD_ERR_RUNTIME,
                       "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
                       "invert a mask, use the `~` or `logical_not()` operator instead.");
    return refuse(c->op->name, AD_BOOL);
}

static bool has_zero(const ad_tensor *t) { /* of an integer tensor */
    int64_t index[AD_MAXDIM] = {0}, at = 0;
    for (int64_t k = 0; k < t->numel; k++) {
        uint8_t nonzero;
        dtype_load_bool[t->dtype](1, &nonzero, (char *)tensor_data(t) + at * dtype_size[t->dtype], 0);
        if (!nonzero) return true;
        for (int d = t->ndim - 1; d >= 0; d--) {
            at += t->strides[d];
            if (++index[d] < t->sizes[d]) break;
            at -= t->sizes[d] * t->strides[d];
            index[d] = 0;
        }
    }
    return false;
}

/* The common case, found in one pass: contiguous tensors of one size, all float32 or all float64, and
 * numbers. Returns the tensor whose geometry the result takes, or NULL. */
static const ad_tensor *plain_model(const ad_call *c) {
    const ad_tensor *m = NULL, *t;
    for (int i = 0; i < c->nin; i++) {
        t = c->in[i];
        if (t->flags & AD_T_WRAPPED) {
            if (t->dtype == AD_BOOL) return NULL;
            continue;
        }
        if (t->dtype < AD_F32) return NULL;
        if (!m) {
            int64_t stride = 1;
            for (int d = t->ndim - 1; d >= 0; d--) {
                if (t->strides[d] != stride && t->sizes[d] != 1) return NULL;
                stride *= t->sizes[d];
            }
            m = t;
            continue;
        }
        if (t->dtype != m->dtype || t->ndim != m->ndim) return NULL;
        for (int d = 0; d < t->ndim; d++)
            if (t->sizes[d] != m->sizes[d] || (t->strides[d] != m->strides[d] && t->sizes[d] != 1))
                return NULL;
    }
    return m && kern->ew[c->op->row][dtype_compute(m->dtype)] ? m : NULL;
}

int ew_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    if (AD_LIKELY(!(c->op->promo & P_SELECT))) {
        const ad_tensor *model = plain_model(c);
        if (model) {
            spec_like(s, model);
            if (c->op->promo & P_BOOL_OUT) s->dtype = AD_BOOL;
            c->plain = true;
            return 0;
        }
    }
    int nd, promo = c->op->promo;
    const ad_tensor *a = c->in[0];
    if (c->nin == 1 || (c->nin == 2 && tensor_same_sizes(a, c->in[1]))) {
        nd = a->ndim;
        memcpy(s->sizes, a->sizes, (size_t)nd * sizeof *s->sizes);
    } else if (broadcast_sizes(c->nin, c->in, &nd, s->sizes)) return -1;
    s->ndim = (uint8_t)nd;
    int common = inputs_common(c);
    if (promo & P_SELECT && a->dtype != AD_BOOL)
        return ad_fail(AD_ERR_RUNTIME,
                       "%s expected condition to be a boolean tensor, but got a tensor with dtype %s",
                       c->op->name, dtype_class[a->dtype]);
    if (promo & P_NO_BOOL) {
        bool minus = c->op == &ad_ops[OP_sub] || c->op == &ad_ops[OP_sub_scaled];
        if (AD_UNLIKELY(common == AD_BOOL || (minus && (a->dtype == AD_BOOL || c->in[1]->dtype == AD_BOOL))))
            if (refuse_bool(c)) return -1;
    }
    if (AD_UNLIKELY(promo & (P_ALPHA | P_EXPONENT | P_STRICT | P_NO_HALF)) && check_rare(c, promo, common))
        return -1;
    if ((promo & P_FLOAT) && !dtype_is_float(common)) common = dtype_default_float();
    if (!kern->ew[c->op->row][dtype_compute(common)]) return refuse(c->op->name, common);
    if ((promo & P_DIVISOR) && !dtype_is_float(common) && has_zero(c->in[1]))
        return ad_fail(AD_ERR_RUNTIME, "ZeroDivisionError");
    s->dtype = (uint8_t)(promo & P_BOOL_OUT ? AD_BOOL : common);
    for (int i = 0; i < c->nin; i++)
        if (AD_UNLIKELY(!tensor_is_contiguous(c->in[i]))) {
            keep_layout(c);
            break;
        }
    return 0;
}

/* ---- the loop ---- */

enum { DIRECT, CONSTANT, PACKED };

typedef struct operand {
    char *data;
    int dtype, mode;
    bool as_bool, native;   /* native: kernels read the memory as it is */
    size_t step;            /* bytes of one element in the tile (or in memory when direct) */
    const int64_t *strides; /* in bytes over the merged dimensions */
} operand;

typedef struct loop {
    ew_kernel fn;
    int nin, ndim, ct;
    bool wide;    /* integers that become single floats, computed in double */
    bool sigmoid; /* of such integers: exp(-x) is rounded, and the rest done in single steps, as PyTorch does
                   */
    int64_t sizes[AD_MAXDIM];
    int64_t strides[4][AD_MAXDIM]; /* bytes: inputs, then the output */
    operand in[3], out;
} loop;

static void load_wide(int dtype, int64_t n, double *to, const char *from, int64_t stride, bool negate) {
    float single[EW_TILE];
    dtype_loads[dtype][CT_F32](n, single, from, stride);
    for (int64_t k = 0; k < n; k++) to[k] = negate ? -single[k] : single[k];
}

/* Reads n elements of an operand from flat position `at` into a tile, or writes them back. */
static void tile_move(const loop *l, const operand *o, int64_t at, int64_t n, char *tile, bool store) {
    int last = l->ndim - 1;
    int64_t index[AD_MAXDIM], rest = at;
    char *p = o->data;
    for (int d = last; d >= 0; d--) {
        index[d] = rest % l->sizes[d];
        rest /= l->sizes[d];
        p += index[d] * o->strides[d];
    }
    dtype_load load = o->as_bool ? dtype_load_bool[o->dtype] : dtype_loads[o->dtype][l->ct];
    dtype_store put = o->as_bool ? dtype_store_bool[o->dtype] : dtype_stores[o->dtype][l->ct];
    while (n > 0) {
        int64_t run = l->sizes[last] - index[last];
        if (run > n) run = n;
        if (store) put(run, p, o->strides[last], tile);
        else if (l->wide) load_wide(o->dtype, run, (double *)tile, p, o->strides[last], l->sigmoid);
        else load(run, tile, p, o->strides[last]);
        tile += run * (int64_t)o->step;
        n -= run;
        if (!n) break;
        p -= index[last] * o->strides[last]; /* back to the start of the row */
        index[last] = 0;
        for (int d = last - 1; d >= 0; d--) {
            p += o->strides[d];
            if (++index[d] < l->sizes[d]) break;
            p -= l->sizes[d] * o->strides[d];
            index[d] = 0;
        }
    }
}

/* One element of an operand, n times. */
static void fill_tile(const loop *l, const operand *o, int64_t n, char *tile, const char *from) {
    if (o->as_bool) dtype_load_bool[o->dtype](1, tile, from, 0);
    else if (l->wide) load_wide(o->dtype, 1, (double *)tile, from, 0, l->sigmoid);
    else dtype_loads[o->dtype][l->ct](1, tile, from, 0);
    for (int64_t have = 1; have < n; have *= 2)
        memcpy(tile + have * (int64_t)o->step, tile, (size_t)(have < n - have ? have : n - have) * o->step);
}

static void loop_range(int64_t begin, int64_t end, void *ctx) {
    const loop *l = ctx;
    _Alignas(64) char tiles[4][EW_TILE * 8];
    const void *in[3];
    bool whole = l->out.mode == DIRECT;
    for (int i = 0; i < l->nin; i++) {
        const operand *o = &l->in[i];
        if (o->mode == DIRECT) continue;
        whole = false;
        if (o->mode == CONSTANT) {
            fill_tile(l, o, end - begin < EW_TILE ? end - begin : EW_TILE, tiles[i], o->data);
        }
        in[i] = tiles[i];
    }
    int64_t step = whole ? end - begin : EW_TILE;
    for (int64_t at = begin; at < end; at += step) {
        int64_t n = end - at < step ? end - at : step;
        for (int i = 0; i < l->nin; i++) {
            const operand *o = &l->in[i];
            if (o->mode == DIRECT) in[i] = o->data + at * (int64_t)o->step;
            else if (o->mode == PACKED) tile_move(l, o, at, n, tiles[i], false);
        }
        if (l->out.mode == DIRECT) l->fn(n, l->out.data + at * (int64_t)l->out.step, in);
        else {
            l->fn(n, tiles[3], in);
            double *e = (double *)tiles[3];
            for (int64_t k = 0; l->sigmoid && k < n; k++) e[k] = 1.0f / (1.0f + (float)e[k]);
            tile_move(l, &l->out, at, n, tiles[3], true);
        }
    }
}

/* Rows of at least this many elements are computed where they lie rather than packed into tiles. */
#define ROW_MIN 32

/* Whether each row of the last dimension can be handed to the kernel as it lies: every operand in it is
 * contiguous and of the compute type, or one element for the whole row. */
static bool by_rows(const loop *l) {
    int last = l->ndim - 1;
    if (l->ndim < 2 || l->sizes[last] < ROW_MIN) return false;
    bool stretched = false;
    for (int i = 0; i <= l->nin; i++) {
        const operand *o = i < l->nin ? &l->in[i] : &l->out;
        if (o->mode == DIRECT || o->mode == CONSTANT) continue;
        if (o->strides[last] == 0 && i < l->nin) stretched = true;
        else if (o->native && o->strides[last] == (int64_t)dtype_size[o->dtype]) stretched = true;
        else return false;
    }
    return stretched;
}

static void row_range(int64_t begin, int64_t end, void *ctx) {
    const loop *l = ctx;
    _Alignas(64) char tiles[3][EW_TILE * 8];
    const void *in[3];
    int last = l->ndim - 1;
    int64_t index[AD_MAXDIM], width = l->sizes[last], rest = begin;
    for (int d = last; d >= 0; d--) {
        index[d] = rest % l->sizes[d];
        rest /= l->sizes[d];
    }
    bool tiled = false; /* some operand comes from a tile, which bounds a step */
    for (int i = 0; i < l->nin; i++) {
        const operand *o = &l->in[i];
        tiled |= o->mode == CONSTANT || (o->mode == PACKED && o->strides[last] == 0);
        if (o->mode == CONSTANT) fill_tile(l, o, width < EW_TILE ? width : EW_TILE, tiles[i], o->data);
    }
    for (int64_t at = begin; at < end;) {
        int64_t row =
            width - index[last] < end - at ? width - index[last] : end - at; /* what is left of this row */
        for (int64_t done = 0; done < row;) {
            int64_t n = tiled && row - done > EW_TILE ? EW_TILE : row - done;
            char *out = NULL;
            for (int i = 0; i <= l->nin; i++) {
                const operand *o = i < l->nin ? &l->in[i] : &l->out;
                char *p = o->data;
                if (i < l->nin && o->mode == CONSTANT) {
                    in[i] = tiles[i];
                    continue;
                }
                for (int d = 0; d < last; d++) p += index[d] * o->strides[d];
                p += (index[last] + done) * o->strides[last];
                if (i == l->nin) out = p;
                else if (o->mode == PACKED && o->strides[last] == 0) {
                    if (!done) fill_tile(l, o, row < EW_TILE ? row : EW_TILE, tiles[i], p);
                    in[i] = tiles[i];
                } else in[i] = p;
            }
            l->fn(n, out, in);
            done += n;
        }
        at += row;
        index[last] = 0;
        for (int d = last - 1; d >= 0; d--) {
            if (++index[d] < l->sizes[d]) break;
            index[d] = 0;
        }
    }
}

/* Dimensions in the order of the output's strides, neighbours merged where every operand allows it. */
static void merge_dims(loop *l, const ad_call *c) {
    const ad_tensor *out = c->out[0];
    int nd = out->ndim, order[AD_MAXDIM], n = 0;
    int64_t s[4][AD_MAXDIM];
    for (int i = 0; i < l->nin; i++) operand_strides(c->in[i], nd, out->sizes, s[i]);
    dims_copy(s[3], out->strides, nd);
    for (int d = 0; d < nd; d++) {
        if (out->sizes[d] == 1) continue;
        int k = n++;
        for (; k > 0 && s[3][order[k - 1]] < s[3][d]; k--) order[k] = order[k - 1];
        order[k] = d;
    }
    int m = 0;
    for (int k = 0; k < n; k++) {
        int d = order[k];
        bool merge = m > 0;
        for (int i = 0; i < 4 && merge; i++)
            if (i < l->nin || i == 3) merge = l->strides[i][m - 1] == s[i][d] * out->sizes[d];
        if (merge) {
            l->sizes[m - 1] *= out->sizes[d];
            for (int i = 0; i < 4; i++)
                if (i < l->nin || i == 3) l->strides[i][m - 1] = s[i][d];
        } else {
            l->sizes[m] = out->sizes[d];
            for (int i = 0; i < 4; i++)
                if (i < l->nin || i == 3) l->strides[i][m] = s[i][d];
            m++;
        }
    }
    if (!m) {
        l->sizes[0] = 1;
        for (int i = 0; i < 4; i++) l->strides[i][0] = 0;
        m = 1;
    }
    l->ndim = m;
    for (int i = 0; i < 4; i++) {
        if (i >= l->nin && i != 3) continue;
        int64_t bytes = dtype_size[i == 3 ? out->dtype : c->in[i]->dtype];
        for (int d = 0; d < m; d++) l->strides[i][d] *= bytes;
    }
}

static void set_operand(loop *l, operand *o, const ad_tensor *t, int k, bool as_bool) {
    o->data = tensor_data(t);
    o->dtype = t->dtype;
    o->as_bool = as_bool;
    o->strides = l->strides[k];
    o->step = as_bool ? 1 : ct_size[l->ct];
    bool native = as_bool
                      ? t->dtype == AD_BOOL
                      : (t->dtype == AD_F32 && l->ct == CT_F32) || (t->dtype == AD_F64 && l->ct == CT_F64) ||
                            (t->dtype == AD_I64 && l->ct == CT_I64);
    o->native = native;
    bool zero = true, flat = true;
    int64_t expect = dtype_size[t->dtype];
    for (int d = l->ndim - 1; d >= 0; d--) {
        zero &= o->strides[d] == 0;
        flat &= l->sizes[d] == 1 || o->strides[d] == expect;
        expect *= l->sizes[d];
    }
    o->mode = flat && native ? DIRECT : zero && k != 3 ? CONSTANT : PACKED;
}

int ew_common(const ad_call *c) {
    int common = inputs_common(c);
    return c->op->promo & P_FLOAT && !dtype_is_float(common) ? dtype_default_float() : common;
}

/* A plain call of moderate size: one kernel call, numbers spread over a tile. */
static bool run_plain(const ad_call *c) {
    ad_tensor *out = c->out[0];
    _Alignas(64) char tiles[3][EW_TILE * 8];
    const void *in[3];
    int ct = CT_F32;
    bool numbers = false;
    for (int i = 0; i < c->nin; i++) {
        if (c->in[i]->flags & AD_T_WRAPPED) numbers = true;
        else {
            ct = dtype_compute(c->in[i]->dtype);
            in[i] = tensor_data(c->in[i]);
        }
    }
    if (out->numel > (numbers ? EW_TILE : GRAIN)) return false;
    if (out->dtype != (c->op->promo & P_BOOL_OUT ? AD_BOOL : ct == CT_F32 ? AD_F32 : AD_F64)) return false;
    for (int i = 0; numbers && i < c->nin; i++)
        if (c->in[i]->flags & AD_T_WRAPPED) {
            dtype_loads[c->in[i]->dtype][ct](out->numel, tiles[i], tensor_data(c->in[i]), 0);
            in[i] = tiles[i];
        }
    kern->ew[c->op->row][ct](out->numel, tensor_data(out), in);
    return true;
}

void ew_run(const ad_call *c) {
    const ad_tensor *out = c->out[0];
    if (!out->numel || (c->plain && run_plain(c))) return;
    int promo = c->op->promo;
    loop l;
    l.nin = c->nin;
    int common = ew_common(c);
    l.wide = promo & P_WIDE && common == AD_F32 && dtype_is_int(c->in[0]->dtype);
    l.ct = l.wide ? CT_F64 : dtype_compute(common);
    l.sigmoid = l.wide && c->op->row == EW_sigmoid;
    l.fn = kern->ew[l.sigmoid ? EW_exp : c->op->row][l.ct];
    merge_dims(&l, c);
    for (int i = 0; i < c->nin; i++) set_operand(&l, &l.in[i], c->in[i], i, (promo & P_SELECT && i == 0));
    set_operand(&l, &l.out, out, 3, promo & P_BOOL_OUT);
    pool_parallel_for(out->numel, GRAIN, by_rows(&l) ? row_range : loop_range, &l);
}

/* ---- copies ---- */

static void copy_f32(int64_t n, void *o, const void *const *in) { memcpy(o, in[0], (size_t)n * 4); }
static void copy_b8(int64_t n, void *o, const void *const *in) { memcpy(o, in[0], (size_t)n * 8); }

typedef struct plain_copy {
    char *dst;
    const char *src;
} plain_copy;

static void plain_copy_range(int64_t begin, int64_t end, void *ctx) {
    const plain_copy *p = ctx;
    memmove(p->dst + begin, p->src + begin, (size_t)(end - begin));
}

void tensor_copy_data(ad_tensor *dst, const ad_tensor *src) {
    if (!dst->numel) return;
    bool flat = tensor_is_contiguous(dst) && tensor_is_contiguous(src);
    if (dst->dtype == src->dtype && src->numel == dst->numel &&
        (flat || (dims_equal(dst->ndim, dst->strides, src->ndim, src->strides) &&
                  tensor_same_sizes(dst, src) && dims_dense(dst->ndim, dst->sizes, dst->strides)))) {
        plain_copy p = {tensor_data(dst), tensor_data(src)};
        if (p.dst != p.src)
            pool_parallel_for(dst->numel * dtype_size[dst->dtype], 1 << 20, plain_copy_range, &p);
        return;
    }
    if (dst->dtype == src->dtype) {
        tensor_move(dst, src);
        return;
    }
    ad_tensor *in = (ad_tensor *)src;
    ad_call c = {.nin = 1, .nout = 1, .in = &in, .out = &dst};
    loop l = {.nin = 1};
    bool to_double = dst->dtype == AD_F64 || src->dtype == AD_F64;
    l.ct = dtype_is_int(src->dtype) && dtype_is_int(dst->dtype) ? CT_I64 : to_double ? CT_F64 : CT_F32;
    l.fn = l.ct == CT_F32 ? copy_f32 : copy_b8;
    merge_dims(&l, &c);
    set_operand(&l, &l.in[0], src, 0, false);
    set_operand(&l, &l.out, dst, 3, false);
    pool_parallel_for(dst->numel, GRAIN, loop_range, &l);
}

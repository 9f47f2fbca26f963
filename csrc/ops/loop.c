/* The loop over elements. Dimensions are put in the order of the result's memory, and neighbours merged where
 * every operand allows it; then the loop goes along rows of the last dimension. In a row an operand is
 *
 *   read where it lies (LINE), contiguous and of the compute type;
 *   one element for the whole row (ONE), which the kernel reads from a single vector;
 *   or packed (PACKED), gathered and converted into a tile that stays in the first-level cache.
 *
 * Operands that are contiguous along another dimension than the result (transposed ones) are read in blocks
 * of both dimensions, whole cache lines at a time, and turned over in the first-level cache. Results that
 * exceed the cache go past it to memory, as far as the kernel allows: a third of the traffic of an addition
 * is reading lines that will be overwritten.
 *
 * Conversions between dtypes are the loop without a kernel. */
#include "loop.h"
#include <string.h>
#include "../kernels/strided.h"
#include "../pool.h"

#define LINES 16                         /* rows of a block of transposed operands: a cache line of float32 */
#define COLUMNS 128                      /* and its columns */
#define SHORT_ROW 32                     /* shorter rows are packed together into a tile */
#define ROW_BYTES 64                     /* a vector of the widest instruction set */
#define STREAM_BYTES ((int64_t)24 << 20) /* results from here on do not stay in a cache */

enum { LINE, ONE, PACKED, TURNED };

int64_t loop_grain(int64_t n, int64_t about) {
    int64_t chunks = (n + about - 1) / about;
    if (chunks <= 1) return about;
    /* A multiple of what threads there are likely to be, and finer than a thread is worth: where two meet
     * changes from call to call, and what changes hands there is data that the other one's cache holds. */
    if (chunks < 64) chunks = (chunks + 7) / 8 * 8;
    int64_t grain = (n + chunks - 1) / chunks;
    return (grain + EW_TILE - 1) / EW_TILE * EW_TILE;
}

/* ---- describing it ---- */

/* Strides of an operand over the result's dimensions: 0 where it is stretched. */
static void operand_strides(const ad_tensor *t, int ndim, const int64_t *sizes, int64_t *strides) {
    int lead = ndim - t->ndim;
    for (int d = 0; d < ndim; d++)
        strides[d] = d < lead || (t->sizes[d - lead] == 1 && sizes[d] != 1) ? 0 : t->strides[d - lead];
}

/* Dimensions in the order of the result's strides, neighbours merged where every operand allows it. */
static void merge_dims(loop *l, ad_tensor *const *in, const ad_tensor *out) {
    int nd = out->ndim, order[AD_MAXDIM], n = 0;
    int64_t s[4][AD_MAXDIM];
    for (int i = 0; i < l->nin; i++) operand_strides(in[i], nd, out->sizes, s[i]);
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
        int64_t bytes = dtype_size[i == 3 ? out->dtype : in[i]->dtype];
        for (int d = 0; d < m; d++) l->strides[i][d] *= bytes;
    }
}

static void set_operand(loop *l, loop_operand *o, const ad_tensor *t, int k, bool as_bool) {
    o->data = tensor_data(t);
    o->dtype = t->dtype;
    o->as_bool = as_bool;
    o->strides = l->strides[k];
    o->step = as_bool ? 1 : ct_size[l->ct];
    o->native = as_bool
                    ? t->dtype == AD_BOOL
                    : (t->dtype == AD_F32 && l->ct == CT_F32) || (t->dtype == AD_F64 && l->ct == CT_F64) ||
                          (t->dtype == AD_I64 && l->ct == CT_I64);
    int last = l->ndim - 1;
    bool unit = o->strides[last] == (int64_t)o->step || l->sizes[last] == 1;
    o->mode = o->native && unit ? LINE : o->strides[last] == 0 && k != 3 ? ONE : PACKED;
}

/* The dimension along which some operand is contiguous where the result is not, or -1. */
static int find_block_dim(loop *l) {
    int last = l->ndim - 1;
    if (!l->fn || l->out.mode != LINE || l->sizes[last] < 8) return -1;
    for (int i = 0; i < l->nin; i++) {
        const loop_operand *o = &l->in[i];
        if (o->mode != PACKED || !o->native || o->as_bool || o->step < 4) continue;
        for (int d = 0; d < last; d++)
            if (o->strides[d] == (int64_t)o->step && l->sizes[d] >= 8) return d;
    }
    return -1;
}

void loop_set(loop *l, ew_kernel fn, int ct, int nin, ad_tensor *const *in, const ad_tensor *out,
              bool selects, bool predicate) {
    l->fn = fn;
    l->nin = nin;
    l->ct = ct;
    l->flags = 0;
    l->wide = l->sigmoid = false;
    merge_dims(l, in, out);
    for (int i = 0; i < nin; i++) set_operand(l, &l->in[i], in[i], i, selects && i == 0);
    set_operand(l, &l->out, out, 3, predicate);
    l->block_dim = find_block_dim(l);
    if (l->block_dim >= 0)
        for (int i = 0; i < nin; i++) {
            loop_operand *o = &l->in[i];
            if (o->mode == PACKED && o->native && !o->as_bool && o->step >= 4 &&
                o->strides[l->block_dim] == (int64_t)o->step)
                o->mode = TURNED;
        }
}

/* ---- rows ---- */

static void load_wide(const loop *l, int dtype, int64_t n, double *to, const char *from, int64_t stride) {
    float single[EW_TILE];
    dtype_loads[dtype][CT_F32](n, single, from, stride);
    for (int64_t k = 0; k < n; k++) to[k] = l->sigmoid ? -single[k] : single[k];
}
/* What the kernel has left in a tile is not yet the result. */
static void finish(const loop *l, int64_t n, void *tile) {
    double *e = tile;
    for (int64_t k = 0; l->sigmoid && k < n; k++) e[k] = 1.0f / (1.0f + (float)e[k]);
}

/* n elements of an operand into a tile. */
static void pack(const loop *l, const loop_operand *o, int64_t n, void *tile, const char *p, int64_t stride) {
    if (o->native) strided_move((int)o->step, n, tile, (int64_t)o->step, p, stride);
    else if (l->wide) load_wide(l, o->dtype, n, tile, p, stride);
    else (o->as_bool ? dtype_load_bool[o->dtype] : dtype_loads[o->dtype][l->ct])(n, tile, p, stride);
}
static void unpack(const loop *l, const loop_operand *o, int64_t n, char *p, int64_t stride,
                   const void *tile) {
    if (o->native) strided_move((int)o->step, n, p, stride, tile, (int64_t)o->step);
    else (o->as_bool ? dtype_store_bool[o->dtype] : dtype_stores[o->dtype][l->ct])(n, p, stride, tile);
}
/* One element, over a vector. */
static void spread(const loop *l, const loop_operand *o, void *tile, const char *p) {
    if (o->native && o->step == 4) {
        strided_fill(4, ROW_BYTES / 4, tile, p);
        return;
    }
    pack(l, o, 1, tile, p, 0);
    strided_fill((int)o->step, ROW_BYTES / (int64_t)o->step, tile, tile);
}

/* n elements of a conversion, from stride to stride. */
static void copy_row(const loop *l, int64_t n, char *dst, const char *src, char *tile) {
    const loop_operand *in = &l->in[0], *out = &l->out;
    int64_t to = out->strides[l->ndim - 1], from = in->strides[l->ndim - 1];
    if (out->mode == LINE) pack(l, in, n, dst, src, from);
    else if (in->mode == LINE) unpack(l, out, n, dst, to, src);
    else
        for (int64_t k = 0; k < n; k += EW_TILE) {
            int64_t m = n - k < EW_TILE ? n - k : EW_TILE;
            pack(l, in, m, tile, src + k * from, from);
            unpack(l, out, m, dst + k * to, to, tile);
        }
}

typedef struct cursor { /* where in the dimensions before the last, and each operand there */
    int64_t index[AD_MAXDIM];
    char *p[4];
} cursor;

static const loop_operand *operand_at(const loop *l, int i) { return i < l->nin ? &l->in[i] : &l->out; }

static void cursor_set(const loop *l, cursor *c, int64_t row, int skip) {
    for (int i = 0; i <= l->nin; i++) c->p[i] = operand_at(l, i)->data;
    for (int d = l->ndim - 2; d >= 0; d--) {
        if (d == skip) continue;
        c->index[d] = row % l->sizes[d];
        row /= l->sizes[d];
        for (int i = 0; i <= l->nin; i++) c->p[i] += c->index[d] * operand_at(l, i)->strides[d];
    }
}
static void cursor_next(const loop *l, cursor *c) {
    for (int d = l->ndim - 2; d >= 0; d--) {
        bool more = ++c->index[d] < l->sizes[d];
        for (int i = 0; i <= l->nin; i++) {
            int64_t stride = operand_at(l, i)->strides[d];
            c->p[i] += more ? stride : -(l->sizes[d] - 1) * stride;
        }
        if (more) return;
        c->index[d] = 0;
    }
}

static void rows_range(int64_t begin, int64_t end, void *ctx) {
    const loop *l = ctx;
    _Alignas(64) char tiles[4][EW_TILE * 8];
    const void *in[3];
    const char *spread_from[3] = {NULL, NULL, NULL};
    int last = l->ndim - 1;
    int64_t width = l->sizes[last], col = begin % width;
    unsigned flags = l->flags;
    bool tiled = l->out.mode == PACKED;
    for (int i = 0; i < l->nin; i++) {
        in[i] = tiles[i];
        if (l->in[i].mode == ONE) flags |= 1u << i;
        if (l->in[i].mode == PACKED) tiled = true;
    }
    cursor c;
    cursor_set(l, &c, begin / width, -1);
    for (int64_t at = begin; at < end;) {
        int64_t row = width - col < end - at ? width - col : end - at; /* what is left of this row */
        if (!l->fn) {
            copy_row(l, row, c.p[1] + col * l->out.strides[last], c.p[0] + col * l->in[0].strides[last],
                     tiles[0]);
        } else {
            for (int i = 0; i < l->nin; i++)
                if (l->in[i].mode == ONE && spread_from[i] != c.p[i])
                    spread(l, &l->in[i], tiles[i], spread_from[i] = c.p[i]);
            for (int64_t done = 0; done < row;) {
                int64_t n = tiled && row - done > EW_TILE ? EW_TILE : row - done;
                for (int i = 0; i < l->nin; i++) {
                    const loop_operand *o = &l->in[i];
                    const char *p = c.p[i] + (col + done) * o->strides[last];
                    if (o->mode == LINE) in[i] = p;
                    else if (o->mode == PACKED) pack(l, o, n, tiles[i], p, o->strides[last]);
                }
                char *out = c.p[l->nin] + (col + done) * l->out.strides[last];
                if (l->out.mode == LINE) l->fn(n, out, in, flags);
                else {
                    l->fn(n, tiles[3], in, flags);
                    finish(l, n, tiles[3]);
                    unpack(l, &l->out, n, out, l->out.strides[last], tiles[3]);
                }
                done += n;
            }
        }
        at += row;
        col = 0;
        cursor_next(l, &c);
    }
}

/* ---- short rows, tile by tile ---- */

/* n elements of an operand from flat position `at` into a tile, or back. */
static void tile_move(const loop *l, const loop_operand *o, int64_t at, int64_t n, char *tile, bool store) {
    int last = l->ndim - 1;
    int64_t index[AD_MAXDIM], rest = at;
    char *p = o->data;
    for (int d = last; d >= 0; d--) {
        index[d] = rest % l->sizes[d];
        rest /= l->sizes[d];
        p += index[d] * o->strides[d];
    }
    while (n > 0) {
        int64_t run = l->sizes[last] - index[last];
        if (run > n) run = n;
        if (store) unpack(l, o, run, p, o->strides[last], tile);
        else pack(l, o, run, tile, p, o->strides[last]);
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

/* Whether the elements lie in flat order, as the kernel reads them; and whether all are one. */
static bool is_flat(const loop *l, const loop_operand *o) {
    int64_t expect = (int64_t)o->step;
    for (int d = l->ndim - 1; d >= 0; d--) {
        if (o->strides[d] != expect) return false;
        expect *= l->sizes[d];
    }
    return o->native;
}
static bool is_single(const loop *l, const loop_operand *o) {
    for (int d = 0; d < l->ndim; d++)
        if (o->strides[d]) return false;
    return true;
}

static void tiles_range(int64_t begin, int64_t end, void *ctx) {
    const loop *l = ctx;
    _Alignas(64) char tiles[4][EW_TILE * 8];
    const void *in[3];
    bool flat[4];
    unsigned flags = 0;
    for (int i = 0; i <= l->nin; i++) flat[i] = is_flat(l, operand_at(l, i));
    for (int i = 0; i < l->nin; i++) {
        in[i] = tiles[i];
        if (!is_single(l, &l->in[i])) continue;
        spread(l, &l->in[i], tiles[i], l->in[i].data);
        flags |= 1u << i;
    }
    for (int64_t at = begin; at < end; at += EW_TILE) {
        int64_t n = end - at < EW_TILE ? end - at : EW_TILE;
        for (int i = 0; i < l->nin; i++) {
            const loop_operand *o = &l->in[i];
            if (flags >> i & 1) continue;
            if (flat[i]) in[i] = o->data + at * (int64_t)o->step;
            else tile_move(l, o, at, n, tiles[i], false);
        }
        char *out = flat[l->nin] ? l->out.data + at * (int64_t)l->out.step : tiles[3];
        l->fn(n, out, in, flags);
        if (flat[l->nin]) continue;
        finish(l, n, tiles[3]);
        tile_move(l, &l->out, at, n, tiles[3], true);
    }
}

/* ---- blocks of transposed operands ---- */

/* Columns of a block: such that all are about as wide, since threads that find uneven chunks take each
 * other's data from call to call. */
static int64_t block_width(const loop *l) {
    int64_t n = l->sizes[l->ndim - 1], strips = (n + COLUMNS - 1) / COLUMNS;
    return ((n + strips - 1) / strips + 15) / 16 * 16;
}

/* Lines of blocks that go together, a column of them after the other. Few, so that threads part the result by
 * rows: where each has the neighbouring columns, the processor fetches ahead what the other one writes. */
static int64_t band_lines(int64_t lines) { return lines < 256 ? (lines + 15) / 16 : 16; }

static void blocks_range(int64_t begin, int64_t end, void *ctx) {
    const loop *l = ctx;
    _Alignas(64) char blocks[3][LINES * COLUMNS * 8], tiles[3][COLUMNS * 8];
    int last = l->ndim - 1, across = l->block_dim;
    int64_t lines = (l->sizes[across] + LINES - 1) / LINES;
    int64_t width = block_width(l), columns = (l->sizes[last] + width - 1) / width, band = band_lines(lines);
    for (int64_t at = begin; at < end; at++) {
        int64_t rest = at % (lines * columns), first = rest / (band * columns) * band;
        int64_t high = lines - first < band ? lines - first : band;
        rest -= first * columns;
        int64_t r0 = (first + rest % high) * LINES, c0 = rest / high * width;
        int64_t rows = l->sizes[across] - r0 < LINES ? l->sizes[across] - r0 : LINES;
        int64_t cols = l->sizes[last] - c0 < width ? l->sizes[last] - c0 : width;
        cursor c;
        cursor_set(l, &c, at / lines / columns, across);
        for (int i = 0; i <= l->nin; i++) {
            const loop_operand *o = operand_at(l, i);
            c.p[i] += r0 * o->strides[across] + c0 * o->strides[last];
        }
        for (int i = 0; i < l->nin; i++) {
            const loop_operand *o = &l->in[i];
            if (o->mode != TURNED) continue;
            (o->step == 4 ? strided_turn32 : strided_turn64)(
                rows, cols, blocks[i], COLUMNS * (int64_t)o->step, c.p[i], o->strides[last]);
        }
        for (int64_t r = 0; r < rows; r++) {
            const void *in[3];
            unsigned flags = 0;
            for (int i = 0; i < l->nin; i++) {
                const loop_operand *o = &l->in[i];
                const char *p = c.p[i] + r * o->strides[across];
                in[i] = tiles[i];
                if (o->mode == TURNED) in[i] = blocks[i] + r * COLUMNS * (int64_t)o->step;
                else if (o->mode == LINE) in[i] = p;
                else if (o->mode == ONE) {
                    spread(l, o, tiles[i], p);
                    flags |= 1u << i;
                } else pack(l, o, cols, tiles[i], p, o->strides[last]);
            }
            char *out = c.p[l->nin] + r * l->out.strides[across];
            l->fn(cols, out, in, flags);
        }
    }
}

void loop_run(loop *l, int64_t grain) {
    int last = l->ndim - 1;
    int64_t n = 1;
    for (int d = 0; d <= last; d++) n *= l->sizes[d];
    if (l->block_dim >= 0) {
        int64_t width = block_width(l), columns = (l->sizes[last] + width - 1) / width;
        int64_t blocks = (l->sizes[l->block_dim] + LINES - 1) / LINES * columns;
        blocks *= n / l->sizes[l->block_dim] / l->sizes[last];
        /* Fine chunks: where threads meet in the middle changes from call to call, and what changes hands
         * with it is data that the other one's cache holds. */
        int64_t chunks = n < grain ? 1 : n / (grain / 8);
        pool_parallel_for(blocks, (blocks + chunks - 1) / chunks, blocks_range, l);
        return;
    }
    bool past = l->out.mode == LINE && n * (int64_t)l->out.step >= STREAM_BYTES;
    for (int i = 0; i < l->nin; i++)
        past &= l->in[i].data != l->out.data; /* in place the lines are here already */
    if (past) l->flags |= EW_STREAM;
    bool small = l->fn && l->ndim > 1 && l->sizes[last] < SHORT_ROW;
    pool_parallel_for(n, loop_grain(n, grain), small ? tiles_range : rows_range, l);
}

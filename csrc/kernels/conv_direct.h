/* The direct convolution's register tile, included once per instruction set and floating-point type (after
 * gemm.h).
 *
 * Positions of the result down, its channels across: each step broadcasts an element of the image for every
 * position and multiplies it into vectors of the weight. The image is read where it lies, at any stride, so
 * that nothing is packed but the weight (Georganas and others, "Anatomy of high-performance deep learning
 * convolutions on SIMD architectures", 2018). */

VFN void VN(d_tile)(const int rows, const int vecs, const conv_tile *t) {
    const int64_t step = t->step, ldo = t->ldo, lanes = t->lanes;
    const T *w = t->w, *x = t->x;
    const int64_t *off = t->off, *last = off + t->n;
    T *out = t->out;
    V sum[G_MR][G_NV];
    if (t->add) {
        G_UNROLL for (int i = 0; i < rows; i++) {
            G_UNROLL for (int j = 0; j < vecs; j++) sum[i][j] = v_load(out + i * ldo + j * VL);
        }
    } else {
        G_UNROLL for (int j = 0; j < vecs; j++) {
            V v = {0};
            if (t->bias) {
                const T *b = (const T *)t->bias + j * VL;
                v = j < vecs - 1 ? v_load(b) : VN(g_loadz)(b, lanes);
            }
            G_UNROLL for (int i = 0; i < rows; i++) sum[i][j] = v;
        }
    }
    for (; off < last; off++, w += G_NR) {
        /* a pointer for every third row, as in the matrix product */
        const T *p[(G_MR + 2) / 3];
        V vw[G_NV];
        p[0] = x + *off;
        G_UNROLL for (int i = 3; i < rows; i += 3) p[i / 3] = p[i / 3 - 1] + 3 * step;
        G_UNROLL for (int j = 0; j < vecs; j++) vw[j] = v_load(w + j * VL);
        G_UNROLL for (int i = 0; i < rows; i++) {
            V v = v_splat(p[i / 3][(i % 3) * step]);
            G_UNROLL for (int j = 0; j < vecs; j++) sum[i][j] = v_fma(v, vw[j], sum[i][j]);
        }
    }
    G_UNROLL for (int i = 0; i < rows; i++) {
        G_UNROLL for (int j = 0; j < vecs; j++) v_store(out + i * ldo + j * VL, sum[i][j]);
    }
}

typedef void VN(d_tile_fn)(const conv_tile *t);
#define D_TILE_NAME(rows, vecs) VCAT(VCAT(VN(d_tile), rows), vecs)
#define D_TILE(rows, vecs)                                                                                   \
    static void D_TILE_NAME(rows, vecs)(const conv_tile *t) { VN(d_tile)(rows, vecs, t); }
#define D_DEFINE(rows) D_TILE(rows, 1) D_TILE(rows, 2)
G_EACH_ROWS(D_DEFINE)
#undef D_DEFINE
#define D_ENTRY(rows) {D_TILE_NAME(rows, 1), D_TILE_NAME(rows, 2)},
static VN(d_tile_fn) *const VN(d_tile_table)[G_MR][2] = {G_EACH_ROWS(D_ENTRY)};
#undef D_ENTRY
#undef D_TILE
#undef D_TILE_NAME

static void VN(d_tiles)(const conv_tile *t, int64_t rows, int64_t tile) {
    conv_tile s = *t;
    for (int64_t i = 0; i < rows; i += tile) {
        int64_t n = rows - i < tile ? rows - i : tile;
        s.x = (const T *)t->x + i * t->step;
        s.out = (T *)t->out + i * t->ldo;
        VN(d_tile_table)[n - 1][t->vecs - 1](&s);
    }
}

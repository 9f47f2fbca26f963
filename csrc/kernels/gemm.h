/* Matrix product kernels, included once per instruction set and floating-point type (after vec.h).
 *
 * Idea: a tile of C, G_MR rows by G_NV vectors, stays in registers while the sum runs; each step
 * broadcasts one element of A per row and multiplies it into one row of B (Goto and van de Geijn, "Anatomy
 * of high-performance matrix multiplication", 2008; Van Zee and van de Geijn, "BLIS", 2015). The tile
 * code takes strides, so that small matrices are multiplied where they lie: packing, a large part of the
 * time there, is left to the driver. Tiles of fewer rows have code of their own, because a model's batch
 * is rarely a multiple of 12 and a padded row costs as much as a real one.
 *
 * Every element of C is one chain of fused multiply-adds in the order of k, whatever the tile it falls
 * into: how a product is cut among tiles and threads cannot change its bits. */

#if defined(AD_ISA_AVX512)
#define G_DIRECT_MAX (192 << 20)
#define G_MR 12 /* 24 sums, 2 vectors of B, 1 broadcast of 32 registers */
#define G_NV 2
#elif defined(AD_ISA_NEON)
#define G_DIRECT_MAX (8 << 20)
#define G_MR 8
#define G_NV 2
#elif defined(AD_ISA_AVX2)
#define G_DIRECT_MAX (8 << 20)
#define G_MR 6 /* 12 sums of 16 registers */
#define G_NV 2
#else
#define G_DIRECT_MAX (3 << 20)
#define G_MR 4 /* 8 sums of 16 registers, and a product has to be held: no fused instruction */
#define G_NV 2
#endif
#undef G_NR
#define G_NR (G_NV * VL)
#undef G_KC
#define G_KC 256 /* a panel of B, G_KC by G_NR, fits the first-level cache beside a tile of A */

/* Sums live in arrays, which become registers only where every loop over them is unrolled. */
#ifdef __clang__
#define G_UNROLL _Pragma("clang loop unroll(full)")
#else
#define G_UNROLL _Pragma("GCC unroll 16")
#endif

/* The first n lanes, 0 < n <= VL, zeros in the others; nothing past them is read. */
VFN V VN(g_loadz)(const T *p, int64_t n) {
#if defined(AD_ISA_AVX512)
    return (V)VX(maskz_loadu)(VN(v_first)(n), (const void *)p);
#elif defined(AD_ISA_AVX2)
    VI m = v_iota() < (VI){0} + (TI)n;
    return (V)VX(maskload)(p, (__m256i)m);
#elif CT_IS(f32)
    return n == 4 ? v_load(p) : n == 3 ? (V){p[0], p[1], p[2]} : n == 2 ? (V){p[0], p[1]} : (V){p[0]};
#else
    return n == 2 ? v_load(p) : (V){p[0]};
#endif
}

/* The last vector of a tile: `lanes` of it exist. */
VFN void VN(g_store)(T *p, V v, int64_t lanes) {
    if (lanes == VL) v_store(p, v);
    else v_storen(p, v, lanes);
}

/* ---- one tile ---- */

typedef void VN(g_tile_fn)(const gemm_piece *g, const T *a, const T *b, T *c, const T *bias_row,
                           const T *bias_col, int64_t lanes);

/* rows, vecs, packed and padded are constants at every use. `packed`: A and B lie in packed panels, so
 * that the strides are constants too. Lanes: of the last vector. */
VFN void VN(g_tile)(const int rows, const int vecs, const int packed, const int padded, const gemm_piece *g,
                    const T *a, const T *b, T *c, const T *bias_row, const T *bias_col, int64_t lanes) {
    const int64_t rsa = packed ? 1 : g->rsa, csa = packed ? G_MR : g->csa, rsb = packed ? G_NR : g->rsb;
    /* A pointer for every third row: base, base + stride and base + 2 * stride are addressing modes. */
    const T *pa[(G_MR + 2) / 3];
    V sum[G_MR][8];
    G_UNROLL for (int i = 0; i < rows; i += 3) pa[i / 3] = a + i * rsa;
    G_UNROLL for (int i = 0; i < rows; i++) { G_UNROLL for (int j = 0; j < vecs; j++) sum[i][j] = (V){0}; }
    for (int64_t k = g->k; k > 0; k--) {
        V vb[8];
        G_UNROLL for (int j = 0; j < vecs; j++) {
            vb[j] = j < vecs - 1 || padded ? v_load(b + j * VL) : VN(g_loadz)(b + j * VL, lanes);
        }
        G_UNROLL for (int i = 0; i < rows; i++) {
            V va = v_splat(pa[i / 3][(i % 3) * rsa]);
            G_UNROLL for (int j = 0; j < vecs; j++) sum[i][j] = v_fma(va, vb[j], sum[i][j]);
        }
        G_UNROLL for (int i = 0; i < rows; i += 3) pa[i / 3] += csa;
        b += rsb;
    }
    const int64_t ldc = g->ldc;
    if (g->add) {
        G_UNROLL for (int i = 0; i < rows; i++) {
            G_UNROLL for (int j = 0; j < vecs; j++) {
                const T *p = c + i * ldc + j * VL;
                sum[i][j] += j < vecs - 1 ? v_load(p) : VN(g_loadz)(p, lanes);
            }
        }
    }
    if (bias_row) {
        G_UNROLL for (int j = 0; j < vecs; j++) {
            V v = j < vecs - 1 ? v_load(bias_row + j * VL) : VN(g_loadz)(bias_row + j * VL, lanes);
            G_UNROLL for (int i = 0; i < rows; i++) sum[i][j] += v;
        }
    }
    if (bias_col) {
        G_UNROLL for (int i = 0; i < rows; i++) {
            V v = v_splat(bias_col[i]);
            G_UNROLL for (int j = 0; j < vecs; j++) sum[i][j] += v;
        }
    }
    if (g->act == GEMM_ACT_RELU) {
        G_UNROLL for (int i = 0; i < rows; i++) {
            G_UNROLL for (int j = 0; j < vecs; j++) sum[i][j] = v_relu(sum[i][j]);
        }
    }
    G_UNROLL for (int i = 0; i < rows; i++) {
        G_UNROLL for (int j = 0; j < vecs - 1; j++) v_store(c + i * ldc + j * VL, sum[i][j]);
        VN(g_store)(c + i * ldc + (vecs - 1) * VL, sum[i][vecs - 1], lanes);
    }
}

#define G_TILE_NAME(rows, vecs) VCAT(VCAT(VN(g_tile), rows), vecs)
#define G_TILE(rows, vecs)                                                                                   \
    static void G_TILE_NAME(rows, vecs)(const gemm_piece *g, const T *a, const T *b, T *c,                   \
                                        const T *bias_row, const T *bias_col, int64_t lanes) {               \
        VN(g_tile)(rows, vecs, 0, 0, g, a, b, c, bias_row, bias_col, lanes);                                 \
    }
#if G_MR == 12
#define G_EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#elif G_MR == 8
#define G_EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#elif G_MR == 6
#define G_EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#else
#define G_EACH_ROWS(X) X(1) X(2) X(3) X(4)
#endif
#define G_DEFINE(rows) G_TILE(rows, 1) G_TILE(rows, 2)
G_EACH_ROWS(G_DEFINE)
G_TILE(1, 4) /* a single row has too few sums to keep the multipliers busy: take more columns */
G_TILE(1, 8)
#undef G_DEFINE

#define G_ENTRY(rows) {G_TILE_NAME(rows, 1), G_TILE_NAME(rows, 2)},
static VN(g_tile_fn) *const VN(g_tile_table)[G_MR][2] = {G_EACH_ROWS(G_ENTRY)};
#undef G_ENTRY

static void VN(g_tile_main)(const gemm_piece *g, const T *a, const T *b, T *c, const T *bias_row,
                            const T *bias_col, int64_t lanes) {
    VN(g_tile)(G_MR, G_NV, 1, 1, g, a, b, c, bias_row, bias_col, lanes);
}

/* ---- tiles of a piece ---- */

/* c[0..n) += x[0] b[0][..] + ... in this order, `rows` rows of B. */
VFN void VN(g_row_add)(const int rows, int first, const gemm_piece *g, const T *x, const T *b) {
    T *c = g->c;
    V vx[8];
    G_UNROLL for (int r = 0; r < rows; r++) vx[r] = v_splat(x[r * g->csa]);
    for (int64_t j = 0; j < g->n; j += VL) {
        int64_t lanes = g->n - j;
        if (lanes >= VL) {
            V sum = first ? (V){0} : v_load(c + j);
            G_UNROLL for (int r = 0; r < rows; r++) sum = v_fma(vx[r], v_load(b + r * g->rsb + j), sum);
            v_store(c + j, sum);
        } else {
            V sum = first ? (V){0} : VN(g_loadz)(c + j, lanes);
            G_UNROLL for (int r = 0; r < rows; r++) {
                sum = v_fma(vx[r], VN(g_loadz)(b + r * g->rsb + j, lanes), sum);
            }
            v_storen(c + j, sum, lanes);
        }
    }
}

/* One row of C and a matrix B from far away: reads B row by row, eight at a time, as memory likes it, and
 * keeps the sums in C. */
static void VN(g_row_stream)(const gemm_piece *g) {
    const T *x = g->a, *b = g->b;
    int64_t k = 0;
    for (; k + 8 <= g->k; k += 8) VN(g_row_add)(8, k == 0 && !g->add, g, x + k * g->csa, b + k * g->rsb);
    for (; k < g->k; k++) VN(g_row_add)(1, k == 0 && !g->add, g, x + k * g->csa, b + k * g->rsb);
    if (!g->bias_row && !g->bias_col && g->act == GEMM_ACT_NONE) return;
    for (int64_t j = 0; j < g->n; j += VL) {
        int64_t lanes = g->n - j < VL ? g->n - j : VL;
        T *c = (T *)g->c + j;
        V sum = VN(g_loadz)(c, lanes);
        if (g->bias_row) sum += VN(g_loadz)((const T *)g->bias_row + j, lanes);
        if (g->bias_col) sum += v_splat(*(const T *)g->bias_col);
        if (g->act == GEMM_ACT_RELU) sum = v_relu(sum);
        VN(g_store)(c, sum, lanes);
    }
}

/* One row of C: as many columns at a time as make eight independent sums. */
static void VN(g_row)(const gemm_piece *g) {
    for (int64_t j = 0; j < g->n;) {
        int64_t rest = g->n - j;
        const T *b = (const T *)g->b + j, *bias = g->bias_row ? (const T *)g->bias_row + j : NULL;
        T *c = (T *)g->c + j;
        VN(g_tile_fn) *tile = G_TILE_NAME(1, 1);
        int64_t vecs = 1;
        if (rest > 4 * VL) tile = G_TILE_NAME(1, 8), vecs = 8;
        else if (rest > 2 * VL) tile = G_TILE_NAME(1, 4), vecs = 4;
        else if (rest > VL) tile = G_TILE_NAME(1, 2), vecs = 2;
        int64_t lanes = rest - (vecs - 1) * VL;
        if (lanes <= 0) { /* 5 to 7 vectors, or 3: the smaller tile first */
            vecs /= 2, lanes = VL;
            tile = vecs == 4 ? G_TILE_NAME(1, 4) : G_TILE_NAME(1, 2);
        }
        if (lanes > VL) lanes = VL;
        tile(g, g->a, b, c, bias, g->bias_col, lanes);
        j += vecs * VL;
    }
}

static void VN(g_tiles)(const gemm_piece *g, int padded) {
    const T *bias_row = g->bias_row, *bias_col = g->bias_col;
    if (g->m == 1 && g->panel_step == G_NR) {
        VN(g_row)(g);
        return;
    }
    int packed = padded && g->rsa == 1 && g->csa == G_MR && g->rsb == G_NR;
    const T *b = g->b;
    for (int64_t j = 0; j < g->n; j += G_NR, b += g->panel_step) {
        int64_t cols = g->n - j < G_NR ? g->n - j : G_NR;
        int wide = cols > VL;
        int64_t lanes = wide ? cols - VL : cols;
        const T *a = g->a;
        T *c = (T *)g->c + j;
        for (int64_t i = 0; i < g->m; i += g->tile_rows, a += g->tile_step) {
            int64_t rows = g->m - i < g->tile_rows ? g->m - i : g->tile_rows;
            VN(g_tile_fn) *tile =
                packed && rows == G_MR && wide ? VN(g_tile_main) : VN(g_tile_table)[rows - 1][wide];
            tile(g, a, b, c + i * g->ldc, bias_row ? bias_row + j : NULL, bias_col ? bias_col + i : NULL,
                 lanes);
        }
    }
}

/* ---- packing ---- */

#if VBYTES / 4 == 16
#define G_LO16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define G_HI16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#endif
#define G_LO8 0, 8, 1, 9, 2, 10, 3, 11
#define G_HI8 4, 12, 5, 13, 6, 14, 7, 15
#define G_LO4 0, 4, 1, 5
#define G_HI4 2, 6, 3, 7
#define G_LO2 0, 2
#define G_HI2 1, 3
#undef G_LO
#undef G_HI
#if defined(AD_ISA_AVX512) && CT_IS(f32)
#define G_LO(a, b) __builtin_shufflevector(a, b, G_LO16)
#define G_HI(a, b) __builtin_shufflevector(a, b, G_HI16)
#elif defined(AD_ISA_AVX512) || (defined(AD_ISA_AVX2) && CT_IS(f32))
#define G_LO(a, b) __builtin_shufflevector(a, b, G_LO8)
#define G_HI(a, b) __builtin_shufflevector(a, b, G_HI8)
#elif defined(AD_ISA_AVX2) || CT_IS(f32)
#define G_LO(a, b) __builtin_shufflevector(a, b, G_LO4)
#define G_HI(a, b) __builtin_shufflevector(a, b, G_HI4)
#else
#define G_LO(a, b) __builtin_shufflevector(a, b, G_LO2)
#define G_HI(a, b) __builtin_shufflevector(a, b, G_HI2)
#endif

/* Transposes VL vectors: interleaving the two halves log2(VL) times (Stone, "Parallel processing with
 * the perfect shuffle", 1971). */
VFN void VN(g_transpose)(V *r) {
    G_UNROLL for (int step = 1; step < VL; step *= 2) {
        V t[VL];
        G_UNROLL for (int i = 0; i < VL / 2; i++) {
            t[2 * i] = G_LO(r[i], r[i + VL / 2]);
            t[2 * i + 1] = G_HI(r[i], r[i + VL / 2]);
        }
        G_UNROLL for (int i = 0; i < VL; i++) r[i] = t[i];
    }
}

/* See pack_a in gemm_types.h. */
VFN void VN(g_pack)(const int width, int64_t w, int64_t k, const T *x, int64_t si, int64_t sp, T *out) {
    if (si == 1) {
        for (int64_t p = 0; p < k; p++, x += sp, out += width) {
            G_UNROLL for (int i = 0; i < width; i += VL) {
                int64_t lanes = w - i < VL ? w - i : VL;
                if (lanes <= 0) break;
                V v = lanes == VL ? v_load(x + i) : VN(g_loadz)(x + i, lanes);
                if (width - i >= VL) v_store(out + i, v);
                else v_storen(out + i, v, width - i);
            }
        }
    } else if (sp == 1 && w * k > 32) {
        for (int64_t p = 0; p < k; p += VL) {
            int64_t steps = k - p < VL ? k - p : VL;
            for (int i = 0; i < width && i < w; i += VL) {
                V r[VL];
                G_UNROLL for (int t = 0; t < VL; t++) {
                    const T *q = x + (i + t) * si + p;
                    r[t] = i + t >= w ? (V){0} : steps == VL ? v_load(q) : VN(g_loadz)(q, steps);
                }
                VN(g_transpose)(r);
                T *o = out + p * width + i;
                int whole = width - i >= VL;
                G_UNROLL for (int t = 0; t < VL; t++) {
                    if (t >= steps) break;
                    if (whole) v_store(o + t * width, r[t]);
                    else v_storen(o + t * width, r[t], width - i);
                }
            }
        }
    } else {
        for (int64_t p = 0; p < k; p++, x += sp, out += width) {
            for (int64_t i = 0; i < w; i++) out[i] = x[i * si];
            for (int64_t i = w; i % VL && i < width; i++) out[i] = 0;
        }
    }
}

static void VN(g_pack_a)(int64_t w, int64_t k, const void *x, int64_t si, int64_t sp, void *out) {
    VN(g_pack)(G_MR, w, k, x, si, sp, out);
}

static void VN(g_pack_b)(int64_t w, int64_t k, const void *x, int64_t si, int64_t sp, void *out) {
    VN(g_pack)(G_NR, w, k, x, si, sp, out);
}

/* ---- the whole sum of a piece ---- */

static __attribute__((noinline)) void VN(g_direct_pack)(const gemm_piece *g, int64_t kb) {
    _Alignas(64) T panel[G_KC * G_NR];
    gemm_piece s = *g;
    s.b = panel, s.rsb = G_NR, s.csb = 1, s.panel_step = 0;
    for (int64_t j = 0; j < g->n; j += G_NR) {
        s.n = g->n - j < G_NR ? g->n - j : G_NR;
        s.c = (T *)g->c + j;
        for (int64_t p = 0; p < g->k || p == 0; p += kb) {
            int last = p + kb >= g->k;
            s.k = last ? g->k - p : kb;
            s.a = (const T *)g->a + p * g->csa;
            s.add = g->add || p > 0;
            s.bias_row = last && g->bias_row ? (const T *)g->bias_row + j : NULL;
            s.bias_col = last ? g->bias_col : NULL;
            s.act = last ? g->act : GEMM_ACT_NONE;
            const T *b = (const T *)g->b + (j / G_NR) * g->panel_step + p * g->rsb;
            VN(g_pack_b)(s.n, s.k, b, g->csb, g->rsb, panel);
            VN(g_tiles)(&s, 1);
        }
    }
}

static void VN(g_direct)(const gemm_piece *g, int64_t kb, int pack) {
    if (pack) {
        VN(g_direct_pack)(g, kb);
        return;
    }
    if (kb == 0) {
        VN(g_row_stream)(g);
        return;
    }
    if (g->k <= kb) {
        VN(g_tiles)(g, 0);
        return;
    }
    gemm_piece s = *g;
    for (int64_t p = 0; p < g->k; p += kb) {
        int last = p + kb >= g->k;
        s.k = last ? g->k - p : kb;
        s.a = (const T *)g->a + p * g->csa;
        s.b = (const T *)g->b + p * g->rsb;
        s.add = g->add || p > 0;
        s.bias_row = last ? g->bias_row : NULL;
        s.bias_col = last ? g->bias_col : NULL;
        s.act = last ? g->act : GEMM_ACT_NONE;
        VN(g_tiles)(&s, 0);
    }
}

/* ---- sums of blocks ---- */

static void VN(g_finish)(const gemm_piece *g, int64_t blocks, const void *sums, int64_t step) {
    for (int64_t j = 0; j < g->n; j += VL) {
        int64_t lanes = g->n - j < VL ? g->n - j : VL;
        const T *s = (const T *)sums + j;
        T *c = (T *)g->c + j;
        V sum = VN(g_loadz)(s, lanes);
        if (g->add) sum += VN(g_loadz)(c, lanes);
        for (int64_t q = 1; q < blocks; q++) sum = VN(g_loadz)(s + q * step, lanes) + sum;
        if (g->bias_row) sum += VN(g_loadz)((const T *)g->bias_row + j, lanes);
        if (g->bias_col) sum += v_splat(*(const T *)g->bias_col);
        if (g->act == GEMM_ACT_RELU) sum = v_relu(sum);
        VN(g_store)(c, sum, lanes);
    }
}

/* ---- dot products ---- */

/* `rows` dot products at once, sharing the loads of x; four sums each. What lies `ahead` elements further is
 * fetched from memory meanwhile: four rows of 100 are too short for the processor to see where they lead (1.6
 * times on 100000x100 float64; for rows of a matrix that are added, g_row_add, it changed nothing). */
VFN void VN(g_dots_rows)(const int rows, const gemm_piece *g, int64_t i0, int64_t ahead) {
    const T *a = (const T *)g->a + i0 * g->rsa, *x = g->b;
    const int64_t rsa = g->rsa;
    V sum[4][4];
    G_UNROLL for (int i = 0; i < rows; i++) { G_UNROLL for (int u = 0; u < 4; u++) sum[i][u] = (V){0}; }
    int64_t p = 0;
    for (; p + 4 * VL <= g->k; p += 4 * VL) {
        G_UNROLL for (int u = 0; u < 4; u++) {
            V vx = v_load(x + p + u * VL);
            G_UNROLL for (int i = 0; i < rows; i++) {
                __builtin_prefetch(a + i * rsa + p + u * VL + ahead);
                sum[i][u] = v_fma(v_load(a + i * rsa + p + u * VL), vx, sum[i][u]);
            }
        }
    }
    for (; p + VL <= g->k; p += VL) {
        V vx = v_load(x + p);
        G_UNROLL for (int i = 0; i < rows; i++) {
            __builtin_prefetch(a + i * rsa + p + ahead);
            sum[i][0] = v_fma(v_load(a + i * rsa + p), vx, sum[i][0]);
        }
    }
    if (p < g->k) {
        V vx = VN(g_loadz)(x + p, g->k - p);
        G_UNROLL for (int i = 0; i < rows; i++) {
            sum[i][1] = v_fma(VN(g_loadz)(a + i * rsa + p, g->k - p), vx, sum[i][1]);
        }
    }
    G_UNROLL for (int i = 0; i < rows; i++) {
        T s = v_hsum((sum[i][0] + sum[i][1]) + (sum[i][2] + sum[i][3]));
        T *c = (T *)g->c + (i0 + i) * g->ldc;
        if (g->add) s += *c;
        if (g->bias_row) s += *(const T *)g->bias_row;
        if (g->bias_col) s += ((const T *)g->bias_col)[i0 + i];
        if (g->act == GEMM_ACT_RELU && s < 0) s = 0; /* NaN stays */
        *c = s;
    }
}

static void VN(g_dots)(const gemm_piece *g) {
    int64_t i = 0;
    for (; i + 4 <= g->m; i += 4) VN(g_dots_rows)(4, g, i, 16 * g->rsa);
    for (; i < g->m; i++) VN(g_dots_rows)(1, g, i, 0);
}

static const gemm_kernels VN(g_kernels) = {.mr = G_MR,
                                           .nr = G_NR,
                                           .kc = G_KC,
                                           .direct_max = G_DIRECT_MAX,
                                           .tiles = VN(g_tiles),
                                           .direct = VN(g_direct),
                                           .dots = VN(g_dots),
                                           .finish = VN(g_finish),
                                           .pack_a = VN(g_pack_a),
                                           .pack_b = VN(g_pack_b)};

/* Convolution kernels, included once per instruction set and floating-point type (after gemm.h). */

/* ---- packing patches into a panel of the matrix product ---- */

static void VN(c_pack)(int64_t n, const int64_t *off, const void *x, const conv_span *runs, int64_t nruns,
                       int64_t lanes, void *panel) {
    T *row = panel;
    const T *base = x;
    if (nruns == 2 && runs[0].n == VL && runs[1].n == VL) {
        const T *a = base + runs[0].from, *b = base + runs[1].from;
        for (int64_t k = 0; k < n; k++, row += G_NR) {
            v_store(row, v_load(a + off[k]));
            v_store(row + VL, v_load(b + off[k]));
        }
        return;
    }
    for (int64_t k = 0; k < n; k++, row += G_NR) {
        const T *from = base + off[k];
        if (lanes < G_NR) v_store(row + VL, (V){0});
        /* A short run is stored as a whole vector: the next run writes over what is too much, and the next
         * row over what is too much in the last one. */
        for (int64_t r = 0; r < nruns; r++) {
            const T *p = from + runs[r].from;
            v_store(row + runs[r].at, runs[r].n == VL ? v_load(p) : VN(g_loadz)(p, runs[r].n));
        }
    }
}

/* ---- sums over positions, for the gradient of the weight ---- */

#if defined(AD_ISA_AVX512) || defined(AD_ISA_NEON)
#define C_VECS 4
#else
#define C_VECS 2
#endif

VFN void VN(c_sums_tile)(const int rows, const int vecs, const conv_sums *s) {
    const T *y = s->y;
    const int64_t ldy = s->ldy, ldo = s->ldo;
    T *out = s->out;
    V sum[CONV_SUM_ROWS][C_VECS];
    G_UNROLL for (int r = 0; r < rows; r++) {
        G_UNROLL for (int j = 0; j < vecs; j++) sum[r][j] = s->add ? v_load(out + r * ldo + j * VL) : (V){0};
    }
    for (int64_t l = 0; l < s->nlines; l++) {
        const T *p[CONV_SUM_ROWS];
        const T *at = (const T *)s->x + s->lines[l].at;
        const int64_t n = s->lines[l].n;
        G_UNROLL for (int r = 0; r < rows; r++) p[r] = at + s->off[r];
        for (int64_t q = 0; q < n; q++, y += ldy) {
            V vy[C_VECS];
            G_UNROLL for (int j = 0; j < vecs; j++) vy[j] = v_load(y + j * VL);
            G_UNROLL for (int r = 0; r < rows; r++) {
                V vx = v_splat(p[r][q]);
                G_UNROLL for (int j = 0; j < vecs; j++) sum[r][j] = v_fma(vx, vy[j], sum[r][j]);
            }
        }
    }
    G_UNROLL for (int r = 0; r < rows; r++) {
        G_UNROLL for (int j = 0; j < vecs; j++) v_store(out + r * ldo + j * VL, sum[r][j]);
    }
}

typedef void VN(c_sums_fn)(const conv_sums *s);
#define C_SUMS_NAME(rows, vecs) VCAT(VCAT(VN(c_sums), rows), vecs)
#define C_SUMS(rows, vecs)                                                                                   \
    static void C_SUMS_NAME(rows, vecs)(const conv_sums *s) { VN(c_sums_tile)(rows, vecs, s); }
#if C_VECS == 4
#define C_SUMS_ROW(rows) C_SUMS(rows, 1) C_SUMS(rows, 2) C_SUMS(rows, 3) C_SUMS(rows, 4)
#define C_SUMS_ENTRY(rows)                                                                                   \
    {C_SUMS_NAME(rows, 1), C_SUMS_NAME(rows, 2), C_SUMS_NAME(rows, 3), C_SUMS_NAME(rows, 4)},
#else
#define C_SUMS_ROW(rows) C_SUMS(rows, 1) C_SUMS(rows, 2)
#define C_SUMS_ENTRY(rows) {C_SUMS_NAME(rows, 1), C_SUMS_NAME(rows, 2)},
#endif
C_SUMS_ROW(1)
C_SUMS_ROW(2) C_SUMS_ROW(3) C_SUMS_ROW(4) C_SUMS_ROW(5) C_SUMS_ROW(6) static VN(c_sums_fn) *const
    VN(c_sums_table)[CONV_SUM_ROWS][C_VECS] = {C_SUMS_ENTRY(1) C_SUMS_ENTRY(2) C_SUMS_ENTRY(3) C_SUMS_ENTRY(4)
                                                   C_SUMS_ENTRY(5) C_SUMS_ENTRY(6)};

static void VN(c_sums)(const conv_sums *s) { VN(c_sums_table)[s->rows - 1][s->vecs - 1](s); }

/* ---- transposition ---- */

static void VN(c_transpose)(int64_t rows, int64_t cols, int64_t fill, const void *x, int64_t ldx, void *out,
                            int64_t ldo) {
    for (int64_t j = 0; j < cols; j += VL) {
        int64_t steps = cols - j < VL ? cols - j : VL;
        for (int64_t i = 0; i < fill; i += VL) {
            int64_t lanes = fill - i < VL ? fill - i : VL;
            V r[VL];
            G_UNROLL for (int t = 0; t < VL; t++) {
                const T *p = (const T *)x + (i + t) * ldx + j;
                r[t] = i + t >= rows ? (V){0} : steps == VL ? v_load(p) : VN(g_loadz)(p, steps);
            }
            VN(g_transpose)(r);
            T *o = (T *)out + j * ldo + i;
            G_UNROLL for (int t = 0; t < VL; t++) {
                if (t >= steps) break;
                VN(g_store)(o + t * ldo, r[t], lanes);
            }
        }
    }
}

/* ---- one image a result (depthwise) ---- */

/* `rows` rows of the result at once, a vector of each: they share nothing but the taps and the loop. */
VFN void VN(c_plane_block)(const int rows, const int whole, const conv_plane *p, const T *x, T *out,
                           int64_t lanes) {
    V sum[4];
    const T *taps = p->taps;
    G_UNROLL for (int r = 0; r < rows; r++) sum[r] = v_splat((T)p->bias);
    for (int64_t t = 0; t < p->ntaps; t++) {
        V k = v_splat(taps[t]);
        const T *at = x + p->off[t];
        G_UNROLL for (int r = 0; r < rows; r++) {
            const T *q = at + r * p->ldx;
            sum[r] = v_fma(k, whole ? v_load(q) : VN(g_loadz)(q, lanes), sum[r]);
        }
    }
    G_UNROLL for (int r = 0; r < rows; r++) {
        if (whole) v_store(out + r * p->ldo, sum[r]);
        else v_storen(out + r * p->ldo, sum[r], lanes);
    }
}

static void VN(c_plane)(const conv_plane *p) {
    for (int64_t i = 0; i < p->rows; i += 4) {
        int64_t rows = p->rows - i < 4 ? p->rows - i : 4;
        const T *x = (const T *)p->x + i * p->ldx;
        T *out = (T *)p->out + i * p->ldo;
        for (int64_t j = 0; j < p->cols; j += VL) {
            int64_t lanes = p->cols - j;
            if (rows == 4) {
                if (lanes >= VL) VN(c_plane_block)(4, 1, p, x + j, out + j, VL);
                else VN(c_plane_block)(4, 0, p, x + j, out + j, lanes);
            } else
                for (int64_t r = 0; r < rows; r++) {
                    if (lanes >= VL) VN(c_plane_block)(1, 1, p, x + r * p->ldx + j, out + r * p->ldo + j, VL);
                    else VN(c_plane_block)(1, 0, p, x + r * p->ldx + j, out + r * p->ldo + j, lanes);
                }
        }
    }
}

/* Up to `taps` taps at once, so that a vector of y is read once for all of them. */
VFN void VN(c_plane_sums_block)(const int taps, const conv_plane *p, const int64_t *off, V *part) {
    V sum[9];
    G_UNROLL for (int t = 0; t < taps; t++) sum[t] = part[t];
    for (int64_t i = 0; i < p->rows; i++) {
        const T *x = (const T *)p->x + i * p->ldx, *y = (const T *)p->out + i * p->ldo;
        int64_t j = 0;
        for (; j + VL <= p->cols; j += VL) {
            V vy = v_load(y + j);
            G_UNROLL for (int t = 0; t < taps; t++) sum[t] = v_fma(vy, v_load(x + j + off[t]), sum[t]);
        }
        if (j < p->cols) {
            int64_t lanes = p->cols - j;
            V vy = VN(g_loadz)(y + j, lanes);
            G_UNROLL for (int t = 0; t < taps; t++) {
                sum[t] = v_fma(vy, VN(g_loadz)(x + j + off[t], lanes), sum[t]);
            }
        }
    }
    G_UNROLL for (int t = 0; t < taps; t++) part[t] = sum[t];
}

static void VN(c_plane_sums)(const conv_plane *p, void *part, int last) {
    V *sum = part;
    T *out = (T *)p->taps;
    int64_t t = 0;
    for (; t + 9 <= p->ntaps; t += 9) VN(c_plane_sums_block)(9, p, p->off + t, sum + t);
    for (; t + 5 <= p->ntaps; t += 5) VN(c_plane_sums_block)(5, p, p->off + t, sum + t);
    for (; t < p->ntaps; t++) VN(c_plane_sums_block)(1, p, p->off + t, sum + t);
    if (!last) return;
    for (t = 0; t < p->ntaps; t++) out[t] = v_hsum(sum[t]);
}

static const conv_kernels VN(c_kernels) = {.vl = VL,
                                           .most_vecs = C_VECS,
                                           .pack = VN(c_pack),
                                           .sums = VN(c_sums),
                                           .transpose = VN(c_transpose),
                                           .plane = VN(c_plane),
                                           .plane_sums = VN(c_plane_sums)};
#undef C_VECS
#undef C_SUMS
#undef C_SUMS_NAME
#undef C_SUMS_ROW
#undef C_SUMS_ENTRY

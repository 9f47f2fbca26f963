/* Convolution kernels, included once per instruction set and floating-point type (after gemm.h). */

/* ---- packing patches into a panel of the matrix product ---- */

#if defined(AD_ISA_AVX512)
typedef M VN(c_mask);
VFN M VN(c_lanes)(int64_t at, int64_t n) { return (M)(VN(v_first)(n) << at); }
VFN V VN(c_merge)(V v, M m, const T *p) { return (V)VX(mask_loadu)((VXV)v, m, (const void *)p); }
#elif defined(AD_ISA_AVX2)
typedef VI VN(c_mask);
VFN VI VN(c_lanes)(int64_t at, int64_t n) {
    return (v_iota() >= (VI){0} + (TI)at) & (v_iota() < (VI){0} + (TI)(at + n));
}
VFN V VN(c_merge)(V v, VI m, const T *p) { return (V)((VI)v | (VI)VX(maskload)(p, (__m256i)m)); }
#endif

#if defined(AD_ISA_AVX512) || defined(AD_ISA_AVX2)
/* A vector of the panel is put together in a register, from `first` and then `second` spans: a load under a
 * mask each, from where lane 0 would be. */
VFN void VN(c_pack_spans)(const int first, const int second, int64_t n, const int64_t *off, const T *x,
                          const conv_span *span, T *row) {
    VN(c_mask) m[8];
    const T *p[8];
    G_UNROLL for (int r = 0; r < first + second; r++) {
        int lane = r < first ? 0 : VL;
        m[r] = VN(c_lanes)(span[r].at - lane, span[r].n);
        p[r] = x + (span[r].from - (span[r].at - lane));
    }
    for (int64_t k = 0; k < n; k++, row += G_NR) {
        V a = {0}, b = {0};
        int64_t o = off[k];
        G_UNROLL for (int r = 0; r < first; r++) a = VN(c_merge)(a, m[r], p[r] + o);
        G_UNROLL for (int r = first; r < first + second; r++) b = VN(c_merge)(b, m[r], p[r] + o);
        v_store(row, a);
        v_store(row + VL, b);
    }
}

/* One call a kind, so that the loop over the spans is unrolled. */
static int VN(c_pack_few)(int64_t first, int64_t second, int64_t n, const int64_t *off, const T *x,
                          const conv_span *span, T *row) {
#define C_PACK(a, b)                                                                                         \
    if (first == a && second == b) {                                                                         \
        VN(c_pack_spans)(a, b, n, off, x, span, row);                                                        \
        return 1;                                                                                            \
    }
#define C_PACKS(a) C_PACK(a, 0) C_PACK(a, 1) C_PACK(a, 2) C_PACK(a, 3) C_PACK(a, 4)
    C_PACKS(1)
    C_PACKS(2)
#if CT_IS(f32) /* vectors of float64 are short: more spans than two are rare */
    C_PACKS(3)
    C_PACKS(4)
#endif
#undef C_PACKS
#undef C_PACK
    return 0;
}
#endif

static void VN(c_pack)(int64_t n, const int64_t *off, const void *x, const conv_span *span, int64_t spans,
                       int64_t lanes, void *panel) {
    T *row = panel;
    const T *base = x;
    if (spans == 2 && span[0].n == VL && span[1].n == VL) {
        const T *a = base + span[0].from, *b = base + span[1].from;
        for (int64_t k = 0; k < n; k++, row += G_NR) {
            v_store(row, v_load(a + off[k]));
            v_store(row + VL, v_load(b + off[k]));
        }
        return;
    }
#if defined(AD_ISA_AVX512) || defined(AD_ISA_AVX2)
    int64_t first = 0;
    while (first < spans && span[first].at < VL) first++;
    if (VN(c_pack_few)(first, spans - first, n, off, base, span, row)) return;
#endif
    for (int64_t k = 0; k < n; k++, row += G_NR) {
        const T *from = base + off[k];
        if (lanes < G_NR) v_store(row + VL, (V){0});
        /* A short span is stored as a whole vector: the next one writes over what is too much, and the next
         * row over what is too much in the last one. */
        for (int64_t r = 0; r < spans; r++) {
            const T *p = from + span[r].from;
            v_store(row + span[r].at, span[r].n == VL ? v_load(p) : VN(g_loadz)(p, span[r].n));
        }
    }
}

/* ---- sums over positions, for the gradient of the weight ---- */

#if defined(AD_ISA_AVX512) || defined(AD_ISA_NEON)
#define C_VECS 4 /* 32 registers: 6 rows of 3 or 4 vectors, 12 of fewer */
#define C_LONG 2
#else
#define C_VECS 2 /* 16: 6 rows of 2, 12 of 1 */
#define C_LONG 1
#endif
#define C_SHORT_ROWS 6

VFN void VN(c_sums_tile)(const int rows, const int vecs, const conv_sums *s) {
    const T *y = s->y;
    const int64_t ldy = s->ldy, ldo = s->ldo, step = s->step;
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
        for (int64_t q = 0; q < n * step; q += step, y += ldy) {
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
#define C_SUMS_LONG(rows) C_SUMS(rows, 1) C_SUMS(rows, 2)
#define C_SUMS_LONG_ENTRY(rows) {C_SUMS_NAME(rows, 1), C_SUMS_NAME(rows, 2)},
#else
#define C_SUMS_ROW(rows) C_SUMS(rows, 1) C_SUMS(rows, 2)
#define C_SUMS_ENTRY(rows) {C_SUMS_NAME(rows, 1), C_SUMS_NAME(rows, 2)},
#define C_SUMS_LONG(rows) C_SUMS(rows, 1)
#define C_SUMS_LONG_ENTRY(rows) {C_SUMS_NAME(rows, 1)},
#endif
#define C_SHORT(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define C_MORE(X) X(7) X(8) X(9) X(10) X(11) X(12)
C_SHORT(C_SUMS_ROW)
C_MORE(C_SUMS_LONG)

static VN(c_sums_fn) *const
    VN(c_sums_table)[CONV_SUM_ROWS][C_VECS] = {C_SHORT(C_SUMS_ENTRY) C_MORE(C_SUMS_LONG_ENTRY)};

static void VN(c_sums)(const conv_sums *s) { VN(c_sums_table)[s->rows - 1][s->vecs - 1](s); }

/* ---- few channels of the result: positions in vectors ---- */

#if G_MR >= 8
#define C_MOST_ROWS 8
#else
#define C_MOST_ROWS G_MR
#endif

/* The image is read where it lies. Two vectors at once: at 4 rows that hides the latency of the
 * multiplications. */
VFN void VN(c_rows_tile)(const int rows, const int whole, const conv_rows *t, const conv_slot *s,
                         const conv_slot *u) {
    const T *a = t->a, *p = (const T *)t->x + s->from, *q = (const T *)t->x + u->from;
    V sum[8][2];
    G_UNROLL for (int i = 0; i < rows; i++) {
        V v = t->bias && i < t->rows ? v_splat(((const T *)t->bias)[i]) : (V){0};
        sum[i][0] = sum[i][1] = v;
    }
    for (int64_t k = 0; k < t->n; k++, a += G_MR) {
        int64_t o = t->off[k];
        V vp = whole ? v_load(p + o) : VN(g_loadz)(p + o, s->lanes);
        V vq = whole ? v_load(q + o) : VN(g_loadz)(q + o, u->lanes);
        G_UNROLL for (int i = 0; i < rows; i++) {
            V va = v_splat(a[i]);
            sum[i][0] = v_fma(va, vp, sum[i][0]);
            sum[i][1] = v_fma(va, vq, sum[i][1]);
        }
    }
    G_UNROLL for (int i = 0; i < rows; i++) {
        if (i >= t->rows) break;
        VN(g_store)((T *)t->out + s->to + i * t->ldo, sum[i][0], s->lanes);
        VN(g_store)((T *)t->out + u->to + i * t->ldo, sum[i][1], u->lanes);
    }
}

static void VN(c_rows)(const conv_rows *t) {
    for (int64_t i = 0; i < t->slots; i += 2) {
        const conv_slot *s = t->slot + i, *u = i + 1 < t->slots ? s + 1 : s;
#if !defined(AD_ISA_AVX512) && !defined(AD_ISA_AVX2) /* there masks cost little */
        if (t->whole) {
            if (t->rows <= 4) VN(c_rows_tile)(4, 1, t, s, u);
            else VN(c_rows_tile)(C_MOST_ROWS, 1, t, s, u);
            continue;
        }
#endif
        if (t->rows <= 4) VN(c_rows_tile)(4, 0, t, s, u);
        else VN(c_rows_tile)(C_MOST_ROWS, 0, t, s, u);
    }
}

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

/* ---- every other element ---- */

#undef C_EVEN
#if defined(AD_ISA_AVX512) && CT_IS(f32)
#define C_EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#elif defined(AD_ISA_AVX512) || (defined(AD_ISA_AVX2) && CT_IS(f32))
#define C_EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#elif defined(AD_ISA_AVX2) || CT_IS(f32)
#define C_EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6)
#else
#define C_EVEN(a, b) __builtin_shufflevector(a, b, 0, 2)
#endif

static void VN(c_pick)(int64_t rows, int64_t n, const void *from, int64_t ldf, int64_t step, void *to,
                       int64_t ldt) {
    for (int64_t r = 0; r < rows; r++) {
        const T *x = (const T *)from + r * ldf;
        T *out = (T *)to + r * ldt;
        int64_t i = 0;
        if (step == 1) {
            for (; i + VL <= n; i += VL) v_store(out + i, v_load(x + i));
            if (i < n) v_storen(out + i, VN(g_loadz)(x + i, n - i), n - i);
        } else if (step == 2) {
            for (; i + VL < n; i += VL) { /* one more exists: the second load stays inside */
                V a = v_load(x + 2 * i), b = v_load(x + 2 * i + VL);
                v_store(out + i, C_EVEN(a, b));
            }
            if (i < n) {
                int64_t left = 2 * (n - i) - 1;
                V a = left >= VL ? v_load(x + 2 * i) : VN(g_loadz)(x + 2 * i, left), b = {0};
                if (left > VL) b = VN(g_loadz)(x + 2 * i + VL, left - VL);
                VN(g_store)(out + i, C_EVEN(a, b), n - i);
            }
        } else
            for (; i < n; i++) out[i] = x[i * step];
    }
}

static void VN(c_zip)(int64_t n, const void *a, const void *b, void *to) {
    const T *p = a, *q = b;
    T *out = to;
    int64_t i = 0;
    for (; 2 * i + 2 * VL <= n; i += VL) {
        V u = v_load(p + i), v = v_load(q + i);
        v_store(out + 2 * i, G_LO(u, v));
        v_store(out + 2 * i + VL, G_HI(u, v));
    }
    for (; 2 * i < n; i++) {
        out[2 * i] = p[i];
        if (2 * i + 1 < n) out[2 * i + 1] = q[i];
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
    G_UNROLL for (int r = 0; r < rows; r++) { VN(g_store)(out + r * p->ldo, sum[r], whole ? VL : lanes); }
}

#if defined(AD_ISA_AVX512)
/* A kernel of k by k on an image without its padding, which loads under masks put round it. Rows of the
 * result at once share the rows of the image they see; a column of the kernel at a time, so that its taps and
 * the sums are in registers. Seven or eight sums hide the latency of the multiplications, and the last rows
 * overlap those before rather than being few. */
VFN void VN(c_plane_rows)(const int k, const int rows, const M *masks, const conv_plane *p, int64_t i,
                          const T *x, T *out, M lanes) {
    V sum[8];
    const T *taps = p->taps;
    G_UNROLL for (int r = 0; r < rows; r++) sum[r] = v_splat((T)p->bias);
    for (int b = 0; b < k; b++, x++, taps++) {
        V tap[5];
        M m = masks[b];
        G_UNROLL for (int t = 0; t < k; t++) tap[t] = v_splat(taps[t * k]);
        G_UNROLL for (int a = 0; a < rows + k - 1; a++) {
            if ((uint64_t)(i + a) >= (uint64_t)p->in[0]) continue;
            V v = (V)VX(maskz_loadu)(m, (const void *)(x + a * p->ldx));
            G_UNROLL for (int r = 0; r < rows; r++) {
                if (a - r >= 0 && a - r < k) sum[r] = v_fma(tap[a - r], v, sum[r]);
            }
        }
    }
    G_UNROLL for (int r = 0; r < rows; r++) VX(mask_storeu)((void *)(out + r * p->ldo), lanes, (VXV)sum[r]);
}

VFN void VN(c_plane_of)(const int k, const conv_plane *p) {
    int64_t rows = p->rows, block = rows < 4                                   ? 1
                                    : rows < 7                                 ? 4
                                    : (rows + 7) / 8 * 8 <= (rows + 6) / 7 * 7 ? 8
                                                                               : 7;
    for (int64_t j = 0; j < p->cols; j += VL) {
        int64_t n = p->cols - j < VL ? p->cols - j : VL;
        M masks[5];
        for (int b = 0; b < k; b++) { /* lane 0 meets column `at` of the image */
            int64_t at = j + b - p->pad[1], lo = at < 0 ? -at : 0, hi = p->in[1] - at < n ? p->in[1] - at : n;
            masks[b] = lo < hi ? VN(c_lanes)(lo, hi - lo) : 0;
        }
        for (int64_t i = 0; i < rows; i += block) {
            int64_t first = i < rows - block ? i : rows - block, above = first - p->pad[0];
            const T *x = (const T *)p->x + above * p->ldx + j - p->pad[1];
            T *out = (T *)p->out + first * p->ldo + j;
            M lanes = VN(c_lanes)(0, n);
            if (block == 8) VN(c_plane_rows)(k, 8, masks, p, above, x, out, lanes);
            else if (block == 7) VN(c_plane_rows)(k, 7, masks, p, above, x, out, lanes);
            else if (block == 4) VN(c_plane_rows)(k, 4, masks, p, above, x, out, lanes);
            else VN(c_plane_rows)(k, 1, masks, p, above, x, out, lanes);
        }
    }
}
#else
/* Rows of the result at once that share the rows of the image they see, a kernel of k by k. */
VFN void VN(c_plane_kernel)(const int k, const int rows, const int whole, const V *taps, const conv_plane *p,
                            const T *x, T *out, int64_t lanes) {
    V sum[4];
    G_UNROLL for (int r = 0; r < rows; r++) sum[r] = v_splat((T)p->bias);
    G_UNROLL for (int i = 0; i < rows + k - 1; i++) {
        G_UNROLL for (int j = 0; j < k; j++) {
            const T *q = x + i * p->ldx + j;
            V v = whole ? v_load(q) : VN(g_loadz)(q, lanes);
            G_UNROLL for (int r = 0; r < rows; r++) {
                if (i - r >= 0 && i - r < k) sum[r] = v_fma(taps[(i - r) * k + j], v, sum[r]);
            }
        }
    }
    G_UNROLL for (int r = 0; r < rows; r++) { VN(g_store)(out + r * p->ldo, sum[r], whole ? VL : lanes); }
}

VFN void VN(c_plane_of)(const int k, const conv_plane *p) {
    V taps[25];
    G_UNROLL for (int t = 0; t < k * k; t++) taps[t] = v_splat(((const T *)p->taps)[t]);
    for (int64_t i = 0; i < p->rows; i += 4) {
        int64_t rows = p->rows - i < 4 ? p->rows - i : 4;
        const T *x = (const T *)p->x + i * p->ldx + p->off[0];
        T *out = (T *)p->out + i * p->ldo;
        for (int64_t j = 0; j < p->cols; j += VL) {
            int64_t lanes = p->cols - j;
            if (rows == 4) {
                if (lanes >= VL) VN(c_plane_kernel)(k, 4, 1, taps, p, x + j, out + j, VL);
                else VN(c_plane_kernel)(k, 4, 0, taps, p, x + j, out + j, lanes);
            } else
                for (int64_t r = 0; r < rows; r++)
                    VN(c_plane_kernel)(k, 1, 0, taps, p, x + r * p->ldx + j, out + r * p->ldo + j,
                                       lanes < VL ? lanes : VL);
        }
    }
}
#endif
static void VN(c_plane3)(const conv_plane *p) { VN(c_plane_of)(3, p); }
#if defined(AD_ISA_AVX512) || defined(AD_ISA_NEON)
static void VN(c_plane5)(const conv_plane *p) { VN(c_plane_of)(5, p); }
#endif

static void VN(c_plane)(const conv_plane *p) {
    if (p->kernel == 3) {
        VN(c_plane3)(p);
        return;
    }
#if defined(AD_ISA_AVX512) || defined(AD_ISA_NEON)
    if (p->kernel == 5) { /* the taps stay in registers, where there are 32 */
        VN(c_plane5)(p);
        return;
    }
#endif
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

/* A kernel of 3 by 3: a vector of the image meets the rows of y above it, which stay in registers. */
VFN void VN(c_plane_sums_cols)(const int whole, const conv_plane *p, int64_t j, int64_t lanes, V *sum) {
    const T *x = (const T *)p->x + p->off[0] + j, *y = (const T *)p->out + j;
    V above = {0}, last = {0}; /* rows i - 2 and i - 1 of y */
    for (int64_t i = 0; i < p->rows + 2; i++, x += p->ldx, y += p->ldo) {
        V now = {0};
        if (i < p->rows) now = whole ? v_load(y) : VN(g_loadz)(y, lanes);
        G_UNROLL for (int t = 0; t < 3; t++) {
            V v = whole ? v_load(x + t) : VN(g_loadz)(x + t, lanes);
            sum[t] = v_fma(now, v, sum[t]);
            sum[3 + t] = v_fma(last, v, sum[3 + t]);
            sum[6 + t] = v_fma(above, v, sum[6 + t]);
        }
        above = last;
        last = now;
    }
}

static void VN(c_plane_sums3)(const conv_plane *p, V *part) {
    V sum[9];
    G_UNROLL for (int t = 0; t < 9; t++) sum[t] = part[t];
    int64_t j = 0;
    for (; j + VL <= p->cols; j += VL) VN(c_plane_sums_cols)(1, p, j, VL, sum);
    if (j < p->cols) VN(c_plane_sums_cols)(0, p, j, p->cols - j, sum);
    G_UNROLL for (int t = 0; t < 9; t++) part[t] = sum[t];
}

static void VN(c_plane_sums)(const conv_plane *p, void *part, int last) {
    V *sum = part;
    T *out = (T *)p->taps;
    int64_t t = 0;
    if (p->kernel == 3) VN(c_plane_sums3)(p, sum), t = 9;
    for (; t + 9 <= p->ntaps; t += 9) VN(c_plane_sums_block)(9, p, p->off + t, sum + t);
    for (; t + 5 <= p->ntaps; t += 5) VN(c_plane_sums_block)(5, p, p->off + t, sum + t);
    for (; t < p->ntaps; t++) VN(c_plane_sums_block)(1, p, p->off + t, sum + t);
    if (!last) return;
    for (t = 0; t < p->ntaps; t++) out[t] = v_hsum(sum[t]);
}

static const conv_kernels VN(c_kernels) = {
    .vl = VL,
    .most_vecs = C_VECS,
#if defined(AD_ISA_AVX512)
    .masks = 1,
#endif
    .sum_rows = {0, CONV_SUM_ROWS, C_LONG == 2 ? CONV_SUM_ROWS : C_SHORT_ROWS, C_SHORT_ROWS, C_SHORT_ROWS},
    .pack = VN(c_pack),
    .tiles = VN(d_tiles),
    .sums = VN(c_sums),
    .rows = VN(c_rows),
    .most_rows = C_MOST_ROWS,
    .transpose = VN(c_transpose),
    .pick = VN(c_pick),
    .zip = VN(c_zip),
    .plane = VN(c_plane),
    .plane_sums = VN(c_plane_sums)};
#undef C_VECS
#undef C_SUMS
#undef C_SUMS_NAME
#undef C_SUMS_ROW
#undef C_SUMS_ENTRY
#undef C_SUMS_LONG
#undef C_SUMS_LONG_ENTRY
#undef C_SHORT
#undef C_MORE
#undef C_LONG
#undef C_SHORT_ROWS
#undef C_MOST_ROWS

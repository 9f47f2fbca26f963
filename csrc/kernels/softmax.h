/* Softmax, its logarithm and what cross entropy needs of them, for the current CT (f32, f64).
 *
 *   sm_rows, sm_grad_rows   contiguous rows of n          sm_cols, sm_grad_cols   columns of n rows
 *   sm_lse_rows, _cols      the greatest element m and the logarithm l of the sum of exp(x - m)
 *   sm_ce_rows, _cols       c w - exp(x - m - l) s, the gradient of a cross entropy but for its targets
 *
 * Memory is read once and written once: a row's later passes find it in the nearest cache. Short rows are
 * taken four at a time, so that the latencies of one row's sums and logarithm pass under the work of the
 * others; while the exponentials of some rows are computed, the next are fetched. Columns go in strips of
 * SOFTMAX_STRIP, row by row, since a strip of one vector would come from few sets of the cache.
 *
 * A NaN does not reach m, but it reaches the sum, and with it the whole row. A row of -inf gives NaN. */
#ifndef AD_SOFTMAX_NAMES
#define AD_SOFTMAX_NAMES
#define SM_SHORT 512 /* elements of a row */
#define SM_LOAD(p) (left >= VL ? v_load(p) : v_loadn(p, left))
#define SM_STORE(p, v)                                                                                       \
    do {                                                                                                     \
        if (left >= VL) v_store(p, v);                                                                       \
        else v_storen(p, v, left);                                                                           \
    } while (0)
#define SM_FULL const int64_t left = VL
/* The body for the whole vectors of rows of n, then for what is left of them; i, r and left are set. */
#define SM_EACH(body)                                                                                        \
    do {                                                                                                     \
        int64_t i = 0;                                                                                       \
        for (; i + VL <= n; i += VL) V_UNROLL for (int r = 0; r < R; r++) {                                  \
                SM_FULL;                                                                                     \
                body                                                                                         \
            }                                                                                                \
        if (i < n) V_UNROLL for (int r = 0; r < R; r++) {                                                    \
                const int64_t left = n - i;                                                                  \
                body                                                                                         \
            }                                                                                                \
    } while (0)
#define SM_MASK(v) (left >= VL ? (v) : v_sel(v_lt(v_index(), K(left)), v, K(0)))
#define SM_AT(p) ((p) + r * n + i)
#endif

VFN void VN(sm_max)(const int R, int64_t n, const T *x, V *m) {
    if (R == 1) {
        V a = K(-INFINITY), b = a, c = a, d = a;
        int64_t i = 0;
        for (; i + 4 * VL <= n; i += 4 * VL) {
            a = v_fmax(v_load(x + i), a);
            b = v_fmax(v_load(x + i + VL), b);
            c = v_fmax(v_load(x + i + 2 * VL), c);
            d = v_fmax(v_load(x + i + 3 * VL), d);
        }
        for (; i + VL <= n; i += VL) a = v_fmax(v_load(x + i), a);
        if (i < n) b = v_fmax(v_loadn(x + i, n - i), b); /* other lanes repeat one of these */
        m[0] = v_splat(v_hmax(v_fmax(v_fmax(a, b), v_fmax(c, d))));
        return;
    }
    V_UNROLL for (int r = 0; r < R; r++) m[r] = K(-INFINITY);
    SM_EACH({ m[r] = v_fmax(SM_LOAD(SM_AT(x)), m[r]); });
    V_UNROLL for (int r = 0; r < R; r++) m[r] = v_splat(v_hmax(m[r]));
}

/* The sums of exp(x - m), and the exponentials themselves where y is not NULL. */
VFN void VN(sm_exps)(const int R, int64_t n, const T *x, const V *m, T *y, T *sum) {
    V s[4];
    V_UNROLL for (int r = 0; r < R; r++) s[r] = K(0);
    SM_EACH({
        V e = v_exp(SM_LOAD(SM_AT(x)) - m[r]);
        __builtin_prefetch(SM_AT(x) + R * n);
        if (y) SM_STORE(SM_AT(y), e);
        s[r] += SM_MASK(e);
    });
    V_UNROLL for (int r = 0; r < R; r++) sum[r] = v_hsum(s[r]);
}

/* In place, of four numbers. */
VFN void VN(sm_logs)(T *s) {
    T t[16];
    for (int k = 0; k < 16; k++) t[k] = k < 4 ? s[k] : 1;
    for (int k = 0; k < 4; k += VL) v_store(t + k, v_log(v_load(t + k)));
    for (int k = 0; k < 4; k++) s[k] = t[k];
}

VFN void VN(sm_some)(const int R, int64_t n, const T *x, T *y, int log) {
    V m[4], c[4];
    T s[4] = {1, 1, 1, 1};
    VN(sm_max)(R, n, x, m);
    if (log) {
        VN(sm_exps)(R, n, x, m, NULL, s);
        VN(sm_logs)(s);
        V_UNROLL for (int r = 0; r < R; r++) c[r] = v_splat(s[r]);
        SM_EACH({ SM_STORE(SM_AT(y), SM_LOAD(SM_AT(x)) - m[r] - c[r]); });
    } else {
        VN(sm_exps)(R, n, x, m, y, s);
        V_UNROLL for (int r = 0; r < R; r++) c[r] = K(1) / v_splat(s[r]);
        SM_EACH({ SM_STORE(SM_AT(y), SM_LOAD(SM_AT(y)) * c[r]); });
    }
}
static void VN(sm_rows)(int64_t rows, int64_t n, const void *px, void *py, int log) {
    const T *x = px;
    T *y = py;
    for (; rows >= 4 && n <= SM_SHORT; rows -= 4, x += 4 * n, y += 4 * n) VN(sm_some)(4, n, x, y, log);
    for (; rows; rows--, x += n, y += n) VN(sm_some)(1, n, x, y, log);
}

VFN void VN(sm_lse_some)(const int R, int64_t n, const T *x, T *m, T *l) {
    V most[4];
    T s[4] = {1, 1, 1, 1};
    VN(sm_max)(R, n, x, most);
    VN(sm_exps)(R, n, x, most, NULL, s);
    VN(sm_logs)(s);
    V_UNROLL for (int r = 0; r < R; r++) m[r] = most[r][0], l[r] = s[r];
}
static void VN(sm_lse_rows)(int64_t rows, int64_t n, const void *px, void *pm, void *pl) {
    const T *x = px;
    T *m = pm, *l = pl;
    for (; rows >= 4 && n <= SM_SHORT; rows -= 4, x += 4 * n, m += 4, l += 4) VN(sm_lse_some)(4, n, x, m, l);
    for (; rows; rows--, x += n, m++, l++) VN(sm_lse_some)(1, n, x, m, l);
}

/* out = y * (g - sum(g * y)) for softmax, g - exp(y) * sum(g) for its logarithm. out may be g. */
VFN void VN(sm_grad_some)(const int R, int64_t n, const T *g, const T *y, T *o, int log) {
    V s[4];
    V_UNROLL for (int r = 0; r < R; r++) s[r] = K(0);
    if (log) SM_EACH({ s[r] += SM_MASK(SM_LOAD(SM_AT(g))); });
    else SM_EACH({ s[r] += SM_MASK(SM_LOAD(SM_AT(g)) * SM_LOAD(SM_AT(y))); });
    V_UNROLL for (int r = 0; r < R; r++) s[r] = v_splat(v_hsum(s[r]));
    SM_EACH({
        V a = SM_LOAD(SM_AT(g));
        V b = SM_LOAD(SM_AT(y));
        __builtin_prefetch(SM_AT(g) + R * n);
        __builtin_prefetch(SM_AT(y) + R * n);
        SM_STORE(SM_AT(o), log ? a - v_exp(b) * s[r] : b * (a - s[r]));
    });
}
static void VN(sm_grad_rows)(int64_t rows, int64_t n, const void *pg, const void *py, void *po, int log) {
    const T *g = pg, *y = py;
    T *o = po;
    for (; rows >= 4 && n <= SM_SHORT; rows -= 4, g += 4 * n, y += 4 * n, o += 4 * n)
        VN(sm_grad_some)(4, n, g, y, o, log);
    for (; rows; rows--, g += n, y += n, o += n) VN(sm_grad_some)(1, n, g, y, o, log);
}

/* out = c[r] w - exp((x - m[r]) - l[r]) s[r]; w may be NULL for ones, c for zeros. */
VFN void VN(sm_ce_some)(const int R, int64_t n, const T *x, const T *pm, const T *pl, const T *ps,
                        const T *pc, const T *w, T *o) {
    V m[4], l[4], s[4], c[4];
    V_UNROLL for (int r = 0; r < R; r++) {
        m[r] = v_splat(pm[r]), l[r] = v_splat(pl[r]), s[r] = v_splat(ps[r]);
        c[r] = pc ? v_splat(pc[r]) : K(0);
    }
    SM_EACH({
        V p = v_exp(SM_LOAD(SM_AT(x)) - m[r] - l[r]) * s[r];
        SM_STORE(SM_AT(o), (pc && w ? SM_LOAD(w + i) * c[r] : c[r]) - p);
    });
}
static void VN(sm_ce_rows)(int64_t rows, int64_t n, const void *px, const void *pm, const void *pl,
                           const void *ps, const void *pc, const void *w, void *po) {
    const T *x = px, *m = pm, *l = pl, *s = ps, *c = pc;
    T *o = po;
    for (; rows >= 4 && n <= SM_SHORT; rows -= 4, x += 4 * n, o += 4 * n, m += 4, l += 4, s += 4) {
        VN(sm_ce_some)(4, n, x, m, l, s, c, w, o);
        if (c) c += 4;
    }
    for (; rows; rows--, x += n, o += n, m++, l++, s++) {
        VN(sm_ce_some)(1, n, x, m, l, s, c, w, o);
        if (c) c++;
    }
}

/* ---- down columns; `cols` at most SOFTMAX_STRIP, rows are `stride` elements apart ---- */

#define SM_COLS(body)                                                                                        \
    do {                                                                                                     \
        int64_t j = 0;                                                                                       \
        for (; j + VL <= cols; j += VL) {                                                                    \
            SM_FULL;                                                                                         \
            body                                                                                             \
        }                                                                                                    \
        if (j < cols) {                                                                                      \
            const int64_t left = cols - j;                                                                   \
            body                                                                                             \
        }                                                                                                    \
    } while (0)

/* The greatest of each column and the sums of exp(x - m), with the exponentials where y is not NULL. */
VFN void VN(sm_strip)(int64_t n, int64_t cols, int64_t stride, const T *x, T *y, T *m, T *s) {
    SM_COLS({
        SM_STORE(m + j, K(-INFINITY));
        SM_STORE(s + j, K(0));
    });
    for (int64_t k = 0; k < n; k++)
        SM_COLS({ SM_STORE(m + j, v_fmax(SM_LOAD(x + k * stride + j), SM_LOAD(m + j))); });
    for (int64_t k = 0; k < n; k++)
        SM_COLS({
            V e = v_exp(SM_LOAD(x + k * stride + j) - SM_LOAD(m + j));
            if (y) SM_STORE(y + k * stride + j, e);
            SM_STORE(s + j, SM_LOAD(s + j) + e);
        });
}
static void VN(sm_cols)(int64_t n, int64_t cols, int64_t stride, const void *px, void *py, int log) {
    const T *x = px;
    T *y = py, m[SOFTMAX_STRIP], s[SOFTMAX_STRIP];
    VN(sm_strip)(n, cols, stride, x, log ? NULL : y, m, s);
    SM_COLS({ SM_STORE(s + j, log ? v_log(SM_LOAD(s + j)) : K(1) / SM_LOAD(s + j)); });
    if (log)
        for (int64_t k = 0; k < n; k++)
            SM_COLS({
                SM_STORE(y + k * stride + j, SM_LOAD(x + k * stride + j) - SM_LOAD(m + j) - SM_LOAD(s + j));
            });
    else
        for (int64_t k = 0; k < n; k++)
            SM_COLS({ SM_STORE(y + k * stride + j, SM_LOAD(y + k * stride + j) * SM_LOAD(s + j)); });
}
static void VN(sm_lse_cols)(int64_t n, int64_t cols, int64_t stride, const void *px, void *pm, void *pl) {
    T *l = pl;
    VN(sm_strip)(n, cols, stride, px, NULL, pm, l);
    SM_COLS({ SM_STORE(l + j, v_log(SM_LOAD(l + j))); });
}
static void VN(sm_grad_cols)(int64_t n, int64_t cols, int64_t stride, const void *pg, const void *py,
                             void *po, int log) {
    const T *g = pg, *y = py;
    T *o = po, s[SOFTMAX_STRIP];
    SM_COLS({ SM_STORE(s + j, K(0)); });
    for (int64_t k = 0; k < n; k++)
        SM_COLS({
            V a = SM_LOAD(g + k * stride + j);
            if (!log) a *= SM_LOAD(y + k * stride + j);
            SM_STORE(s + j, SM_LOAD(s + j) + a);
        });
    for (int64_t k = 0; k < n; k++)
        SM_COLS({
            V a = SM_LOAD(g + k * stride + j);
            V b = SM_LOAD(y + k * stride + j);
            V sum = SM_LOAD(s + j);
            SM_STORE(o + k * stride + j, log ? a - v_exp(b) * sum : b * (a - sum));
        });
}
static void VN(sm_ce_cols)(int64_t n, int64_t cols, int64_t stride, const void *px, const void *pm,
                           const void *pl, const void *ps, const void *pc, const void *pw, void *po) {
    const T *x = px, *m = pm, *l = pl, *s = ps, *c = pc, *w = pw;
    T *o = po;
    for (int64_t k = 0; k < n; k++) {
        V weight = w ? v_splat(w[k]) : K(1);
        SM_COLS({
            V p = v_exp(SM_LOAD(x + k * stride + j) - SM_LOAD(m + j) - SM_LOAD(l + j)) * SM_LOAD(s + j);
            SM_STORE(o + k * stride + j, (c ? SM_LOAD(c + j) * weight : K(0)) - p);
        });
    }
}
#undef SM_COLS

/* The inner loops of the normalizations, for the current CT. Sums run over blocks that fit the nearest cache
 * and are joined in double precision, by Chan's rule for variances (Chan, Golub and LeVeque, 1983).
 *
 * nm_row_*: one contiguous row, whose weights follow its elements (layer, RMS norm).
 *
 * nm_plane_*: `count` planes, `step` elements apart, of n contiguous elements, a set of constants each
 * (batch, group, instance norm).
 *
 * nm_cols_*: rows of contiguous elements, a set of constants a column (batch norm of matrices). */
#ifndef AD_NORM_NAMES
#define AD_NORM_NAMES
#define NM_BLOCK 2048 /* elements */
#define NM_LOAD(p) (full ? v_load((p) + i) : v_loadn((p) + i, n - i))
#define NM_STORE(p, v)                                                                                       \
    do {                                                                                                     \
        if (full) v_store((p) + i, v);                                                                       \
        else v_storen((p) + i, v, n - i);                                                                    \
    } while (0)
/* The body for each whole vector and for what is left, where `full` is a constant. */
#define NM_EACH(n, body)                                                                                     \
    do {                                                                                                     \
        int64_t i = 0;                                                                                       \
        for (; i + VL <= (n); i += VL) {                                                                     \
            const int full = 1;                                                                              \
            body                                                                                             \
        }                                                                                                    \
        if (i < (n)) {                                                                                       \
            const int full = 0;                                                                              \
            body                                                                                             \
        }                                                                                                    \
    } while (0)
#define NM_MASK(v) (full ? (v) : v_sel(v_lt(v_index(), K(n - i)), v, K(0)))
#endif

/* The sum of n elements; and that of (x - c)^2, where *first becomes that of x - c. */
VFN T VN(nm_sum)(int64_t n, const T *x) {
    V a = K(0), b = a, c = a, d = a;
    int64_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        a += v_load(x + i);
        b += v_load(x + i + VL);
        c += v_load(x + i + 2 * VL);
        d += v_load(x + i + 3 * VL);
    }
    a = (a + b) + (c + d);
    for (; i < n; i += VL) {
        int full = i + VL <= n;
        a += NM_MASK(NM_LOAD(x));
    }
    return v_hsum(a);
}
VFN T VN(nm_deviation)(int64_t n, const T *x, T centre, T *first) {
    V k = v_splat(centre), s = K(0), t = s, a = s, b = s;
    int64_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        V p = v_load(x + i) - k, q = v_load(x + i + VL) - k;
        s += p;
        t += q;
        a = v_fma(p, p, a);
        b = v_fma(q, q, b);
    }
    for (; i < n; i += VL) {
        int full = i + VL <= n;
        V p = NM_MASK(NM_LOAD(x) - k);
        s += p;
        a = v_fma(p, p, a);
    }
    *first = v_hsum(s + t);
    return v_hsum(a + b);
}

/* Of each row, out: mean and sum of squared deviations from it; about_zero: 0 and the sum of squares. Short
 * rows go once over their elements, about the mean of the first few: what that is off by is at most about
 * sqrt(n / VL) standard deviations. */
VFN void VN(nm_short_stats)(const int rows, int64_t n, const T *x, int about_zero, double *out) {
    V k[4], s[4], q[4];
    V_UNROLL for (int r = 0; r < rows; r++) {
        int64_t i = 0, head = n < VL ? n : VL;
        int full = n >= VL;
        k[r] = about_zero ? K(0) : v_splat(v_hsum(NM_MASK(NM_LOAD(x + r * n))) / (T)head);
        s[r] = q[r] = K(0);
    }
    int64_t i = 0;
    for (; i + VL <= n; i += VL) V_UNROLL for (int r = 0; r < rows; r++) {
            V d = v_load(x + r * n + i) - k[r];
            s[r] += d;
            q[r] = v_fma(d, d, q[r]);
        }
    if (i < n) {
        const int full = 0;
        V_UNROLL for (int r = 0; r < rows; r++) {
            V d = NM_MASK(NM_LOAD(x + r * n) - k[r]);
            s[r] += d;
            q[r] = v_fma(d, d, q[r]);
        }
    }
    V_UNROLL for (int r = 0; r < rows; r++) {
        double sum = (double)v_hsum(s[r]), off = about_zero ? 0 : sum / (double)n,
               m2 = (double)v_hsum(q[r]) - off * sum;
        out[2 * r] = (double)k[r][0] + off;
        out[2 * r + 1] = m2 < 0 ? 0 : m2;
    }
}
static void VN(nm_row_stats)(int rows, int64_t n, const void *px, int about_zero, double *out) {
    const T *x = px;
    if (!n) {
        memset(out, 0, (size_t)rows * 2 * sizeof *out);
        return;
    }
    if (n <= NM_BLOCK) {
        if (rows == 4) VN(nm_short_stats)(4, n, x, about_zero, out);
        else
            for (int r = 0; r < rows; r++) VN(nm_short_stats)(1, n, x + r * n, about_zero, out + 2 * r);
        return;
    }
    for (int r = 0; r < rows; r++, x += n) {
        double mean = 0, m2 = 0;
        for (int64_t at = 0; at < n; at += NM_BLOCK) {
            int64_t m = n - at < NM_BLOCK ? n - at : NM_BLOCK;
            T c = about_zero ? 0 : VN(nm_sum)(m, x + at) / (T)m, first;
            double q = (double)VN(nm_deviation)(m, x + at, c, &first);
            if (about_zero) {
                m2 += q;
                continue;
            }
            double off = (double)first / (double)m, delta = (double)c + off - mean, all = (double)(at + m);
            m2 += q - off * (double)first + delta * delta * (double)at * (double)m / all;
            mean += delta * (double)m / all;
        }
        out[2 * r] = mean;
        out[2 * r + 1] = m2 < 0 ? 0 : m2;
    }
}

/* Of one to four rows: y = (x - mean) * rstd * w + b; w and b may be absent. c holds mean and rstd of each.
 */
VFN void VN(nm_apply)(const int rows, int64_t n, const T *x, const double *c, const T *w, const T *b, T *y) {
    V m[4], s[4];
    V_UNROLL for (int r = 0; r < rows; r++) m[r] = v_splat((T)c[2 * r]), s[r] = v_splat((T)c[2 * r + 1]);
    NM_EACH(n, {
        V weight = w ? NM_LOAD(w) : K(1);
        V bias = b ? NM_LOAD(b) : K(0);
        V_UNROLL for (int r = 0; r < rows; r++) {
            V h = (NM_LOAD(x + r * n) - m[r]) * s[r];
            if (w) h = b ? v_fma(h, weight, bias) : h * weight;
            else if (b) h += bias;
            NM_STORE(y + r * n, h);
        }
    });
}
static void VN(nm_row_apply)(int rows, int64_t n, const void *px, const double *c, const void *w,
                             const void *b, void *py) {
    const T *x = px;
    T *y = py;
    if (rows == 4) VN(nm_apply)(4, n, x, c, w, b, y);
    else
        for (int r = 0; r < rows; r++) VN(nm_apply)(1, n, x + r * n, c + 2 * r, w, b, y + r * n);
}

/* Of each row, out: the sums of g w and of g w (x - mean) */
VFN void VN(nm_dots)(const int rows, int64_t n, const T *g, const T *x, const double *c, const T *w,
                     double *out) {
    V m[4];
    V_UNROLL for (int r = 0; r < rows; r++) {
        m[r] = v_splat((T)c[4 * r]);
        out[2 * r] = out[2 * r + 1] = 0;
    }
    for (int64_t at = 0; at < n; at += NM_BLOCK) {
        int64_t end = n - at < NM_BLOCK ? n : at + NM_BLOCK, i = at;
        V s[4], q[4];
        V_UNROLL for (int r = 0; r < rows; r++) s[r] = q[r] = K(0);
        for (; i + VL <= end; i += VL) {
            V weight = w ? v_load(w + i) : K(1);
            V_UNROLL for (int r = 0; r < rows; r++) {
                V p = v_load(g + r * n + i);
                if (w) p *= weight;
                s[r] += p;
                q[r] = v_fma(p, v_load(x + r * n + i) - m[r], q[r]);
            }
        }
        if (i < end) {
            const int full = 0;
            V weight = w ? NM_LOAD(w) : K(1);
            V_UNROLL for (int r = 0; r < rows; r++) {
                V p = NM_LOAD(g + r * n);
                if (w) p *= weight;
                s[r] += NM_MASK(p);
                q[r] += NM_MASK(p * (NM_LOAD(x + r * n) - m[r]));
            }
        }
        V_UNROLL for (int r = 0; r < rows; r++) {
            out[2 * r] += (double)v_hsum(s[r]);
            out[2 * r + 1] += (double)v_hsum(q[r]);
        }
    }
}
/* c: four values a row, of which the first is its mean */
static void VN(nm_row_dots)(int rows, int64_t n, const void *pg, const void *px, const double *c,
                            const void *w, double *out) {
    const T *g = pg, *x = px;
    if (rows == 4) VN(nm_dots)(4, n, g, x, c, w, out);
    else
        for (int r = 0; r < rows; r++) VN(nm_dots)(1, n, g + r * n, x + r * n, c + 4 * r, w, out + 2 * r);
}

/* Of one to four rows: dx = rstd g w + k (x - mean) + c, dw += g (x - mean) rstd, db += g. c holds mean,
 * rstd, k and c of each row; dx, dw and db may be absent. */
VFN void VN(nm_rows)(const int rows, int64_t n, const T *g, const T *x, const double *c, const T *w, T *dx,
                     T *dw, T *db) {
    V m[4], s[4], k[4], o[4];
    V_UNROLL for (int r = 0; r < rows; r++) {
        m[r] = v_splat((T)c[4 * r]), s[r] = v_splat((T)c[4 * r + 1]);
        k[r] = v_splat((T)c[4 * r + 2]), o[r] = v_splat((T)c[4 * r + 3]);
    }
    NM_EACH(n, {
        V weight = w ? NM_LOAD(w) : K(1);
        V a = dw ? NM_LOAD(dw) : K(0);
        V b = db ? NM_LOAD(db) : K(0);
        V_UNROLL for (int r = 0; r < rows; r++) {
            V p = NM_LOAD(g + r * n);
            V d = NM_LOAD(x + r * n) - m[r];
            b += p;
            p *= s[r];
            if (dx) NM_STORE(dx + r * n, v_fma(p, weight, v_fma(d, k[r], o[r])));
            a = v_fma(p, d, a);
        }
        if (dw) NM_STORE(dw, a);
        if (db) NM_STORE(db, b);
    });
}
static void VN(nm_row_grad)(int rows, int64_t n, const void *pg, const void *px, const double *c,
                            const void *w, void *pdx, void *dw, void *db) {
    const T *g = pg, *x = px;
    T *dx = pdx;
    if (rows == 4) VN(nm_rows)(4, n, g, x, c, w, dx, dw, db);
    else
        for (int r = 0; r < rows; r++)
            VN(nm_rows)(1, n, g + r * n, x + r * n, c + 4 * r, w, dx ? dx + r * n : NULL, dw, db);
}

/* Adds to s and q, VL lanes a plane, the sums of x - k and of its square; with g those of g and of
 * g (x - k). */
static void VN(nm_plane_sums)(int64_t count, int64_t n, int64_t step, const void *px, const void *pg,
                              const void *pk, void *ps, void *pq) {
    const T *k = pk;
    T *ss = ps, *qq = pq;
    for (int64_t c = 0; c < count; c++) {
        const T *x = (const T *)px + c * step, *g = pg ? (const T *)pg + c * step : NULL;
        V m = v_splat(k[c]), s = v_load(ss + c * VL), q = v_load(qq + c * VL), t = K(0), u = t;
        int64_t i = 0;
        for (; i + 2 * VL <= n; i += 2 * VL) {
            V d = v_load(x + i) - m, e = v_load(x + i + VL) - m, p = g ? v_load(g + i) : d,
              r = g ? v_load(g + i + VL) : e;
            s += p;
            t += r;
            q = v_fma(p, d, q);
            u = v_fma(r, e, u);
        }
        for (; i < n; i += VL) {
            int full = i + VL <= n;
            V d = NM_LOAD(x) - m, p = g ? NM_LOAD(g) : d;
            s += NM_MASK(p);
            q += NM_MASK(p * d);
        }
        v_store(ss + c * VL, s + t);
        v_store(qq + c * VL, q + u);
    }
}

/* Moves what nm_plane_sums gathered into double precision. */
static void VN(nm_plane_flush)(int64_t count, void *ps, void *pq, double *s, double *q) {
    T *ss = ps, *qq = pq;
    for (int64_t c = 0; c < count; c++) {
        s[c] += (double)v_hsum(v_load(ss + c * VL));
        q[c] += (double)v_hsum(v_load(qq + c * VL));
        v_store(ss + c * VL, K(0));
        v_store(qq + c * VL, K(0));
    }
}

/* y = (x - m) a + b; with g: y = g a + ((x - m) b + c) */
static void VN(nm_plane_apply)(int64_t count, int64_t n, int64_t step, const void *px, const void *pg,
                               const void *pm, const void *pa, const void *pb, const void *pc, void *py) {
    const T *mm = pm, *aa = pa, *bb = pb, *cc = pc;
    for (int64_t k = 0; k < count; k++) {
        const T *x = (const T *)px + k * step, *g = pg ? (const T *)pg + k * step : NULL;
        T *y = (T *)py + k * step;
        V m = v_splat(mm[k]), a = v_splat(aa[k]), b = v_splat(bb[k]), c = cc ? v_splat(cc[k]) : K(0);
        if (g) NM_EACH(n, { NM_STORE(y, v_fma(NM_LOAD(g), a, v_fma(NM_LOAD(x) - m, b, c))); });
        else NM_EACH(n, { NM_STORE(y, v_fma(NM_LOAD(x) - m, a, b)); });
    }
}

/* s[j] and q[j]: the sums down column j of x - k and its square; with g of g and g (x - k). */
static void VN(nm_cols_sums)(int64_t rows, int64_t n, int64_t stride, const void *px, const void *pg,
                             const void *pk, void *ps, void *pq) {
    const T *k = pk;
    T *ss = ps, *qq = pq;
    NM_EACH(n, {
        V m = NM_LOAD(k);
        V s = K(0);
        V q = s;
        const T *x = px;
        const T *g = pg;
        for (int64_t r = 0; r < rows; r++, x += stride) {
            V d = NM_LOAD(x) - m;
            V p = d;
            if (g) {
                p = NM_LOAD(g);
                g += stride;
            }
            s += p;
            q = v_fma(p, d, q);
        }
        NM_STORE(ss, s);
        NM_STORE(qq, q);
    });
}
static void VN(nm_cols_apply)(int64_t rows, int64_t n, int64_t stride, const void *px, const void *pg,
                              const void *pm, const void *pa, const void *pb, const void *pc, void *py) {
    const T *m = pm, *a = pa, *b = pb, *c = pc;
    for (int64_t r = 0; r < rows; r++) {
        const T *x = (const T *)px + r * stride, *g = pg ? (const T *)pg + r * stride : NULL;
        T *y = (T *)py + r * stride;
        NM_EACH(n, {
            V d = NM_LOAD(x) - NM_LOAD(m);
            if (g) d = v_fma(NM_LOAD(g), NM_LOAD(a), v_fma(d, NM_LOAD(b), NM_LOAD(c)));
            else d = v_fma(d, NM_LOAD(a), NM_LOAD(b));
            NM_STORE(y, d);
        });
    }
}

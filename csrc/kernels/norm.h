/* The inner loops of the normalizations, for the current CT. Sums run over blocks that fit the nearest cache
 * and are joined in double precision, by Chan's rule for variances (Chan, Golub and LeVeque, 1983).
 *
 * nm_row_*    one contiguous row, whose weights follow its elements (layer, RMS norm)
 * nm_plane_*  `count` planes, `step` elements apart, of n contiguous elements, a set of constants each
 * (batch, group, instance norm) nm_cols_*   rows of contiguous elements, a set of constants a column (batch
 * norm of matrices) */
#ifndef AD_NORM_NAMES
#define AD_NORM_NAMES
#define NM_BLOCK 2048 /* elements */
#define NM_LOAD(p) (full ? v_load((p) + i) : v_loadn((p) + i, n - i))
#define NM_STORE(p, v)                                                                                       \
    do {                                                                                                     \
        if (full) v_store((p) + i, v);                                                                       \
        else v_storen((p) + i, v, n - i);                                                                    \
    } while (0)
#define NM_MASK(v) (full ? (v) : v_sel(v_lt(v_index(), K(n - i)), v, K(0)))
#endif

/* The sum of n elements; with `square` that of (x - c)^2, and *first that of x - c. */
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

/* out: mean and sum of squared deviations from it; about_zero: 0 and the sum of squares. */
static void VN(nm_row_stats)(int64_t n, const void *px, int about_zero, double *out) {
    const T *x = px;
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
    out[0] = mean;
    out[1] = m2 < 0 ? 0 : m2;
}

/* y = (x - mean) * rstd * w + b; w and b may be absent */
static void VN(nm_row_apply)(int64_t n, const void *px, double mean, double rstd, const void *pw,
                             const void *pb, void *py) {
    const T *x = px, *w = pw, *b = pb;
    T *y = py;
    V m = v_splat((T)mean), r = v_splat((T)rstd);
    for (int64_t i = 0; i < n; i += VL) {
        int full = i + VL <= n;
        V h = (NM_LOAD(x) - m) * r;
        if (w) h = b ? v_fma(h, NM_LOAD(w), NM_LOAD(b)) : h * NM_LOAD(w);
        else if (b) h += NM_LOAD(b);
        NM_STORE(y, h);
    }
}

/* out: the sums of g w and of g w (x - mean) */
static void VN(nm_row_dots)(int64_t n, const void *pg, const void *px, double mean, const void *pw,
                            double *out) {
    const T *g = pg, *x = px, *w = pw;
    V m = v_splat((T)mean);
    out[0] = out[1] = 0;
    for (int64_t at = 0; at < n; at += NM_BLOCK) {
        int64_t end = n - at < NM_BLOCK ? n : at + NM_BLOCK, i = at;
        V s = K(0), t = s, a = s, b = s;
        for (; i + 2 * VL <= end; i += 2 * VL) {
            V p = v_load(g + i), q = v_load(g + i + VL);
            if (w) {
                p *= v_load(w + i);
                q *= v_load(w + i + VL);
            }
            s += p;
            t += q;
            a = v_fma(p, v_load(x + i) - m, a);
            b = v_fma(q, v_load(x + i + VL) - m, b);
        }
        for (; i < end; i += VL) {
            int full = i + VL <= end;
            V p = NM_LOAD(g);
            if (w) p *= NM_LOAD(w);
            p = NM_MASK(p);
            s += p;
            a += NM_MASK(p * (NM_LOAD(x) - m));
        }
        out[0] += (double)v_hsum(s + t);
        out[1] += (double)v_hsum(a + b);
    }
}

/* Of one to four rows: dx = rstd g w + k (x - mean) + c, dw += g (x - mean) rstd, db += g. c holds mean,
 * rstd, k and c of each row; dx, dw and db may be absent. */
VFN void VN(nm_rows)(const int rows, int64_t n, const T *g, const T *x, const T *c, const T *w, T *dx, T *dw,
                     T *db) {
    for (int64_t i = 0; i < n; i += VL) {
        int full = i + VL <= n;
        V weight = w ? NM_LOAD(w) : K(1), a = dw ? NM_LOAD(dw) : K(0), b = db ? NM_LOAD(db) : K(0);
        for (int r = 0; r < rows; r++) {
            V p = NM_LOAD(g + r * n), d = NM_LOAD(x + r * n) - v_splat(c[4 * r]), s = v_splat(c[4 * r + 1]);
            if (dx)
                NM_STORE(dx + r * n,
                         v_fma(p * weight, s, v_fma(d, v_splat(c[4 * r + 2]), v_splat(c[4 * r + 3]))));
            a = v_fma(p, d * s, a);
            b += p;
        }
        if (dw) NM_STORE(dw, a);
        if (db) NM_STORE(db, b);
    }
}
static void VN(nm_row_grad)(int rows, int64_t n, const void *g, const void *x, const double *c, const void *w,
                            void *dx, void *dw, void *db) {
    T k[16];
    for (int i = 0; i < 4 * rows; i++) k[i] = (T)c[i];
    if (rows == 4) VN(nm_rows)(4, n, g, x, k, w, dx, dw, db);
    else
        for (int r = 0; r < rows; r++)
            VN(nm_rows)(1, n, (const T *)g + r * n, (const T *)x + r * n, k + 4 * r, w,
                        dx ? (T *)dx + r * n : NULL, dw, db);
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
        if (g)
            for (int64_t i = 0; i < n; i += VL) {
                int full = i + VL <= n;
                NM_STORE(y, v_fma(NM_LOAD(g), a, v_fma(NM_LOAD(x) - m, b, c)));
            }
        else
            for (int64_t i = 0; i < n; i += VL) {
                int full = i + VL <= n;
                NM_STORE(y, v_fma(NM_LOAD(x) - m, a, b));
            }
    }
}

/* s[j] and q[j]: the sums down column j of x - k and its square; with g of g and g (x - k). */
static void VN(nm_cols_sums)(int64_t rows, int64_t n, int64_t stride, const void *px, const void *pg,
                             const void *pk, void *ps, void *pq) {
    const T *k = pk;
    T *ss = ps, *qq = pq;
    for (int64_t i = 0; i < n; i += VL) {
        int full = i + VL <= n;
        V m = NM_LOAD(k), s = K(0), q = s;
        const T *x = px, *g = pg;
        for (int64_t r = 0; r < rows; r++, x += stride) {
            V d = NM_LOAD(x) - m, p = d;
            if (g) {
                p = NM_LOAD(g);
                g += stride;
            }
            s += p;
            q = v_fma(p, d, q);
        }
        NM_STORE(ss, s);
        NM_STORE(qq, q);
    }
}
static void VN(nm_cols_apply)(int64_t rows, int64_t n, int64_t stride, const void *px, const void *pg,
                              const void *pm, const void *pa, const void *pb, const void *pc, void *py) {
    const T *m = pm, *a = pa, *b = pb, *c = pc;
    for (int64_t r = 0; r < rows; r++) {
        const T *x = (const T *)px + r * stride, *g = pg ? (const T *)pg + r * stride : NULL;
        T *y = (T *)py + r * stride;
        for (int64_t i = 0; i < n; i += VL) {
            int full = i + VL <= n;
            V d = NM_LOAD(x) - NM_LOAD(m);
            if (g) d = v_fma(NM_LOAD(g), NM_LOAD(a), v_fma(d, NM_LOAD(b), NM_LOAD(c)));
            else d = v_fma(d, NM_LOAD(a), NM_LOAD(b));
            NM_STORE(y, d);
        }
    }
}

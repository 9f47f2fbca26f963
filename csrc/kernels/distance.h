/* Distances between points x of m coordinates and n points, for the current CT. The n points are given by
 * coordinate: yt[k * n + j] is coordinate k of point j. kind: 0 counts the coordinates that differ, 1 and 2
 * are the norms of that power, 3 is the largest difference, 4 the norm of power p. */
#ifndef AD_DISTANCE_NAMES
#define AD_DISTANCE_NAMES
#define DIST_BLOCK 256 /* points whose weights are kept at hand; a multiple of every VL */
#define DIST_LOAD(p) (left >= VL ? v_load(p) : v_loadn((p), left))
#endif

/* One point against n. */
VFN void VN(distance_one)(int64_t n, int64_t m, const T *x, const T *yt, const int kind, double p, T *out) {
    for (int64_t j = 0; j < n; j += VL) {
        int64_t left = n - j;
        V s = K(0);
        for (int64_t k = 0; k < m; k++) {
            V d = v_abs(DIST_LOAD(yt + k * n + j) - v_splat(x[k]));
            if (kind == 2) s = v_fma(d, d, s);
            else if (kind == 1) s += d;
            else if (kind == 3) s = v_max(d, s);
            else if (kind == 0) s += v_sel(v_eq(d, K(0)), K(0), K(1));
            else s += v_pow(d, K(p));
        }
        if (kind == 2) s = v_sqrt(s);
        else if (kind == 4) s = v_pow(s, K(1 / p));
        if (left >= VL) v_store(out + j, s);
        else v_storen(out + j, s, left);
    }
}
/* Four points against two vectors of points at a time: eight sums that do not wait for each other, and each
 * coordinate of y is read once for four. */
VFN void VN(distance_four)(int64_t n, int64_t m, const T *x, const T *yt, const int kind, T *out) {
    int64_t j = 0;
    for (; j + 2 * VL <= n; j += 2 * VL) {
        V s[4][2];
        V_UNROLL for (int r = 0; r < 4; r++) s[r][0] = s[r][1] = K(0);
        for (int64_t k = 0; k < m; k++) {
            V y0 = v_load(yt + k * n + j), y1 = v_load(yt + k * n + j + VL);
            V_UNROLL for (int r = 0; r < 4; r++) {
                V c = v_splat(x[r * m + k]), d0 = y0 - c, d1 = y1 - c;
                if (kind == 2) s[r][0] = v_fma(d0, d0, s[r][0]), s[r][1] = v_fma(d1, d1, s[r][1]);
                else s[r][0] += v_abs(d0), s[r][1] += v_abs(d1);
            }
        }
        V_UNROLL for (int r = 0; r < 4; r++) {
            v_store(out + r * n + j, kind == 2 ? v_sqrt(s[r][0]) : s[r][0]);
            v_store(out + r * n + j + VL, kind == 2 ? v_sqrt(s[r][1]) : s[r][1]);
        }
    }
    for (; j < n; j += VL) {
        int64_t left = n - j;
        V s[4];
        V_UNROLL for (int r = 0; r < 4; r++) s[r] = K(0);
        for (int64_t k = 0; k < m; k++) {
            V y = DIST_LOAD(yt + k * n + j);
            V_UNROLL for (int r = 0; r < 4; r++) {
                V d = y - v_splat(x[r * m + k]);
                s[r] = kind == 2 ? v_fma(d, d, s[r]) : s[r] + v_abs(d);
            }
        }
        for (int r = 0; r < 4; r++) {
            V d = kind == 2 ? v_sqrt(s[r]) : s[r];
            if (left >= VL) v_store(out + r * n + j, d);
            else v_storen(out + r * n + j, d, left);
        }
    }
}
static void VN(distance)(int64_t points, int64_t n, int64_t m, const void *px, const void *yt, int kind,
                         double p, void *pout) {
    const T *x = px;
    T *out = pout;
    if (kind == 1 || kind == 2)
        for (; points >= 4; points -= 4, x += 4 * m, out += 4 * n) {
            if (kind == 2) VN(distance_four)(n, m, x, yt, 2, out);
            else VN(distance_four)(n, m, x, yt, 1, out);
        }
    for (; points; points--, x += m, out += n) {
        if (kind == 2) VN(distance_one)(n, m, x, yt, 2, p, out);
        else if (kind == 1) VN(distance_one)(n, m, x, yt, 1, p, out);
        else if (kind == 3) VN(distance_one)(n, m, x, yt, 3, p, out);
        else if (kind == 0) VN(distance_one)(n, m, x, yt, 0, p, out);
        else VN(distance_one)(n, m, x, yt, 4, p, out);
    }
}

/* out[k] = sum over j of g[j] times the derivative of dist[j] by x[k]; 0 where points coincide. */
VFN void VN(distance_grad_one)(int64_t n, int64_t m, const T *x, const T *yt, const T *g, const T *dist,
                               const int kind, double p, T *out) {
    _Alignas(64) T w[DIST_BLOCK];
    for (int64_t k = 0; k < m; k++) out[k] = 0;
    for (int64_t from = 0; from < n && kind; from += DIST_BLOCK) {
        int64_t many = n - from < DIST_BLOCK ? n - from : DIST_BLOCK;
        for (int64_t j = 0; j < many; j += VL) {
            int64_t left = many - j;
            V y = DIST_LOAD(dist + from + j), r = DIST_LOAD(g + from + j);
            if (kind == 2) r = r / y;
            else if (kind == 4) r = r / v_pow(y, K(p - 1));
            v_store(w + j, v_sel(v_eq(y, K(0)), K(0), r));
        }
        for (int64_t k = 0; k < m; k++) {
            const T *row = yt + k * n + from;
            V s = K(0), a = v_splat(x[k]);
            for (int64_t j = 0; j < many; j += VL) {
                int64_t left = many - j;
                V d = a - DIST_LOAD(row + j), r = v_load(w + j);
                if (kind == 2) r = r * d;
                else {
                    V size = v_abs(d);
                    if (kind == 3) r = v_sel(v_eq(size, DIST_LOAD(dist + from + j)), r, K(0));
                    else if (kind == 4) r = r * v_pow(size, K(p - 1));
                    r = v_sel(v_lt(d, K(0)), v_neg(r), v_sel(v_eq(d, K(0)), K(0), r));
                }
                s += left >= VL ? r : v_sel(v_lt(v_index(), K(left)), r, K(0));
            }
            out[k] += v_hsum(s);
        }
    }
}
/* Of four points, with the norm of power 2: the sums of w (x - y), two accumulators each. */
VFN void VN(distance_grad_four)(int64_t n, int64_t m, const T *x, const T *yt, const T *g, const T *dist,
                                T *out) {
    _Alignas(64) T w[4][DIST_BLOCK];
    for (int64_t k = 0; k < 4 * m; k++) out[k] = 0;
    for (int64_t from = 0; from < n; from += DIST_BLOCK) {
        int64_t many = n - from < DIST_BLOCK ? n - from : DIST_BLOCK, whole = many / (2 * VL) * (2 * VL);
        for (int r = 0; r < 4; r++)
            for (int64_t j = 0; j < many; j += VL) {
                int64_t left = many - j;
                V y = DIST_LOAD(dist + r * n + from + j), q = DIST_LOAD(g + r * n + from + j);
                q = v_sel(v_eq(y, K(0)), K(0), q / y);
                v_store(w[r] + j, left >= VL ? q : v_sel(v_lt(v_index(), K(left)), q, K(0)));
            }
        for (int64_t k = 0; k < m; k++) {
            const T *row = yt + k * n + from;
            V s[4][2], a[4];
            V_UNROLL for (int r = 0; r < 4; r++) s[r][0] = s[r][1] = K(0), a[r] = v_splat(x[r * m + k]);
            for (int64_t j = 0; j < whole; j += 2 * VL) {
                V y0 = v_load(row + j), y1 = v_load(row + j + VL);
                V_UNROLL for (int r = 0; r < 4; r++) {
                    s[r][0] = v_fma(v_load(w[r] + j), a[r] - y0, s[r][0]);
                    s[r][1] = v_fma(v_load(w[r] + j + VL), a[r] - y1, s[r][1]);
                }
            }
            for (int64_t j = whole; j < many; j += VL) {
                int64_t left = many - j;
                V y = DIST_LOAD(row + j); /* beyond the end a point again, of weight 0 */
                V_UNROLL for (int r = 0; r < 4; r++) {
                    V q = v_load(w[r] + j) * (a[r] - y);
                    s[r][0] += left >= VL ? q : v_sel(v_lt(v_index(), K(left)), q, K(0));
                }
            }
            V_UNROLL for (int r = 0; r < 4; r++) out[r * m + k] += v_hsum(s[r][0] + s[r][1]);
        }
    }
}
static void VN(distance_grad)(int64_t points, int64_t n, int64_t m, const void *px, const void *yt,
                              const void *pg, const void *pdist, int kind, double p, void *pout) {
    const T *x = px, *g = pg, *dist = pdist;
    T *out = pout;
    if (kind == 2)
        for (; points >= 4; points -= 4, x += 4 * m, g += 4 * n, dist += 4 * n, out += 4 * m)
            VN(distance_grad_four)(n, m, x, yt, g, dist, out);
    for (; points; points--, x += m, g += n, dist += n, out += m) {
        if (kind == 2) VN(distance_grad_one)(n, m, x, yt, g, dist, 2, p, out);
        else if (kind == 1) VN(distance_grad_one)(n, m, x, yt, g, dist, 1, p, out);
        else if (kind == 3) VN(distance_grad_one)(n, m, x, yt, g, dist, 3, p, out);
        else if (kind == 0) VN(distance_grad_one)(n, m, x, yt, g, dist, 0, p, out);
        else VN(distance_grad_one)(n, m, x, yt, g, dist, 4, p, out);
    }
}

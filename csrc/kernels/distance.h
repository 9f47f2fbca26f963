/* Distances between one point x of m coordinates and n points, for the current CT. The points are given by
 * coordinate: yt[k * n + j] is coordinate k of point j. kind: 0 counts the coordinates that differ, 1 and 2
 * are the norms of that power, 3 is the largest difference, 4 the norm of power p. */
#ifndef AD_DISTANCE_NAMES
#define AD_DISTANCE_NAMES
#define DIST_BLOCK 256 /* points whose weights are kept at hand; a multiple of every VL */
#define DIST_LOAD(p) (left >= VL ? v_load(p) : v_loadn((p), left))
#endif

static void VN(distance)(int64_t n, int64_t m, const void *px, const void *pyt, int kind, double p,
                         void *pout) {
    const T *x = px, *yt = pyt;
    T *out = pout;
    for (int64_t j = 0; j < n; j += VL) {
        int64_t left = n - j;
        V s = K(0);
        for (int64_t k = 0; k < m; k++) {
            V d = v_abs(v_splat(x[k]) - DIST_LOAD(yt + k * n + j));
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

/* out[k] = sum over j of g[j] times the derivative of dist[j] by x[k]; 0 where points coincide. */
static void VN(distance_grad)(int64_t n, int64_t m, const void *px, const void *pyt, const void *pg,
                              const void *pdist, int kind, double p, void *pout) {
    const T *x = px, *yt = pyt, *g = pg, *dist = pdist;
    T *out = pout;
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

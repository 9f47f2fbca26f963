/* Inner loops of pooling, for the current CT: a row of windows at a time. */
#ifndef AD_POOLING_NAMES
#define AD_POOLING_NAMES
#define v_even VN(v_even)
#define v_odd VN(v_odd)
#define v_zip_lo VN(v_zip_lo)
#define v_zip_hi VN(v_zip_hi)
#define v_load2 VN(v_load2)
#define v_store2 VN(v_store2)
#endif

/* Of 2 VL elements in a and b, those at even or odd places; and back. */
#ifdef __clang__
#define V_PICK(from)                                                                                         \
    V r;                                                                                                     \
    for (int i = 0; i < VL; i++) {                                                                           \
        const int k = (from);                                                                                \
        r[i] = k < VL ? a[k] : b[k - VL];                                                                    \
    }                                                                                                        \
    return r;
#else
#define V_PICK(from)                                                                                         \
    const VI i = v_iota();                                                                                   \
    return __builtin_shuffle(a, b, (VI)(from));
#endif
VFN V v_even(V a, V b){V_PICK(2 * i)} VFN V v_odd(V a, V b){V_PICK(2 * i + 1)} VFN V
    v_zip_lo(V a, V b){V_PICK(i / 2 + (i & 1) * VL)} VFN V
    v_zip_hi(V a, V b){V_PICK(VL / 2 + i / 2 + (i & 1) * VL)}
#undef V_PICK

/* `n` of the 2 VL elements at p. */
VFN void v_load2(const T *p, int64_t n, V *a, V *b) {
    *a = n >= VL ? v_load(p) : v_loadn(p, n);
    *b = n >= 2 * VL ? v_load(p + VL) : n > VL ? v_loadn(p + VL, n - VL) : *a;
}
VFN void v_store2(T *p, int64_t n, V a, V b) {
    if (n >= VL) v_store(p, a);
    else v_storen(p, a, n);
    if (n >= 2 * VL) v_store(p + VL, b);
    else if (n > VL) v_storen(p + VL, b, n - VL);
}

/* best = the larger of it and x, where NaN counts as largest and the last of several NaN wins; code = tap
 * where that is x. x is read at every `step`-th place, 1 or 2. best and code have room for a whole
 * vector more; there nothing changes. */
static void VN(pool_max_tap)(int64_t n, const void *px, int64_t step, void *pbest, void *pcode, int64_t tap) {
    const T *x = px;
    T *best = pbest, *code = pcode;
    V c = K(tap);
    for (int64_t i = 0; i < n; i += VL) {
        int64_t left = n - i;
        V a, b, m = v_load(best + i);
        if (step == 1) a = left >= VL ? v_load(x + i) : v_loadn(x + i, left);
        else v_load2(x + 2 * i, 2 * left - 1, &a, &b), a = v_even(a, b);
        if (left < VL) a = v_sel(v_lt(v_index(), K(left)), a, K(T_LOWEST));
        M take = v_or(v_gt(a, m), v_isnan(a));
        v_store(best + i, v_sel(take, a, m));
        v_store(code + i, v_sel(take, c, v_load(code + i)));
    }
}
static void VN(pool_fill)(int64_t n, void *p, double v) {
    V c = CT_FLOAT || v > (double)INT64_MIN ? K(v) : K(T_LOWEST);
    for (int64_t i = 0; i < n; i += VL) v_store((T *)p + i, c);
}
static void VN(pool_codes8)(int64_t n, const void *code, uint8_t *out) {
    for (int64_t i = 0; i < n; i++) out[i] = (uint8_t)(int32_t)((const T *)code)[i];
}
static void VN(pool_codes64)(int64_t n, const void *code, int64_t *out) {
    for (int64_t i = 0; i < n; i++) out[i] = (int64_t)((const T *)code)[i];
}

/* The same for one window that lies along a line: *at becomes base + k jump at element k. */
static void VN(pool_max_line)(int64_t n, const void *px, int64_t step, void *pbest, int64_t *at, int64_t base,
                              int64_t jump) {
    const T *x = px;
    T best = *(T *)pbest;
    int64_t found = -1;
    for (int64_t k = 0; k < n; k++) {
        T v = x[k * step];
        if (v > best || (CT_FLOAT && isnan((double)v))) best = v, found = k;
    }
    *(T *)pbest = best;
    if (found >= 0) *at = base + found * jump;
}

#if CT_FLOAT
/* n windows of 2 x 2 beside each other, with rows p and q; the codes are 0, 1 in p and 2, 3 in q. */
static void VN(pool_max_2x2)(int64_t n, const void *pp, const void *pq, void *out, uint8_t *code) {
    const T *p = pp, *q = pq;
    for (int64_t i = 0; i < n; i += VL) {
        int64_t left = n - i;
        V a, b, m, x, c = K(0);
        M take;
        v_load2(p + 2 * i, 2 * left, &a, &b);
        m = v_even(a, b), x = v_odd(a, b);
        take = v_or(v_gt(x, m), v_isnan(x));
        m = v_sel(take, x, m), c = v_sel(take, K(1), c);
        v_load2(q + 2 * i, 2 * left, &a, &b);
        x = v_even(a, b);
        take = v_or(v_gt(x, m), v_isnan(x));
        m = v_sel(take, x, m), c = v_sel(take, K(2), c);
        x = v_odd(a, b);
        take = v_or(v_gt(x, m), v_isnan(x));
        m = v_sel(take, x, m), c = v_sel(take, K(3), c);
        typedef uint8_t bytes __attribute__((vector_size(VL)));
        bytes k = __builtin_convertvector(__builtin_convertvector(c, VI), bytes);
        if (left >= VL) {
            v_store((T *)out + i, m);
            memcpy(code + i, &k, VL);
        } else {
            v_storen((T *)out + i, m, left);
            for (int l = 0; l < VL - 1; l++)
                if (l < left) code[i + l] = k[l];
        }
    }
}
/* Its gradient: g where the code says, else 0, into the rows p and q. */
static void VN(pool_max_2x2_grad)(int64_t n, const void *pg, const uint8_t *code, void *pp, void *pq) {
    const T *g = pg;
    T *p = pp, *q = pq;
    typedef uint8_t bytes __attribute__((vector_size(VL)));
    for (int64_t i = 0; i < n; i += VL) {
        int64_t left = n - i;
        bytes k = {0};
        if (left >= VL) memcpy(&k, code + i, VL);
        else
            for (int l = 0; l < VL - 1; l++)
                if (l < left) k[l] = code[i + l];
        V c = __builtin_convertvector(__builtin_convertvector(k, VI), V), z = K(0);
        V x = left >= VL ? v_load(g + i) : v_loadn(g + i, left);
        V e = v_sel(v_eq(c, z), x, z), o = v_sel(v_eq(c, K(1)), x, z);
        v_store2(p + 2 * i, 2 * left, v_zip_lo(e, o), v_zip_hi(e, o));
        e = v_sel(v_eq(c, K(2)), x, z), o = v_sel(v_eq(c, K(3)), x, z);
        v_store2(q + 2 * i, 2 * left, v_zip_lo(e, o), v_zip_hi(e, o));
    }
}
#endif

/* out[j] = the sum of line[lo[j] .. hi[j]) / (rows cols[j]), or / all where that is not 0. `pairs`: window j
 * begins 2 j after the first and is two long. */
static void VN(pool_sums)(int64_t n, const void *pline, const int64_t *lo, const int64_t *hi,
                          const int64_t *cols, int64_t rows, int64_t all, int pairs, void *pout) {
    const T *line = pline;
    T *out = pout;
    int64_t j = 0;
#if CT_FLOAT
    if (pairs && n) {
        V d = K(all ? all : rows * cols[0]);
        for (; j + VL <= n; j += VL) {
            V a = v_load(line + lo[0] + 2 * j), b = v_load(line + lo[0] + 2 * j + VL);
            v_store(out + j, (v_even(a, b) + v_odd(a, b)) / d);
        }
    }
#endif
    for (; j < n; j++) {
        T s = 0;
        T d = (T)(all ? all : rows * cols[j]);
#if CT_FLOAT
        for (int64_t i = lo[j]; i < hi[j]; i++) s += line[i];
        out[j] = s / d;
#else
        for (int64_t i = lo[j]; i < hi[j]; i++) s = (T)((TU)s + (TU)line[i]);
        out[j] = d == -1 ? (T)(0 - (TU)s) : s / d;
#endif
    }
}
#if CT_FLOAT
/* Its adjoint: adds g[j] / (rows cols[j]) to line[lo[j] .. hi[j]). */
static void VN(pool_spread)(int64_t n, const void *pg, const int64_t *lo, const int64_t *hi,
                            const int64_t *cols, int64_t rows, int64_t all, int pairs, void *pline) {
    const T *g = pg;
    T *line = pline;
    int64_t j = 0;
    if (pairs && n) {
        V d = K(all ? all : rows * cols[0]);
        for (; j + VL <= n; j += VL) {
            V x = v_load(g + j) / d;
            T *to = line + lo[0] + 2 * j;
            v_store(to, v_load(to) + v_zip_lo(x, x));
            v_store(to + VL, v_load(to + VL) + v_zip_hi(x, x));
        }
    }
    for (; j < n; j++) {
        T s = g[j] / (T)(all ? all : rows * cols[j]);
        for (int64_t i = lo[j]; i < hi[j]; i++) line[i] += s;
    }
}
#endif

/* Inner loops of pooling, for the current CT.
 *
 * Idea: a row of windows at a time, one tap of all its windows after the other, so that vectors run over
 * windows, whatever their size; a maximum carries the number of its tap beside it. Two cases that most models
 * have go their own way: windows of 2 by 2, in pairs of neighbouring elements, and windows that span a plane.
 */
#ifndef AD_POOLING_NAMES
#define AD_POOLING_NAMES
#define v_even VN(v_even)
#define v_odd VN(v_odd)
#define v_zip_lo VN(v_zip_lo)
#define v_zip_hi VN(v_zip_hi)
#define v_load2 VN(v_load2)
#define v_store2 VN(v_store2)
#define bytes VN(bytes)
#define v_loadn_bytes VN(v_loadn_bytes)
#define v_storen_bytes VN(v_storen_bytes)
#endif

/* Of 2 VL elements in a and b, those at even or odd places; and back. */
#ifdef __clang__
#define V_PICK(from)                                                                                         \
    V r;                                                                                                     \
    for (int i = 0; i < VL; i++) {                                                                           \
        const int k = (from);                                                                                \
        r[i] = k < VL ? a[k] : b[k - VL];                                                                    \
    }                                                                                                        \
    return r
#else
#define V_PICK(from)                                                                                         \
    const VI i = v_iota();                                                                                   \
    return __builtin_shuffle(a, b, (VI)(from))
#endif
VFN V v_even(V a, V b) { V_PICK(2 * i); }
VFN V v_odd(V a, V b) { V_PICK(2 * i + 1); }
VFN V v_zip_lo(V a, V b) { V_PICK(i / 2 + (i & 1) * VL); }
VFN V v_zip_hi(V a, V b) { V_PICK(VL / 2 + i / 2 + (i & 1) * VL); }
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
#if CT_FLOAT
    if (step == 1 && n >= VL) { /* the largest, then where it first is; unless there is a NaN */
        V last = v_load(x + n - VL), m = last;
        M nan = v_isnan(last);
        for (int64_t i = 0; i + VL <= n; i += VL) {
            V v = v_load(x + i);
            nan = v_or(nan, v_isnan(v));
            m = v_fmax(m, v);
        }
        if (!v_any(nan)) {
            T most = v_hmax(m);
            if (!(most > best)) return;
            int64_t i = 0;
            for (m = K(most); i + VL <= n && !v_any(v_eq(v_load(x + i), m));) i += VL;
            while (x[i] != most) i++;
            *(T *)pbest = x[i];
            *at = base + i * jump;
            return;
        }
    }
#endif
    for (int64_t k = 0; k < n; k++) {
        T v = x[k * step];
        if (v > best || (CT_FLOAT && isnan((double)v))) best = v, found = k;
    }
    *(T *)pbest = best;
    if (found >= 0) *at = base + found * jump;
}

#if CT_FLOAT
typedef uint8_t bytes __attribute__((vector_size(VL)));

/* Fewer than VL bytes. */
VFN bytes v_loadn_bytes(const uint8_t *p, int64_t n) {
    bytes k;
#ifdef AD_ISA_AVX512
    __m128i b = _mm_maskz_loadu_epi8((__mmask16)((1u << n) - 1), p);
    memcpy(&k, &b, VL);
#else /* at most 7 */
    uint64_t t;
    if (n >= 4) {
        uint32_t a, b;
        memcpy(&a, p, 4);
        memcpy(&b, p + n - 4, 4);
        t = a | (uint64_t)b << 8 * (n - 4);
    } else t = p[0] | (uint64_t)p[n / 2] << 8 * (n / 2) | (uint64_t)p[n - 1] << 8 * (n - 1);
    memcpy(&k, &t, VL);
#endif
    return k;
}
VFN void v_storen_bytes(uint8_t *p, bytes k, int64_t n) {
#ifdef AD_ISA_AVX512
    __m128i b = _mm_setzero_si128();
    memcpy(&b, &k, VL);
    _mm_mask_storeu_epi8(p, (__mmask16)((1u << n) - 1), b);
#else
    uint64_t t = 0;
    memcpy(&t, &k, VL);
    if (n >= 4) {
        uint32_t a = (uint32_t)t, b = (uint32_t)(t >> 8 * (n - 4));
        memcpy(p, &a, 4);
        memcpy(p + n - 4, &b, 4);
    } else {
        p[0] = (uint8_t)t;
        p[n / 2] = (uint8_t)(t >> 8 * (n / 2));
        p[n - 1] = (uint8_t)(t >> 8 * (n - 1));
    }
#endif
}

/* Rows of n windows that are two wide and two apart. Those of a row lie on the line at x and, where `second`
 * is not 0, on the one `second` elements behind; the next row of windows begins `pitch` elements on. The
 * codes are 0 and 1 on the first line, 2 and 3 on the second. */
static void VN(pool_max_2x2)(int64_t rows, int64_t n, const void *px, int64_t pitch, int64_t second,
                             void *pout, uint8_t *code) {
    T *out = pout;
    for (int64_t r = 0; r < rows; r++, out += n, code += n) {
        const T *p = (const T *)px + r * pitch;
        for (int64_t i = 0; i < n; i += VL) {
            int64_t left = n - i;
            V a, b, m, x, c;
            v_load2(p + 2 * i, 2 * left, &a, &b);
            m = v_even(a, b), x = v_odd(a, b);
            M take = v_or(v_gt(x, m), v_isnan(x));
            m = v_sel(take, x, m), c = v_sel(take, K(1), K(0));
            if (second) {
                v_load2(p + second + 2 * i, 2 * left, &a, &b);
                x = v_even(a, b);
                take = v_or(v_gt(x, m), v_isnan(x));
                m = v_sel(take, x, m), c = v_sel(take, K(2), c);
                x = v_odd(a, b);
                take = v_or(v_gt(x, m), v_isnan(x));
                m = v_sel(take, x, m), c = v_sel(take, K(3), c);
            }
            bytes k = __builtin_convertvector(__builtin_convertvector(c, VI), bytes);
            if (left >= VL) {
                v_store(out + i, m);
                memcpy(code + i, &k, VL);
            } else {
                v_storen(out + i, m, left);
                v_storen_bytes(code + i, k, left);
            }
        }
    }
}
/* Its gradient: g where the code says, else 0. Lines are `width` long, 2 n or one more. */
static void VN(pool_max_2x2_grad)(int64_t rows, int64_t n, const void *pg, const uint8_t *code, void *px,
                                  int64_t pitch, int64_t second, int64_t width) {
    const T *g = pg;
    V z = K(0);
    for (int64_t r = 0; r < rows; r++, g += n, code += n) {
        T *p = (T *)px + r * pitch;
        for (int64_t i = 0; i < n; i += VL) {
            int64_t left = n - i;
            bytes k;
            if (left >= VL) memcpy(&k, code + i, VL);
            else k = v_loadn_bytes(code + i, left);
            V c = __builtin_convertvector(__builtin_convertvector(k, VI), V);
            V x = left >= VL ? v_load(g + i) : v_loadn(g + i, left);
            V e = v_sel(v_eq(c, z), x, z), o = v_sel(v_eq(c, K(1)), x, z);
            v_store2(p + 2 * i, 2 * left, v_zip_lo(e, o), v_zip_hi(e, o));
            if (second) {
                e = v_sel(v_eq(c, K(2)), x, z), o = v_sel(v_eq(c, K(3)), x, z);
                v_store2(p + second + 2 * i, 2 * left, v_zip_lo(e, o), v_zip_hi(e, o));
            }
        }
        if (width > 2 * n) p[2 * n] = 0, p[second + 2 * n] = 0;
    }
}

/* The means of the same windows, and their gradient. */
static void VN(pool_avg_2x2)(int64_t rows, int64_t n, const void *px, int64_t pitch, int64_t second,
                             double divisor, void *pout) {
    T *out = pout;
    V d = K(divisor);
    for (int64_t r = 0; r < rows; r++, out += n) {
        const T *p = (const T *)px + r * pitch;
        for (int64_t i = 0; i < n; i += VL) {
            int64_t left = n - i;
            V a, b, s;
            v_load2(p + 2 * i, 2 * left, &a, &b);
            s = v_even(a, b) + v_odd(a, b);
            if (second) {
                v_load2(p + second + 2 * i, 2 * left, &a, &b);
                s = s + v_even(a, b) + v_odd(a, b);
            }
            if (left >= VL) v_store(out + i, s / d);
            else v_storen(out + i, s / d, left);
        }
    }
}
static void VN(pool_avg_2x2_grad)(int64_t rows, int64_t n, const void *pg, double divisor, void *px,
                                  int64_t pitch, int64_t second, int64_t width) {
    const T *g = pg;
    V d = K(divisor);
    for (int64_t r = 0; r < rows; r++, g += n) {
        T *p = (T *)px + r * pitch;
        for (int64_t i = 0; i < n; i += VL) {
            int64_t left = n - i;
            V x = (left >= VL ? v_load(g + i) : v_loadn(g + i, left)) / d;
            V lo = v_zip_lo(x, x), hi = v_zip_hi(x, x);
            v_store2(p + 2 * i, 2 * left, lo, hi);
            if (second) v_store2(p + second + 2 * i, 2 * left, lo, hi);
        }
        if (width > 2 * n) p[2 * n] = 0, p[second + 2 * n] = 0;
    }
}

/* One window that is all of a plane of n elements. */
static void VN(pool_avg_all)(int64_t planes, int64_t n, const void *px, double divisor, void *pout) {
    const T *x = px;
    V first = K(0);
    for (int64_t k = 0; k < planes; k++) {
        double sum = 0;
        for (int64_t from = 0; from < n; from += 4096) {
            int64_t m = n - from < 4096 ? n - from : 4096, i = 0;
            const T *q = x + k * n + from;
            V a = first, b = first;
            for (; i + 2 * VL <= m; i += 2 * VL) a += v_load(q + i), b += v_load(q + i + VL);
            if (i + VL <= m) a += v_load(q + i), i += VL;
            if (i < m) b += v_sel(v_lt(v_index(), K(m - i)), v_loadn(q + i, m - i), first);
            sum += (double)v_hsum(a + b);
        }
        ((T *)pout)[k] = (T)sum / (T)divisor;
    }
}
static void VN(pool_avg_all_grad)(int64_t planes, int64_t n, const void *pg, double divisor, void *pout) {
    T *out = pout;
    for (int64_t k = 0; k < planes; k++, out += n) {
        T g = ((const T *)pg)[k] / (T)divisor;
        V v = K(g);
        int64_t i = 0;
        for (; i + VL <= n; i += VL) v_store(out + i, v);
        if (i < n) v_storen(out + i, v, n - i);
    }
}

/* A row of windows spread over the line that they cover: line[i] = the sum of v[j] over the windows j, k long
 * and s apart from -p on, in which i lies. v is 0 for some way on both sides. */
static void VN(pool_spread_taps)(int64_t width, int64_t k, int64_t s, int64_t p, const void *pv,
                                 void *pline) {
    const T *v = pv;
    T *line = pline;
    for (int64_t r = 0; r < s && r < width; r++) { /* places r, r + s, ... */
        int64_t t = (r + p) % s, from = (r + p) / s, taps = k > t ? (k - t - 1) / s + 1 : 0;
        int64_t n = (width - r + s - 1) / s, m = 0;
        if (s == 1)
            for (; m + VL <= n; m += VL) {
                V a = K(0);
                for (int64_t u = taps - 1; u >= 0; u--) a += v_load(v + m + from - u);
                v_store(line + m, a);
            }
        for (; m < n; m++) {
            T a = 0;
            for (int64_t u = taps - 1; u >= 0; u--) a += v[m + from - u];
            line[r + s * m] = a;
        }
    }
}
/* out[j] = g[j] / (rows cols[j]), or / all where that is not 0. */
static void VN(pool_shares)(int64_t n, const void *pg, const int64_t *cols, int64_t rows, int64_t all,
                            void *pout) {
    const T *g = pg;
    T *out = pout;
    for (int64_t j = 0; j < n; j++) out[j] = g[j] / (T)(all ? all : rows * cols[j]);
}
#endif

/* out[j] = the sum of line[lo[j] .. hi[j]) / (rows cols[j]), or / all where that is not 0. */
static void VN(pool_sums)(int64_t n, const void *pline, const int64_t *lo, const int64_t *hi,
                          const int64_t *cols, int64_t rows, int64_t all, void *pout) {
    const T *line = pline;
    T *out = pout;
#if CT_FLOAT
    for (int64_t j = 0; j < n; j++) { /* divided afterwards, in vectors */
        T s = hi[j] > lo[j] ? line[lo[j]] : 0;
        for (int64_t i = lo[j] + 1; i < hi[j]; i++) s += line[i];
        out[j] = s;
    }
    for (int64_t j = 0; j < n; j++) out[j] /= (T)(all ? all : rows * cols[j]);
#else
    for (int64_t j = 0; j < n; j++) {
        T s = 0;
        T d = (T)(all ? all : rows * cols[j]);
        for (int64_t i = lo[j]; i < hi[j]; i++) s = (T)((TU)s + (TU)line[i]);
        out[j] = d == -1 ? (T)(0 - (TU)s) : s / d;
    }
#endif
}
#if CT_FLOAT
/* Its adjoint: adds g[j] / (rows cols[j]) to line[lo[j] .. hi[j]). */
static void VN(pool_spread)(int64_t n, const void *pg, const int64_t *lo, const int64_t *hi,
                            const int64_t *cols, int64_t rows, int64_t all, void *pline) {
    const T *g = pg;
    T *line = pline;
    for (int64_t j = 0; j < n; j++) {
        T s = g[j] / (T)(all ? all : rows * cols[j]);
        for (int64_t i = lo[j]; i < hi[j]; i++) line[i] += s;
    }
}
#endif

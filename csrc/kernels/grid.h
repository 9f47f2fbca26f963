/* Samples of planes and volumes at places of a grid, for the current CT: see ops/grid_sample.c, whose loops
 * for derivatives along a direction these are the fast case of.
 *
 * A tile of places is found in vectors, as up to 16 taps each: where they are (-1 outside), their weights
 * and, for the gradient of the places, the derivatives of those. Then every channel reads the same tile, a
 * vector of places at a time where the processor gathers. */
#if CT_FLOAT
#ifndef AD_GRID_NAMES
#define AD_GRID_NAMES
enum { GRID_TILE = 64, GRID_TAPS = 16, GRID_BILINEAR = 0, GRID_NEAREST, GRID_BICUBIC };
#define grid_tile VN(grid_tile)
#define grid_place VN(grid_place)
#define grid_pad VN(grid_pad)
#define grid_gather VN(grid_gather)
#endif

typedef struct grid_tile {
    int taps;
    TI at[GRID_TAPS][GRID_TILE];
    T w[GRID_TAPS][GRID_TILE], d[3][GRID_TAPS][GRID_TILE];
} grid_tile;

/* Places of coordinates in [-1, 1]. */
VFN V grid_place(V c, int64_t n, int align) {
    V one = K(1), half = K(0.5);
    return align ? (c + one) * half * K(n - 1) : ((c + one) * K(n) - one) * half;
}
/* Places brought inside by the padding; *slope is multiplied by the derivative. */
VFN V grid_pad(V x, int64_t n, int padding, int align, V *slope) {
    V half = K(0.5), zero = K(0), last = K(n - 1);
    if (!padding) return x;
    if (padding == 2) {
        V low = align ? zero : v_neg(half), span = align ? last : K(n);
        if (align && n == 1) {
            *slope = zero;
            return zero;
        }
        x = x - low;
        M back = v_lt(x, zero);
        x = v_abs(x);
        V flips = v_floor(x / span), rest = x - flips * span;
        M odd = v_gt(flips - K(2) * v_floor(flips * half), half);
        x = v_sel(odd, span - rest, rest) + low;
        *slope = v_sel(v_xor(odd, back), v_neg(*slope), *slope);
    }
    M below = v_not(v_gt(x, zero)), above = v_ge(x, last); /* NaN is below */
    *slope = v_sel(v_or(below, above), zero, *slope);
    return v_sel(below, zero, v_sel(above, last, x));
}

/* Of one coordinate: the places of its taps as integers, or -1 outside; their weights and derivatives. */
VFN int VN(grid_line)(const grid_plane *p, V c, int64_t n, VI *at, V *w, V *d) {
    V one = K(1), zero = K(0), size = K(n);
    V x = grid_place(c, n, p->align), slope = p->align ? K((double)(n - 1) / 2) : K((double)n / 2);
    VI none = (VI){0} - 1;
    if (p->mode == GRID_BICUBIC) {
        const double a = -0.75;
        V whole = v_floor(x), t = x - whole, place[4] = {t + one, t, one - t, K(2) - t};
        for (int k = 0; k < 4; k++) {
            V q = place[k], any = one, to;
            int near = k == 1 || k == 2;
            w[k] = near ? (K(a + 2) * q - K(a + 3)) * q * q + one
                        : ((K(a) * q - K(5 * a)) * q + K(8 * a)) * q - K(4 * a);
            d[k] =
                near ? (K(3 * (a + 2)) * q - K(2 * (a + 3))) * q : (K(3 * a) * q - K(10 * a)) * q + K(8 * a);
            d[k] = (k >= 2 ? v_neg(d[k]) : d[k]) * slope;
            to = grid_pad(whole + K(k - 1), n, p->padding, p->align, &any);
            M in = v_and(v_ge(to, zero), v_lt(to, size));
            at[k] = v_seli(in, __builtin_convertvector(v_sel(in, to, zero), VI), none);
        }
        return 4;
    }
    x = grid_pad(x, n, p->padding, p->align, &slope);
    V low = p->mode == GRID_NEAREST ? v_round(x) : v_floor(x);
    M in = v_and(v_ge(low, zero), v_lt(low, size));
    at[0] = v_seli(in, __builtin_convertvector(v_sel(in, low, zero), VI), none);
    if (p->mode == GRID_NEAREST) {
        w[0] = one, d[0] = zero;
        return 1;
    }
    M next = v_and(v_ge(low, K(-1)), v_lt(low, K(n - 1)));
    at[1] = v_seli(next, __builtin_convertvector(v_sel(next, low, zero), VI) + 1, none);
    w[0] = low + one - x, w[1] = x - low;
    d[0] = v_neg(slope), d[1] = slope;
    return 2;
}

/* Fills the tile for n places of `dims` coordinates each. */
static void VN(grid_fill)(const grid_plane *p, int64_t n, const T *grid, int slopes, grid_tile *t) {
    T c[3][GRID_TILE] = {{0}};
    VI at[3][4] = {{{0}}};
    V w[3][4], d[3][4];
    int taps[3] = {1, 1, 1}, dims = p->dims;
    int64_t size[3] = {p->width, p->height, p->depth};
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < dims; k++) c[k][i] = grid[i * dims + k];
    w[2][0] = K(1), d[2][0] = K(0);
    for (int64_t i = 0; i < n; i += VL) {
        for (int k = 0; k < dims; k++)
            taps[k] = VN(grid_line)(p, v_load(c[k] + i), size[k], at[k], w[k], d[k]);
        t->taps = 0;
        for (int z = 0; z < taps[2]; z++)
            for (int y = 0; y < taps[1]; y++) {
                VI row = (at[2][z] * (TI)p->height + at[1][y]) * (TI)p->width, out = at[2][z] | at[1][y];
                V wyz = w[1][y] * w[2][z];
                for (int x = 0; x < taps[0]; x++, t->taps++) {
                    VI q = (row + at[0][x]) | ((out | at[0][x]) < 0); /* -1 if either is */
                    memcpy(&t->at[t->taps][i], &q, sizeof q);
                    v_store(&t->w[t->taps][i], w[0][x] * wyz);
                    if (!slopes) continue;
                    v_store(&t->d[0][t->taps][i], d[0][x] * wyz);
                    v_store(&t->d[1][t->taps][i], w[0][x] * d[1][y] * w[2][z]);
                    if (dims == 3) v_store(&t->d[2][t->taps][i], w[0][x] * w[1][y] * d[2][z]);
                }
            }
    }
}

/* What is at these places, 0 at -1; nothing else is read. */
VFN V grid_gather(const T *x, const TI *at) {
#if defined(AD_ISA_AVX512) && CT_IS(f32)
    __m512i i = _mm512_loadu_si512(at);
    return (V)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), _mm512_movepi32_mask(i) ^ 0xffff, i, x, 4);
#elif defined(AD_ISA_AVX512)
    __m512i i = _mm512_loadu_si512(at);
    return (V)_mm512_mask_i64gather_pd(_mm512_setzero_pd(), (__mmask8)(_mm512_movepi64_mask(i) ^ 0xff), i, x,
                                       8);
#elif defined(AD_ISA_AVX2) && CT_IS(f32)
    __m256i i = _mm256_loadu_si256((const void *)at);
    return (V)_mm256_mask_i32gather_ps(_mm256_setzero_ps(), x, i, (__m256)~i, 4);
#elif defined(AD_ISA_AVX2)
    __m256i i = _mm256_loadu_si256((const void *)at);
    return (V)_mm256_mask_i64gather_pd(_mm256_setzero_pd(), x, i, (__m256d)~i, 8);
#else
    V v;
    for (int k = 0; k < VL; k++) v[k] = at[k] < 0 ? 0 : x[at[k]];
    return v;
#endif
}

VFN void VN(grid_read_taps)(const int taps, const grid_tile *t, int64_t n, const T *x, T *out) {
    for (int64_t i = 0; i < n; i += VL) {
        V sum = K(0);
        for (int k = 0; k < taps; k++) sum = v_fma(v_load(&t->w[k][i]), grid_gather(x, &t->at[k][i]), sum);
        if (n - i >= VL) v_store(out + i, sum);
        else v_storen(out + i, sum, n - i);
    }
}

/* out[c][i] = x[c] at place i, for n places. */
static void VN(grid_read)(const grid_plane *p, int64_t n, const void *pgrid, const void *px, void *pout) {
    grid_tile t;
    for (int64_t from = 0; from < n; from += GRID_TILE) {
        int64_t m = n - from < GRID_TILE ? n - from : GRID_TILE;
        VN(grid_fill)(p, m, (const T *)pgrid + p->dims * from, 0, &t);
        for (int64_t c = 0; c < p->channels; c++) {
            const T *x = (const T *)px + c * p->plane;
            T *out = (T *)pout + c * p->samples + from;
            if (t.taps == 1) VN(grid_read_taps)(1, &t, m, x, out);
            else if (t.taps == 4) VN(grid_read_taps)(4, &t, m, x, out);
            else VN(grid_read_taps)(t.taps, &t, m, x, out);
        }
    }
}

VFN void VN(grid_write_taps)(const int taps, const grid_tile *t, int64_t n, const T *g, T *x) {
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < taps; k++)
            if (t->at[k][i] >= 0) x[t->at[k][i]] += t->w[k][i] * g[i];
}

/* x[c] += the adjoint of that for g[c]. */
static void VN(grid_write)(const grid_plane *p, int64_t n, const void *pgrid, const void *pg, void *px) {
    grid_tile t;
    for (int64_t from = 0; from < n; from += GRID_TILE) {
        int64_t m = n - from < GRID_TILE ? n - from : GRID_TILE;
        VN(grid_fill)(p, m, (const T *)pgrid + p->dims * from, 0, &t);
        for (int64_t c = 0; c < p->channels; c++) {
            T *x = (T *)px + c * p->plane;
            const T *g = (const T *)pg + c * p->samples + from;
            if (t.taps == 1) VN(grid_write_taps)(1, &t, m, g, x);
            else if (t.taps == 4) VN(grid_write_taps)(4, &t, m, g, x);
            else VN(grid_write_taps)(t.taps, &t, m, g, x);
        }
    }
}

/* The gradient of the places: out[i] = (by x, by y, ...), of what grid_read gave for g. */
static void VN(grid_slopes)(const grid_plane *p, int64_t n, const void *pgrid, const void *pg, const void *px,
                            void *pout) {
    grid_tile t;
    T sum[3][GRID_TILE];
    for (int64_t from = 0; from < n; from += GRID_TILE) {
        int64_t m = n - from < GRID_TILE ? n - from : GRID_TILE;
        VN(grid_fill)(p, m, (const T *)pgrid + p->dims * from, 1, &t);
        memset(sum, 0, sizeof sum);
        for (int64_t c = 0; c < p->channels; c++) {
            const T *x = (const T *)px + c * p->plane, *g = (const T *)pg + c * p->samples + from;
            for (int64_t i = 0; i < m; i += VL) {
                V s[3], vg = m - i >= VL ? v_load(g + i) : v_loadn(g + i, m - i);
                for (int k = 0; k < 3; k++) s[k] = v_load(&sum[k][i]);
                for (int k = 0; k < t.taps; k++) {
                    V v = vg * grid_gather(x, &t.at[k][i]);
                    s[0] = v_fma(v, v_load(&t.d[0][k][i]), s[0]);
                    s[1] = v_fma(v, v_load(&t.d[1][k][i]), s[1]);
                    if (p->dims == 3) s[2] = v_fma(v, v_load(&t.d[2][k][i]), s[2]);
                }
                for (int k = 0; k < 3; k++) v_store(&sum[k][i], s[k]);
            }
        }
        T *out = (T *)pout + p->dims * from;
        for (int64_t i = 0; i < m; i++)
            for (int k = 0; k < p->dims; k++) out[i * p->dims + k] = sum[k][i];
    }
}
#endif

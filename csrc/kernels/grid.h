/* Samples of planes and volumes at places of a grid, for the current CT: see ops/grid_sample.c, whose loops
 * for derivatives along a direction these are the fast case of.
 *
 * A tile of places is found in vectors, as up to 16 taps each: where they are (-1 outside), their weights
 * and, for the gradient of the places, the derivatives of those. Then every channel reads the same tile, a
 * vector of places at a time where the processor gathers. */
#if CT_FLOAT
#ifndef AD_GRID_NAMES
#define AD_GRID_NAMES
enum { GRID_TILE = 256, GRID_TAPS = 16, GRID_BILINEAR = 0, GRID_NEAREST, GRID_BICUBIC };
#define grid_tile VN(grid_tile)
#define grid_place VN(grid_place)
#define grid_pad VN(grid_pad)
#define grid_gather VN(grid_gather)
#endif

typedef struct grid_tile {
    int taps;
    TI at[GRID_TAPS][GRID_TILE];
    T w[GRID_TAPS][GRID_TILE], d[3][GRID_TAPS][GRID_TILE];
    /* bilinear in a plane: the pairs of neighbours above and below that the corners are among; for each of
     * the four a mask, zero where it is no corner or outside, and its weight */
    TI pair[2][GRID_TILE], mask[4][GRID_TILE];
    T corner[4][GRID_TILE];
    /* bicubic: the first of 4 by 4 neighbours, or -1; weights across and down */
    TI first[GRID_TILE];
    T across[GRID_TILE][4], down[GRID_TILE][4];
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
VFN int VN(grid_line)(const int mode, const grid_plane *p, V c, int64_t n, VI *at, V *w, V *d) {
    V one = K(1), zero = K(0), size = K(n);
    V x = grid_place(c, n, p->align), slope = p->align ? K((double)(n - 1) / 2) : K((double)n / 2);
    VI none = (VI){0} - 1;
    if (mode == GRID_BICUBIC) {
        const double a = -0.75;
        V whole = v_floor(x), t = x - whole, place[4] = {t + one, t, one - t, K(2) - t};
        G_UNROLL for (int k = 0; k < 4; k++) {
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
    V low = mode == GRID_NEAREST ? v_round(x) : v_floor(x);
    M in = v_and(v_ge(low, zero), v_lt(low, size));
    at[0] = v_seli(in, __builtin_convertvector(v_sel(in, low, zero), VI), none);
    if (mode == GRID_NEAREST) {
        w[0] = one, d[0] = zero;
        return 1;
    }
    M next = v_and(v_ge(low, K(-1)), v_lt(low, K(n - 1)));
    at[1] = v_seli(next, __builtin_convertvector(v_sel(next, low, zero), VI) + 1, none);
    w[0] = low + one - x, w[1] = x - low;
    d[0] = v_neg(slope), d[1] = slope;
    return 2;
}

/* Where the corners are among pairs of neighbours that are inside. */
VFN void VN(grid_corners)(const grid_plane *p, const VI *ax, const VI *ay, const V *wx, const V *wy,
                          int64_t i, grid_tile *t) {
    VI zero = {0}, last = zero + (TI)(p->width - 2);
    VI left = ax[0] < 0, right = ax[1] < 0; /* the corner is outside: the pair begins with the other one */
    VI begin = (ax[0] & ~left) | (left & ~right & ax[1]), over = begin > last;
    begin = (begin & ~over) | (last & over);
    for (int y = 0; y < 2; y++) {
        VI none = ay[y] < 0, q = (ay[y] & ~none) * (TI)p->width + begin;
        memcpy(&t->pair[y][i], &q, sizeof q);
        for (int x = 0; x < 2; x++) {
            VI is0 = ax[0] == begin + x, is1 = ax[1] == begin + x, m = (is0 | is1) & ~none;
            VI w = ((VI)(wx[0] * wy[y]) & ~is1) | ((VI)(wx[1] * wy[y]) & is1);
            memcpy(&t->mask[2 * y + x][i], &m, sizeof m);
            memcpy(&t->corner[2 * y + x][i], &w, sizeof w);
        }
    }
}

/* Fills the tile for n places; dims and mode are constants at every use. */
VFN void VN(grid_fill_as)(const int dims, const int mode, const grid_plane *p, int64_t n, const T *grid,
                          int slopes, grid_tile *t) {
    T c[3][GRID_TILE];
    VI at[3][4] = {{{0}}};
    V w[3][4], d[3][4];
    const int taps = mode == GRID_BICUBIC ? 4 : mode == GRID_NEAREST ? 1 : 2, deep = dims == 3 ? taps : 1;
    w[2][0] = K(1), d[2][0] = K(0);
    t->taps = taps * taps * deep;
    if (dims == 3) {
        for (int64_t i = 0; i < n; i++)
            c[0][i] = grid[3 * i], c[1][i] = grid[3 * i + 1], c[2][i] = grid[3 * i + 2];
        for (int64_t i = n; i % VL; i++) c[0][i] = c[1][i] = c[2][i] = 0;
    }
    for (int64_t i = 0; i < n; i += VL) {
        V place[3];
        if (dims == 2) {
            V a, b;
            v_load2(grid + 2 * i, 2 * (n - i), &a, &b);
            place[0] = v_even(a, b), place[1] = v_odd(a, b);
        } else
            for (int k = 0; k < 3; k++) place[k] = v_load(c[k] + i);
        VN(grid_line)(mode, p, place[0], p->width, at[0], w[0], d[0]);
        VN(grid_line)(mode, p, place[1], p->height, at[1], w[1], d[1]);
        if (dims == 3) VN(grid_line)(mode, p, place[2], p->depth, at[2], w[2], d[2]);
        if (mode == GRID_BICUBIC) {
            VI in = at[0][0], top = at[1][0];
            /* neighbours in order: what padding brought inside is not */
            VI whole = ((in | top) >= 0) & (at[0][1] == in + 1) & (at[0][2] == in + 2) &
                       (at[0][3] == in + 3) & (at[1][1] == top + 1) & (at[1][2] == top + 2) &
                       (at[1][3] == top + 3);
            VI q = ((top * (TI)p->width + in) & whole) | ~whole;
            memcpy(&t->first[i], &q, sizeof q);
            for (int k = 0; k < 4; k++)
                for (int l = 0; l < VL; l++) t->across[i + l][k] = w[0][k][l], t->down[i + l][k] = w[1][k][l];
        }
        if (mode == GRID_NEAREST) {
            VI q = (at[2][0] * (TI)p->height + at[1][0]) * (TI)p->width + at[0][0];
            VI m = (at[2][0] | at[1][0] | at[0][0]) >= 0;
            q &= m;
            memcpy(&t->pair[0][i], &q, sizeof q);
            memcpy(&t->mask[0][i], &m, sizeof m);
        }
        if (mode == GRID_BILINEAR && dims == 2) VN(grid_corners)(p, at[0], at[1], w[0], w[1], i, t);
        G_UNROLL for (int z = 0; z < deep; z++) {
            G_UNROLL for (int y = 0; y < taps; y++) {
                VI row = (at[2][z] * (TI)p->height + at[1][y]) * (TI)p->width, out = at[2][z] | at[1][y];
                V wyz = w[1][y] * w[2][z];
                G_UNROLL for (int x = 0; x < taps; x++) {
                    const int k = (z * taps + y) * taps + x;
                    VI q = (row + at[0][x]) | ((out | at[0][x]) < 0); /* -1 if either is */
                    memcpy(&t->at[k][i], &q, sizeof q);
                    v_store(&t->w[k][i], w[0][x] * wyz);
                    if (!slopes) continue;
                    v_store(&t->d[0][k][i], d[0][x] * wyz);
                    v_store(&t->d[1][k][i], w[0][x] * d[1][y] * w[2][z]);
                    if (dims == 3) v_store(&t->d[2][k][i], w[0][x] * w[1][y] * d[2][z]);
                }
            }
        }
    }
}

static void VN(grid_fill)(const grid_plane *p, int64_t n, const T *grid, int slopes, grid_tile *t) {
    if (p->dims == 3 && p->mode == GRID_NEAREST) VN(grid_fill_as)(3, GRID_NEAREST, p, n, grid, slopes, t);
    else if (p->dims == 3) VN(grid_fill_as)(3, GRID_BILINEAR, p, n, grid, slopes, t);
    else if (p->mode == GRID_NEAREST) VN(grid_fill_as)(2, GRID_NEAREST, p, n, grid, slopes, t);
    else if (p->mode == GRID_BICUBIC) VN(grid_fill_as)(2, GRID_BICUBIC, p, n, grid, slopes, t);
    else VN(grid_fill_as)(2, GRID_BILINEAR, p, n, grid, slopes, t);
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
    V v = {0};
    for (int k = 0; k < VL; k++) v[k] = at[k] < 0 ? 0 : x[at[k]];
    return v;
#endif
}

/* Two elements at places each, side by side: put together out of what general registers load, so that a whole
 * vector is stored at once. */
VFN V VN(grid_put)(const T *x, const TI *at, int second) {
#if CT_IS(f32)
    typedef uint64_t pairs __attribute__((vector_size(VBYTES)));
    pairs p = {0};
    G_UNROLL for (int k = 0; k < VL / 2; k++) {
        uint64_t two;
        if (second) memcpy(&two, x + at[k], 8); /* the neighbour on the right */
        else {
            uint32_t low, high;
            memcpy(&low, x + at[2 * k], 4), memcpy(&high, x + at[2 * k + 1], 4);
            two = (uint64_t)high << 32 | low;
        }
        p[k] = two;
    }
    return (V)p;
#else
    V v = {0};
    G_UNROLL for (int k = 0; k < VL; k++) v[k] = second ? x[at[k / 2] + k % 2] : x[at[k]];
    return v;
#endif
}

/* One tap each, of weight 1. */
static void VN(grid_read_one)(const grid_tile *t, int64_t n, const T *x, T *out) {
    for (int64_t i = 0; i < n; i += VL) {
        VI m;
        memcpy(&m, &t->mask[0][i], sizeof m);
        V v = (V)((VI)VN(grid_put)(x, &t->pair[0][i], 0) & m);
        if (n - i >= VL) v_store(out + i, v);
        else v_storen(out + i, v, n - i);
    }
}

/* Pairs of neighbours, as the left ones and the right ones. */
VFN void VN(grid_pairs)(const T *x, const TI *at, V *left, V *right) {
    V a = VN(grid_put)(x, at, 1), b = VN(grid_put)(x, at + VL / 2, 1);
    *left = v_even(a, b), *right = v_odd(a, b);
}

static void VN(grid_read_corners)(const grid_tile *t, int64_t n, const T *x, T *out) {
    for (int64_t i = 0; i < n; i += VL) {
        V v[4], sum = K(0);
        VN(grid_pairs)(x, &t->pair[0][i], &v[0], &v[1]);
        VN(grid_pairs)(x, &t->pair[1][i], &v[2], &v[3]);
        G_UNROLL for (int k = 0; k < 4; k++) {
            VI m;
            memcpy(&m, &t->mask[k][i], sizeof m);
            sum = v_fma(v_load(&t->corner[k][i]), (V)((VI)v[k] & m), sum);
        }
        if (n - i >= VL) v_store(out + i, sum);
        else v_storen(out + i, sum, n - i);
    }
}

static void VN(grid_read_cubic)(const grid_plane *p, const grid_tile *t, int64_t n, const T *x, T *out) {
    typedef T four __attribute__((vector_size(4 * sizeof(T))));
    for (int64_t i = 0; i < n; i++) {
        TI first = t->first[i];
        if (first >= 0) {
            const T *q = x + first;
            four row, sum = {0}, across;
            for (int y = 0; y < 4; y++, q += p->width) {
                memcpy(&row, q, sizeof row);
                sum += t->down[i][y] * row;
            }
            memcpy(&across, t->across[i], sizeof across);
            sum *= across;
            out[i] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        } else {
            T sum = 0;
            for (int k = 0; k < 16; k++) {
                TI at = t->at[k][i];
                sum += t->w[k][i] * (at < 0 ? 0 : x[at]);
            }
            out[i] = sum;
        }
    }
}

static void VN(grid_read_taps)(const grid_tile *t, int64_t n, const T *x, T *out) {
    for (int64_t i = 0; i < n; i += VL) {
        V sum = K(0);
        for (int k = 0; k < t->taps; k++) sum = v_fma(v_load(&t->w[k][i]), grid_gather(x, &t->at[k][i]), sum);
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
            if (p->mode == GRID_NEAREST) VN(grid_read_one)(&t, m, x, out);
            else if (p->mode == GRID_BICUBIC) VN(grid_read_cubic)(p, &t, m, x, out);
            else if (p->dims == 2 && p->width > 1) VN(grid_read_corners)(&t, m, x, out);
            else VN(grid_read_taps)(&t, m, x, out);
        }
    }
}

VFN void VN(grid_write_taps)(const int taps, const grid_tile *t, int64_t n, const T *g, T *x) {
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < taps; k++)
            if (t->at[k][i] >= 0) x[t->at[k][i]] += t->w[k][i] * g[i];
}

/* One tap of weight 1. What lies outside is added to nothing that counts. */
static void VN(grid_write_one)(const grid_tile *t, int64_t n, const T *g, T *x) {
    T nothing = 0;
    for (int64_t i = 0; i < n; i++) {
        T *to = t->at[0][i] < 0 ? &nothing : x + t->at[0][i];
        *to += g[i];
    }
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
            if (p->mode == GRID_NEAREST) VN(grid_write_one)(&t, m, g, x);
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

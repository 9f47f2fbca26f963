/* Bilinear samples of planes at places of a grid, for the current CT: see ops/grid_sample.c, whose general
 * loop these stand in for. */
#if CT_FLOAT
#ifndef AD_GRID_NAMES
#define AD_GRID_NAMES
enum { GRID_TILE = 128 };
#define grid_tile VN(grid_tile)
#define grid_place VN(grid_place)
#define grid_corner VN(grid_corner)
#endif

typedef struct grid_tile {
    TI at[4][GRID_TILE]; /* of the corners in a plane, -1 outside */
    T w[4][GRID_TILE];   /* and their weights */
    T t[2][GRID_TILE],
        slope[2][GRID_TILE]; /* how far to the next corner, and the derivatives of the places */
} grid_tile;

/* Places of coordinates in [-1, 1], brought inside by the padding, and their derivatives. */
VFN V grid_place(V c, int64_t n, int padding, int align, V *slope) {
    V one = K(1), half = K(0.5), zero = K(0), size = K(n), last = K(n - 1);
    V x = align ? (c + one) * half * last : ((c + one) * size - one) * half;
    *slope = align ? last * half : size * half;
    if (!padding) return x;
    if (padding == 2) {
        V low = align ? zero : v_neg(half), span = align ? last : size;
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

/* Fills the tile for n places; whether all corners are inside. */
static bool VN(grid_fill)(const grid_plane *p, int64_t n, const T *grid, grid_tile *t) {
    bool inside = true;
    V one = K(1), zero = K(0), far = K(1 << 30);
    for (int64_t i = 0; i < n; i += VL) {
        int64_t left = n - i;
        V a, b, sx, sy;
        v_load2(grid + 2 * i, 2 * left, &a, &b);
        V x = grid_place(v_even(a, b), p->width, p->padding, p->align, &sx);
        V y = grid_place(v_odd(a, b), p->height, p->padding, p->align, &sy);
        V fx = v_floor(x), fy = v_floor(y), tx = x - fx, ty = y - fy, ux = fx + one - x, uy = fy + one - y;
        M near = v_and(v_lt(v_abs(fx), far), v_lt(v_abs(fy), far));
        M x0 = v_and(near, v_and(v_ge(fx, zero), v_lt(fx, K(p->width))));
        M x1 = v_and(near, v_and(v_ge(fx, K(-1)), v_lt(fx, K(p->width - 1))));
        M y0 = v_and(v_ge(fy, zero), v_lt(fy, K(p->height)));
        M y1 = v_and(v_ge(fy, K(-1)), v_lt(fy, K(p->height - 1)));
        VI ix = __builtin_convertvector(v_sel(near, fx, zero), VI);
        VI iy = __builtin_convertvector(v_sel(near, fy, zero), VI);
        VI at = iy * (TI)p->width + ix, none = (VI){0} - 1;
        M m[4] = {v_and(x0, y0), v_and(x1, y0), v_and(x0, y1), v_and(x1, y1)};
        VI place[4] = {at, at + 1, at + (TI)p->width, at + (TI)p->width + 1};
        V w[4] = {ux * uy, tx * uy, ux * ty, tx * ty};
        for (int k = 0; k < 4; k++) {
            VI q = v_seli(m[k], place[k], none);
            memcpy(&t->at[k][i], &q, sizeof q);
            v_store(&t->w[k][i], w[k]);
            inside &= v_all(m[k]);
        }
        v_store(&t->t[0][i], tx), v_store(&t->t[1][i], ty);
        v_store(&t->slope[0][i], sx), v_store(&t->slope[1][i], sy);
    }
    return inside;
}

VFN T grid_corner(const T *x, TI at) { return at < 0 ? 0 : x[at]; }

/* out[c][i] = x[c] at place i, for n places. */
static void VN(grid_read)(const grid_plane *p, int64_t n, const void *pgrid, const void *px, void *pout) {
    grid_tile t;
    for (int64_t from = 0; from < n; from += GRID_TILE) {
        int64_t m = n - from < GRID_TILE ? n - from : GRID_TILE;
        bool inside = VN(grid_fill)(p, m, (const T *)pgrid + 2 * from, &t);
        for (int64_t c = 0; c < p->channels; c++) {
            const T *x = (const T *)px + c * p->plane;
            T *out = (T *)pout + c * p->samples + from;
            if (inside)
                for (int64_t i = 0; i < m; i++)
                    out[i] = t.w[0][i] * x[t.at[0][i]] + t.w[1][i] * x[t.at[1][i]] +
                             t.w[2][i] * x[t.at[2][i]] + t.w[3][i] * x[t.at[3][i]];
            else
                for (int64_t i = 0; i < m; i++)
                    out[i] = t.w[0][i] * grid_corner(x, t.at[0][i]) + t.w[1][i] * grid_corner(x, t.at[1][i]) +
                             t.w[2][i] * grid_corner(x, t.at[2][i]) + t.w[3][i] * grid_corner(x, t.at[3][i]);
        }
    }
}

/* x[c] += the adjoint of that for g[c]. */
static void VN(grid_write)(const grid_plane *p, int64_t n, const void *pgrid, const void *pg, void *px) {
    grid_tile t;
    for (int64_t from = 0; from < n; from += GRID_TILE) {
        int64_t m = n - from < GRID_TILE ? n - from : GRID_TILE;
        VN(grid_fill)(p, m, (const T *)pgrid + 2 * from, &t);
        for (int64_t c = 0; c < p->channels; c++) {
            T *x = (T *)px + c * p->plane;
            const T *g = (const T *)pg + c * p->samples + from;
            for (int64_t i = 0; i < m; i++)
                for (int k = 0; k < 4; k++)
                    if (t.at[k][i] >= 0) x[t.at[k][i]] += t.w[k][i] * g[i];
        }
    }
}

/* The gradient of the places: out[i] = (by x, by y), of what grid_read gave for g. */
static void VN(grid_slopes)(const grid_plane *p, int64_t n, const void *pgrid, const void *pg, const void *px,
                            void *pout) {
    grid_tile t;
    T top[GRID_TILE], bottom[GRID_TILE], left[GRID_TILE], right[GRID_TILE];
    for (int64_t from = 0; from < n; from += GRID_TILE) {
        int64_t m = n - from < GRID_TILE ? n - from : GRID_TILE;
        VN(grid_fill)(p, m, (const T *)pgrid + 2 * from, &t);
        for (int64_t i = 0; i < m; i++) top[i] = bottom[i] = left[i] = right[i] = 0;
        for (int64_t c = 0; c < p->channels; c++) {
            const T *x = (const T *)px + c * p->plane, *g = (const T *)pg + c * p->samples + from;
            for (int64_t i = 0; i < m; i++) { /* differences along the edges of the square */
                T a = grid_corner(x, t.at[0][i]), b = grid_corner(x, t.at[1][i]),
                  d = grid_corner(x, t.at[2][i]), e = grid_corner(x, t.at[3][i]);
                top[i] += g[i] * (b - a);
                bottom[i] += g[i] * (e - d);
                left[i] += g[i] * (d - a);
                right[i] += g[i] * (e - b);
            }
        }
        T *out = (T *)pout + 2 * from;
        for (int64_t i = 0; i < m; i++) {
            out[2 * i] = t.slope[0][i] * ((1 - t.t[1][i]) * top[i] + t.t[1][i] * bottom[i]);
            out[2 * i + 1] = t.slope[1][i] * ((1 - t.t[0][i]) * left[i] + t.t[0][i] * right[i]);
        }
    }
}
#endif

/* Sampling at places of a grid, for one floating type: the including file defines REAL and GRID(name), and
 * includes this once for each. */

#define TAPS GRID(taps)

/* The place in elements of a coordinate in [-1, 1]; *slope is its derivative. */
static REAL GRID(place)(REAL c, int64_t size, bool align, REAL *slope) {
    *slope = align ? (REAL)(size - 1) / 2 : (REAL)size / 2;
    return align ? (c + 1) / 2 * (REAL)(size - 1) : ((c + 1) * (REAL)size - 1) / 2;
}

/* Brings a place into the input by the padding mode; *slope is multiplied by the derivative. */
static REAL GRID(padded)(REAL x, int64_t size, int padding, bool align, REAL *slope) {
    if (padding == PADDING_ZEROS) return x;
    if (padding == PADDING_REFLECTION) {
        REAL low = align ? 0 : (REAL)-0.5, span = align ? (REAL)(size - 1) : (REAL)size;
        if (span == 0) {
            *slope = 0;
            return 0;
        }
        x = x - low;
        if (x < 0) x = -x, *slope = -*slope;
        REAL flips = GRID(floor)(x / span), rest = GRID(fmod)(x, span);
        bool odd = GRID(fmod)(flips, 2) != 0;
        if (odd) *slope = -*slope;
        x = odd ? span - rest + low : rest + low;
    }
    if (!(x > 0)) { /* NaN too */
        *slope = 0;
        return 0;
    }
    if (x >= (REAL)(size - 1)) {
        *slope = 0;
        return (REAL)(size - 1);
    }
    return x;
}
/* A place as an integer; far outside and NaN are outside. */
static int64_t GRID(integer)(REAL x) { return x > -1e9 && x < 1e9 ? (int64_t)x : -100; }

typedef struct TAPS {
    int n;
    REAL start;           /* 0, or NaN where the place is not a number */
    int64_t at[16];       /* in the plane */
    REAL w[16], d[16][3]; /* weights, and their derivatives by the coordinates, the grid's order */
} TAPS;

static void GRID(cubic)(REAL t, REAL *w, REAL *d, REAL *dd) {
    const REAL a = (REAL)-0.75;
    REAL x[4] = {t + 1, t, 1 - t, 2 - t};
    for (int k = 0; k < 4; k++) {
        bool near = k == 1 || k == 2;
        w[k] = near ? ((a + 2) * x[k] - (a + 3)) * x[k] * x[k] + 1
                    : ((a * x[k] - 5 * a) * x[k] + 8 * a) * x[k] - 4 * a;
        d[k] = near ? (3 * (a + 2) * x[k] - 2 * (a + 3)) * x[k] : (3 * a * x[k] - 10 * a) * x[k] + 8 * a;
        dd[k] = near ? 6 * (a + 2) * x[k] - 2 * (a + 3) : 6 * a * x[k] - 10 * a;
        if (k >= 2) d[k] = -d[k];
    }
}

/* The taps of one sample; c are its coordinates (x, y, z). With a direction u their derivatives along it
 * instead: what the taps become when the coordinates move by u. */
static void GRID(taps_at)(const job *j, const REAL *c, const REAL *u, TAPS *t) {
    int n = j->n;
    t->n = 0;
    t->start = 0;
    if (j->mode == MODE_BICUBIC) {
        REAL w[2][4], d[2][4], dd[2][4];
        int64_t at[2][4];
        for (int k = 0; k < 2; k++) {
            int64_t size = j->size[2 - k];
            REAL slope, x = GRID(place)(c[k], size, j->align, &slope), whole = GRID(floor)(x);
            GRID(cubic)(x - whole, w[k], d[k], dd[k]);
            if (x - x != 0) t->start = NAN;
            for (int i = 0; i < 4; i++) {
                REAL none = 1;
                d[k][i] *= slope;
                dd[k][i] *= slope * slope;
                at[k][i] =
                    GRID(integer)(GRID(padded)(whole - 1 + (REAL)i, size, j->padding, j->align, &none));
                if (at[k][i] >= size) at[k][i] = -100;
            }
        }
        for (int y = 0; y < 4; y++)
            for (int x = 0; x < 4; x++) {
                if (at[0][x] < 0 || at[1][y] < 0) continue;
                t->at[t->n] = at[1][y] * j->size[2] + at[0][x];
                REAL dx = d[0][x] * w[1][y], dy = w[0][x] * d[1][y], both = d[0][x] * d[1][y];
                t->w[t->n] = u ? u[0] * dx + u[1] * dy : w[0][x] * w[1][y];
                t->d[t->n][0] = u ? u[0] * dd[0][x] * w[1][y] + u[1] * both : dx;
                t->d[t->n][1] = u ? u[0] * both + u[1] * w[0][x] * dd[1][y] : dy;
                t->n++;
            }
        return;
    }
    REAL x[3], slope[3];
    int64_t low[3] = {0, 0, 0};
    for (int k = 0; k < n; k++) {
        int64_t size = j->size[2 - k];
        x[k] = GRID(place)(c[k], size, j->align, &slope[k]);
        x[k] = GRID(padded)(x[k], size, j->padding, j->align, &slope[k]);
        if (x[k] - x[k] != 0 && j->mode == MODE_BILINEAR) t->start = NAN;
        low[k] = GRID(integer)(j->mode == MODE_NEAREST ? GRID(rint)(x[k]) : GRID(floor)(x[k]));
    }
    if (j->mode == MODE_NEAREST) {
        int64_t at = 0;
        if (u) return; /* does not move */
        for (int k = n - 1; k >= 0; k--) {
            if (low[k] < 0 || low[k] >= j->size[2 - k]) return;
            at = at * j->size[2 - k] + low[k];
        }
        t->at[0] = at;
        t->w[0] = 1;
        t->d[0][0] = t->d[0][1] = t->d[0][2] = 0;
        t->n = 1;
        return;
    }
    for (int corner = 0; corner < 1 << n; corner++) {
        REAL w[3] = {1, 1, 1}, sign[3] = {0, 0, 0};
        int64_t at = 0;
        bool inside = true;
        for (int k = n - 1; k >= 0; k--) {
            int up = corner >> k & 1;
            int64_t i = low[k] + up;
            inside &= i >= 0 && i < j->size[2 - k];
            at = at * j->size[2 - k] + i;
            w[k] = up ? x[k] - (REAL)low[k] : (REAL)(low[k] + 1) - x[k];
            sign[k] = up ? slope[k] : -slope[k];
        }
        if (!inside) continue;
        t->at[t->n] = at;
        REAL dx = sign[0] * w[1] * w[2], dy = sign[1] * w[0] * w[2], dz = sign[2] * w[0] * w[1];
        REAL xy = sign[0] * sign[1] * w[2], xz = sign[0] * sign[2] * w[1], yz = sign[1] * sign[2] * w[0];
        REAL *d = t->d[t->n];
        t->w[t->n] = u ? u[0] * dx + u[1] * dy + (n > 2 ? u[2] * dz : 0) : w[0] * w[1] * w[2];
        d[0] = u ? u[1] * xy + (n > 2 ? u[2] * xz : 0) : dx;
        d[1] = u ? u[0] * xy + (n > 2 ? u[2] * yz : 0) : dy;
        d[2] = u ? u[0] * xz + u[1] * yz : dz;
        t->n++;
    }
}

/* Samples [begin, end) of all batch entries: out[c] = the taps of x[c]. */
static void GRID(read)(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    const REAL *grid = j->grid, *u = j->u;
    TAPS t[TILE];
    for (int64_t s = begin, m; s < end; s += m) {
        int64_t b = s / j->samples, o = s % j->samples;
        m = j->samples - o < end - s ? j->samples - o : end - s;
        if (m > TILE) m = TILE;
        for (int64_t i = 0; i < m; i++)
            GRID(taps_at)(j, grid + (s + i) * j->n, u ? u + (s + i) * j->n : NULL, &t[i]);
        for (int64_t c = 0; c < j->channels; c++) {
            const REAL *x = (const REAL *)j->x + (b * j->channels + c) * j->plane;
            REAL *out = (REAL *)j->out + (b * j->channels + c) * j->samples + o;
            for (int64_t i = 0; i < m; i++) {
                REAL sum = t[i].start;
                for (int k = 0; k < t[i].n; k++) sum += t[i].w[k] * x[t[i].at[k]];
                out[i] = sum;
            }
        }
    }
}

/* The adjoint, for planes [begin, end) of x's gradient. */
static void GRID(write)(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    const REAL *grid = j->grid, *u = j->u;
    TAPS t[TILE];
    memset((REAL *)j->out + begin * j->plane, 0, (size_t)((end - begin) * j->plane) * sizeof(REAL));
    for (int64_t p = begin, stop; p < end; p = stop) { /* planes of one batch entry share their taps */
        int64_t b = p / j->channels;
        stop = (b + 1) * j->channels < end ? (b + 1) * j->channels : end;
        for (int64_t o = 0; o < j->samples; o += TILE) {
            int64_t m = j->samples - o < TILE ? j->samples - o : TILE;
            for (int64_t i = 0; i < m; i++) {
                int64_t at = (b * j->samples + o + i) * j->n;
                GRID(taps_at)(j, grid + at, u ? u + at : NULL, &t[i]);
            }
            for (int64_t c = p; c < stop; c++) {
                REAL *out = (REAL *)j->out + c * j->plane;
                const REAL *g = (const REAL *)j->g + c * j->samples + o;
                for (int64_t i = 0; i < m; i++)
                    for (int k = 0; k < t[i].n; k++) out[t[i].at[k]] += t[i].w[k] * g[i];
            }
        }
    }
}

/* The gradient of the grid at samples [begin, end). */
static void GRID(slopes)(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    const REAL *grid = j->grid, *u = j->u;
    TAPS t;
    for (int64_t s = begin; s < end; s++) {
        int64_t b = s / j->samples, o = s % j->samples;
        REAL sum[3] = {0, 0, 0};
        GRID(taps_at)(j, grid + s * j->n, u ? u + s * j->n : NULL, &t);
        for (int64_t c = 0; c < j->channels; c++) {
            const REAL *x = (const REAL *)j->x + (b * j->channels + c) * j->plane;
            REAL g = ((const REAL *)j->g)[(b * j->channels + c) * j->samples + o];
            for (int k = 0; k < t.n; k++) {
                REAL v = g * x[t.at[k]];
                for (int d = 0; d < j->n; d++) sum[d] += v * t.d[k][d];
            }
        }
        for (int d = 0; d < j->n; d++) ((REAL *)j->out)[s * j->n + d] = sum[d];
    }
}
#undef TAPS

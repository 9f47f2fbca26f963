/* Attention's elementwise parts, on blocks that hold a key in each row and a query in each column, so that
 * all sums over keys run down columns. Columns are whole vectors. */

/* One step of the online softmax (Milakov and Gimelshein, 2018): s becomes exp(s - max), where max takes in
 * the block; sum is brought up to date, and alpha is what all before has to be multiplied by. */
static void VN(at_softmax)(int64_t rows, int64_t cols, int64_t ld, void *ps, void *pmax, void *psum,
                           void *palpha) {
    T *max = pmax, *sum = psum, *alpha = palpha;
    for (int64_t j = 0; j < cols; j += VL) {
        T *s = (T *)ps + j;
        V before = v_load(max + j), m[4] = {before, before, before, before}, t[4];
        int64_t r = 0;
        for (; r + 4 <= rows; r += 4) {
            for (int u = 0; u < 4; u++) m[u] = v_fmax(m[u], v_load(s + (r + u) * ld));
        }
        for (; r < rows; r++) m[0] = v_fmax(m[0], v_load(s + r * ld));
        V all = v_fmax(v_fmax(m[0], m[1]), v_fmax(m[2], m[3]));
        V base = v_sel(v_eq(all, K(-INFINITY)), K(0), all); /* nothing yet: exp(-inf), not of NaN */
        V a = v_exp(before - base);
        for (int u = 0; u < 4; u++) t[u] = K(0);
        for (r = 0; r + 4 <= rows; r += 4) {
            for (int u = 0; u < 4; u++) {
                V e = v_exp(v_load(s + (r + u) * ld) - base);
                v_store(s + (r + u) * ld, e);
                t[u] += e;
            }
        }
        for (; r < rows; r++) {
            V e = v_exp(v_load(s + r * ld) - base);
            v_store(s + r * ld, e);
            t[0] += e;
        }
        v_store(max + j, all);
        v_store(sum + j, v_fma(v_load(sum + j), a, (t[0] + t[1]) + (t[2] + t[3])));
        v_store(alpha + j, a);
    }
}

/* rows of n elements, ld apart, each times its factor */
static void VN(at_scale)(int64_t rows, int64_t n, int64_t ld, void *px, const void *pfactor) {
    const T *factor = pfactor;
    for (int64_t r = 0; r < rows; r++) {
        T *x = (T *)px + r * ld;
        V f = v_splat(factor[r]);
        for (int64_t i = 0; i < n; i += VL) {
            int64_t left = n - i;
            if (left >= VL) v_store(x + i, v_load(x + i) * f);
            else v_storen(x + i, v_loadn(x + i, left) * f, left);
        }
    }
}

/* s becomes p = exp(s - lse), and dp becomes p (dp - d) scale: the gradient of the scores. */
static void VN(at_grad)(int64_t rows, int64_t cols, int64_t ld, void *ps, void *pdp, const void *plse,
                        const void *pd, double scale) {
    const T *lse = plse, *d = pd;
    V f = K(scale);
    for (int64_t r = 0; r < rows; r++) {
        T *s = (T *)ps + r * ld, *dp = (T *)pdp + r * ld;
        for (int64_t j = 0; j < cols; j += VL) {
            V p = v_exp(v_load(s + j) - v_load(lse + j));
            v_store(s + j, p);
            v_store(dp + j, p * ((v_load(dp + j) - v_load(d + j)) * f));
        }
    }
}

/* s becomes s * factor where its byte is not 0, else `other`; bytes lie as s does. */
static void VN(at_choose)(int64_t rows, int64_t cols, int64_t ld, void *ps, const uint8_t *bytes,
                          double factor, double other) {
    V f = K(factor), o = K(other);
    for (int64_t r = 0; r < rows; r++) {
        T *s = (T *)ps + r * ld;
        for (int64_t j = 0; j < cols; j += VL)
            v_store(s + j, v_sel(v_load_bool(bytes + r * ld + j), v_load(s + j) * f, o));
    }
}

static void VN(at_add)(int64_t rows, int64_t cols, int64_t ld, void *ps, int64_t ldx, const void *px) {
    for (int64_t r = 0; r < rows; r++) {
        T *s = (T *)ps + r * ld;
        const T *x = (const T *)px + r * ldx;
        for (int64_t j = 0; j < cols; j += VL) v_store(s + j, v_load(s + j) + v_load(x + j));
    }
}

static double VN(at_dot)(int64_t n, const void *pa, const void *pb) {
    const T *a = pa, *b = pb;
    V s = K(0);
    for (int64_t i = 0; i < n; i += VL) {
        int64_t left = n - i;
        if (left >= VL) s = v_fma(v_load(a + i), v_load(b + i), s);
        else s += v_sel(v_lt(v_index(), K(left)), v_loadn(a + i, left) * v_loadn(b + i, left), K(0));
    }
    return (double)v_hsum(s);
}

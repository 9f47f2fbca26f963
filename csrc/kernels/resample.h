/* Inner loops of resampling and padding, for the current CT.
 *
 * Idea: interpolation is separable, so a row of the result is a weighted sum of rows of the image, in vectors
 * (resample_add), of which each element is a weighted sum of a few elements (resample_line). Doubling and
 * bands of whole rows have loops without tables. */
#if CT_FLOAT

/* Rows of a padded plane, moved as they are: `before` times the value, n elements of x, `after` times the
 * value; rows of x are `pitch` elements apart. */
static void VN(pad_rows)(int64_t rows, int64_t before, int64_t n, int64_t after, const void *px,
                         int64_t pitch, const void *value, void *pout) {
    const T *x = px;
    T *out = pout;
    V v = v_splat(*(const T *)value);
    for (int64_t r = 0; r < rows; r++, x += pitch) {
        int64_t i = 0;
        for (; i + VL <= before; i += VL) v_store(out + i, v);
        if (i < before) v_storen(out + i, v, before - i);
        out += before;
        for (i = 0; i + VL <= n; i += VL) v_store(out + i, v_load(x + i));
        if (i < n) v_storen(out + i, v_loadn(x + i, n - i), n - i);
        out += n;
        for (i = 0; i + VL <= after; i += VL) v_store(out + i, v);
        if (i < after) v_storen(out + i, v, after - i);
        out += after;
    }
}

/* line = w x, or += where it is not the first. */
static void VN(resample_add)(int64_t n, double weight, const void *px, int first, void *pline) {
    const T *x = px;
    T *line = pline;
    V w = K(weight);
    int64_t i = 0;
    if (first) {
        for (; i + VL <= n; i += VL) v_store(line + i, w * v_load(x + i));
        if (i < n) v_storen(line + i, w * v_loadn(x + i, n - i), n - i);
        return;
    }
    for (; i + VL <= n; i += VL) v_store(line + i, v_fma(w, v_load(x + i), v_load(line + i)));
    if (i < n) v_storen(line + i, v_fma(w, v_loadn(x + i, n - i), v_loadn(line + i, n - i)), n - i);
}

/* out[i] = the sum of w[t] line[first[i] - from + t - at[i]] over t from at[i] to at[i + 1]; `taps` where
 * that is as many for each i, else 0. One tap has weight 1. */
static void VN(resample_line)(int64_t n, int64_t taps, const void *pline, int64_t from, const int64_t *first,
                              const int64_t *at, const void *pw, void *pout) {
    const T *line = (const T *)pline - from, *w = pw;
    T *out = pout;
    if (taps == 1)
        for (int64_t i = 0; i < n; i++) out[i] = line[first[i]];
    else if (taps == 2) {
        w += at[0];
        for (int64_t i = 0; i < n; i++, w += 2) out[i] = w[0] * line[first[i]] + w[1] * line[first[i] + 1];
    } else if (taps == 4) {
        w += at[0];
        for (int64_t i = 0; i < n; i++, w += 4) {
            const T *x = line + first[i];
            out[i] = (w[0] * x[0] + w[1] * x[1]) + (w[2] * x[2] + w[3] * x[3]);
        }
    } else
        for (int64_t i = 0; i < n; i++) {
            T s = 0;
            const T *x = line + first[i] - at[i];
            for (int64_t t = at[i]; t < at[i + 1]; t++) s += w[t] * x[t];
            out[i] = s;
        }
}

/* A band of rows: those of x, n0 long and `from` the first, are resampled along the line into mid, n1 long,
 * and the rows of out are sums of those: row y of the taps at[y] .. at[y + 1], of row first[y] on. */
static void VN(resample_band)(const resample_line_taps *c, const resample_line_taps *b, int64_t y0,
                              int64_t y1, int64_t row0, int64_t row1, const void *px, void *pmid,
                              void *pout) {
    int64_t n0 = c->in, n1 = c->out;
    T *mid = pmid, *out = pout;
    for (int64_t r = row0; r < row1; r++) {
        const T *x = (const T *)px + r * n0;
        T *m = mid + (r - row0) * n1;
        if (c->doubling) { /* weights of 1/4 and 3/4 */
            V far = K(0.25), near = K(0.75);
            int64_t i = 1;
            m[0] = x[0];
            for (; i + VL < n0; i += VL) {
                V a = v_load(x + i - 1), d = v_load(x + i), e = v_load(x + i + 1);
                V lo = far * a + near * d, hi = near * d + far * e;
                v_store(m + 2 * i, v_zip_lo(lo, hi));
                v_store(m + 2 * i + VL, v_zip_hi(lo, hi));
            }
            if (n0 > 1) m[1] = (T)0.75 * x[0] + (T)0.25 * x[1];
            else m[1] = x[0];
            for (; i < n0; i++) {
                m[2 * i] = (T)0.25 * x[i - 1] + (T)0.75 * x[i];
                m[2 * i + 1] = i + 1 < n0 ? (T)0.75 * x[i] + (T)0.25 * x[i + 1] : x[i];
            }
        } else if (c->taps == 2) {
            const T *w = c->w;
            int64_t i = 0;
            for (; i < n1 && c->first[i] + 1 < n0; i++, w += 2)
                m[i] = w[0] * x[c->first[i]] + w[1] * x[c->first[i] + 1];
            for (; i < n1; i++) m[i] = x[n0 - 1];
        } else
            for (int64_t i = 0; i < n1; i++) {
                T sum = 0;
                const T *w = (const T *)c->w + c->at[i], *q = x + c->first[i];
                int64_t count = c->at[i + 1] - c->at[i];
                if (count > n0 - c->first[i]) count = n0 - c->first[i];
                for (int64_t t = 0; t < count; t++) sum += w[t] * q[t];
                m[i] = sum;
            }
    }
    for (int64_t y = y0; y < y1; y++, out += n1) {
        const T *w = (const T *)b->w + b->at[y], *m = mid + (b->first[y] - row0) * n1;
        int64_t count = b->at[y + 1] - b->at[y], i = 0;
        if (count > b->in - b->first[y]) count = b->in - b->first[y];
        if (count == 2) {
            V w0 = K(w[0]), w1 = K(w[1]);
            for (; i + VL <= n1; i += VL) v_store(out + i, w0 * v_load(m + i) + w1 * v_load(m + n1 + i));
            if (i < n1)
                v_storen(out + i, w0 * v_loadn(m + i, n1 - i) + w1 * v_loadn(m + n1 + i, n1 - i), n1 - i);
            continue;
        }
        for (; i < n1; i += VL) {
            V sum = K(0);
            int64_t left = n1 - i;
            for (int64_t t = 0; t < count; t++) {
                const T *q = m + t * n1 + i;
                sum += K(w[t]) * (left >= VL ? v_load(q) : v_loadn(q, left));
            }
            if (left >= VL) v_store(out + i, sum);
            else v_storen(out + i, sum, left);
        }
    }
}

/* out[2 i] = out[2 i + 1] = x[i] */
static void VN(resample_twice)(int64_t n, const void *px, void *pout) {
    const T *x = px;
    T *out = pout;
    for (int64_t i = 0; i < n; i += VL) {
        V a = n - i >= VL ? v_load(x + i) : v_loadn(x + i, n - i);
        v_store2(out + 2 * i, 2 * (n - i), v_zip_lo(a, a), v_zip_hi(a, a));
    }
}
#endif

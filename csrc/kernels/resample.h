/* Inner loops of resampling, for the current CT. */
#if CT_FLOAT

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

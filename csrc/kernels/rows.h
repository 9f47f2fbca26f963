/* Rows of a matrix, for the current CT: y += a x, and x . y. */
static void VN(row_axpy)(int64_t n, double a, const void *px, void *py) {
    const T *x = px;
    T *y = py;
    V c = K(a);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) v_store(y + i, v_fma(v_load(x + i), c, v_load(y + i)));
    if (i < n) v_storen(y + i, v_fma(v_loadn(x + i, n - i), c, v_loadn(y + i, n - i)), n - i);
}
static double VN(row_dot)(int64_t n, const void *px, const void *py) {
    const T *x = px, *y = py;
    V a = K(0), b = K(0);
    int64_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        a = v_fma(v_load(x + i), v_load(y + i), a);
        b = v_fma(v_load(x + i + VL), v_load(y + i + VL), b);
    }
    for (; i < n; i += VL) {
        int64_t left = n - i;
        a = left >= VL
                ? v_fma(v_load(x + i), v_load(y + i), a)
                : v_fma(v_loadn(x + i, left), v_sel(v_lt(v_index(), K(left)), v_loadn(y + i, left), K(0)), a);
    }
    return (double)v_hsum(a + b);
}

/* Transforms of the Winograd convolution F(4x4, 3x3), included once per instruction set, for float32.
 *
 * A product of polynomials is known from its values at 6 points: 0, +-3/4, +-3/2 and infinity here. With
 * these the result is twice as far from the exact one as a plain sum of products is; with the usual 0, +-1,
 * +-2, four times (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016; on the choice
 * of points Barabasz and others, "Error analysis and improving the accuracy of Winograd convolution", 2020).
 */

#define W_A2 (9.0f / 16) /* squares of the points 3/4 and 3/2 */
#define W_B2 (9.0f / 4)

/* Values at the six points of 6 elements, which is the transposed transform of the result. */
VFN void VN(w_image6)(const V *d, V *out) {
    V a2 = v_splat(W_A2), b2 = v_splat(W_B2), ab = v_splat(W_A2 * W_B2), sum = v_splat(W_A2 + W_B2);
    V even_a = d[4] - b2 * d[2], odd_a = v_splat(0.75f) * (d[3] - b2 * d[1]);
    V even_b = d[4] - a2 * d[2], odd_b = v_splat(1.5f) * (d[3] - a2 * d[1]);
    out[0] = ab * d[0] - sum * d[2] + d[4];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = ab * d[1] - sum * d[3] + d[5];
}

VFN void VN(w_result4)(const V *m, V *out) {
    V even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
    out[0] = m[0] + even_a + even_b;
    out[1] = v_splat(0.75f) * odd_a + v_splat(1.5f) * odd_b;
    out[2] = v_splat(W_A2) * even_a + v_splat(W_B2) * even_b;
    out[3] = v_splat(0.75f * W_A2) * odd_a + v_splat(1.5f * W_B2) * odd_b + m[5];
}

/* Values of a kernel of 3, each divided by what the interpolation wants. */
VFN void VN(w_weight3)(const V *g, V *out) {
    V fa = v_splat(1 / (2 * W_A2 * (W_A2 - W_B2))), fb = v_splat(1 / (2 * W_B2 * (W_B2 - W_A2)));
    V even_a = g[0] + v_splat(W_A2) * g[2], odd_a = v_splat(0.75f) * g[1];
    V even_b = g[0] + v_splat(W_B2) * g[2], odd_b = v_splat(1.5f) * g[1];
    out[0] = g[0] * v_splat(1 / (W_A2 * W_B2));
    out[1] = fa * (even_a + odd_a);
    out[2] = fa * (even_a - odd_a);
    out[3] = fb * (even_b + odd_b);
    out[4] = fb * (even_b - odd_b);
    out[5] = g[2];
}

static void VN(w_image)(int64_t tiles, int64_t channels, const void *x, int64_t row, int64_t pixel,
                        void *points, int64_t step, int64_t pitch) {
    for (int64_t t = 0; t < tiles; t++)
        for (int64_t c = 0; c < channels; c += VL) {
            const T *from = (const T *)x + WINO_OUT * t * pixel + c;
            T *to = (T *)points + t * pitch + c;
            V d[6], half[6][6], out[6];
            G_UNROLL for (int j = 0; j < 6; j++) {
                G_UNROLL for (int i = 0; i < 6; i++) d[i] = v_load(from + i * row + j * pixel);
                VN(w_image6)(d, half[j]);
            }
            G_UNROLL for (int i = 0; i < 6; i++) {
                G_UNROLL for (int j = 0; j < 6; j++) d[j] = half[j][i];
                VN(w_image6)(d, out);
                G_UNROLL for (int j = 0; j < 6; j++) v_store(to + (6 * i + j) * step, out[j]);
            }
        }
}

static void VN(w_result)(int64_t tiles, int64_t channels, const void *points, int64_t step, int64_t pitch,
                         const void *bias, void *y, int64_t row, int64_t pixel) {
    for (int64_t t = 0; t < tiles; t++)
        for (int64_t c = 0; c < channels; c += VL) {
            const T *from = (const T *)points + t * pitch + c;
            T *to = (T *)y + WINO_OUT * t * pixel + c;
            V add = bias ? v_load((const T *)bias + c) : (V){0};
            V m[6], half[6][4], out[4];
            G_UNROLL for (int j = 0; j < 6; j++) {
                G_UNROLL for (int i = 0; i < 6; i++) m[i] = v_load(from + (6 * i + j) * step);
                VN(w_result4)(m, half[j]);
            }
            G_UNROLL for (int i = 0; i < 4; i++) {
                G_UNROLL for (int j = 0; j < 6; j++) m[j] = half[j][i];
                VN(w_result4)(m, out);
                G_UNROLL for (int j = 0; j < 4; j++) v_store(to + i * row + j * pixel, out[j] + add);
            }
        }
}

static void VN(w_weight)(const void *w, int64_t pitch, int turned, void *points, int64_t step) {
    const T *from = w;
    V g[3], half[3][6], out[6];
    for (int j = 0; j < 3; j++) {
        for (int i = 0; i < 3; i++) {
            int t = 3 * i + j;
            g[i] = v_load(from + (turned ? 8 - t : t) * pitch);
        }
        VN(w_weight3)(g, half[j]);
    }
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 3; j++) g[j] = half[j][i];
        VN(w_weight3)(g, out);
        for (int j = 0; j < 6; j++) v_store((T *)points + (6 * i + j) * step, out[j]);
    }
}

VFN void VN(w_gradient4)(const V *y, V *out) {
    V even_a = y[0] + v_splat(W_A2) * y[2], odd_a = v_splat(0.75f) * (y[1] + v_splat(W_A2) * y[3]);
    V even_b = y[0] + v_splat(W_B2) * y[2], odd_b = v_splat(1.5f) * (y[1] + v_splat(W_B2) * y[3]);
    out[0] = y[0];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = y[3];
}

VFN void VN(w_kernel6)(const V *u, V *out) {
    V fa = v_splat(1 / (2 * W_A2 * (W_A2 - W_B2))), fb = v_splat(1 / (2 * W_B2 * (W_B2 - W_A2)));
    V even_a = fa * (u[1] + u[2]), odd_a = fa * (u[1] - u[2]), even_b = fb * (u[3] + u[4]),
      odd_b = fb * (u[3] - u[4]);
    out[0] = v_splat(1 / (W_A2 * W_B2)) * u[0] + even_a + even_b;
    out[1] = v_splat(0.75f) * odd_a + v_splat(1.5f) * odd_b;
    out[2] = v_splat(W_A2) * even_a + v_splat(W_B2) * even_b + u[5];
}

static void VN(w_gradient)(int64_t tiles, int64_t channels, const void *y, int64_t row, int64_t pixel,
                           void *points, int64_t step, int64_t pitch) {
    for (int64_t t = 0; t < tiles; t++)
        for (int64_t c = 0; c < channels; c += VL) {
            const T *from = (const T *)y + WINO_OUT * t * pixel + c;
            T *to = (T *)points + t * pitch + c;
            V g[4], half[4][6], out[6];
            G_UNROLL for (int j = 0; j < 4; j++) {
                G_UNROLL for (int i = 0; i < 4; i++) g[i] = v_load(from + i * row + j * pixel);
                VN(w_gradient4)(g, half[j]);
            }
            G_UNROLL for (int i = 0; i < 6; i++) {
                G_UNROLL for (int j = 0; j < 4; j++) g[j] = half[j][i];
                VN(w_gradient4)(g, out);
                G_UNROLL for (int j = 0; j < 6; j++) v_store(to + (6 * i + j) * step, out[j]);
            }
        }
}

static void VN(w_kernel)(const void *points, int64_t step, void *w, int64_t pitch) {
    const T *from = points;
    V u[6], half[6][3], out[3];
    for (int j = 0; j < 6; j++) {
        for (int i = 0; i < 6; i++) u[i] = v_load(from + (6 * i + j) * step);
        VN(w_kernel6)(u, half[j]);
    }
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 6; j++) u[j] = half[j][i];
        VN(w_kernel6)(u, out);
        for (int j = 0; j < 3; j++) v_store((T *)w + (3 * i + j) * pitch, out[j]);
    }
}

static const wino_kernels VN(w_kernels) = {.image = VN(w_image),
                                           .result = VN(w_result),
                                           .weight = VN(w_weight),
                                           .gradient = VN(w_gradient),
                                           .kernel = VN(w_kernel)};

/* The optimizers' inner loops: one pass over parameter, gradient and state. The order of the operations
 * is that of the published update rules, element by element, so that chunks and threads do not matter.
 *
 * SGD: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.
 * Adam: Kingma and Ba, 2015; decoupled decay: Loshchilov and Hutter, 2019; AMSGrad: Reddi et al., 2018. */

/* h: learning rate, momentum, dampening, weight decay. b is NULL without momentum. */
static void VN(opt_sgd)(int64_t n, void *p_, const void *g_, void *b_, const double *h, int nesterov,
                        int maximize) {
    T *p = p_, *b = b_;
    const T *g = g_;
    V lr = v_splat((T)h[0]), mu = v_splat((T)h[1]), keep = v_splat((T)(1 - h[2])), wd = v_splat((T)h[3]);
    for (int64_t i = 0; i < n; i += VL) {
        int64_t left = n - i;
        int full = left >= VL;
        V x = full ? v_load(p + i) : v_loadn(p + i, left), d = full ? v_load(g + i) : v_loadn(g + i, left);
        if (maximize) d = v_neg(d);
        if (h[3] != 0) d = v_add(d, v_mul(wd, x));
        if (b) {
            V m = full ? v_load(b + i) : v_loadn(b + i, left);
            m = v_add(v_mul(m, mu), v_mul(keep, d));
            if (full) v_store(b + i, m);
            else v_storen(b + i, m, left);
            d = nesterov ? v_add(d, v_mul(mu, m)) : m;
        }
        x = v_sub(x, v_mul(lr, d));
        if (full) v_store(p + i, x);
        else v_storen(p + i, x, left);
    }
}

/* h: step size lr/(1 - beta1^t), beta1, beta2, eps, weight decay, sqrt(1 - beta2^t), 1 - lr * decay.
 * mx is NULL without AMSGrad. */
static void VN(opt_adam)(int64_t n, void *p_, const void *g_, void *m_, void *v_, void *mx_, const double *h,
                         int decoupled, int maximize) {
    T *p = p_, *m = m_, *s = v_, *mx = mx_;
    const T *g = g_;
    V size = v_splat((T)h[0]), one_b1 = v_splat((T)(1 - h[1])), b2 = v_splat((T)h[2]),
      one_b2 = v_splat((T)(1 - h[2]));
    V eps = v_splat((T)h[3]), wd = v_splat((T)h[4]), root = v_splat((T)h[5]), shrink = v_splat((T)h[6]);
    for (int64_t i = 0; i < n; i += VL) {
        int64_t left = n - i;
        int full = left >= VL;
#define OPT_LOAD(q) (full ? v_load((q) + i) : v_loadn((q) + i, left))
#define OPT_STORE(q, x)                                                                                      \
    do {                                                                                                     \
        if (full) v_store((q) + i, x);                                                                       \
        else v_storen((q) + i, x, left);                                                                     \
    } while (0)
        V x = OPT_LOAD(p), d = OPT_LOAD(g), a = OPT_LOAD(m), b = OPT_LOAD(s);
        if (maximize) d = v_neg(d);
        if (h[4] != 0) {
            if (decoupled) x = v_mul(x, shrink);
            else d = v_add(d, v_mul(wd, x));
        }
        a = v_add(a, v_mul(one_b1, v_sub(d, a)));
        b = v_add(v_mul(b, b2), v_mul(v_mul(one_b2, d), d));
        OPT_STORE(m, a);
        OPT_STORE(s, b);
        if (mx) {
            b = v_max(OPT_LOAD(mx), b);
            OPT_STORE(mx, b);
        }
        V denom = v_add(v_sqrt(b) / root, eps);
        x = v_sub(x, v_mul(size, a / denom));
        OPT_STORE(p, x);
#undef OPT_LOAD
#undef OPT_STORE
    }
}

/* x *= k */
static void VN(opt_scale)(int64_t n, void *x_, double k) {
    T *x = x_;
    V f = v_splat((T)k);
    for (int64_t i = 0; i < n; i += VL) {
        int64_t left = n - i;
        if (left >= VL) v_store(x + i, v_mul(v_load(x + i), f));
        else v_storen(x + i, v_mul(v_loadn(x + i, left), f), left);
    }
}

/* x = min(max(x, -k), k); NaN stays */
static void VN(opt_clip)(int64_t n, void *x_, double k) {
    T *x = x_;
    V hi = v_splat((T)k), lo = v_splat((T)-k);
    for (int64_t i = 0; i < n; i += VL) {
        int64_t left = n - i;
        if (left >= VL) v_store(x + i, v_min(v_max(v_load(x + i), lo), hi));
        else v_storen(x + i, v_min(v_max(v_loadn(x + i, left), lo), hi), left);
    }
}

/* The sum over n elements of x^2 (power 2), |x| (power 1), or the largest |x| (power 0), in T, by lanes. */
static double VN(opt_norm)(int64_t n, const void *x_, int power) {
    const T *x = x_;
    V s = v_splat(0);
    for (int64_t i = 0; i < n; i += VL) {
        int64_t left = n - i;
        V a;
        if (left >= VL) a = v_abs(v_load(x + i));
        else {
            T room[VL] = {0};
            for (int64_t k = 0; k < left; k++) room[k] = x[i + k];
            a = v_abs(v_load(room));
        }
        s = power == 2 ? v_add(s, v_mul(a, a)) : power == 1 ? v_add(s, a) : v_max(s, a);
    }
    return power ? (double)v_hsum(s) : (double)v_hmax(s);
}

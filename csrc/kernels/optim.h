/* The optimizers' inner loops: one pass over parameter, gradient and state. The order of the operations
 * is that of the published update rules, element by element, so that chunks and threads do not matter;
 * products and sums are fused where PyTorch's loops fuse them, which gives its bits in most elements.
 *
 * Every rule is a function of n elements of its arrays q (the parameter, its gradient, then its state, with
 * the optional arrays last, in the order of their flags), of the numbers h and of flags.
 *
 * SGD: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.
 * Adam, Adamax: Kingma and Ba, 2015; decoupled decay: Loshchilov and Hutter, 2019; AMSGrad: Reddi et al.,
 * 2018. Adagrad: Duchi, Hazan and Singer, 2011. Adadelta: Zeiler, 2012. NAdam: Dozat, 2016. RAdam: Liu et
 * al., 2020. RMSprop: Tieleman and Hinton, 2012; centered: Graves, 2013. Rprop: Riedmiller and Braun, 1993.
 * ASGD: Polyak and Juditsky, 1992. Lion: Chen et al., 2023. Muon: Jordan et
 * al., 2024. */

#ifndef AD_OPTIM_KERNELS
#define AD_OPTIM_KERNELS
#define OPT_LOAD(q) (left >= VL ? v_load((q) + i) : v_loadn((q) + i, left))
#define OPT_STORE(q, x)                                                                                      \
    do {                                                                                                     \
        if (left >= VL) v_store((q) + i, x);                                                                 \
        else v_storen((q) + i, x, left);                                                                     \
    } while (0)
#define OPT_EACH for (int64_t i = 0, left = n; left > 0; i += VL, left -= VL)
#define OPT_ARGS int64_t n, void *const *q, const double *h, int flags
#endif

/* The gradient as the rule sees it, decayed weights added to it. */
VFN V VN(opt_gradient)(V g, V x, V decay, double by, int flags) {
    if (flags & OPT_MAXIMIZE) g = v_neg(g);
    return by != 0 ? v_fma(decay, x, g) : g;
}
/* a moves towards b by the share w, from the nearer end: as lerp does. */
VFN V VN(opt_towards)(V a, V b, V w, double share) {
    return share < 0.5 ? v_fma(w, v_sub(b, a), a) : v_fma(v_sub(w, K(1)), v_sub(b, a), b);
}
#define opt_gradient VN(opt_gradient)
#define opt_towards VN(opt_towards)

/* h: learning rate, momentum, dampening, weight decay */
static void VN(opt_sgd)(OPT_ARGS) {
    T *p = q[0], *b = flags & OPT_MOMENTUM ? q[2] : NULL;
    const T *g = q[1];
    V lr = K(h[0]), mu = K(h[1]), keep = K(1 - h[2]), wd = K(h[3]);
    OPT_EACH {
        V x = OPT_LOAD(p), d = opt_gradient(OPT_LOAD(g), x, wd, h[3], flags);
        if (b) {
            V m = v_fma(keep, d, v_mul(OPT_LOAD(b), mu));
            OPT_STORE(b, m);
            d = flags & OPT_NESTEROV ? v_fma(mu, m, d) : m;
        }
        OPT_STORE(p, v_fma(v_neg(lr), d, x));
    }
}

/* ---- Adam's family. h: 1 - lr * decay, beta1, beta2, eps, weight decay, then the rule's own ---- */

typedef struct VN(opt_family) {
    V shrink, one_b1, b2, one_b2, decay;
    double share, shrinks, adds; /* which kind of decay there is, if any: not 0 */
    int flags;
} VN(opt_family);

VFN VN(opt_family) VN(opt_family_of)(const double *h, int flags) {
    int decoupled = flags & OPT_DECOUPLED;
    return (VN(opt_family)){.shrink = K(h[0]),
                            .one_b1 = K(1 - h[1]),
                            .b2 = K(h[2]),
                            .one_b2 = K(1 - h[2]),
                            .decay = K(h[4]),
                            .share = 1 - h[1],
                            .shrinks = decoupled ? h[4] : 0,
                            .adds = decoupled ? 0 : h[4],
                            .flags = flags};
}

typedef struct VN(opt_moments) {
    V d, mean, square; /* the gradient as the rule sees it, and its two moments */
} VN(opt_moments);

/* Decays x, or the gradient g by it, and brings the moments up to date, whose `left` last elements are at m
 * and s. */
VFN VN(opt_moments) VN(opt_moments_of)(const VN(opt_family) * f, V *x, V g, T *m, T *s, int64_t left) {
    const int64_t i = 0;
    V d = opt_gradient(g, *x, f->decay, f->adds, f->flags);
    if (f->shrinks != 0) *x = v_mul(*x, f->shrink);
    V a = opt_towards(OPT_LOAD(m), d, f->one_b1, f->share);
    V b = v_fma(v_mul(f->one_b2, d), d, v_mul(OPT_LOAD(s), f->b2));
    OPT_STORE(m, a);
    OPT_STORE(s, b);
    return (VN(opt_moments)){d, a, b};
}
#define opt_family VN(opt_family)
#define opt_moments VN(opt_moments)

/* step size lr/(1 - beta1^t), sqrt(1 - beta2^t) */
static void VN(opt_adam)(OPT_ARGS) {
    T *p = q[0], *m = q[2], *s = q[3], *mx = flags & OPT_AMSGRAD ? q[4] : NULL;
    const T *g = q[1];
    V eps = K(h[3]), size = K(h[5]), root = K(h[6]);
    opt_family f = VN(opt_family_of)(h, flags);
    OPT_EACH {
        V x = OPT_LOAD(p);
        opt_moments k = VN(opt_moments_of)(&f, &x, OPT_LOAD(g), m + i, s + i, left);
        if (mx) {
            k.square = v_max(OPT_LOAD(mx), k.square);
            OPT_STORE(mx, k.square);
        }
        V denom = v_add(v_sqrt(k.square) / root, eps);
        OPT_STORE(p, v_sub(x, v_mul(size, k.mean) / denom));
    }
}

/* 1 - beta2^t, factors of the gradient and of its mean */
static void VN(opt_nadam)(OPT_ARGS) {
    T *p = q[0], *m = q[2], *s = q[3];
    const T *g = q[1];
    V eps = K(h[3]), left_b2 = K(h[5]), now = K(h[6]), mean = K(h[7]);
    opt_family f = VN(opt_family_of)(h, flags);
    OPT_EACH {
        V x = OPT_LOAD(p);
        opt_moments k = VN(opt_moments_of)(&f, &x, OPT_LOAD(g), m + i, s + i, left);
        V denom = v_add(v_sqrt(k.square / left_b2), eps);
        x = v_sub(x, v_mul(now, k.d) / denom);
        OPT_STORE(p, v_sub(x, v_mul(mean, k.mean) / denom));
    }
}

/* 1 - beta1^t, lr, sqrt(1 - beta2^t) * rectification: 0 while the variance cannot be told */
static void VN(opt_radam)(OPT_ARGS) {
    T *p = q[0], *m = q[2], *s = q[3];
    const T *g = q[1];
    V eps = K(h[3]), left_b1 = K(h[5]), lr = K(h[6]), rect = K(h[7]);
    opt_family f = VN(opt_family_of)(h, flags);
    OPT_EACH {
        V x = OPT_LOAD(p);
        opt_moments k = VN(opt_moments_of)(&f, &x, OPT_LOAD(g), m + i, s + i, left);
        V move = v_mul(k.mean / left_b1, lr);
        if (h[7] != 0) move = v_mul(move, rect / v_add(v_sqrt(k.square), eps));
        OPT_STORE(p, v_sub(x, move));
    }
}
#undef opt_family
#undef opt_moments

/* h: lr/(1 + (t - 1) * lr_decay), weight decay, eps */
static void VN(opt_adagrad)(OPT_ARGS) {
    T *p = q[0], *s = q[2];
    const T *g = q[1];
    V lr = K(h[0]), wd = K(h[1]), eps = K(h[2]);
    OPT_EACH {
        V x = OPT_LOAD(p), d = opt_gradient(OPT_LOAD(g), x, wd, h[1], flags);
        V sum = v_fma(d, d, OPT_LOAD(s));
        OPT_STORE(s, sum);
        OPT_STORE(p, v_sub(x, v_mul(lr, d) / v_add(v_sqrt(sum), eps)));
    }
}

/* h: lr, rho, eps, weight decay */
static void VN(opt_adadelta)(OPT_ARGS) {
    T *p = q[0], *s = q[2], *a = q[3];
    const T *g = q[1];
    V lr = K(h[0]), rho = K(h[1]), one_rho = K(1 - h[1]), eps = K(h[2]), wd = K(h[3]);
    OPT_EACH {
        V x = OPT_LOAD(p), d = opt_gradient(OPT_LOAD(g), x, wd, h[3], flags);
        V sq = v_fma(v_mul(one_rho, d), d, v_mul(OPT_LOAD(s), rho)), acc = OPT_LOAD(a);
        V delta = v_mul(v_sqrt(v_add(acc, eps)) / v_sqrt(v_add(sq, eps)), d);
        OPT_STORE(s, sq);
        OPT_STORE(a, v_fma(v_mul(one_rho, delta), delta, v_mul(acc, rho)));
        OPT_STORE(p, v_fma(v_neg(lr), delta, x));
    }
}

/* h: lr/(1 - beta1^t), beta1, beta2, eps, weight decay */
static void VN(opt_adamax)(OPT_ARGS) {
    T *p = q[0], *m = q[2], *s = q[3];
    const T *g = q[1];
    V size = K(h[0]), one_b1 = K(1 - h[1]), b2 = K(h[2]), eps = K(h[3]), wd = K(h[4]);
    OPT_EACH {
        V x = OPT_LOAD(p), d = opt_gradient(OPT_LOAD(g), x, wd, h[4], flags);
        V a = opt_towards(OPT_LOAD(m), d, one_b1, 1 - h[1]);
        V u = v_max(v_mul(OPT_LOAD(s), b2), v_add(v_abs(d), eps));
        OPT_STORE(m, a);
        OPT_STORE(s, u);
        OPT_STORE(p, v_sub(x, v_mul(size, a) / u));
    }
}

/* h: lr, alpha, eps, weight decay, momentum */
static void VN(opt_rmsprop)(OPT_ARGS) {
    int k = 3;
    T *p = q[0], *s = q[2], *b = NULL, *c = NULL;
    if (flags & OPT_MOMENTUM) b = q[k++];
    if (flags & OPT_CENTERED) c = q[k++];
    const T *g = q[1];
    V lr = K(h[0]), alpha = K(h[1]), rest = K(1 - h[1]), eps = K(h[2]), wd = K(h[3]), mu = K(h[4]);
    OPT_EACH {
        V x = OPT_LOAD(p), d = opt_gradient(OPT_LOAD(g), x, wd, h[3], flags);
        V sq = v_fma(v_mul(rest, d), d, v_mul(OPT_LOAD(s), alpha)), var = sq;
        OPT_STORE(s, sq);
        if (c) {
            V mean = opt_towards(OPT_LOAD(c), d, rest, 1 - h[1]);
            OPT_STORE(c, mean);
            var = v_fma(v_neg(mean), mean, sq);
        }
        V root = v_add(v_sqrt(var), eps);
        if (b) {
            V m = v_add(v_mul(OPT_LOAD(b), mu), d / root);
            OPT_STORE(b, m);
            OPT_STORE(p, v_fma(v_neg(lr), m, x));
        } else OPT_STORE(p, v_sub(x, v_mul(lr, d) / root));
    }
}

/* h: factors when the sign changes and when it does not, smallest and largest step */
static void VN(opt_rprop)(OPT_ARGS) {
    T *p = q[0], *prev = q[2], *size = q[3];
    const T *g = q[1];
    V down = K(h[0]), up = K(h[1]), lo = K(h[2]), hi = K(h[3]), zero = K(0);
    OPT_EACH {
        V x = OPT_LOAD(p), d = opt_gradient(OPT_LOAD(g), x, zero, 0, flags), s = v_mul(d, OPT_LOAD(prev));
        V factor = v_sel(v_gt(s, zero), up, v_sel(v_lt(s, zero), down, v_sel(v_eq(s, zero), K(1), s)));
        V step = v_min(v_max(v_mul(OPT_LOAD(size), factor), lo), hi);
        d = v_sel(v_lt(s, zero), zero, d);
        V sign = v_sel(v_gt(d, zero), K(1), v_sel(v_lt(d, zero), K(-1), d));
        OPT_STORE(prev, d);
        OPT_STORE(size, step);
        OPT_STORE(p, v_sub(x, v_mul(sign, step)));
    }
}

/* h: 1 - lambd * eta, eta, mu, weight decay */
static void VN(opt_asgd)(OPT_ARGS) {
    T *p = q[0], *mean = q[2];
    const T *g = q[1];
    V shrink = K(h[0]), eta = K(h[1]), mu = K(h[2]), wd = K(h[3]);
    OPT_EACH {
        V x = OPT_LOAD(p), d = opt_gradient(OPT_LOAD(g), x, wd, h[3], flags);
        x = v_fma(v_neg(eta), d, v_mul(x, shrink));
        V a = OPT_LOAD(mean);
        OPT_STORE(p, x);
        OPT_STORE(mean, h[2] == 1 ? x : v_add(a, v_mul(v_sub(x, a), mu)));
    }
}

/* h: lr, beta1, beta2, 1 - lr * decay. The step is the sign of a mean that the next step forgets. */
static void VN(opt_lion)(OPT_ARGS) {
    T *p = q[0], *m = q[2];
    const T *g = q[1];
    V lr = K(h[0]), one_b1 = K(1 - h[1]), one_b2 = K(1 - h[2]), shrink = K(h[3]), zero = K(0);
    OPT_EACH {
        V d = opt_gradient(OPT_LOAD(g), zero, zero, 0, flags), mean = OPT_LOAD(m);
        V u = opt_towards(mean, d, one_b1, 1 - h[1]);
        u = v_sel(v_gt(u, zero), K(1), v_sel(v_lt(u, zero), K(-1), u)); /* NaN stays */
        OPT_STORE(m, opt_towards(mean, d, one_b2, 1 - h[2]));
        OPT_STORE(p, v_fma(v_neg(lr), u, v_mul(OPT_LOAD(p), shrink)));
    }
}

/* h: momentum; the last array receives what is to be made orthogonal */
static void VN(opt_muon_momentum)(OPT_ARGS) {
    T *b = q[2], *to = q[3];
    const T *g = q[1];
    V mu = K(h[0]), rest = K(1 - h[0]);
    OPT_EACH {
        V d = OPT_LOAD(g), m = opt_towards(OPT_LOAD(b), d, rest, 1 - h[0]);
        OPT_STORE(b, m);
        OPT_STORE(to, flags & OPT_NESTEROV ? opt_towards(d, m, mu, h[0]) : m);
    }
}

/* h: 1 - lr * decay, the learning rate for a matrix of this shape; the gradient is not read */
static void VN(opt_muon)(OPT_ARGS) {
    T *p = q[0];
    const T *u = q[2];
    V shrink = K(h[0]), lr = K(h[1]);
    (void)flags;
    OPT_EACH { OPT_STORE(p, v_fma(v_neg(lr), OPT_LOAD(u), v_mul(OPT_LOAD(p), shrink))); }
}
#undef opt_gradient
#undef opt_towards

/* acc += x^2 */
static void VN(opt_add_squares)(int64_t n, void *acc_, const void *x_) {
    T *acc = acc_;
    const T *x = x_;
    OPT_EACH {
        V a = OPT_LOAD(x);
        OPT_STORE(acc, v_fma(a, a, OPT_LOAD(acc)));
    }
}

/* u = g / sqrt(max(row * var / mean, floor)). Without p the sum of u^2, else p = shrink * p - k * u: the
 * update of Adafactor (Shazeer and Stern, 2018). h: row, mean, floor, shrink, k */
static double VN(opt_factored)(int64_t n, void *p_, const void *g_, const void *var_, const double *h) {
    T *p = p_;
    const T *g = g_, *var = var_;
    V row = K(h[0]), mean = K(h[1]), floor = K(h[2]), shrink = K(h[3]), k = K(-h[4]), sum = K(0);
    OPT_EACH {
        V d = OPT_LOAD(g), e = v_max(v_mul(row, OPT_LOAD(var)) / mean, floor), u = v_mul(K(1) / v_sqrt(e), d);
        if (p) OPT_STORE(p, v_fma(k, u, v_mul(OPT_LOAD(p), shrink)));
        else sum = v_fma(u, left >= VL ? u : v_sel(v_lt(v_index(), K(left)), u, K(0)), sum);
    }
    return (double)v_hsum(sum);
}

/* q = scale * (q + a * x), without x only scaled; the sum of q * y, without y 0 */
static double VN(opt_axpy_dot)(int64_t n, void *q_, double a, const void *x_, double scale, const void *y_) {
    T *q = q_;
    const T *x = x_, *y = y_;
    V by = K(a), k = K(scale), sum = K(0);
    OPT_EACH {
        V r = OPT_LOAD(q);
        if (x) r = v_fma(by, OPT_LOAD(x), r);
        r = v_mul(r, k);
        OPT_STORE(q, r);
        if (y)
            sum =
                v_fma(r, left >= VL ? OPT_LOAD(y) : v_sel(v_lt(v_index(), K(left)), OPT_LOAD(y), K(0)), sum);
    }
    return (double)v_hsum(sum);
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

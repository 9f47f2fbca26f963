/* The numbers of each update rule: what its kernel takes, from the options and from how many steps there
 * were. They are computed in double, as Python would, and rounded to the parameter's type by the kernel. The
 * options, f, come in the order in which autodiffc/optim lists them. */
#include <math.h>
#include "optim.h"

#define NUMBERS const ad_attr *at, const ad_tensor *p, int kept, double *s, double *h
#define UNUSED (void)at, (void)p, (void)kept, (void)s

/* f: lr, momentum, dampening, weight decay */
static void sgd_numbers(NUMBERS) {
    UNUSED;
    memcpy(h, at->f, 4 * sizeof *h);
}

/* f: lr, beta1, beta2, eps, weight decay, in this and the other rules of Adam's family */
static void adam_numbers(NUMBERS) {
    UNUSED;
    double lr = at->f[0], b1 = at->f[1], b2 = at->f[2], step = s[0] += 1;
    memcpy(h, at->f, 5 * sizeof *h);
    h[0] = 1 - lr * at->f[4];
    h[5] = lr / (1 - pow(b1, step));
    h[6] = sqrt(1 - pow(b2, step));
}

/* f: lr, lr decay, weight decay, eps */
static void adagrad_numbers(NUMBERS) {
    UNUSED;
    double step = s[0] += 1;
    h[0] = at->f[0] / (1 + (step - 1) * at->f[1]);
    h[1] = at->f[2];
    h[2] = at->f[3];
}

/* f: lr, rho, eps, weight decay */
static void adadelta_numbers(NUMBERS) {
    UNUSED;
    s[0] += 1;
    memcpy(h, at->f, 4 * sizeof *h);
}

static void adamax_numbers(NUMBERS) {
    UNUSED;
    double step = s[0] += 1;
    memcpy(h, at->f, 5 * sizeof *h);
    h[0] = at->f[0] / (1 - pow(at->f[1], step));
}

/* f[5]: momentum decay. Scalars: the step and the product of the momenta so far, which is kept in the
 * precision of its tensor. */
static void nadam_numbers(NUMBERS) {
    UNUSED;
    double lr = at->f[0], b1 = at->f[1], b2 = at->f[2], decay = at->f[5], step = s[0] += 1;
    double mu = b1 * (1 - 0.5 * pow(0.96, step * decay));
    double next = b1 * (1 - 0.5 * pow(0.96, (step + 1) * decay));
    s[1] = kept == AD_F64 ? s[1] * mu : (float)s[1] * (float)mu;
    memcpy(h, at->f, 5 * sizeof *h);
    h[0] = 1 - lr * at->f[4];
    h[5] = 1 - pow(b2, step);
    h[6] = lr * (1 - mu) / (1 - s[1]);
    h[7] = lr * next / (1 - s[1] * next);
}

static void radam_numbers(NUMBERS) {
    UNUSED;
    double lr = at->f[0], b2 = at->f[2], step = s[0] += 1;
    double left = 1 - pow(b2, step), most = 2 / (1 - b2) - 1, rho = most - 2 * step * (1 - left) / left;
    memcpy(h, at->f, 5 * sizeof *h);
    h[0] = 1 - lr * at->f[4];
    h[5] = 1 - pow(at->f[1], step);
    h[6] = lr;
    h[7] = rho > 5 ? sqrt(left) * sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)) : 0;
}

/* f: lr, alpha, eps, weight decay, momentum */
static void rmsprop_numbers(NUMBERS) {
    UNUSED;
    s[0] += 1;
    memcpy(h, at->f, 5 * sizeof *h);
}

/* f: the two factors, the smallest and the largest step */
static void rprop_numbers(NUMBERS) {
    UNUSED;
    s[0] += 1;
    memcpy(h, at->f, 4 * sizeof *h);
}

/* f: lr, lambd, alpha, t0, weight decay. Scalars: the step, eta and mu, which serve the next step. */
static void asgd_numbers(NUMBERS) {
    UNUSED;
    double lr = at->f[0], lambd = at->f[1], step = s[0] += 1;
    h[0] = 1 - lambd * s[1];
    h[1] = s[1];
    h[2] = s[2];
    h[3] = at->f[4];
    s[1] = lr / pow(1 + lambd * lr * step, at->f[2]);
    s[2] = 1 / fmax(1, step - at->f[3]);
}

/* f: lr, beta1, beta2, weight decay */
static void lion_numbers(NUMBERS) {
    UNUSED;
    memcpy(h, at->f, 3 * sizeof *h);
    h[3] = 1 - at->f[0] * at->f[3];
}

/* f: momentum */
static void muon_momentum_numbers(NUMBERS) {
    UNUSED;
    h[0] = at->f[0];
}

/* f: lr, weight decay, and which rule adapts the rate to the matrix: 0 the original, 1 the root mean square
 * of AdamW */
static void muon_numbers(NUMBERS) {
    UNUSED;
    double rows = p->ndim ? (double)p->sizes[0] : 1, cols = p->ndim > 1 ? (double)p->sizes[1] : 1;
    double ratio = at->f[2] == 1 ? 0.2 * sqrt(fmax(rows, cols)) : sqrt(fmax(1, rows / cols));
    h[0] = 1 - at->f[0] * at->f[1];
    h[1] = at->f[0] * ratio;
}

/* in the order of the rows of ops.def that end in _step, which is that of optim.def */
const optim_rule optim_rules[] = {
#define OPTIM(name, title, arrays, scalars, optional)                                                        \
    [OPTIM_##name] = {title,         OPTIM_##name, arrays, scalars, optional, OPTIM_##name == OPTIM_muon,    \
                      name##_numbers},
#include "../kernels/optim.def"
#undef OPTIM
};

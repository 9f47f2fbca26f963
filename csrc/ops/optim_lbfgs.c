/* lbfgs_direction(gradient, diagonal, changes of the gradient k times, steps k times, reciprocals of their
 * products k times): minus the approximate inverse Hessian times the gradient, and the k factors of the first
 * loop. The two-loop recursion of Nocedal (1980). Each addition is made in the pass that computes the next
 * product. */
#include "../core.h"
#include "../pool.h"
#include "declare.h"

enum { CHUNK = 8192 };

static int history(const ad_call *c) { return (c->nin - 2) / 3; }

int lbfgs_direction_infer(ad_call *c) {
    const ad_tensor *g = c->in[0];
    int k = history(c);
    if (c->nin < 2 || c->nin != 2 + 3 * k)
        return ad_fail(AD_ERR_RUNTIME, "lbfgs_direction(): a history of three lists of one length is due");
    for (int i = 0; i < c->nin; i++) {
        const ad_tensor *t = c->in[i];
        bool number = i == 1 || i >= 2 + 2 * k;
        if (t->dtype != g->dtype || (t->dtype != AD_F32 && t->dtype != AD_F64))
            return ad_fail(AD_ERR_RUNTIME, "lbfgs_direction(): the gradient is %s, tensor %d is %s",
                           dtype_name[g->dtype], i, dtype_name[t->dtype]);
        if (number ? t->numel != 1 : t->ndim != 1 || t->numel != g->numel)
            return ad_fail(AD_ERR_RUNTIME, "lbfgs_direction(): the gradient has size %s, tensor %d has %s",
                           fmt_sizes(g->ndim, g->sizes), i, fmt_sizes(t->ndim, t->sizes));
    }
    spec_like(&c->spec[0], g);
    c->spec[1].dtype = g->dtype;
    c->spec[1].ndim = 1;
    c->spec[1].sizes[0] = k;
    return 0;
}

size_t lbfgs_direction_scratch(const ad_call *c) {
    return (size_t)(c->in[0]->numel / CHUNK + 1) * sizeof(double);
}

typedef struct pass {
    char *q;
    const char *x, *y;
    double a, scale, *partial;
    int64_t n;
    bool wide;
} pass;

static void pass_range(int64_t begin, int64_t end, void *ctx) {
    const pass *w = ctx;
    size_t size = w->wide ? 8 : 4;
    for (int64_t k = begin; k < end; k++) {
        size_t at = (size_t)(k * CHUNK) * size;
        int64_t n = w->n - k * CHUNK < CHUNK ? w->n - k * CHUNK : CHUNK;
        w->partial[k] = kern->axpy_dot[w->wide](n, w->q + at, w->a, w->x ? w->x + at : NULL, w->scale,
                                                w->y ? w->y + at : NULL);
    }
}

static double run_pass(pass *w) {
    int64_t chunks = (w->n + CHUNK - 1) / CHUNK;
    double sum = 0;
    pool_parallel_for(chunks, 2, pass_range, w);
    for (int64_t k = 0; k < chunks; k++) sum += w->partial[k];
    return w->wide ? sum : (float)sum;
}

void lbfgs_direction_run(const ad_call *c) {
    int k = history(c);
    ad_tensor *const *y = c->in + 2, *const *s = y + k, *const *ro = s + k;
    bool wide = c->in[0]->dtype == AD_F64;
    pass w = {
        .q = tensor_data(c->out[0]), .partial = c->scratch, .n = c->in[0]->numel, .wide = wide, .scale = -1};
    char *factors = tensor_data(c->out[1]);
    memcpy(w.q, tensor_data(c->in[0]), (size_t)w.n * (wide ? 8 : 4));
    double a = 0;
    for (int i = k - 1; i >= 0; i--) {
        w.y = tensor_data(s[i]);
        a = run_pass(&w) * tensor_get_f64(ro[i]);
        if (wide) ((double *)factors)[i] = a;
        else a = ((float *)factors)[i] = (float)a;
        w.a = -a;
        w.x = tensor_data(y[i]);
        w.scale = 1;
    }
    w.scale *= tensor_get_f64(c->in[1]);
    for (int i = 0; i < k; i++) {
        w.y = tensor_data(y[i]);
        double b = run_pass(&w) * tensor_get_f64(ro[i]);
        w.a = (wide ? ((double *)factors)[i] : ((float *)factors)[i]) - b;
        w.x = tensor_data(s[i]);
        w.scale = 1;
    }
    w.y = NULL;
    run_pass(&w);
}

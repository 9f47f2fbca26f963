/* The geometry of pooling: sizes, windows, and the errors about them. */
#include "pooling.h"

pool_geo pool_geo_of(const ad_attr *at) {
    pool_geo g = {.n = (int)at->i[0], .adaptive = at->i[2] == POOL_ADAPTIVE};
    int skip = 3 - g.n, parts = g.adaptive ? 1 : 4;
    for (int d = 0; d < 3; d++) g.in[d] = g.out[d] = g.k[d] = g.s[d] = g.d[d] = 1;
    for (int d = 0; d < g.n; d++) {
        const int64_t *l = at->list + d;
        if (g.adaptive) g.out[skip + d] = l[0];
        else {
            g.k[skip + d] = l[0];
            g.s[skip + d] = l[g.n];
            g.p[skip + d] = l[2 * g.n];
            g.d[skip + d] = l[3 * g.n];
        }
        if (at->nlist > parts * g.n) g.in[skip + d] = l[parts * g.n];
    }
    return g;
}

void pool_geo_sizes(pool_geo *g, const ad_tensor *in, const ad_tensor *out) {
    g->planes = 1;
    g->in_plane = g->out_plane = 1;
    for (int d = 0; d < out->ndim - g->n; d++) g->planes *= out->sizes[d];
    for (int d = 0; d < g->n; d++) {
        int to = 3 - g->n + d;
        if (in) g->in[to] = in->sizes[in->ndim - g->n + d];
        g->out[to] = out->sizes[out->ndim - g->n + d];
    }
    for (int d = 0; d < 3; d++) g->in_plane *= g->in[d], g->out_plane *= g->out[d];
}

static int bad_dims(const char *name, int n, const ad_tensor *x) {
    return ad_fail(
        AD_ERR_RUNTIME,
        "%s: Expected %dD or %dD (batch mode) tensor with optional 0 dim batch size for input, but "
        "got: %s",
        name, n + 1, n + 2, fmt_sizes(x->ndim, x->sizes));
}

int pool_infer_windows(ad_call *c, const char *name, pool_geo *g) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    *g = pool_geo_of(c->at);
    int n = g->n;
    if (x->ndim != n + 1 && x->ndim != n + 2) return bad_dims(name, n, x);
    for (int d = 3 - n; d < 3; d++) {
        if (g->s[d] == 0) return ad_fail(AD_ERR_RUNTIME, "%s: stride should not be zero", name);
        if (g->k[d] < 1)
            return ad_fail(AD_ERR_RUNTIME, "%s: kernel size should be greater than zero, but got %lld", name,
                           (long long)g->k[d]);
        if (g->s[d] < 1)
            return ad_fail(AD_ERR_RUNTIME, "%s: stride should be greater than zero, but got %lld", name,
                           (long long)g->s[d]);
        if (g->d[d] < 1)
            return ad_fail(AD_ERR_RUNTIME, "%s: dilation should be greater than zero, but got %lld", name,
                           (long long)g->d[d]);
        if (g->p[d] < 0)
            return ad_fail(AD_ERR_RUNTIME, "%s: pad must be non-negative, but got pad: %lld", name,
                           (long long)g->p[d]);
        int64_t reach; /* from a window's first place to its last */
        if (__builtin_mul_overflow(g->k[d] - 1, g->d[d], &reach) || reach > INT64_MAX / 4 ||
            g->s[d] > INT64_MAX / 4)
            return ad_fail(AD_ERR_RUNTIME,
                           "%s: a window of kernel_size %lld, dilation %lld, stride %lld is too large", name,
                           (long long)g->k[d], (long long)g->d[d], (long long)g->s[d]);
        if (g->p[d] > (reach + 1) / 2)
            return ad_fail(AD_ERR_RUNTIME,
                           "%s: pad should be at most half of effective kernel size, but got pad=%lld, "
                           "kernel_size=%lld and dilation=%lld",
                           name, (long long)g->p[d], (long long)g->k[d], (long long)g->d[d]);
    }
    for (int d = x->ndim == n + 2; d < x->ndim; d++)
        if (!x->sizes[d]) return bad_dims(name, n, x);
    spec_like(s, x);
    for (int d = 0; d < n; d++) {
        int from = x->ndim - n + d, to = 3 - n + d;
        int64_t in = x->sizes[from], room = in + 2 * g->p[to] - (g->k[to] - 1) * g->d[to] - 1, out;
        out = room < 0 ? 0 : (room + (c->at->i[1] ? g->s[to] - 1 : 0)) / g->s[to] + 1;
        if (room < 0 && c->at->i[1] && room > -g->s[to]) out = 1;
        /* rounding up may not give a window that starts beyond the input and the padding before it */
        if (c->at->i[1] && out && (out - 1) * g->s[to] >= in + g->p[to]) out--;
        if (out < 1)
            return ad_fail(
                AD_ERR_RUNTIME,
                "%s: Given input size: %s. Calculated output size of dimension %d: %lld. Output size is "
                "too small",
                name, fmt_sizes(x->ndim, x->sizes), from, (long long)out);
        s->sizes[from] = out;
        g->in[to] = in;
        g->out[to] = out;
    }
    return 0;
}

int pool_infer_adaptive(ad_call *c, const char *name) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    int n = (int)c->at->i[0];
    if (x->ndim != n + 1 && x->ndim != n + 2)
        return ad_fail(AD_ERR_RUNTIME, "%s(): Expected %dD or %dD tensor, but got %s", name, n + 1, n + 2,
                       fmt_sizes(x->ndim, x->sizes));
    spec_like(s, x);
    for (int d = 0; d < n; d++) {
        int at = x->ndim - n + d;
        if (!x->sizes[at])
            return ad_fail(
                AD_ERR_RUNTIME,
                "%s(): Expected input to have non-zero size for non-batch dimensions, but input has "
                "sizes %s with dimension %d being empty",
                name, fmt_sizes(x->ndim, x->sizes), at);
        if (c->at->list[d] < -1)
            return ad_fail(AD_ERR_RUNTIME,
                           "%s: elements of output_size must be greater than or equal to 0 but received %lld",
                           name, (long long)c->at->list[d]);
        if (c->at->list[d] >= 0) s->sizes[at] = c->at->list[d];
        if (s->sizes[at] > INT32_MAX || x->sizes[at] > INT64_MAX / 4)
            return ad_fail(AD_ERR_RUNTIME, "%s: output_size %lld is too large", name,
                           (long long)s->sizes[at]);
    }
    return 0;
}

ad_attr pool_grad_attr(const ad_attr *at, const ad_meta *in, int64_t *list) {
    ad_attr r = *at;
    int64_t n = at->i[0], own = at->i[2] == POOL_ADAPTIVE ? n : 4 * n;
    dims_copy(list, at->list, own);
    dims_copy(list + own, in->sizes + in->ndim - n, n);
    r.list = list;
    r.nlist = own + n;
    return r;
}

int pool_grad_infer(ad_call *c) {
    const ad_tensor *g = c->in[0];
    int64_t n = c->at->i[0];
    spec_like(&c->spec[0], g);
    dims_copy(c->spec[0].sizes + g->ndim - n, c->at->list + c->at->nlist - n, n);
    return 0;
}

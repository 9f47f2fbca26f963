/* grid_sample(x, grid): x (N, C, *) read at the places that grid (N, *, n) gives, n = 2 or 3, as coordinates
 * in [-1, 1]; and its gradients.
 *
 * Attributes: i[0] = mode, i[1] = padding, i[2] = align_corners. Each sample is a weighted sum of up to 16
 * elements (its taps); both gradients go over the same taps. Each row may have a direction as its last input,
 * a tensor like the grid: it is then the derivative of what it is without, when the grid moves that way. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "declare.h"

enum { MODE_BILINEAR, MODE_NEAREST, MODE_BICUBIC };
enum { PADDING_ZEROS, PADDING_BORDER, PADDING_REFLECTION };
enum { TILE = 32 };

typedef struct job {
    int n, mode, padding, ct;
    bool align;
    int64_t size[3], plane, channels, samples; /* size: of the input, three dimensions always */
    const void *x, *grid, *g, *u;
    void *out;
} job;

#define REAL float
#define GRID(name) name##_f32
#define floor_f32 floorf
#define fmod_f32 fmodf
#define rint_f32 rintf
#include "grid_taps.h"
#undef REAL
#undef GRID
#define REAL double
#define GRID(name) name##_f64
#define floor_f64 floor
#define fmod_f64 fmod
#define rint_f64 rint
#include "grid_taps.h"
#undef REAL
#undef GRID

static int check(const ad_tensor *x, const ad_tensor *grid, const ad_attr *at) {
    int n = x->ndim - 2;
    if (!x->ndim || grid->ndim < 2 || x->sizes[0] != grid->sizes[0])
        return ad_fail(AD_ERR_RUNTIME,
                       "grid_sampler(): expected grid and input to have same batch size, but got input with "
                       "sizes %s and "
                       "grid with sizes %s",
                       fmt_sizes(x->ndim, x->sizes), fmt_sizes(grid->ndim, grid->sizes));
    if (n < 2 || n > 3 || grid->ndim != x->ndim)
        return ad_fail(
            AD_ERR_RUNTIME,
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got input "
            "with sizes %s and grid with sizes %s",
            fmt_sizes(x->ndim, x->sizes), fmt_sizes(grid->ndim, grid->sizes));
    if (grid->sizes[grid->ndim - 1] != n)
        return ad_fail(
            AD_ERR_RUNTIME,
            "grid_sampler(): expected grid to have size %d in last dimension, but got grid with sizes %s", n,
            fmt_sizes(grid->ndim, grid->sizes));
    for (int d = 2; d < x->ndim; d++)
        if (!x->sizes[d])
            return ad_fail(
                AD_ERR_RUNTIME,
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes %s "
                "with dimension %d being empty",
                fmt_sizes(x->ndim, x->sizes), d);
    if (n == 3 && at->i[0] == MODE_BICUBIC)
        return ad_fail(AD_ERR_RUNTIME, "grid_sampler(): bicubic interpolation only supports 4D input");
    if (!dtype_is_float(x->dtype))
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"grid_sampler_%dd\" not implemented for '%s'", n,
                       dtype_class[x->dtype]);
    if (x->dtype != grid->dtype)
        return ad_fail(AD_ERR_RUNTIME, "grid_sampler(): expected scalar type %s but found %s",
                       dtype_class[x->dtype], dtype_class[grid->dtype]);
    return 0;
}

int grid_sample_infer(ad_call *c) {
    const ad_tensor *x = c->in[0], *grid = c->in[1];
    ad_spec *s = &c->spec[0];
    if (check(x, grid, c->at)) return -1;
    spec_like(s, x);
    dims_copy(s->sizes + 2, grid->sizes + 1, x->ndim - 2);
    return 0;
}
/* list = the sizes of x */
int grid_sample_grad_input_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    s->dtype = c->in[0]->dtype;
    s->ndim = (uint8_t)c->at->nlist;
    dims_copy(s->sizes, c->at->list, s->ndim);
    return 0;
}
int grid_sample_grad_grid_infer(ad_call *c) {
    spec_like(&c->spec[0], c->in[2]);
    return 0;
}

/* Half-precision tensors are converted as a whole; scratch has room for all. */
static bool half(const ad_tensor *t) { return t->dtype == AD_F16 || t->dtype == AD_BF16; }
static size_t halves(const ad_call *c) {
    size_t bytes = 0;
    if (!half(c->out[0])) return 0;
    for (int i = 0; i < c->nin && c->in[i]; i++) bytes += ((size_t)c->in[i]->numel * 4 + 63) / 64 * 64;
    return bytes + (size_t)c->out[0]->numel * 4;
}
size_t grid_sample_scratch(const ad_call *c) { return halves(c); }
size_t grid_sample_grad_input_scratch(const ad_call *c) { return halves(c); }
size_t grid_sample_grad_grid_scratch(const ad_call *c) { return halves(c); }

typedef struct parts {
    const void *in[4];
    void *out;
} parts;
static parts open_call(const ad_call *c) {
    parts p = {.out = tensor_data(c->out[0])};
    char *room = c->scratch;
    for (int i = 0; i < c->nin && c->in[i]; i++) {
        p.in[i] = tensor_data(c->in[i]);
        if (!half(c->out[0])) continue;
        dtype_loads[c->in[i]->dtype][CT_F32](c->in[i]->numel, room, p.in[i], 2);
        p.in[i] = room;
        room += ((size_t)c->in[i]->numel * 4 + 63) / 64 * 64;
    }
    if (half(c->out[0])) p.out = room;
    return p;
}
static void close_call(const ad_call *c, const parts *p) {
    ad_tensor *out = c->out[0];
    if (half(out)) dtype_stores[out->dtype][CT_F32](out->numel, tensor_data(out), 2, p->out);
}

static job job_of(const ad_call *c, int ndim, const int64_t *sizes, const ad_tensor *grid) {
    job j = {.n = ndim - 2,
             .mode = (int)c->at->i[0],
             .padding = (int)c->at->i[1],
             .ct = grid->dtype == AD_F64 ? CT_F64 : CT_F32,
             .align = c->at->i[2] != 0,
             .size = {1, 1, 1},
             .plane = 1,
             .channels = sizes[1],
             .samples = 1};
    for (int d = 0; d < j.n; d++) {
        j.size[3 - j.n + d] = sizes[2 + d];
        j.plane *= sizes[2 + d];
        j.samples *= grid->sizes[1 + d];
    }
    return j;
}
/* ---- without a direction: kernels/grid.h ---- */

static bool flat(const job *j) { return !j->u && j->plane < 1 << 30; }
static grid_plane plane_of(const job *j, int64_t channels) {
    return (grid_plane){.dims = j->n,
                        .width = j->size[2],
                        .height = j->size[1],
                        .depth = j->size[0],
                        .mode = j->mode,
                        .plane = j->plane,
                        .channels = channels,
                        .samples = j->samples,
                        .padding = j->padding,
                        .align = j->align};
}
static const void *step(const job *j, const void *p, int64_t n) {
    return (const char *)p + n * (int64_t)ct_size[j->ct];
}
static void flat_read(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    grid_plane p = plane_of(j, j->channels);
    for (int64_t s = begin, m; s < end; s += m) {
        int64_t b = s / j->samples, o = s % j->samples;
        m = j->samples - o < end - s ? j->samples - o : end - s;
        kern->grid_read[j->ct](&p, m, step(j, j->grid, j->n * s), step(j, j->x, b * j->channels * j->plane),
                               (void *)step(j, j->out, b * j->channels * j->samples + o));
    }
}
static void flat_write(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    memset((void *)step(j, j->out, begin * j->plane), 0, (size_t)((end - begin) * j->plane) * ct_size[j->ct]);
    for (int64_t c = begin, m; c < end; c += m) {
        int64_t b = c / j->channels;
        m = (b + 1) * j->channels < end ? (b + 1) * j->channels - c : end - c;
        grid_plane p = plane_of(j, m);
        kern->grid_write[j->ct](&p, j->samples, step(j, j->grid, j->n * b * j->samples),
                                step(j, j->g, c * j->samples), (void *)step(j, j->out, c * j->plane));
    }
}
static void flat_slopes(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    grid_plane p = plane_of(j, j->channels);
    for (int64_t s = begin, m; s < end; s += m) {
        int64_t b = s / j->samples, o = s % j->samples;
        m = j->samples - o < end - s ? j->samples - o : end - s;
        kern->grid_slopes[j->ct](
            &p, m, step(j, j->grid, j->n * s), step(j, j->g, b * j->channels * j->samples + o),
            step(j, j->x, b * j->channels * j->plane), (void *)step(j, j->out, j->n * s));
    }
}

static int64_t grain_of(int64_t each) { return each > 8192 ? 1 : 8192 / (each > 0 ? each : 1); }

void grid_sample_run(const ad_call *c) {
    const ad_tensor *x = c->in[0];
    if (!c->out[0]->numel) return;
    parts p = open_call(c);
    job j = job_of(c, x->ndim, x->sizes, c->in[1]);
    j.x = p.in[0];
    j.grid = p.in[1];
    j.u = p.in[2];
    j.out = p.out;
    pool_parallel_for(x->sizes[0] * j.samples, grain_of(4 * (j.channels + 4)),
                      flat(&j)         ? flat_read
                      : j.ct == CT_F64 ? read_f64
                                       : read_f32,
                      &j);
    close_call(c, &p);
}
void grid_sample_grad_input_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    if (!out->numel) return;
    parts p = open_call(c);
    job j = job_of(c, out->ndim, out->sizes, c->in[1]);
    j.g = p.in[0];
    j.grid = p.in[1];
    j.u = p.in[2];
    j.out = p.out;
    /* some planes together, so that the taps are not found anew for each */
    int64_t grain = grain_of(4 * j.samples + j.plane), few = j.channels < 8 ? j.channels : 8;
    pool_parallel_for(out->sizes[0] * j.channels, grain < few ? few : grain,
                      flat(&j)         ? flat_write
                      : j.ct == CT_F64 ? write_f64
                                       : write_f32,
                      &j);
    close_call(c, &p);
}
void grid_sample_grad_grid_run(const ad_call *c) {
    const ad_tensor *x = c->in[1];
    if (!c->out[0]->numel) return;
    parts p = open_call(c);
    job j = job_of(c, x->ndim, x->sizes, c->in[2]);
    j.g = p.in[0];
    j.x = p.in[1];
    j.grid = p.in[2];
    j.u = p.in[3];
    j.out = p.out;
    pool_parallel_for(x->sizes[0] * j.samples, grain_of(8 * (j.channels + 4)),
                      flat(&j)         ? flat_slopes
                      : j.ct == CT_F64 ? slopes_f64
                                       : slopes_f32,
                      &j);
    close_call(c, &p);
}

static ad_attr with_sizes(const ad_attr *at, const ad_meta *m) {
    ad_attr r = *at;
    r.list = m->sizes;
    r.nlist = m->ndim;
    return r;
}
static ad_tensor *direction(ad_vjp *v, int i) { /* the last input, when there is one */
    for (int k = 0; k < v->node->nsaved; k++)
        if (v->node->saved[k].slot == i) return vjp_in(v, i);
    return NULL;
}
static bool wanted(const ad_vjp *v, int i) { return i < v->nin && vjp_needs(v, i); }
static ad_tensor *em_sample(ad_vjp *v, ad_tensor *x, ad_tensor *grid, ad_tensor *u) {
    ad_attr at = *v->at;
    at.nlist = 0;
    return x && grid ? em_op(&v->E, OP_grid_sample, 3, (ad_tensor *[]){x, grid, u}, &at) : NULL;
}
static ad_tensor *em_grad_input(ad_vjp *v, ad_tensor *g, ad_tensor *grid, ad_tensor *u, const ad_meta *like) {
    ad_attr at = with_sizes(v->at, like);
    return g && grid ? em_op(&v->E, OP_grid_sample_grad_input, 3, (ad_tensor *[]){g, grid, u}, &at) : NULL;
}
static ad_tensor *em_grad_grid(ad_vjp *v, ad_tensor *g, ad_tensor *x, ad_tensor *grid, ad_tensor *u) {
    ad_attr at = *v->at;
    at.nlist = 0;
    return g && x && grid ? em_op(&v->E, OP_grid_sample_grad_grid, 4, (ad_tensor *[]){g, x, grid, u}, &at)
                          : NULL;
}

void grid_sample_vjp(ad_vjp *v) {
    ad_tensor *grid = vjp_in(v, 1), *u = direction(v, 2), *g = v->g[0];
    ad_tensor *x = wanted(v, 1) || wanted(v, 2) ? vjp_in(v, 0) : NULL;
    if (wanted(v, 0)) v->gin[0] = em_grad_input(v, g, grid, u, vjp_meta(v, 0));
    if (wanted(v, 1)) v->gin[1] = em_grad_grid(v, g, x, grid, u);
    if (wanted(v, 2)) v->gin[2] = em_grad_grid(v, g, x, grid, NULL);
}
void grid_sample_jvp(ad_jvp *j) {
    const ad_call *c = j->c;
    ad_tensor *a = NULL, *b = NULL;
    if (c->in[2]) {
        ad_fail(AD_ERR_NOT_IMPLEMENTED, "grid_sample: the tangent of its derivative is not implemented");
        j->E.failed = true;
        return;
    }
    if (j->t[0]) a = em_op(&j->E, OP_grid_sample, 3, (ad_tensor *[]){j->t[0], c->in[1], NULL}, c->at);
    if (j->t[1]) b = em_op(&j->E, OP_grid_sample, 3, (ad_tensor *[]){c->in[0], c->in[1], j->t[1]}, c->at);
    j->tout[0] = a && b ? em2(&j->E, OP_add, a, b) : a ? a : b;
}
/* Linear in g, as the adjoint of grid_sample; and to the grid what that is. */
void grid_sample_grad_input_vjp(ad_vjp *v) {
    ad_tensor *grid = vjp_in(v, 1), *u = direction(v, 2), *x = v->g[0];
    ad_tensor *g = wanted(v, 1) || wanted(v, 2) ? vjp_in(v, 0) : NULL;
    if (wanted(v, 0)) v->gin[0] = em_sample(v, x, grid, u);
    if (wanted(v, 1)) v->gin[1] = em_grad_grid(v, g, x, grid, u);
    if (wanted(v, 2)) v->gin[2] = em_grad_grid(v, g, x, grid, NULL);
}
/* Linear in g and in x: its derivatives are the rows above along the direction that comes in. */
void grid_sample_grad_grid_vjp(ad_vjp *v) {
    ad_tensor *x = vjp_in(v, 1), *grid = vjp_in(v, 2), *g = vjp_in(v, 0), *u = v->g[0];
    if (direction(v, 3)) {
        ad_fail(AD_ERR_NOT_IMPLEMENTED, "grid_sample: the third derivative by the grid is not implemented");
        v->E.failed = true;
        return;
    }
    if (!u) return;
    if (wanted(v, 0)) v->gin[0] = em_sample(v, x, grid, u);
    if (wanted(v, 1)) v->gin[1] = em_grad_input(v, g, grid, u, vjp_meta(v, 1));
    if (wanted(v, 2)) v->gin[2] = em_grad_grid(v, g, x, grid, u);
}

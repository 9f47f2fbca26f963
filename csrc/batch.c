/* vmap: a tensor that stands for one sample of a batch, and calls on such tensors.
 *
 * A batched tensor has the geometry of its first sample, and for each vmap that it is in the stride to the
 * next one. So infer, the tape and views work on it as they are: they see a sample. Only computing looks at
 * the whole batch (batch_run): the row's rule on whole batches where there is one (batch_rules.c), else run()
 * for one sample after the other on the memory of the results, which costs no allocation and no inference for
 * each.
 *
 * The tape holds samples too. So a gradient inside of vmap is one for each sample, whatever it is of; a
 * gradient that leaves a vmap that has ended (a node or leaf from before it) is summed over the batch. What
 * must read values (item(), indexing by masks, results whose size depends on the data) fails with
 * AD_ERR_BATCH, on which vmap calls the function for one sample after the other. */
#include <string.h>
#include "batch.h"
#include "pool.h"
#include "program.h"
#include "ops/declare.h"

_Atomic int batch_watched;

void batch_free(ad_batch *b) {
    atomic_fetch_sub_explicit(&batch_watched, 1, memory_order_relaxed);
    mem_free(b, sizeof *b);
}

static ad_batch *batch_new(void) {
    ad_batch *b = mem_alloc(sizeof *b);
    if (!b) return NULL;
    memset(b, 0, sizeof *b);
    atomic_init(&b->refs, 1);
    atomic_fetch_add_explicit(&batch_watched, 1, memory_order_relaxed);
    return b;
}

static const batch_dim *find(const ad_tensor *t, uint64_t level) {
    for (int k = 0; t->batch && k < t->batch->n; k++)
        if (t->batch->dim[k].level == level) return &t->batch->dim[k];
    return NULL;
}
int64_t batch_stride(const ad_tensor *t, uint64_t level) {
    const batch_dim *d = find(t, level);
    return d ? d->stride : 0;
}
bool batch_shares(const ad_tensor *t) {
    for (int k = 0; t->batch && k < t->batch->n; k++)
        if (t->batch->dim[k].size > 1 && !t->batch->dim[k].stride) return true;
    return false;
}
bool batch_covers(const ad_tensor *t, const ad_tensor *g) {
    for (int k = 0; g->batch && k < g->batch->n; k++)
        if (!find(t, g->batch->dim[k].level)) return false;
    return !batch_shares(t);
}

/* ---- the plan of a call ---- */

static int plan_add(batch_plan *p, uint64_t level, int64_t size) {
    int k = 0;
    while (k < p->n && p->dim[k].level < level) k++;
    if (k < p->n && p->dim[k].level == level) return 0;
    if (p->n == BATCH_DEPTH) return ad_fail(AD_ERR_BATCH, "vmap nests at most %d deep here", BATCH_DEPTH);
    memmove(&p->dim[k + 1], &p->dim[k], (size_t)(p->n - k) * sizeof *p->dim);
    p->dim[k] = (batch_dim){.level = level, .size = size};
    p->n++;
    p->total *= size;
    return 0;
}

enum { RANDOM_ERROR, RANDOM_DIFFERENT, RANDOM_SAME };

int batch_plan_of(const ad_call *c, batch_plan *p) {
    p->n = 0;
    p->total = 1;
    for (int i = 0; i < c->nin; i++)
        for (int k = 0; c->in[i] && c->in[i]->batch && k < c->in[i]->batch->n; k++) {
            const batch_dim *d = &c->in[i]->batch->dim[k];
            if (plan_add(p, d->level, d->size)) return -1;
        }
    if (c->op->flags & AD_OP_RANDOM)
        for (int k = 0; k < tls.nvmaps; k++) {
            const ad_vmap *v = &tls.vmaps[k];
            if (v->randomness == RANDOM_ERROR)
                return ad_fail(
                    AD_ERR_RUNTIME,
                    "vmap: called random operation while in randomness error mode. Please either use the "
                    "'same' or 'different' randomness flags on vmap or perform the randomness operation out "
                    "of vmap");
            if (v->randomness == RANDOM_DIFFERENT && plan_add(p, v->level, v->size)) return -1;
            for (int i = 0; v->randomness == RANDOM_SAME && i < c->nin; i++)
                if (c->in[i] && find(c->in[i], v->level))
                    return ad_fail(AD_ERR_BATCH, "%s draws the same for all samples of a batch", c->op->name);
        }
    return p->n > 0;
}

int batch_check(const ad_call *c, const batch_plan *p, const ad_tensor *target) {
    const ad_op *op = c->op;
    if (op->flags & (AD_OP_SYNC | AD_OP_INPLACE) || op - ad_ops == OP_view_dtype || !p->total)
        return ad_fail(AD_ERR_BATCH, "%s reads the values of a sample under vmap", op->name);
    for (int k = 0; target && k < p->n; k++)
        if (!find(target, p->dim[k].level))
            return ad_fail(AD_ERR_BATCH,
                           "%s: what differs between the samples of a vmap cannot be written into a tensor "
                           "that they share",
                           op->name);
    if (target && batch_shares(target))
        return ad_fail(AD_ERR_RUNTIME,
                       "unsupported operation: the samples of the written-to tensor refer to a single "
                       "memory location. Please clone() the tensor before performing the operation.");
    if (target && target->base && !target->base->batch && graph_wants(c))
        return ad_fail(AD_ERR_BATCH, "%s writes to a view of a tensor from outside of vmap", op->name);
    return 0;
}

/* ---- physical tensors and samples ---- */

ad_tensor *batch_operand(ad_tensor *t, const batch_plan *p, int pad, bool full) {
    int64_t sizes[AD_MAXDIM + BATCH_DEPTH], strides[AD_MAXDIM + BATCH_DEPTH];
    int n = 0;
    if (p->n + pad + t->ndim > AD_MAXDIM) return ad_fail_null(AD_ERR_BATCH, "too many dimensions under vmap");
    for (int k = 0; k < p->n; k++, n++) {
        const batch_dim *d = find(t, p->dim[k].level);
        sizes[n] = d || full ? p->dim[k].size : 1;
        strides[n] = d ? d->stride : 0;
    }
    for (; pad > 0; pad--, n++) sizes[n] = 1, strides[n] = 0;
    dims_copy(sizes + n, t->sizes, t->ndim);
    dims_copy(strides + n, t->strides, t->ndim);
    ad_tensor *y = tensor_alias(t, n + t->ndim, sizes, strides, t->offset);
    if (y && y->batch) {
        batch_unref(y->batch);
        y->batch = NULL;
    }
    return y;
}

ad_tensor *batch_result(ad_tensor *t, const batch_plan *p) {
    ad_tensor *y = tensor_alias(t, t->ndim - p->n, t->sizes + p->n, t->strides + p->n, t->offset);
    if (!y) return NULL;
    if (!(y->batch = batch_new())) {
        tensor_unref(y);
        return NULL;
    }
    y->batch->n = p->n;
    for (int k = 0; k < p->n; k++)
        y->batch->dim[k] =
            (batch_dim){.level = p->dim[k].level, .size = p->dim[k].size, .stride = t->strides[k]};
    return y;
}

/* A new tensor for an output; `strides` of a sample or NULL. */
static ad_tensor *new_result(int dtype, int ndim, const int64_t *sizes, const int64_t *strides,
                             const batch_plan *p) {
    int64_t s[AD_MAXDIM + BATCH_DEPTH], t[AD_MAXDIM + BATCH_DEPTH], step;
    if (p->n + ndim > AD_MAXDIM) return ad_fail_null(AD_ERR_BATCH, "too many dimensions under vmap");
    for (int k = 0; k < p->n; k++) s[k] = p->dim[k].size;
    dims_copy(s + p->n, sizes, ndim);
    if (dims_numel(ndim, sizes, &step)) return NULL;
    dims_contiguous_strides(p->n + ndim, s, t);
    if (strides) {
        dims_copy(t + p->n, strides, ndim);
        for (int k = p->n - 1; k >= 0; k--) {
            t[k] = step;
            step *= s[k];
        }
    }
    ad_tensor *whole = tensor_new_strided(dtype, p->n + ndim, s, t),
              *y = whole ? batch_result(whole, p) : NULL;
    tensor_unref(whole);
    return y;
}

ad_tensor *batch_new_like(const ad_tensor *like, const ad_tensor *g) {
    batch_plan p = {.n = g->batch->n};
    memcpy(p.dim, g->batch->dim, sizeof p.dim);
    return new_result(like->dtype, like->ndim, like->sizes, like->strides, &p);
}

/* ---- one sample after the other ---- */

#define LOOP_CHUNKS 16 /* each has its own structs and scratch */

typedef struct sampled {
    const ad_call *c;
    const batch_plan *p;
    int64_t grain;
    size_t block, structs;
    char *room;
} sampled;

static int64_t sample_offset(const ad_tensor *t, const batch_plan *p, int64_t at) {
    int64_t offset = t->offset;
    for (int k = p->n - 1; k >= 0 && t->batch; k--) {
        offset += at % p->dim[k].size * batch_stride(t, p->dim[k].level);
        at /= p->dim[k].size;
    }
    return offset;
}

/* The call on structs of its own, at `room`. */
static ad_call own_call(const ad_call *c, char *room, void *scratch) {
    ad_call one = *c;
    ad_tensor *t = (ad_tensor *)room, **list = (ad_tensor **)(t + c->nin + c->nout);
    one.in = list;
    one.out = list + c->nin;
    one.scratch = scratch;
    for (int i = 0; i < c->nin + c->nout; i++) {
        const ad_tensor *from = i < c->nin ? c->in[i] : c->out[i - c->nin];
        list[i] = from ? &t[i] : NULL;
        if (from) t[i] = *from;
    }
    if (c->inplace) one.in[0] = one.out[0];
    return one;
}
static void move_to(const ad_call *one, const ad_call *c, const batch_plan *p, int64_t at) {
    for (int i = 0; i < c->nin; i++)
        if (c->in[i]) one->in[i]->offset = sample_offset(c->in[i], p, at);
    for (int k = 0; k < c->nout; k++) one->out[k]->offset = sample_offset(c->out[k], p, at);
}

static void loop_range(int64_t begin, int64_t end, void *ctx) {
    const sampled *s = ctx;
    char *room = s->room + (size_t)(begin / s->grain) * s->block;
    ad_call one = own_call(s->c, room, s->block > s->structs ? room + s->structs : NULL);
    for (int64_t at = begin; at < end; at++) {
        move_to(&one, s->c, s->p, at);
        if (s->c->op->flags & AD_OP_SELF && !one.inplace) tensor_copy_data(one.out[0], one.in[0]);
        one.op->run(&one);
    }
}

/* Whether infer finds nothing wrong with the values of any sample. */
static int check_values(const ad_call *c, const batch_plan *p, char *room) {
    ad_spec *spec = mem_alloc((size_t)c->nout * sizeof *spec);
    if (!spec) return -1;
    ad_call one = own_call(c, room, NULL);
    int status = 0;
    one.spec = spec;
    for (int64_t at = 0; at < p->total && !status; at++) {
        for (int k = 0; k < c->nout; k++) spec[k] = c->spec[k];
        move_to(&one, c, p, at);
        status = one.op->infer(&one);
    }
    mem_free(spec, (size_t)c->nout * sizeof *spec);
    return status;
}

static int run_samples(ad_call *c, const batch_plan *p) {
    if (tls.capture && program_refuse("a row under vmap that is computed sample by sample")) return -1;
    int tensors = c->nin + c->nout;
    size_t scratch = 0, structs = (size_t)tensors * (sizeof(ad_tensor) + sizeof(ad_tensor *));
    structs = (structs + 63) & ~(size_t)63;
    int64_t work = 1;
    for (int i = 0; i < c->nin; i++) work += c->in[i] ? c->in[i]->numel : 0;
    for (int k = 0; k < c->nout; k++) work += c->out[k]->numel;
    if (c->op->scratch) {
        ad_call one = *c;
        one.scratch = NULL;
        scratch = (c->op->scratch(&one) + 63) & ~(size_t)63;
    }
    sampled s = {.c = c, .p = p, .structs = structs, .block = structs + scratch};
    s.grain = 1 + 16384 / work;
    if (s.grain < (p->total + LOOP_CHUNKS - 1) / LOOP_CHUNKS)
        s.grain = (p->total + LOOP_CHUNKS - 1) / LOOP_CHUNKS;
    if (c->op->flags & AD_OP_RANDOM || s.grain > p->total) s.grain = p->total; /* draws come in order */
    size_t bytes = s.block * (size_t)((p->total + s.grain - 1) / s.grain);
    if (!(s.room = mem_alloc(bytes))) return -1;
    int status = call_reads_values(c) ? check_values(c, p, s.room) : 0;
    if (!status) {
        int shield = c->inplace ? pool_shield(1) : 0;
        void *interpreter = work * p->total > 8192 ? interpreter_release() : NULL;
        pool_parallel_for(p->total, s.grain, loop_range, &s);
        interpreter_take(interpreter);
        if (c->inplace) pool_shield(shield);
        if (pool_take_cancelled()) status = ad_fail(AD_ERR_INTERRUPT, "interrupted in %s", c->op->name);
    }
    mem_free(s.room, bytes);
    return status;
}

int batch_run(ad_call *c, const batch_plan *p, int made) {
    ad_tensor *room[8], **whole = room;
    if (c->nout > 8 && !(whole = mem_alloc((size_t)c->nout * sizeof *whole))) return -1;
    memset(whole, 0, (size_t)c->nout * sizeof *whole);
    /* Inside, nothing is recorded, and no level is open: these are calls on ordinary tensors. */
    bool no_grad = tls.no_grad, inference = tls.inference;
    int forward = tls.forward, nvmaps = tls.nvmaps, done = made;
    tls.no_grad = true;
    tls.inference = false;
    tls.forward = tls.nvmaps = 0;
    int status = batch_rule(c, p, whole);
    if (status > 0) {
        for (int k = 0; k < c->nout; k++) {
            if (status > 0 && done == k && !(c->out[done++] = batch_result(whole[k], p))) {
                done--;
                status = -1;
            }
            tensor_unref(whole[k]);
        }
    } else if (!status) {
        for (; done < c->nout && !status; done++) {
            const ad_spec *s = &c->spec[done];
            c->out[done] = new_result(s->dtype, s->ndim, s->sizes, s->strided ? s->strides : NULL, p);
            if (!c->out[done]) status = -1, done--;
        }
        if (!status) status = run_samples(c, p);
    }
    tls.no_grad = no_grad;
    tls.inference = inference;
    tls.forward = forward;
    tls.nvmaps = nvmaps;
    if (whole != room) mem_free(whole, (size_t)c->nout * sizeof *whole);
    while (status < 0 && done > made) tensor_unref(c->out[--done]);
    return status < 0 ? -1 : 0;
}

/* ---- entering and leaving ---- */

/* vmap_in(x): a sample of x. i[0] = the dimension of the samples, i[1] = level. */
int vmap_in_infer(ad_call *c) {
    ad_tensor *x = c->in[0];
    int d = dim_wrap(c->at->i[0], x->ndim);
    if (d < 0) return -1;
    ad_spec *s = &c->spec[0];
    spec_view(s, x);
    s->ndim--;
    for (int k = d; k < s->ndim; k++) {
        s->sizes[k] = x->sizes[k + 1];
        s->strides[k] = x->strides[k + 1];
    }
    return 0;
}
/* vmap_out(x): the batch. i[0] = where the samples go, i[1] = level, i[2] = how many they are. */
int vmap_out_infer(ad_call *c) {
    ad_tensor *x = c->in[0];
    if (x->ndim == AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions, the most is %d", AD_MAXDIM);
    int d = dim_wrap(c->at->i[0], x->ndim + 1);
    if (d < 0) return -1;
    ad_spec *s = &c->spec[0];
    spec_view(s, x);
    s->ndim++;
    for (int k = x->ndim; k > d; k--) {
        s->sizes[k] = x->sizes[k - 1];
        s->strides[k] = x->strides[k - 1];
    }
    s->sizes[d] = c->at->i[2];
    s->strides[d] = batch_stride(x, (uint64_t)c->at->i[1]);
    return 0;
}
int batch_view(const ad_call *c, ad_tensor *y) {
    const ad_tensor *x = c->in[0];
    bool in = c->op - ad_ops == OP_vmap_in;
    uint64_t level = (uint64_t)c->at->i[1];
    batch_plan p = {.n = 0};
    for (int k = 0; x->batch && k < x->batch->n; k++)
        if (x->batch->dim[k].level != level && plan_add(&p, x->batch->dim[k].level, x->batch->dim[k].size))
            return -1;
    int d = in ? dim_wrap(c->at->i[0], x->ndim) : 0;
    if (in && plan_add(&p, level, x->sizes[d])) return -1;
    ad_batch *b = p.n ? batch_new() : NULL;
    if (p.n && !b) return -1;
    if (b) b->n = p.n;
    for (int k = 0; k < p.n; k++) {
        b->dim[k] = p.dim[k];
        b->dim[k].stride = p.dim[k].level == level ? x->strides[d] : batch_stride(x, p.dim[k].level);
    }
    batch_unref(y->batch);
    y->batch = b;
    /* What was computed inside is nobody's view outside. */
    if (!in && y->base && y->base->batch && !b) {
        tensor_unref(y->base);
        y->base = NULL;
    }
    return 0;
}
void vmap_in_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    int d = dim_wrap(v->at->i[0], m->ndim);
    v->gin[0] = em1i(&v->E, OP_vmap_out, v->g[0], d, v->at->i[1], m->sizes[d]);
}
void vmap_out_vjp(ad_vjp *v) {
    v->gin[0] =
        em1i(&v->E, OP_vmap_in, v->g[0], dim_wrap(v->at->i[0], v->node->mout[0].ndim), v->at->i[1], 0);
}

static bool level_open(uint64_t level) {
    for (int k = 0; k < tls.nvmaps; k++)
        if (tls.vmaps[k].level == level) return true;
    return false;
}

ad_tensor *batch_outside(ad_tensor *g, const ad_node *node, uint32_t nr, const ad_tensor *leaf) {
    ad_em E = {0};
    ad_tensor *y = g;
    for (int k = g->batch->n - 1; k >= 0 && y; k--) {
        const batch_dim *d = &g->batch->dim[k];
        if (level_open(d->level) ||
            (node ? node->seq >= d->level && node->mout[nr].batched : find(leaf, d->level) != NULL))
            continue;
        int64_t first = 0;
        ad_attr over_first = {.i = {0, -1}, .list = &first, .nlist = 1}; /* no keepdim, no dtype */
        ad_tensor *all = em1i(&E, OP_vmap_out, y, 0, (int64_t)d->level, d->size);
        y = all ? em_op(&E, OP_sum, 1, &all, &over_first) : NULL;
    }
    tensor_ref(y);
    em_done(&E);
    return y;
}

/* ---- from Python ---- */

int64_t ad_vmap_enter(int64_t size, int randomness) {
    if (tls.nvmaps == AD_LEVELS) return ad_fail(AD_ERR_RUNTIME, "vmap nests at most %d deep", AD_LEVELS);
    uint64_t level = graph_mark();
    tls.vmaps[tls.nvmaps++] = (ad_vmap){.level = level, .size = size, .randomness = randomness};
    atomic_fetch_add_explicit(&batch_watched, 1, memory_order_relaxed);
    return (int64_t)level;
}
void ad_vmap_exit(void) {
    if (!tls.nvmaps) return;
    tls.nvmaps--;
    atomic_fetch_sub_explicit(&batch_watched, 1, memory_order_relaxed);
}
int ad_is_batched(ad_handle h, int64_t level) {
    const ad_tensor *t = (const ad_tensor *)h;
    return level < 0 ? t->batch != NULL : find(t, (uint64_t)level) != NULL;
}
int ad_check_values(ad_handle h) {
    if (((const ad_tensor *)h)->batch)
        return ad_fail(AD_ERR_BATCH,
                       "vmap: the values of a sample were asked for (item(), numpy(), print, `if tensor`)");
    return 0;
}

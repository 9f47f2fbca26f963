/* Forward mode: tangents that tensors carry, and their way through a call.
 *
 * Levels nest (the Jacobian of a Jacobian). A tensor holds one tangent for each level in a list; the tangent
 * of an inner level may itself carry tangents of outer ones. What remains of a level that has ended is
 * ignored, because its number is no longer among the thread's levels. */
#include <string.h>
#include "batch.h"
#include "core.h"
#include "ops/declare.h"

#define FEW 8

static _Atomic uint64_t next_level = 1;

void tangents_free(ad_carried *p) {
    while (p) {
        ad_carried *next = p->next;
        tensor_unref(p->t);
        mem_free(p, sizeof *p);
        p = next;
    }
}

static bool level_lives(uint64_t id) {
    for (int k = 0; k < tls.nlevels; k++)
        if (tls.levels[k] == id) return true;
    return false;
}

static ad_tensor *own_tangent(const ad_tensor *t, uint64_t id) {
    for (const ad_carried *p = t->tangents; p; p = p->next)
        if (p->level == id) return p->t;
    return NULL;
}

static int keep_tangent(ad_tensor *t, uint64_t id, ad_tensor *tangent) { /* tangent is borrowed */
    for (ad_carried **p = &t->tangents; *p;) {
        ad_carried *old = *p;
        if (old->level != id && level_lives(old->level)) {
            p = &old->next;
            continue;
        }
        *p = old->next;
        old->next = NULL;
        tangents_free(old);
    }
    if (!tangent) return 0;
    ad_carried *p = mem_alloc(sizeof *p);
    if (!p) return -1;
    *p = (ad_carried){.next = t->tangents, .level = id, .t = tensor_ref(tangent)};
    t->tangents = p;
    return 0;
}

int tangents_share(ad_tensor *to, const ad_tensor *from) {
    for (const ad_carried *p = from->tangents; p; p = p->next)
        if (level_lives(p->level) && keep_tangent(to, p->level, p->t)) return -1;
    return 0;
}

/* Calls inside are seen by the levels below `depth` alone. */
static int set_depth(int depth) {
    int was = tls.forward;
    tls.forward = depth;
    return was;
}

/* Where t shows memory of its base, the same part of the base's tangent. */
static ad_tensor *part_of_base(ad_tensor *t, ad_tensor *base, ad_tensor *tangent, int level) {
    int64_t list[2 * AD_MAXDIM];
    memcpy(list, t->sizes, (size_t)t->ndim * sizeof *list);
    memcpy(list + t->ndim, t->strides, (size_t)t->ndim * sizeof *list);
    ad_attr at = {
        .i = {t->ndim, t->offset - base->offset + tangent->offset}, .list = list, .nlist = 2 * t->ndim};
    int was = set_depth(level);
    ad_tensor *v = ad_apply1(OP_as_strided, 1, &tangent, &at);
    set_depth(was);
    return v;
}

/* The tangent of t at a level, borrowed; NULL for none. *failed is set when making it did. */
static ad_tensor *tangent_of(ad_tensor *t, int level, bool *failed) {
    uint64_t id = tls.levels[level];
    ad_tensor *own = own_tangent(t, id), *base = t->base;
    if (own || !base || base->dtype != t->dtype) return own;
    ad_tensor *whole = own_tangent(base, id);
    if (!whole || !dims_equal(base->ndim, base->strides, whole->ndim, whole->strides)) return NULL;
    ad_tensor *part = part_of_base(t, base, whole, level);
    if (!part || keep_tangent(t, id, part)) *failed = true;
    tensor_unref(part);
    return own_tangent(t, id);
}

/* The tangent in the size, dtype and layout of its primal, so that what views the one can view the other. A
 * new reference. */
static ad_tensor *fitted(const ad_tensor *t, ad_tensor *tangent, int level) {
    ad_em E = {0};
    int was = set_depth(level);
    ad_tensor *fit = em_expand(&E, em_cast(&E, tangent, t->dtype), t->ndim, t->sizes);
    if (fit && t->numel && !dims_equal(t->ndim, t->strides, fit->ndim, fit->strides) &&
        !(tensor_is_contiguous(t) && tensor_is_contiguous(fit)) &&
        dims_dense(t->ndim, t->sizes, t->strides)) {
        ad_tensor *zero =
            em_keep(&E, fit->batch ? batch_new_like(t, fit)
                                   : tensor_new_strided(t->dtype, t->ndim, t->sizes, t->strides));
        fit = zero ? em_keep(&E, ad_apply_inplace(OP_copy, 2, (ad_tensor *[]){zero, fit}, NULL)) : NULL;
    }
    tensor_ref(fit);
    set_depth(was);
    em_done(&E);
    return fit;
}

/* A zero tangent for the whole of a view's base, and the view's part of it. Borrowed. */
static ad_tensor *zero_base(ad_tensor *t, int level) {
    ad_tensor *base = t->base;
    bool failed = false;
    if (base->dtype != t->dtype || !dims_dense(base->ndim, base->sizes, base->strides)) return NULL;
    int was = set_depth(0);
    ad_tensor *flat = tensor_zeros(base->dtype, base->ndim, base->sizes);
    set_depth(was);
    if (!flat) return NULL;
    memcpy(flat->strides, base->strides, (size_t)base->ndim * sizeof *flat->strides);
    int status = keep_tangent(base, tls.levels[level], flat);
    tensor_unref(flat);
    return status ? NULL : tangent_of(t, level, &failed);
}

/* After an in-place write: the tangent of what was written, put where the views of that memory see it. */
static int overwrite(ad_tensor *t, ad_tensor *tangent, int level) {
    bool failed = false;
    ad_tensor *old = tangent_of(t, level, &failed);
    if (failed) return -1;
    if (!old && !tangent) return 0;
    if (!old && t->base) old = zero_base(t, level);
    int was = set_depth(level);
    ad_tensor *done = NULL;
    if (!old) {
        ad_tensor *fit = fitted(t, tangent, level);
        int status = fit ? keep_tangent(t, tls.levels[level], fit) : -1;
        tensor_unref(fit);
        set_depth(was);
        return status;
    }
    if (tangent) done = ad_apply_inplace(OP_copy, 2, (ad_tensor *[]){old, tangent}, NULL);
    else {
        static const ad_attr zero;
        done = ad_apply_inplace(OP_fill, 1, &old, &zero);
    }
    set_depth(was);
    tensor_unref(done);
    return done ? 0 : -1;
}

/* Whether some input of a call carries a tangent: 1, 0, or -1 when the call has no rule for it. */
int forward_wants(const ad_call *c) {
    bool any = false, failed = false;
    for (int level = 0; level < tls.forward && !any; level++)
        for (int i = 0; i < c->nin && !any; i++)
            any = c->in[i] && dtype_is_float(c->in[i]->dtype) && tangent_of(c->in[i], level, &failed);
    if (failed) return -1;
    if (any && !c->op->jvp && !(c->op->flags & (AD_OP_NONDIFF | AD_OP_INPLACE)))
        return ad_fail(
            AD_ERR_NOT_IMPLEMENTED,
            "Trying to use forward AD with %s that does not support it because it has no forward-mode rule; "
            "use reverse mode (backward) for it",
            c->op->name);
    return any && !(c->op->flags & AD_OP_INPLACE);
}

static int at_level(ad_call *c, int level) {
    ad_tensor *t_room[FEW], *tout_room[FEW], **t = t_room, **tout = tout_room;
    bool any = false, failed = false;
    int status = -1;
    if (c->nin > FEW && !(t = mem_alloc((size_t)c->nin * sizeof *t))) return -1;
    if (c->nout > FEW && !(tout = mem_alloc((size_t)c->nout * sizeof *tout))) {
        if (t != t_room) mem_free(t, (size_t)c->nin * sizeof *t);
        return -1;
    }
    memset(tout, 0, (size_t)c->nout * sizeof *tout);
    for (int i = 0; i < c->nin; i++) {
        t[i] = c->in[i] && dtype_is_float(c->in[i]->dtype) ? tangent_of(c->in[i], level, &failed) : NULL;
        any |= t[i] != NULL;
    }
    if (failed) goto done;
    status = 0;
    if (!any) goto done;
    ad_jvp j = {.c = c, .t = t, .tout = tout};
    int was = set_depth(level);
    if (!(c->op->flags & AD_OP_NONDIFF)) c->op->jvp(&j);
    set_depth(was);
    if (j.E.failed) status = -1;
    for (int k = 0; k < c->nout && !status; k++) {
        ad_tensor *y = c->out[k];
        if (c->inplace) {
            status = dtype_is_float(y->dtype) ? overwrite(y, tout[k], level) : 0;
            continue;
        }
        if (!tout[k] || c->spec[k].nondiff || !dtype_is_float(y->dtype)) continue;
        ad_tensor *fit = fitted(y, tout[k], level);
        status = fit ? keep_tangent(y, tls.levels[level], fit) : -1;
        tensor_unref(fit);
    }
    em_done(&j.E);
done:
    if (t != t_room) mem_free(t, (size_t)c->nin * sizeof *t);
    if (tout != tout_room) mem_free(tout, (size_t)c->nout * sizeof *tout);
    return status;
}

int forward_apply(ad_call *call) {
    ad_call c = *call;
    ad_tensor *in_room[FEW], **in = in_room;
    int status = 0;
    if (call->before) { /* the rule reads what was there before the write */
        if (c.nin > FEW && !(in = mem_alloc((size_t)c.nin * sizeof *in))) return -1;
        for (int i = 0; i < c.nin; i++) in[i] = call->in[i] == call->out[0] ? call->before : call->in[i];
        c.in = in;
    }
    for (int level = 0; level < tls.forward && !status; level++) status = at_level(&c, level);
    /* The tape's copies of the outputs were made before these had tangents. */
    for (int k = 0; k < c.nout && !status && call->node; k++)
        for (int s = 0; s < call->node->nsaved && !status; s++)
            if (call->node->saved[s].slot == 65536 + k && call->node->saved[s].t)
                status = tangents_share(call->node->saved[s].t, c.out[k]);
    if (in != in_room) mem_free(in, (size_t)c.nin * sizeof *in);
    return status;
}

/* ---- from Python ---- */

int ad_level_enter(void) { /* the new level, from 0 on */
    if (tls.nlevels == AD_LEVELS)
        return ad_fail(AD_ERR_RUNTIME, "forward mode nests at most %d levels deep", AD_LEVELS);
    tls.levels[tls.nlevels++] = atomic_fetch_add_explicit(&next_level, 1, memory_order_relaxed);
    tls.forward = tls.nlevels;
    return tls.nlevels - 1;
}

int ad_level_exit(void) {
    if (!tls.nlevels) return ad_fail(AD_ERR_RUNTIME, "Trying to exit a forward AD level but none is active.");
    tls.nlevels--;
    tls.forward = tls.nlevels;
    return 0;
}

int ad_level_count(void) { return tls.nlevels; }

int ad_forward_depth(int depth) {
    int was = tls.forward;
    tls.forward = depth < tls.nlevels ? depth : tls.nlevels;
    return was;
}

ad_handle ad_tangent(ad_handle h, int level) {
    bool failed = false;
    if (level < 0 || level >= tls.nlevels) return 0;
    return (ad_handle)tensor_ref(tangent_of((ad_tensor *)h, level, &failed));
}

int ad_set_tangent(ad_handle h, int level, ad_handle tangent) {
    ad_tensor *t = (ad_tensor *)h, *g = (ad_tensor *)tangent;
    if (level < 0 || level >= tls.nlevels)
        return ad_fail(AD_ERR_RUNTIME, "there is no forward AD level %d", level);
    if (!dtype_is_float(t->dtype))
        return ad_fail(AD_ERR_VALUE, "Expected primal to be floating point or complex, but got: torch.%s",
                       dtype_name[t->dtype]);
    if (g && !dtype_is_float(g->dtype))
        return ad_fail(AD_ERR_VALUE, "Expected tangent to be floating point or complex, but got: torch.%s",
                       dtype_name[g->dtype]);
    if (g && !tensor_same_sizes(t, g))
        return ad_fail(
            AD_ERR_RUNTIME,
            "Trying to set a forward gradient that has a different size than that of the original Tensor, "
            "this is not supported. Tensor is of size %s while the given forward gradient is of size %s.",
            fmt_sizes(t->ndim, t->sizes), fmt_sizes(g->ndim, g->sizes));
    ad_tensor *fit = g ? fitted(t, g, level) : NULL;
    if (g && !fit) return -1;
    int status = keep_tangent(t, tls.levels[level], fit);
    tensor_unref(fit);
    return status;
}

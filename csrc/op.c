/* The dispatcher: infer, allocate, run, record, capture. And the table of operations. */
#include <stdlib.h>
#include <string.h>
#include "batch.h"
#include "core.h"
#include "pool.h"
#include "program.h"
#include "watch.h"
#include "ops/declare.h"

_Thread_local ad_tls tls;

/* ---- the table ---- */

#define EW_ENTRY(nm, n, promo_)                                                                              \
    {.name = #nm,                                                                                            \
     .nin = n,                                                                                               \
     .nout = 1,                                                                                              \
     .flags = AD_OP_EW,                                                                                      \
     .infer = ew_infer,                                                                                      \
     .run = ew_run,                                                                                          \
     .vjp = ew_vjp,                                                                                          \
     .jvp = ew_jvp,                                                                                          \
     .row = EW_##nm,                                                                                         \
     .promo = promo_},
#define CMP_ENTRY(nm, n, promo_)                                                                             \
    {.name = #nm,                                                                                            \
     .nin = n,                                                                                               \
     .nout = 1,                                                                                              \
     .flags = AD_OP_EW | AD_OP_NONDIFF,                                                                      \
     .infer = ew_infer,                                                                                      \
     .run = ew_run,                                                                                          \
     .row = EW_##nm,                                                                                         \
     .promo = promo_},
#define EW1(nm, types, body, promo, ...) EW_ENTRY(nm, 1, promo)
#define EW2(nm, types, body, promo, ...) EW_ENTRY(nm, 2, promo)
#define EW3(nm, types, body, promo, ...) EW_ENTRY(nm, 3, promo)
#define SEL3(nm, types, body, promo, ...) EW_ENTRY(nm, 3, promo)
#define CMP1(nm, types, body, promo, doc) CMP_ENTRY(nm, 1, promo)
#define CMP2(nm, types, body, promo, doc) CMP_ENTRY(nm, 2, promo)
#define OP(nm, nin_, nout_, flags_, saves_, ...)                                                             \
    {.name = #nm, .nin = nin_, .nout = nout_, .flags = flags_, .saves = saves_, __VA_ARGS__},

const ad_op ad_ops[] = {
#include "ops/elementwise.def"
#include "ops/ops.def"
};

int ad_op_count(void) { return OP_COUNT; }
const char *ad_op_name(int op) { return op >= 0 && op < OP_COUNT ? ad_ops[op].name : NULL; }

/* ---- apply ---- */

#define FEW 6
#define VIEW_LIMITS (AD_T_NOGRAD_VIEW | AD_T_INFERENCE_VIEW | AD_T_MULTI_VIEW | AD_T_CUSTOM_VIEW)

/* Gives every input unit strides where the operation asks for it. Returns the number replaced or -1;
 * the replaced ones are new references that the caller drops. */
static int make_contiguous(int nin, ad_tensor *const *in, ad_tensor **own) {
    int n = 0;
    for (int i = 0; i < nin; i++) {
        own[i] = NULL;
        if (!in[i] || tensor_is_contiguous(in[i])) continue;
        own[i] = ad_apply1(OP_contiguous, 1, &in[i], NULL);
        if (!own[i]) {
            for (int k = 0; k < i; k++) tensor_unref(own[k]);
            return -1;
        }
        n++;
    }
    return n;
}

/* Whether a call takes longer than giving up the interpreter's lock and taking it again, which is worth some
 * thousand elements. */
bool call_is_long(const ad_call *c) {
    int64_t n = 0;
    for (int i = 0; i < c->nin; i++) n += c->in[i] ? c->in[i]->numel : 0;
    for (int k = 0; k < c->nout; k++) n += c->out[k]->numel;
    return n > 8192;
}

/* Whether infer reads the values of the inputs, and may refuse them. */
bool call_reads_values(const ad_call *c) {
    return c->op->flags & AD_OP_VALUES ||
           (c->op->flags & AD_OP_EW && c->op->promo & P_DIVISOR && !dtype_is_float(c->out[0]->dtype));
}

/* Runs a call whose outputs are in place: scratch, run, and the program that is being captured. */
static int execute(ad_call *c) {
    size_t bytes = c->op->scratch ? c->op->scratch(c) : 0;
    if (bytes && !(c->scratch = mem_alloc(bytes))) return -1;
    /* What is written in place is never left half-written: Ctrl-C waits for it. */
    bool whole = c->inplace || (c->op->flags & AD_OP_INPLACE);
    int shield = whole ? pool_shield(1) : 0;
    void *interpreter = call_is_long(c) ? interpreter_release() : NULL;
    if ((c->op->flags & AD_OP_SELF) && !c->inplace) tensor_copy_data(c->out[0], c->in[0]);
    c->op->run(c);
    interpreter_take(interpreter);
    if (whole) pool_shield(shield);
    if (bytes) mem_free(c->scratch, bytes);
    return AD_UNLIKELY(pool_take_cancelled()) ? ad_fail(AD_ERR_INTERRUPT, "interrupted in %s", c->op->name)
                                              : 0;
}

/* A copy of what an in-place call overwrites, with the history that it had. */
static ad_tensor *copy_before(ad_tensor *t) {
    bool was = tls.no_grad;
    tls.no_grad = true;
    ad_tensor *copy = ad_apply1(OP_clone, 1, &t, NULL);
    tls.no_grad = was;
    if (copy) {
        copy->node = node_ref(graph_node_of(t));
        copy->out_nr = t->out_nr;
    }
    return copy;
}

/* Whether the result of a call may be written to `target`: its size, its dtype, its memory. */
static int check_target(ad_call *c, ad_tensor *target, bool tangents) {
    ad_spec *s = &c->spec[0];
    if (!dims_equal(s->ndim, s->sizes, target->ndim, target->sizes))
        return ad_fail(AD_ERR_RUNTIME, "output with shape %s doesn't match the broadcast shape %s",
                       fmt_sizes(target->ndim, target->sizes), fmt_sizes(s->ndim, s->sizes));
    if ((dtype_is_float(s->dtype) && !dtype_is_float(target->dtype)) ||
        (s->dtype != AD_BOOL && target->dtype == AD_BOOL))
        return ad_fail(AD_ERR_RUNTIME, "result type %s can't be cast to the desired output type %s",
                       dtype_class[s->dtype], dtype_class[target->dtype]);
    s->dtype = target->dtype;
    bool wants = graph_wants(c);
    if (graph_check_inplace(target, wants) || (wants && graph_check_inputs(c))) return -1;
    for (int i = 1; i < c->nin; i++)
        if (c->in[i] && c->in[i]->storage == target->storage && tensor_partial_overlap(c->in[i], target))
            return ad_fail(
                AD_ERR_RUNTIME,
                "unsupported operation: some elements of the input tensor and the written-to tensor "
                "refer to a single memory location. Please clone() the tensor before performing the "
                "operation.");
    return (tangents || graph_keeps_target(c)) && !(c->before = copy_before(target)) ? -1 : 0;
}

/* A new output as infer described it. */
static ad_tensor *make_output(const ad_call *c, int k) {
    const ad_spec *s = &c->spec[k];
    if (!(c->op->flags & AD_OP_VIEW))
        return s->strided ? tensor_new_strided(s->dtype, s->ndim, s->sizes, s->strides)
                          : tensor_new(s->dtype, s->ndim, s->sizes);
    ad_tensor *src = c->in[0], *t;
    if (!(t = tensor_alias(src, s->ndim, s->sizes, s->strides, s->offset))) return NULL;
    t->dtype = s->dtype;
    t->base = tensor_ref(src->base ? src->base : src);
    t->epoch = t->base->epoch;
    if (tls.no_grad) t->flags |= tls.inference ? AD_T_INFERENCE_VIEW : AD_T_NOGRAD_VIEW;
    t->flags |= c->op->nout < 0 ? AD_T_MULTI_VIEW : src->flags & VIEW_LIMITS;
    if (AD_UNLIKELY(c->op->flags & AD_OP_BATCH) && batch_view(c, t)) {
        tensor_unref(t);
        return NULL;
    }
    return t;
}

/* A dtype that came as a number may be none. */
static int check_dtypes(const ad_call *c) {
    for (int k = 0; k < c->nout; k++)
        if (AD_UNLIKELY(c->spec[k].dtype >= AD_DTYPES))
            return ad_fail(AD_ERR_TYPE, "%s: there is no dtype of number %d", c->op->name, c->spec[k].dtype);
    return 0;
}

/* A call on inputs as the row wants them. `target`, when given, is the tensor that output 0 is written to
 * (the in-place form: also in[0]). */
static int call(ad_call *c, ad_tensor *target) {
    const ad_op *op = c->op;
    int made = 0, tangents = 0, batched = 0, watched;
    batch_plan plan;
    _Atomic int strayed = 0;
    watched = atomic_load_explicit(&batch_watched, memory_order_relaxed);
    if (op->flags & AD_OP_VALUES && !target && !watched) c->strayed = &strayed;
    if (op->infer(c) || (!(op->flags & AD_OP_EW) && AD_UNLIKELY(check_dtypes(c)))) return -1;
    if (AD_UNLIKELY(watched) &&
        ((batched = batch_plan_of(c, &plan)) < 0 || (batched && batch_check(c, &plan, target))))
        return -1;
    if (AD_UNLIKELY(tls.forward) && (tangents = forward_wants(c)) < 0) return -1;
    if (AD_UNLIKELY(target != NULL)) {
        if (check_target(c, target, tangents)) return -1;
        c->out[made++] = tensor_ref(target);
    }
    if (AD_UNLIKELY(batched) && !(op->flags & AD_OP_VIEW)) {
        if (batch_run(c, &plan, made)) goto fail;
        made = c->nout;
    }
    for (; made < c->nout; made++)
        if (AD_UNLIKELY(!(c->out[made] = make_output(c, made)))) goto fail;
    if (!(op->flags & AD_OP_VIEW) && AD_LIKELY(!batched)) {
        if (execute(c)) goto fail;
        c->strayed = NULL;
        if (AD_UNLIKELY(atomic_load_explicit(&strayed, memory_order_relaxed)) && op->infer(c)) goto fail;
        if (AD_UNLIKELY(tls.capture != NULL) && program_append(c)) goto fail;
    }
    if (AD_UNLIKELY(target != NULL)) {
        if (graph_record_inplace(c)) goto fail;
    } else if (!tls.no_grad && !(op->flags & (AD_OP_NONDIFF | AD_OP_INPLACE)) && graph_record(c)) goto fail;
    if (AD_UNLIKELY(tls.inference) && !target && !(op->flags & AD_OP_VIEW))
        for (int k = 0; k < c->nout; k++) c->out[k]->flags |= AD_T_INFERENCE;
    if (AD_UNLIKELY(tangents) && forward_apply(c)) goto fail;
    return c->nout;
fail:
    while (made) tensor_unref(c->out[--made]);
    return -1;
}

int apply_row(const ad_op *op, int nin, ad_tensor *const *in, const ad_attr *at, ad_tensor **out,
              ad_tensor *target) {
    static const ad_attr none;
    ad_tensor *own_room[2 * FEW], **own = own_room;
    ad_spec spec_room[2], *spec = spec_room; /* large: most calls use one */
    if (AD_UNLIKELY(op->nin >= 0 && op->nin != nin))
        return ad_fail(AD_ERR_TYPE, "%s takes %d tensors, not %d", op->name, op->nin, nin);
    for (int i = 0; i < nin; i++)
        if (AD_UNLIKELY(!in[i]) && (i >= 32 || !(op->absent >> i & 1)))
            return ad_fail(AD_ERR_TYPE, "%s(): argument %s(position %d) must be Tensor, not None", op->name,
                           i ? "" : "'input' ", i + 1);
    if (!at) at = &none;
    ad_call c = {
        .op = op, .nin = nin, .in = (ad_tensor **)in, .at = at, .out = out, .inplace = target != NULL};
    c.nout = op->nout >= 0 ? op->nout : op->count(nin, in, at);
    if (c.nout < 0) return -1;
    if (AD_UNLIKELY((op->flags & AD_OP_SYNC) && tls.capture) && program_refuse_size(op->name)) return -1;
    if (c.nout > 2 && !(spec = mem_alloc((size_t)c.nout * sizeof *spec))) return -1;
    for (int k = 0; k < c.nout; k++) {
        spec[k].strided = spec[k].nondiff = false;
        spec[k].offset = 0;
    }
    c.spec = spec;
    int status = -1, replaced = 0;
    if (op->flags & AD_OP_CONTIG) {
        if (nin > FEW && !(own = mem_alloc(2 * (size_t)nin * sizeof *own))) goto done;
        replaced = make_contiguous(nin, in, own);
        if (replaced > 0) {
            c.in = own + nin;
            for (int i = 0; i < nin; i++) c.in[i] = own[i] ? own[i] : in[i];
            if (target) c.in[0] = target; /* written through, whatever its strides */
        }
    }
    if (replaced >= 0) status = call(&c, target);
    tensor_unref(c.before);
    for (int i = 0; i < nin && replaced > 0; i++) tensor_unref(own[i]);
    if (own != own_room) mem_free(own, 2 * (size_t)nin * sizeof *own);
done:
    if (spec != spec_room) mem_free(spec, (size_t)c.nout * sizeof *spec);
    return status;
}

static inline int apply(const ad_op *op, int nin, ad_tensor *const *in, const ad_attr *at, ad_tensor **out,
                        ad_tensor *target) {
    if (AD_UNLIKELY(atomic_load_explicit(&apply_watched, memory_order_relaxed)))
        return apply_watched_row(op, nin, in, at, out, target);
    return apply_row(op, nin, in, at, out, target);
}

int ad_apply(const ad_op *op, int nin, ad_tensor *const *in, const ad_attr *at, ad_tensor **out) {
    return apply(op, nin, in, at, out, NULL);
}

/* The first output; others, which serve gradient rules, are let go. */
ad_tensor *ad_apply1(int op, int nin, ad_tensor *const *in, const ad_attr *at) {
    ad_tensor *out[FEW];
    if (AD_UNLIKELY(ad_ops[op].nout < 0 || ad_ops[op].nout > FEW))
        return ad_fail_null(AD_ERR_RUNTIME, "%s has any number of results", ad_ops[op].name);
    int n = apply(&ad_ops[op], nin, in, at, out, NULL);
    for (int k = 1; k < n; k++) tensor_unref(out[k]);
    return n < 0 ? NULL : out[0];
}

ad_tensor *ad_apply_inplace(int op, int nin, ad_tensor *const *in, const ad_attr *at) {
    ad_tensor *out[FEW];
    if (AD_UNLIKELY(ad_ops[op].nout < 1 || ad_ops[op].nout > FEW))
        return ad_fail_null(AD_ERR_RUNTIME, "%s has no in-place form", ad_ops[op].name);
    if (ad_ops[op].flags & AD_OP_CONTIG && nin &&
        !tensor_is_contiguous(in[0])) { /* it writes rows of its own */
        ad_tensor *made = ad_apply1(op, nin, in, at);
        out[0] = made ? ad_apply_inplace(OP_copy, 2, (ad_tensor *[]){in[0], made}, NULL) : NULL;
        tensor_unref(made);
        return out[0];
    }
    int n = apply(&ad_ops[op], nin, in, at, out, in[0]);
    for (int k = 1; k < n; k++) tensor_unref(out[k]);
    return n < 0 ? NULL : out[0];
}

/* ---- emitting ---- */

ad_tensor *em_keep(ad_em *E, ad_tensor *t) {
    if (!t) {
        E->failed = true;
        return NULL;
    }
    if (!E->v) {
        E->v = E->room;
        E->cap = (int)(sizeof E->room / sizeof *E->room);
    }
    if (E->n == E->cap) {
        ad_tensor **v = mem_alloc(2 * (size_t)E->cap * sizeof *v);
        if (!v) {
            E->failed = true;
            tensor_unref(t);
            return NULL;
        }
        memcpy(v, E->v, (size_t)E->n * sizeof *v);
        if (E->v != E->room) mem_free(E->v, (size_t)E->cap * sizeof *v);
        E->v = v;
        E->cap *= 2;
    }
    return E->v[E->n++] = t;
}

void em_done(ad_em *E) {
    for (int i = 0; i < E->n; i++) tensor_unref(E->v[i]);
    if (E->v && E->v != E->room) mem_free(E->v, (size_t)E->cap * sizeof *E->v);
    E->n = 0;
    E->v = NULL;
}

ad_tensor *em_op(ad_em *E, int op, int nin, ad_tensor *const *in, const ad_attr *at) {
    if (E->failed) return NULL;
    bool number = nin > 0;
    for (int i = 0; i < nin; i++) number &= in[i] && in[i]->flags & AD_T_WRAPPED;
    ad_tensor *t = em_keep(E, ad_apply1(op, nin, in, at));
    if (t && number) t->flags |= AD_T_WRAPPED; /* what comes of numbers alone promotes as one */
    return t;
}

ad_tensor *em1(ad_em *E, int op, ad_tensor *a) { return a ? em_op(E, op, 1, &a, NULL) : NULL; }
ad_tensor *em2(ad_em *E, int op, ad_tensor *a, ad_tensor *b) {
    return a && b ? em_op(E, op, 2, (ad_tensor *[]){a, b}, NULL) : NULL;
}
ad_tensor *em3(ad_em *E, int op, ad_tensor *a, ad_tensor *b, ad_tensor *c) {
    return a && b && c ? em_op(E, op, 3, (ad_tensor *[]){a, b, c}, NULL) : NULL;
}
ad_tensor *em1l(ad_em *E, int op, ad_tensor *a, const int64_t *list, int n, int64_t i0) {
    ad_attr at = {.i = {i0}, .list = list, .nlist = n};
    return a ? em_op(E, op, 1, &a, &at) : NULL;
}
ad_tensor *em1i(ad_em *E, int op, ad_tensor *a, int64_t i0, int64_t i1, int64_t i2) {
    ad_attr at = {.i = {i0, i1, i2}};
    return a ? em_op(E, op, 1, &a, &at) : NULL;
}

/* A constant of a derivative: it promotes like a Python number, so float64 stays float64. */
ad_tensor *em_const(ad_em *E, double v) {
    if (E->failed) return NULL;
    ad_tensor *t = em_keep(E, tensor_scalar(AD_F64, v, 0));
    if (t) t->flags |= AD_T_WRAPPED;
    return t;
}

ad_tensor *em_cast(ad_em *E, ad_tensor *t, int dtype) {
    return !t || t->dtype == dtype ? t : em1i(E, OP_to, t, dtype, 0, 0);
}

ad_tensor *em_zeros(ad_em *E, int dtype, int ndim, const int64_t *sizes) {
    return E->failed ? NULL : em_keep(E, tensor_zeros(dtype, ndim, sizes));
}

ad_tensor *em_reshape(ad_em *E, ad_tensor *t, int ndim, const int64_t *sizes) {
    if (!t || dims_equal(t->ndim, t->sizes, ndim, sizes)) return t;
    return E->failed ? NULL : em_keep(E, op_reshape(t, ndim, sizes));
}

ad_tensor *em_expand(ad_em *E, ad_tensor *t, int ndim, const int64_t *sizes) {
    if (!t || dims_equal(t->ndim, t->sizes, ndim, sizes)) return t;
    return em1l(E, OP_expand, t, sizes, ndim, 0);
}

/* The adjoint of broadcasting: sums over what was stretched. */
ad_tensor *em_sum_to(ad_em *E, ad_tensor *t, int ndim, const int64_t *sizes) {
    if (!t || dims_equal(t->ndim, t->sizes, ndim, sizes)) return t;
    int64_t dims[AD_MAXDIM];
    int n = 0, lead = t->ndim - ndim;
    for (int d = 0; d < t->ndim; d++)
        if (d < lead || (sizes[d - lead] == 1 && t->sizes[d] != 1)) dims[n++] = d;
    bool leading = !n || dims[n - 1] < lead;                      /* then nothing is left to squeeze out */
    ad_attr at = {.i = {!leading, -1}, .list = dims, .nlist = n}; /* keepdim, no dtype */
    if (n) t = em_op(E, OP_sum, 1, &t, &at);
    return em_reshape(E, t, ndim, sizes);
}

/* ---- tangent rules that serve many rows ---- */

static ad_tensor *zeros_like(ad_em *E, const ad_tensor *t) {
    return em_zeros(E, t->dtype, t->ndim, t->sizes);
}

/* Applies the row to `in` and keeps its results as tangents, or adds them to what is there. */
static void tangent_apply(ad_jvp *j, ad_tensor **in) {
    const ad_call *c = j->c;
    ad_tensor *room[FEW], **out = room;
    if (c->nout > FEW && !(out = mem_alloc((size_t)c->nout * sizeof *out))) {
        j->E.failed = true;
        return;
    }
    if (ad_apply(c->op, c->nin, in, c->at, out) < 0) j->E.failed = true;
    else
        for (int k = 0; k < c->nout; k++) {
            em_keep(&j->E, out[k]);
            j->tout[k] = j->tout[k] ? em2(&j->E, OP_add, j->tout[k], out[k]) : out[k];
        }
    if (out != room) mem_free(out, (size_t)c->nout * sizeof *out);
}

void linear_jvp(ad_jvp *j) {
    const ad_call *c = j->c;
    ad_tensor *room[2 * FEW], **in = room;
    if (c->nin > 2 * FEW && !(in = mem_alloc((size_t)c->nin * sizeof *in))) {
        j->E.failed = true;
        return;
    }
    for (int i = 0; i < c->nin; i++)
        in[i] = !c->in[i] || !dtype_is_float(c->in[i]->dtype) ? c->in[i]
                : j->t[i]                                     ? j->t[i]
                                                              : zeros_like(&j->E, c->in[i]);
    if (!j->E.failed) tangent_apply(j, in);
    if (in != room) mem_free(in, (size_t)c->nin * sizeof *in);
}

void multilinear_jvp(ad_jvp *j) {
    const ad_call *c = j->c;
    ad_tensor *in[2 * FEW];
    for (int k = 0; k < c->nin && !j->E.failed; k++) {
        if (!j->t[k]) continue;
        for (int i = 0; i < c->nin; i++) in[i] = i == k ? j->t[i] : c->in[i];
        tangent_apply(j, in);
    }
}

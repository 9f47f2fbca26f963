/* Replay: running a recorded program again on other arguments. */
#include <string.h>
#include <time.h>
#include "fuse.h"
#include "joint.h"
#include "lanes.h"
#include "pool.h"

/* ---- whether it fits ---- */

/* What a recording depends on beside the calls: gradient mode, inference mode, autocast, the default dtype,
 * forward mode and hooks on saved tensors, in one number. */
int64_t program_mode(void) {
    return tls.grad_off | tls.inference << 1 | (tls.saved_hooks != 0) << 2 | tls.forward << 3 |
           (int64_t)tls.autocast << 8 | (int64_t)dtype_default_float() << 16;
}

/* Whether the step may find another gradient than when it was recorded: one that it only looks for, or one
 * that it drops, which is then copied to where the program reads it. What it writes there before, nobody else
 * may see. */
static bool may_differ(const grad_effect *e) {
    const ad_tensor *g = e->leaf->grad, *to = e->entry;
    if (!g || (e->written && !grad_is_alone(g, 1))) return false;
    return to == SOME_GRAD || (e->copied && g->dtype == to->dtype && tensor_same_sizes(g, to) && !g->batch &&
                               dims_equal(g->ndim, g->strides, to->ndim, to->strides));
}

static void copy_gradients(const ad_program *p) {
    for (int64_t k = 0; k < p->neffects; k++) {
        const grad_effect *e = &p->effects[k];
        if (e->copied && e->leaf->grad != e->entry) tensor_copy_data(e->entry, e->leaf->grad);
    }
}

/* 1 when the program fits the present state of the gradients, 0 when the step must be recorded anew, and -1
 * when the program never fits again: a tensor that it used was pointed at other memory, reshaped, frozen or
 * unfrozen. */
int ad_program_fits(intptr_t h) {
    const ad_program *p = (const ad_program *)h;
    if (p->mode != program_mode()) return 0;
    for (int64_t k = 0; k < p->nwatched; k++)
        if (atomic_load_explicit(&p->watched[k].s->moved, memory_order_relaxed) != p->watched[k].moved)
            return -1;
    for (int64_t k = 0; k < p->neffects; k++) {
        const grad_effect *e = &p->effects[k];
        if (e->entry == ANY_GRAD || e->leaf->grad == e->entry) continue;
        if (!may_differ(e)) return 0;
    }
    return 1;
}

/* ---- results ---- */

/* Memory for the results of one part that are computed where they are returned. */
int program_make_outputs(ad_program *p, int64_t from, int64_t to) {
    for (int64_t k = from; k < to; k++) {
        if (!p->made) break;
        const ad_tensor *t = p->outs[k];
        if (!p->places[k]) continue;
        tensor_unref(p->made[k]);
        if (!(p->made[k] = tensor_new_strided(t->dtype, t->ndim, t->sizes, t->strides))) return -1;
        t->storage->data = p->made[k]->storage->data;
    }
    return 0;
}

/* What the program computed in the caller's own memory, or a copy: the next replay writes the same buffer. */
static ad_tensor *take_output(ad_program *p, int64_t k) {
    ad_tensor *t = p->outs[k];
    if (p->made && p->made[k]) {
        ad_tensor *made = p->made[k];
        p->made[k] = NULL;
        t->storage->data = NULL;
        return made;
    }
    ad_tensor *copy = dims_dense(t->ndim, t->sizes, t->strides)
                          ? tensor_new_strided(t->dtype, t->ndim, t->sizes, t->strides)
                          : tensor_new(t->dtype, t->ndim, t->sizes);
    if (copy) tensor_copy_data(copy, t);
    return copy;
}

ad_handle ad_program_output(intptr_t h, int64_t k) { return (ad_handle)take_output((ad_program *)h, k); }

static int take_outputs(ad_program *p, int64_t from, int64_t to, ad_handle *outs) {
    int64_t made = from;
    while (made < to && (outs[made - from] = (ad_handle)take_output(p, made))) made++;
    if (made == to) return 0;
    while (made > from) tensor_unref((ad_tensor *)outs[--made - from]);
    return -1;
}

/* ---- one run ---- */

/* An index may be out of range in this replay, though it was not when the step was recorded. */
int program_check_values(const ad_call *c) {
    ad_spec room[2] = {0};
    ad_call again = *c;
    again.spec = room;
    return again.op->infer(&again);
}

/* Points placeholders at arguments; false when these are not of the recorded sizes, strides and dtypes. */
bool program_bind(ad_program *p, int64_t from, int64_t to, const ad_handle *args, int64_t nargs) {
    if (nargs != to - from) return false;
    for (int64_t k = 0; k < nargs; k++) {
        const ad_tensor *t = (ad_tensor *)args[k], *a = p->args[from + k];
        if (t->dtype != a->dtype || !tensor_same_sizes(t, a) ||
            !dims_equal(t->ndim, t->strides, a->ndim, a->strides) ||
            t->storage->readonly > a->storage->readonly ||
            tensor_wants_grad(t) != !!(a->flags & AD_T_REQUIRES_GRAD))
            return false;
    }
    for (int64_t k = 0; k < nargs; k++) {
        const ad_tensor *t = (ad_tensor *)args[k], *a = p->args[from + k];
        /* the placeholder's offset stays: the data pointer moves by the difference */
        a->storage->data = (char *)tensor_data(t) - a->offset * dtype_size[t->dtype];
        a->storage->nbytes = t->storage->nbytes;
    }
    return true;
}

static bool bind_step(ad_program *p, const ad_handle *args, int64_t nargs) {
    return program_bind(p, 0, p->has_split ? p->nargs_forward : p->nargs, args, nargs) &&
           (p->aliased || !program_aliases(p));
}

bool program_enter(ad_program *p) {
    uintptr_t me = (uintptr_t)&tls, now = 0;
    if (AD_LIKELY(atomic_compare_exchange_strong(&p->running, &now, me))) return true;
    if (now == me) return false;
    void *interpreter = interpreter_release();
    for (now = 0; !atomic_compare_exchange_strong(&p->running, &now, me); now = 0)
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    interpreter_take(interpreter);
    return true;
}

/* Begins a run: 1, or 0 when the arguments are not of the recorded sizes, strides and dtypes, or when the
 * program waits for the backward pass of another call. What begins is ended by ad_program_run() or
 * ad_program_leave(). */
int ad_program_begin(intptr_t h, const ad_handle *args, int64_t nargs) {
    ad_program *p = (ad_program *)h;
    if (!program_enter(p)) return 0;
    if (!joint_busy(p) && bind_step(p, args, nargs)) return 1;
    program_leave(p);
    return 0;
}
void ad_program_leave(intptr_t h) { program_leave((ad_program *)h); }

static int run_calls(ad_program *p, int64_t from, int64_t to) {
    int shield = pool_shield(1); /* a step that began is finished: Ctrl-C waits for it */
    if (p->nkept) layout_look(p);
    void *interpreter = p->is_long ? interpreter_release() : NULL;
    int64_t done = from;
    lane_group *group = p->groups, *end = group + p->ngroups;
    while (group < end && group->from < from) group++;
    for (; done < to; done++) {
        const instr *i = &p->code[done];
        if (group < end && done == group->from) {
            if (lanes_run(p, group)) break;
            done = group++->to - 1;
            continue;
        }
        if (i->dead) continue;
        if (AD_UNLIKELY(i->checked) && program_check_values(&i->call)) break;
        if (AD_UNLIKELY(i->packs)) layout_pack(p, i);
        i->call.op->run(&i->call);
    }
    interpreter_take(interpreter);
    pool_shield(shield);
    return done < to ? -1 : 0; /* -1: as an eager step that raises: what it wrote before stays written */
}

/* What the program wrote of others, arguments among them, counts as written. */
static void count_writes(ad_program *p, const ad_handle *args, int64_t nargs) {
    for (int64_t k = 0; k < p->nwritten; k++)
        atomic_fetch_add_explicit(&p->written[k]->version, 1, memory_order_relaxed);
    for (int64_t k = 0; k < nargs; k++) {
        ad_storage *s = p->args[k]->storage;
        uint32_t writes = atomic_exchange_explicit(&s->version, 0, memory_order_relaxed);
        if (writes)
            atomic_fetch_add_explicit(&((ad_tensor *)args[k])->storage->version, writes,
                                      memory_order_relaxed);
    }
}

static void set_gradients(ad_program *p) {
    for (int64_t k = 0; k < p->neffects; k++) {
        grad_effect *e = &p->effects[k];
        if (e->leaf->grad == e->exit) continue;
        ad_tensor *old = e->leaf->grad;
        e->leaf->grad = tensor_ref(e->exit);
        tensor_unref(old);
    }
}

/* The versions of what the second part is going to read. */
static void note_versions(ad_program *p, const ad_handle *args) {
    for (int64_t k = 0; k < p->nargs_forward; k++) {
        ad_storage *s = ((ad_tensor *)args[k])->storage;
        atomic_fetch_add(&s->refs, 1);
        if (p->bound[k]) storage_release(p->bound[k]);
        p->bound[k] = s;
    }
    for (int64_t k = 0; k < p->nchecks; k++) {
        check *c = &p->checks[k];
        c->version = atomic_load(&(c->arg < 0 ? c->s : p->bound[c->arg])->version);
    }
}

static int check_versions(const ad_program *p) {
    for (int64_t k = 0; k < p->nchecks; k++) {
        const check *c = &p->checks[k];
        ad_storage *s = c->arg < 0 ? c->s : p->bound[c->arg];
        uint32_t now = atomic_load(&s->version);
        if (now != c->version)
            return ad_fail(
                AD_ERR_RUNTIME,
                "one of the variables needed for gradient computation has been modified by an inplace "
                "operation: a tensor of %lld bytes that a compiled function read is at version %u; "
                "expected version %u instead.",
                (long long)s->nbytes, now, c->version);
    }
    return 0;
}

/* A step, or the first part of a function that is differentiated; it has begun. */
int ad_program_run(intptr_t h, const ad_handle *args, int64_t nargs, ad_handle *outs) {
    ad_program *p = (ad_program *)h;
    int64_t nouts = p->has_split ? p->nouts_forward : p->nouts;
    for (int64_t k = 0; k < p->nlaid; k++) tensor_copy_data(p->laid[k].before, p->laid[k].now);
    copy_gradients(p);
    int status =
        program_make_outputs(p, 0, nouts) || run_calls(p, 0, p->has_split ? p->split : p->n) ? -1 : 0;
    count_writes(p, args, nargs);
    if (!status && p->has_split) note_versions(p, args);
    if (!status) set_gradients(p);
    if (!status) status = take_outputs(p, 0, nouts, outs);
    if (!status && p->ends && joint_record(p, args, outs)) {
        for (int64_t k = 0; k < nouts; k++) tensor_unref((ad_tensor *)outs[k]);
        status = -1;
    }
    program_leave(p);
    return status;
}

/* The second part: gradients of the results in, of what was differentiated out. */
int program_backward(ad_program *p, const ad_handle *grads, int64_t n, ad_handle *outs) {
    if (!program_enter(p)) return ad_fail(AD_ERR_RUNTIME, "the compiled function is running already");
    int status = -1;
    if (!program_bind(p, p->nargs_forward, p->nargs, grads, n))
        ad_fail(AD_ERR_RUNTIME, "the gradients of a compiled function are not of its results' sizes");
    else if (!check_versions(p) && !program_make_outputs(p, p->nouts_forward, p->nouts) &&
             !run_calls(p, p->split, p->n))
        status = take_outputs(p, p->nouts_forward, p->nouts, outs);
    program_leave(p);
    return status;
}

void ad_program_free(intptr_t h) { program_unref((ad_program *)h); }

/* Replaces the float attributes of a recorded call: the learning rate and its kin. */
int ad_program_set_floats(intptr_t h, int64_t index, const double *f, int64_t n) {
    ad_program *p = (ad_program *)h;
    if (index < 0 || index >= p->n || n < 0 || n > (int64_t)(sizeof p->code->at.f / sizeof(double)))
        return ad_fail(AD_ERR_RUNTIME, "no such slot in the program");
    memcpy(p->code[index].at.f, f, (size_t)n * sizeof *f);
    return 0;
}

/* Recorded, live, fused groups, bytes of the arena, bytes before planning, outputs. */
void ad_program_stats(intptr_t h, int64_t *out) {
    const ad_program *p = (const ad_program *)h;
    out[0] = p->recorded;
    out[1] = 0;
    for (int64_t k = 0; k < p->n; k++) out[1] += !p->code[k].dead;
    out[2] = p->fused;
    out[3] = (int64_t)p->arena_bytes;
    out[4] = (int64_t)p->unplanned_bytes;
    out[5] = p->nouts;
}

/* What a program consists of, and how long each of its calls takes. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "fuse.h"
#include "generator.h"

/* where the memory of an operand is */
enum { OF_OTHERS, OF_ARGUMENT, IN_ARENA, OF_RESULT };

static int place_of(const ad_program *p, const ad_tensor *t, int64_t *at) {
    const char *data = t->storage->data;
    *at = 0;
    for (int64_t k = 0; k < p->nargs; k++)
        if (p->args[k]->storage == t->storage) return *at = k, OF_ARGUMENT;
    for (int64_t k = 0; k < p->nouts; k++)
        if (p->outs[k]->storage == t->storage) return *at = k, OF_RESULT;
    if (!p->arena || data < p->arena || data >= p->arena + p->arena_bytes) return OF_OTHERS;
    *at = data - p->arena;
    return IN_ARENA;
}

static const instr *instr_at(intptr_t h, int64_t k) {
    const ad_program *p = (const ad_program *)h;
    return k < 0 || k >= p->n ? NULL : &p->code[k];
}

int64_t ad_program_length(intptr_t h) { return ((const ad_program *)h)->n; }

/* Of call k: inputs, outputs, whether it was dropped, whether it is of the second part, the integer
 * attributes. */
int ad_program_shape(intptr_t h, int64_t k, int64_t *out) {
    const ad_program *p = (const ad_program *)h;
    const instr *i = instr_at(h, k);
    if (!i) return -1;
    out[0] = i->call.nin;
    out[1] = i->call.nout;
    out[2] = i->dead;
    out[3] = p->has_split && k >= p->split;
    memcpy(out + 4, i->at.i, sizeof i->at.i);
    return 0;
}

/* Of operand o of call k, inputs first: dtype, where its memory is and the place there, elements, address,
 * dimensions, sizes. -1 when it is absent. */
int ad_program_operand(intptr_t h, int64_t k, int64_t o, int64_t *out) {
    const instr *i = instr_at(h, k);
    if (!i || o < 0 || o >= i->call.nin + i->call.nout) return -1;
    const ad_tensor *t = o < i->call.nin ? i->call.in[o] : i->call.out[o - i->call.nin];
    if (!t) return -1;
    out[0] = t->dtype;
    out[1] = place_of((const ad_program *)h, t, &out[2]);
    out[3] = t->numel;
    out[4] = (int64_t)(intptr_t)tensor_data(t);
    out[5] = t->ndim;
    for (int d = 0; d < t->ndim; d++) out[6 + d] = t->sizes[d];
    return 0;
}

/* The rows of a fused call, in order: "mul, add, tanh"; the row's own name of another. */
const char *ad_program_rows(intptr_t h, int64_t k) {
    static _Thread_local char text[1024];
    const instr *i = instr_at(h, k);
    if (!i) return NULL;
    const fused_code *f = fused_code_of(i);
    if (!f) return i->call.op->name;
    size_t used = 0;
    if (i->call.op == &fused_product_op)
        used = (size_t)snprintf(text, sizeof text, "%s, ", ad_ops[i->at.i[2]].name);
    fused_names(f, text + used, sizeof text - used);
    return text;
}

/* ---- measuring ---- */

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

typedef struct kept { /* what the calls write of others, as it was */
    char *at, *copy;
    size_t bytes;
} kept;

static kept *keep_state(const ad_program *p) {
    kept *list = mem_alloc((size_t)(p->nwritten + 1) * sizeof *list);
    for (int64_t k = 0; list && k < p->nwritten; k++) {
        const char *begin = p->written[k]->data, *end = begin + p->written[k]->nbytes;
        for (int64_t a = 0; a < p->nargs; a++)
            if (p->args[a]->storage == p->written[k]) tensor_reach(p->args[a], &begin, &end);
        list[k] = (kept){.at = (char *)begin, .bytes = begin && end > begin ? (size_t)(end - begin) : 0};
        if (list[k].bytes && !(list[k].copy = mem_alloc(list[k].bytes))) {
            while (k--)
                if (list[k].copy) mem_free(list[k].copy, list[k].bytes);
            mem_free(list, (size_t)(p->nwritten + 1) * sizeof *list);
            return NULL;
        }
        if (list[k].bytes) memcpy(list[k].copy, begin, list[k].bytes);
    }
    return list;
}

static void put_back(const ad_program *p, kept *list) {
    for (int64_t k = 0; k < p->nwritten; k++) {
        if (!list[k].bytes) continue;
        memcpy(list[k].at, list[k].copy, list[k].bytes);
        mem_free(list[k].copy, list[k].bytes);
    }
    mem_free(list, (size_t)(p->nwritten + 1) * sizeof *list);
}

/* Nanoseconds of each call, the least of `rounds` runs on the given arguments (of both parts), with what the
 * program writes of others, and its generators, left as they were. Returns 0, or -1 with the error set, or 1
 * when the arguments do not fit. */
int ad_program_measure(intptr_t h, const ad_handle *args, int64_t nargs, int rounds, double *ns) {
    ad_program *p = (ad_program *)h;
    if (!program_enter(p)) return ad_fail(AD_ERR_RUNTIME, "the captured step is running already");
    kept *state = NULL;
    rng_state *draws = NULL;
    int status = program_bind(p, 0, p->nargs, args, nargs) ? -1 : 1;
    if (status < 0 && !program_make_outputs(p, 0, p->nouts) && (state = keep_state(p)) &&
        (draws = mem_alloc((size_t)(p->n + 1) * sizeof *draws))) {
        for (int64_t k = 0; k < p->n; k++)
            if (p->code[k].call.op->flags & AD_OP_RANDOM) draws[k] = generator_of(&p->code[k].at)->state;
        for (int64_t k = 0; k < p->n; k++) ns[k] = 0;
        status = 0;
        for (int r = 0; r < rounds && !status; r++)
            for (int64_t k = 0; k < p->n && !status; k++) {
                if (!k && p->nkept) layout_look(p);
                if (!k)
                    for (int64_t j = 0; j < p->nlaid; j++)
                        tensor_copy_data(p->laid[j].before, p->laid[j].now);
                instr *i = &p->code[k];
                if (i->dead) continue;
                if (i->checked && program_check_values(&i->call)) status = -1;
                double start = now_ns();
                if (!status && i->packs) layout_pack(p, i);
                if (!status) i->call.op->run(&i->call);
                double took = now_ns() - start;
                if (!r || took < ns[k]) ns[k] = took;
            }
        for (int64_t k = p->n - 1; k >= 0; k--)
            if (p->code[k].call.op->flags & AD_OP_RANDOM) generator_of(&p->code[k].at)->state = draws[k];
    }
    if (state) put_back(p, state);
    if (draws) mem_free(draws, (size_t)(p->n + 1) * sizeof *draws);
    for (int64_t k = 0; k < p->nouts && p->made; k++) {
        if (!p->made[k]) continue;
        tensor_unref(p->made[k]);
        p->made[k] = NULL;
        p->outs[k]->storage->data = NULL;
    }
    program_leave(p);
    return status;
}

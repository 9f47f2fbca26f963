/* What may stand between a call and the dispatcher: autocast, which casts operands, and the profiler
 * (profile.c). Off, both cost one load and one branch a call (`apply_watched` in op.c). */
#include <string.h>
#include "core.h"
#include "watch.h"

_Atomic int apply_watched;

/* ---- autocast: this thread's, by the kind of the row ---- */

enum { KEEP, LOWER, SINGLE }; /* as given; to the low precision; to float32 */
static uint8_t kinds[OP_COUNT];

void ad_autocast_kinds(const uint8_t *given) { memcpy(kinds, given, sizeof kinds); }

/* Switches to a dtype (of type codes), or off with -1; returns what it was. */
int ad_autocast(int dtype) {
    int was = tls.autocast - 1;
    if ((was < 0) != (dtype < 0))
        atomic_fetch_add_explicit(&apply_watched, dtype < 0 ? -1 : 1, memory_order_relaxed);
    tls.autocast = dtype + 1;
    return was;
}

/* The casts of parameters (leaves in float32 that want gradients), kept until the outermost block ends: what
 * is used again is not cast again, and its gradients add up before they are cast back, as in PyTorch. A
 * parameter that was written since is cast anew. */
typedef struct cast_pair {
    ad_tensor *from, *to;
    uint32_t version;
} cast_pair;
static _Thread_local cast_pair *casts_kept; /* open addressing by the address of `from` */
static _Thread_local int64_t casts_room, casts_count;
static _Thread_local int autocast_blocks;
static _Thread_local bool casts_off;

static cast_pair *kept_place(cast_pair *table, int64_t room, const ad_tensor *from) {
    int64_t k = (int64_t)(((uintptr_t)from >> 4) * 0x9E3779B97F4A7C15u >> 40) & (room - 1);
    while (table[k].from && table[k].from != from) k = (k + 1) & (room - 1);
    return &table[k];
}
void ad_autocast_clear(void) {
    for (int64_t k = 0; k < casts_room; k++) {
        tensor_unref(casts_kept[k].from);
        tensor_unref(casts_kept[k].to);
    }
    if (casts_kept) mem_free(casts_kept, (size_t)casts_room * sizeof *casts_kept);
    casts_kept = NULL;
    casts_room = casts_count = 0;
}
/* A block is entered (1) or left (-1). */
void ad_autocast_block(int step) {
    autocast_blocks += step;
    if (autocast_blocks <= 0) {
        autocast_blocks = 0;
        ad_autocast_clear();
    }
}
int ad_autocast_cache(int on) { /* -1: asks */
    bool was = !casts_off;
    if (on >= 0) casts_off = !on;
    return was;
}
static bool kept_grow(void) {
    int64_t room = casts_room ? 2 * casts_room : 64;
    cast_pair *table = mem_alloc((size_t)room * sizeof *table);
    if (!table) return false;
    memset(table, 0, (size_t)room * sizeof *table);
    for (int64_t k = 0; k < casts_room; k++)
        if (casts_kept[k].from) *kept_place(table, room, casts_kept[k].from) = casts_kept[k];
    if (casts_kept) mem_free(casts_kept, (size_t)casts_room * sizeof *casts_kept);
    casts_kept = table;
    casts_room = room;
    return true;
}
/* t cast to a dtype: a new reference. */
static ad_tensor *cast_one(ad_tensor *t, int to, bool keep) {
    ad_attr at = {.i = {to}};
    uint32_t version = atomic_load_explicit(&t->storage->version, memory_order_relaxed);
    keep = keep && !t->batch && t->dtype == AD_F32 && t->flags & AD_T_REQUIRES_GRAD && !t->node && !t->base &&
           !tls.no_grad && !tls.capture && !casts_off && autocast_blocks;
    if (keep && casts_room) {
        cast_pair *p = kept_place(casts_kept, casts_room, t);
        if (p->from && p->version == version && p->to->dtype == to) return tensor_ref(p->to);
    }
    ad_tensor *y = ad_apply1(OP_to, 1, &t, &at);
    if (!y || !keep || (2 * casts_count >= casts_room && !kept_grow())) return y;
    cast_pair *p = kept_place(casts_kept, casts_room, t);
    if (p->from) tensor_unref(p->to);
    else {
        p->from = tensor_ref(t);
        casts_count++;
    }
    p->to = tensor_ref(y);
    p->version = version;
    return y;
}

int autocast_pause(void) { return tls.autocast ? ad_autocast(-1) : -1; }
void autocast_resume(int dtype) {
    if (dtype >= 0) ad_autocast(dtype);
}

static bool casts(const ad_tensor *t, int to) {
    return t && dtype_is_float(t->dtype) && t->dtype != AD_F64 && t->dtype != to;
}

/* The operands as autocast wants them; those that are new are in `own`. Returns how many, or -1. */
static int cast_all(int to, int nin, ad_tensor *const *in, ad_tensor **own, ad_tensor **cast) {
    int made = 0, was = autocast_pause();
    for (int i = 0; i < nin; i++) {
        cast[i] = in[i];
        if (!casts(in[i], to)) continue;
        ad_tensor *t = cast_one(in[i], to, to != AD_F32);
        if (!t) {
            while (made) tensor_unref(own[--made]);
            made = -1;
            break;
        }
        cast[i] = own[made++] = t;
    }
    autocast_resume(was);
    return made;
}

int apply_watched_row(const ad_op *op, int nin, ad_tensor *const *in, const ad_attr *at, ad_tensor **out,
                      ad_tensor *target) {
    int kind = tls.autocast && !target ? kinds[op - ad_ops] : KEEP;
    if (kind == KEEP || !nin || nin > 64) return profiled(op, nin, in, at, out, target);
    ad_tensor *own[64], *cast[64] = {0};
    int made = cast_all(kind == LOWER ? tls.autocast - 1 : AD_F32, nin, in, own, cast);
    if (made < 0) return -1;
    int status = profiled(op, nin, cast, at, out, NULL);
    while (made) tensor_unref(own[--made]);
    return status;
}

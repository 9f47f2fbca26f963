/* Captured programs: a training step recorded once as a list of calls, planned, and replayed.
 *
 * While a thread captures, apply() appends every executed call. The program keeps aliases of the tensors,
 * without their history, so that what else refers to a storage tells which values leave the step. */
#ifndef AD_PROGRAM_H
#define AD_PROGRAM_H

#include "core.h"

typedef struct instr {
    ad_call call; /* in and out are the program's aliases */
    ad_attr at;
    bool dead;
    bool checked;   /* its infer looks at values: asked at each replay */
    bool packs;     /* panels that it and later products read (layout.c) */
    int32_t layout; /* whose panels it reads: index + 1, or 0 */
} instr;

/* A leaf whose .grad the step set or read. */
typedef struct grad_effect {
    ad_tensor *leaf;
    ad_tensor *entry; /* what .grad must be before a replay; ANY_GRAD when the step discards it first */
    ad_tensor *exit;  /* what it is afterwards */
    bool copied; /* the step drops `entry`, which nobody else has: a replay copies there what there is then */
    bool written; /* and writes to it before */
} grad_effect;
/* A tensor of others that the step points at other memory: where it was, and where it is at the end. */
typedef struct laid_elsewhere {
    ad_tensor *t, *before, *now;
} laid_elsewhere;
#define ANY_GRAD ((ad_tensor *)1)
#define SOME_GRAD ((ad_tensor *)2) /* not NULL: the step looked whether there is one, and no further */
/* A storage of others that the program touches, and how often a tensor on it had been moved. */
typedef struct watch {
    ad_storage *s;
    uint32_t moved;
} watch;

/* What a backward part reads of others: it must not have been written in between. */
typedef struct check {
    ad_storage *s;
    int64_t arg; /* the argument that it is, or -1 */
    uint32_t version;
} check;

typedef struct ad_layout ad_layout;

typedef struct ad_program {
    bool lenient; /* what cannot be recorded ends the recording */
    instr *code;
    int64_t n, cap;
    grad_effect *effects;
    int64_t neffects, effects_cap;
    laid_elsewhere *laid;
    int64_t nlaid, laid_cap;
    ad_tensor **args; /* placeholders, rebound at each replay */
    int64_t nargs, args_cap;
    ad_tensor **outs;
    int64_t nouts, outs_cap;
    ad_storage **written; /* storages of others that the program writes: their versions count */
    int64_t nwritten, written_cap;
    watch *watched;
    int64_t nwatched, watched_cap;
    /* a function that is differentiated: its backward pass is a second part */
    bool has_split;
    int64_t split, nargs_forward, nouts_forward; /* how much is the first part's */
    check *checks;
    int64_t nchecks, checks_cap;
    ad_storage **bound;  /* of the arguments, from the first part to the second */
    ad_tensor **made;    /* results in memory of their own, until the caller has them */
    bool *places;        /* which results are computed there; as many as outs */
    int64_t held;        /* results at the end of outs that the caller holds while planning */
    uint64_t first_node; /* the order of the first tape node of the recording */
    uint32_t id;
    int64_t mode;
    bool aliased;       /* an argument shared memory that the step writes: its calls keep their order */
    ad_layout *layouts; /* operands of products in panels (layout.c) */
    int64_t nlayouts, nkept, layouts_cap;
    char *arena, *scratch, *lane_scratch;
    size_t lane_bytes;         /* of the workspace of each lane */
    struct lane_group *groups; /* calls that run side by side (lanes.c), by place */
    int64_t ngroups;
    size_t arena_bytes, scratch_bytes, unplanned_bytes;
    int64_t recorded, fused;
    bool is_long;              /* worth giving up the interpreter's lock for */
    _Atomic uintptr_t running; /* the thread that runs it, by the address of its state; 0 for none */
    /* of a function that is differentiated (joint.c) */
    struct joint_end *ends; /* what it is differentiated by */
    int64_t nends, ncarries;
    bool *carries; /* which results carry gradients */
    ad_node *open; /* of its last call; not counted */
    _Atomic int32_t refs;
} ad_program;

void program_free(ad_program *p);
static inline void program_unref(ad_program *p) {
    if (count_down(&p->refs)) program_free(p);
}
/* One run at a time: waits for another thread's. False when this thread is running the program already. */
bool program_enter(ad_program *p);
static inline void program_leave(ad_program *p) {
    atomic_store_explicit(&p->running, 0, memory_order_release);
}
/* Appends an executed call to the program that the thread captures; -1 with the error set. */
int program_append(ad_call *c);
/* Refuses what cannot be replayed; returns -1 with the error set. */
int program_refuse(const char *what);
int program_refuse_size(const char *op); /* the size of its result depends on the data */
/* Notes t.data = src, which is going to be done: 1, or 0 where it cannot be recorded, or -1 with the error
 * set. */
int program_set_data(ad_tensor *t, ad_tensor *src);
/* Notes that the step is about to change (discards: whatever it was) or read t->grad. */
int program_touch_grad(ad_tensor *t, bool discards);
/* References to a storage other than those of programs. */
static inline int32_t storage_users(ad_storage *s) {
    return atomic_load_explicit(&s->refs, memory_order_relaxed) -
           atomic_load_explicit(&s->pinned, memory_order_relaxed);
}

/* Gives a recorded call another operation and operands (borrowed; `room` is taken, n + 1 entries). */
int program_rewrite(instr *i, const ad_op *op, int nin, int nout, ad_tensor **room);

static inline ad_tensor *grad_hold(ad_tensor *g) {
    if (g) g->storage->graded++;
    return tensor_ref(g);
}
static inline void grad_drop(ad_tensor *g) {
    if (!g || g == ANY_GRAD || g == SOME_GRAD) return;
    g->storage->graded--;
    tensor_unref(g);
}
/* Whether nobody has a gradient but programs and, counted in `others`, who is known. */
static inline bool grad_is_alone(const ad_tensor *g, int others) {
    return atomic_load_explicit(&g->refs, memory_order_relaxed) == g->storage->graded + others &&
           storage_users(g->storage) == 1;
}

int64_t program_mode(void);
/* One run, piece by piece (replay.c). */
bool program_bind(ad_program *p, int64_t from, int64_t to, const ad_handle *args, int64_t nargs);
int program_make_outputs(ad_program *p, int64_t from, int64_t to);
int program_check_values(const ad_call *c);
/* Whether an argument, as it is bound now, shares memory with what the program writes of others. */
bool program_aliases(const ad_program *p);
bool call_is_long(const ad_call *c);      /* op.c */
bool call_reads_values(const ad_call *c); /* op.c */

/* layout.c: which operands of products are read in panels, at the end of planning; what is kept from run to
 * run is looked at before a run, under the interpreter's lock; the rest is packed by calls that `packs`
 * marks. */
int layout_choose(ad_program *p);
void layout_look(ad_program *p);
void layout_pack(const ad_program *p, const instr *i);
void layout_free(ad_program *p);

/* Turns the recorded calls into the planned program: what is dead, what is fused, where values live. */
int plan_program(ad_program *p);

#endif

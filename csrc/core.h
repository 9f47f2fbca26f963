/* Internal structs of the core: tensors, operations, tape nodes, and the calls between them.
 *
 * Ownership: arguments are borrowed, a returned tensor is a new reference. Functions that can fail
 * return NULL or a negative status with the message set by ad_fail(). */
#ifndef AD_CORE_H
#define AD_CORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "autodiffc.h"
#include "kernels/table.h"

#define AD_MAXDIM 64
#define AD_INLINE_DIMS 5
#define AD_LIKELY(x) __builtin_expect(!!(x), 1)
#define AD_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ---- dtypes (dtype.c) --------------------------------------------------------------------- */

typedef enum {
    AD_BOOL,
    AD_U8,
    AD_I8,
    AD_I16,
    AD_I32,
    AD_I64,
    AD_F16,
    AD_BF16,
    AD_F32,
    AD_F64,
    AD_DTYPES
} ad_dtype;

extern const uint8_t dtype_size[AD_DTYPES];
extern const char *const dtype_name[AD_DTYPES];  /* "float32" */
extern const char *const dtype_class[AD_DTYPES]; /* "Float", as PyTorch spells it in messages */
static inline bool dtype_is_float(int d) { return d >= AD_F16; }
static inline bool dtype_is_int(int d) { return d <= AD_I64; } /* bool included */
/* The type that kernels compute a dtype in. */
static inline int dtype_compute(int d) { return d == AD_F64 ? CT_F64 : d >= AD_F16 ? CT_F32 : CT_I64; }
int dtype_promote(int a, int b);
int dtype_default_float(void);
/* Converts n elements between a dtype with a byte stride and the compute type `ct`, unit stride. */
typedef void (*dtype_load)(int64_t n, void *dst, const char *src, int64_t stride);
typedef void (*dtype_store)(int64_t n, char *dst, int64_t stride, const void *src);
extern const dtype_load dtype_loads[AD_DTYPES][CT_COUNT];
extern const dtype_store dtype_stores[AD_DTYPES][CT_COUNT];
/* Reads as 0 or 1 (nonzero); writes 0 or 1 to any dtype. */
extern const dtype_load dtype_load_bool[AD_DTYPES];
extern const dtype_store dtype_store_bool[AD_DTYPES];
static const size_t ct_size[CT_COUNT] = {4, 8, 8};

/* ---- errors (error.c) ---------------------------------------------------------------------- */

/* Sets the calling thread's error; returns -1 so that callers can `return ad_fail(...)`. */
int ad_fail(int error_class, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void *ad_fail_null(int error_class, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "[2, 3]" in a ring of thread-local buffers, for messages. */
const char *fmt_sizes(int ndim, const int64_t *sizes);

/* ---- short locks (lock.c) --------------------------------------------------------------------- */

/* The interpreter's lock. Every call comes in with it. Work that takes longer than giving it up and taking it
 * again runs without it; such work may not call Python, but for what takes it itself. */
extern ad_callbacks graph_callbacks;
static inline void *interpreter_release(void) {
    return graph_callbacks.let_go ? graph_callbacks.let_go() : NULL;
}
static inline void interpreter_take(void *state) {
    if (state) graph_callbacks.take_back(state);
}

/* Reference counts change only under the interpreter's lock. They are atomic because they may be read
 * without. */
static inline void count_up(_Atomic int32_t *n) {
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1, memory_order_relaxed);
}
static inline bool count_down(_Atomic int32_t *n) { /* whether that was the last one */
    int32_t left = atomic_load_explicit(n, memory_order_relaxed) - 1;
    atomic_store_explicit(n, left, memory_order_relaxed);
    return left == 0;
}

typedef _Atomic uint32_t ad_lock; /* 0: free */
extern uint32_t lock_generation;  /* changes only in a child process, before it has threads */
void lock_wait(ad_lock *l);
static inline void lock_take(ad_lock *l) {
    uint32_t free = 0;
    if (AD_UNLIKELY(!atomic_compare_exchange_strong_explicit(l, &free, lock_generation, memory_order_acquire,
                                                             memory_order_relaxed)))
        lock_wait(l);
}
static inline void lock_drop(ad_lock *l) { atomic_store_explicit(l, 0, memory_order_release); }

/* ---- memory (alloc.c) ------------------------------------------------------------------------ */

void *mem_alloc(size_t bytes); /* cached, 64-byte aligned, NULL with AD_ERR_MEMORY set */
void mem_free(void *p, size_t bytes);
/* The same for objects that memory_stats() counts: under the one lock, counting costs nothing. */
enum { MEM_PLAIN, MEM_TENSOR, MEM_NODE, MEM_STORAGE, MEM_KINDS };
void *mem_alloc_kind(size_t bytes, int kind);
/* What the bytes hold is lost, and the pages of a large block go back to the system. */
void mem_discard(void *p, size_t bytes);
void mem_free_kind(void *p, size_t bytes, int kind);

/* ---- tensors (tensor.c) --------------------------------------------------------------------- */

typedef struct ad_node ad_node;
typedef struct ad_hook ad_hook;
typedef struct ad_carried ad_carried;
typedef struct ad_batch ad_batch;
typedef struct ad_rows ad_rows;

typedef struct ad_storage {
    _Atomic int32_t refs;
    _Atomic uint32_t version; /* writes so far; shared by all views */
    void *data;
    size_t nbytes;
    size_t block;  /* bytes to hand back to mem_free, 0 for memory that is not ours */
    int64_t owner; /* key of the Python object that owns foreign memory, else 0 */
    bool readonly : 1;
    bool exposed : 1;       /* its address was given away: it may be written without our knowing */
    bool recorded : 1;      /* the result of a call that a program records: a replay computes it anew */
    _Atomic uint8_t unseen; /* writes through .data, which version does not count; `exposed` when too many */
    int16_t graded; /* references of programs to tensors on it, as gradients that they find or leave */
    _Atomic int32_t pinned; /* how many of the references are captured programs' */
    /* whose memory this is: set where a captured step's argument stands in for another */
    struct ad_storage *backing;
    _Atomic uint32_t moved; /* how often a tensor on it was pointed elsewhere, reshaped in place, or had its
                               requires_grad changed: a program that was recorded before no longer fits */
    /* the recording that computed it, where `recorded`; else that in which it was made of Python's data and
     * not written since, or 0 */
    uint32_t born;
} ad_storage;

enum {
    AD_T_REQUIRES_GRAD = 1, /* a leaf that wants a gradient */
    AD_T_WRAPPED = 2,       /* made from a Python number: promotes like one */
    AD_T_RETAINS_GRAD = 4,
    AD_T_NO_VERSION = 8, /* .data: writes are not counted */
    AD_T_INFERENCE = 16,
    AD_T_CAPTURED = 32,        /* value produced inside the program being captured */
    AD_T_NOGRAD_VIEW = 64,     /* a view made under no_grad: an in-place write on it keeps no history */
    AD_T_MULTI_VIEW = 128,     /* one of several views that one operation made */
    AD_T_INFERENCE_VIEW = 512, /* a view of a normal tensor made in inference mode */
    AD_T_SPENT_LEAF = 1024,    /* what a function transform differentiated by, after it has returned */
    AD_T_CUSTOM_VIEW = 256,    /* a view that a Python function returned */
};

struct ad_tensor {
    _Atomic int32_t refs;
    uint8_t dtype, ndim;
    uint16_t flags;
    int64_t offset, numel; /* in elements */
    ad_storage *storage;
    int64_t *sizes, *strides; /* in elements; into `dims` or one heap block */
    /* autograd */
    ad_node *node; /* what computed it, NULL for leaves */
    uint32_t out_nr;
    uint32_t epoch;  /* of the base's history when `node` was made (views), or its own count (bases) */
    ad_tensor *base; /* the tensor this is a view of */
    ad_tensor *grad;
    ad_carried *tangents; /* forward mode */
    ad_rows *rows;        /* a leaf's sparse gradient */
    ad_batch *batch;      /* under vmap: where the other samples are */
    ad_hook *hooks;       /* leaf hooks; those of non-leaves hang on the node */
    int64_t dims[2 * AD_INLINE_DIMS];
};

ad_tensor *tensor_new(int dtype, int ndim, const int64_t *sizes); /* contiguous, not initialised */
ad_tensor *tensor_new_strided(int dtype, int ndim, const int64_t *sizes, const int64_t *strides);
ad_tensor *tensor_alias(ad_tensor *src, int ndim, const int64_t *sizes, const int64_t *strides,
                        int64_t offset);
ad_tensor *tensor_scalar(int dtype, double f, int64_t i); /* 0-d */
ad_tensor *tensor_zeros(int dtype, int ndim, const int64_t *sizes);
ad_storage *storage_new(size_t nbytes);
void storage_release(ad_storage *s);
void tensor_free(ad_tensor *t); /* when the last reference has gone */
int tensor_set_geometry(ad_tensor *t, int ndim, const int64_t *sizes, const int64_t *strides);
static inline ad_tensor *tensor_ref(ad_tensor *t) {
    if (t) count_up(&t->refs);
    return t;
}
static inline void tensor_unref(ad_tensor *t) {
    if (t && count_down(&t->refs)) tensor_free(t);
}
static inline void *tensor_data(const ad_tensor *t) {
    return (char *)t->storage->data + t->offset * dtype_size[t->dtype];
}
bool dims_contiguous(int ndim, const int64_t *sizes, const int64_t *strides);
static inline bool tensor_is_contiguous(const ad_tensor *t) {
    return dims_contiguous(t->ndim, t->sizes, t->strides);
}
void dims_contiguous_strides(int ndim, const int64_t *sizes, int64_t *strides);

/* Where `from` may be null when n is 0, as an empty list is: memcpy may not be given that. */
static inline void dims_copy(int64_t *to, const int64_t *from, int64_t n) {
    if (n > 0) memcpy(to, from, (size_t)n * sizeof *to);
}

/* -1 with the error on overflow or a negative */
int dims_numel(int ndim, const int64_t *sizes, int64_t *numel);
bool dims_dense(int ndim, const int64_t *sizes, const int64_t *strides); /* a permutation of contiguous */
bool dims_equal(int na, const int64_t *a, int nb, const int64_t *b);
bool tensor_same_sizes(const ad_tensor *a, const ad_tensor *b);
/* Whether the elements of `t` may overlap each other in memory (expanded dimensions). */
bool tensor_self_overlaps(const ad_tensor *t);
/* The addresses between which the elements lie. */
void tensor_reach(const ad_tensor *t, const char **begin, const char **end);
/* Whether a and b, of one storage, may share some but not all positions. Equal geometry is no overlap. */
bool tensor_disjoint(const ad_tensor *a, const ad_tensor *b); /* of one storage: spans that do not meet */
bool tensor_partial_overlap(const ad_tensor *a, const ad_tensor *b);
/* -1 with the error when the dimension is out of range, else the wrapped one. Scalars take -1 and 0. */
int dim_wrap(int64_t dim, int ndim);
static inline double tensor_get_f64(const ad_tensor *t) { /* of a 0-d or one-element tensor */
    double v;
    dtype_loads[t->dtype][CT_F64](1, &v, tensor_data(t), 0);
    return v;
}
static inline int64_t tensor_get_i64(const ad_tensor *t) {
    int64_t v;
    dtype_loads[t->dtype][CT_I64](1, &v, tensor_data(t), 0);
    return v;
}

/* ---- operations (op.c) ------------------------------------------------------------------------ */

typedef struct ad_attr {
    int64_t i[8];
    double f[6];
    const int64_t *list;
    int64_t nlist;
} ad_attr;

/* What infer() says of an output. For a view: strides and offset too. */
typedef struct ad_spec {
    uint8_t dtype, ndim;
    bool strided; /* strides are set; otherwise contiguous */
    bool nondiff; /* this output carries no gradient (indices, counts) */
    int64_t offset;
    int64_t sizes[AD_MAXDIM], strides[AD_MAXDIM];
} ad_spec;

typedef struct ad_op ad_op;

typedef struct ad_call {
    const ad_op *op;
    int nin, nout;
    ad_tensor **in;
    ad_tensor **out; /* set before run */
    ad_spec *spec;   /* set by infer */
    const ad_attr *at;
    void *scratch;
    bool inplace;  /* out[0] is in[0] */
    ad_node *node; /* that recorded it, borrowed */
    bool plain;    /* elementwise: set by infer when operands of one geometry need no conversion */
    /* Where it is set, infer may leave the range of a large index tensor to run, which reads it anyway,
     * brings what is outside into range, and says so here. The call then asks infer again, and its result is
     * dropped. */
    _Atomic int *strayed;
    ad_tensor *before; /* in place: a copy of in[0] as it was, when the gradient rule reads that */
} ad_call;

/* A list of tensors released together: what the rules emit. */
typedef struct ad_em {
    int n, cap;
    bool failed;
    ad_tensor **v;
    ad_tensor *room[24];
} ad_em;

typedef struct ad_vjp {
    ad_em E;
    ad_node *node;
    const ad_attr *at;
    int nin, nout;
    ad_tensor **g;   /* incoming, NULL where none */
    ad_tensor **gin; /* outgoing, borrowed from E */
    uint64_t
        unasked; /* bits of those of the first 64 inputs whose gradients lead to nothing that was asked for */
} ad_vjp;

typedef struct ad_jvp {
    ad_em E;
    const ad_call *c;
    ad_tensor **t;    /* tangents of the inputs, NULL where none */
    ad_tensor **tout; /* tangents of the outputs, borrowed from E */
} ad_jvp;

enum {
    AD_OP_EW = 1,           /* elementwise row: `row` is valid */
    AD_OP_VIEW = 2,         /* outputs share in[0]'s storage; run is NULL */
    AD_OP_SELF = 4,         /* run expects out[0] to hold in[0]'s values already and updates them */
    AD_OP_RANDOM = 8,       /* draws from a generator */
    AD_OP_INPLACE = 16,     /* writes its inputs and has no outputs (optimizers) */
    AD_OP_LINEAR = 32,      /* linear in all floating inputs together: its own tangent */
    AD_OP_MULTILINEAR = 64, /* linear in each floating input: product rule */
    AD_OP_CONTIG = 128,     /* apply makes every input contiguous before run */
    AD_OP_NONDIFF = 256,    /* no output is differentiable */
    AD_OP_SYNC = 512,       /* the output's shape depends on the data: cannot be captured */
    AD_OP_VALUES = 1024,    /* infer refuses some values of its inputs too: a replay asks it again */
    AD_OP_BATCH = 8192,     /* a view that changes what a batch is */
    AD_OP_FIRST = 4096, /* outputs after the first serve the gradient rule alone: callers do not see them */
};

/* which tensors the gradient rule reads */
enum { S0 = 0, SA = 1, SB = 2, SC = 4, SD = 8, SE = 16, S_IN = 0xffff };
enum { SY = 1 << 16, SY1 = 1 << 17, SY2 = 1 << 18 };

/* the dtype rule of an elementwise row */
enum {
    P_SAME = 0,
    P_FLOAT = 1,    /* integers become the default float type */
    P_NO_BOOL = 4,  /* bool is refused */
    P_BOOL_OUT = 8, /* a predicate */
    P_SELECT = 16,  /* the first operand is a condition */
    P_DIVISOR = 32, /* an integer zero in the second operand is an error */
    P_FOLLOW = 64,  /* numbers take the dtype of the tensors, whatever their kind */
    /* the third operand is a number that scales: it follows, and may not be of a higher kind */
    P_ALPHA = 128,
    P_EXPONENT = 256, /* integers to a negative number are an error */
    P_STRICT = 512,   /* tensors with dimensions must share one dtype */
    P_WIDE = 2048, /* of integers: computed in double and rounded once, as the last digit of PyTorch's is */
    P_NO_HALF = 1024, /* float16 and bfloat16 are refused: a result in float32 tiles would be wrong */
};

struct ad_op {
    const char *name;
    int nin, nout;            /* -1: any number, `count` tells the outputs */
    uint32_t absent;          /* bits of the inputs that may be absent */
    uint32_t flags, saves;    /* saves: 0 in elementwise rows, see ew_saves() */
    int (*infer)(ad_call *c); /* 0, or -1 with the error set */
    void (*run)(const ad_call *c);
    void (*vjp)(ad_vjp *v);
    void (*jvp)(ad_jvp *j);
    size_t (*scratch)(const ad_call *c);
    int (*count)(int nin, ad_tensor *const *in, const ad_attr *at);
    int row; /* elementwise: index of the kernel */
    int promo;
};

extern const ad_op ad_ops[];
enum ad_op_id {
#define EW1(name, ...) OP_##name,
#define EW2(name, ...) OP_##name,
#define EW3(name, ...) OP_##name,
#define CMP1(name, ...) OP_##name,
#define CMP2(name, ...) OP_##name,
#define SEL3(name, ...) OP_##name,
#define OP(name, ...) OP_##name,
#include "ops/elementwise.def"
#include "ops/ops.def"
#undef EW1
#undef EW2
#undef EW3
#undef CMP1
#undef CMP2
#undef SEL3
#undef OP
    OP_COUNT
};

/* Applies an operation: out[] receives new references. Returns the number of outputs or -1.
 * op->nout < 0: out must have room for op->count(...). */
int ad_apply(const ad_op *op, int nin, ad_tensor *const *in, const ad_attr *at, ad_tensor **out);
ad_tensor *ad_apply1(int op, int nin, ad_tensor *const *in, const ad_attr *at);
/* The in-place form: in[0] is written. Returns a new reference to it. */
ad_tensor *ad_apply_inplace(int op, int nin, ad_tensor *const *in, const ad_attr *at);

/* Whether the base of this view has gained a history that the view has not yet been read out of. */
static inline bool tensor_view_stale(const ad_tensor *t) {
    return t->base && t->epoch != t->base->epoch && t->base->node &&
           !(t->flags & (AD_T_NOGRAD_VIEW | AD_T_INFERENCE_VIEW));
}
static inline bool tensor_wants_grad(const ad_tensor *t) {
    return t->node != NULL || (t->flags & AD_T_REQUIRES_GRAD) || tensor_view_stale(t);
}

#define AD_LEVELS 8
typedef struct ad_vmap {
    uint64_t level;
    int64_t size;
    int randomness;
} ad_vmap;
/* Per-thread state. */
typedef struct ad_tls {
    bool no_grad;  /* nothing is recorded: grad_off, inference mode, or inside the core */
    bool grad_off; /* no_grad() */
    bool inference;
    int forward; /* how many levels of forward mode calls take part in */
    int nlevels; /* how many are open, and their numbers */
    uint64_t levels[AD_LEVELS];
    int saved_hooks; /* saved tensors go through Python */
    int64_t blame;   /* anomaly mode: of the node whose rule is running */
    int nvmaps;      /* how many calls of vmap this one is inside of */
    ad_vmap vmaps[AD_LEVELS];
    int autocast; /* 0, or 1 + the dtype that it casts to */
    struct ad_program *capture;
    uint32_t capture_id; /* its number, 0 when nothing is recorded */
    int nresults;
    ad_tensor **results; /* outputs of the last call with several */
} ad_tls;
extern _Thread_local ad_tls tls;
/* Whether a gradient rule may emit rows that have neither gradient nor tangent: nothing is recorded, and no
 * tangents pass through. */
static inline bool grad_is_final(void) { return tls.no_grad && !tls.forward; }

/* ---- emitting, for gradient rules -------------------------------------------------------------- */

ad_tensor *em_keep(ad_em *E, ad_tensor *t); /* takes the reference; NULL marks failure */
ad_tensor *em_op(ad_em *E, int op, int nin, ad_tensor *const *in, const ad_attr *at);
ad_tensor *em1(ad_em *E, int op, ad_tensor *a); /* NULL operands give NULL: no gradient */
ad_tensor *em2(ad_em *E, int op, ad_tensor *a, ad_tensor *b);
ad_tensor *em3(ad_em *E, int op, ad_tensor *a, ad_tensor *b, ad_tensor *c);
ad_tensor *em1l(ad_em *E, int op, ad_tensor *a, const int64_t *list, int n, int64_t i0);
ad_tensor *em1i(ad_em *E, int op, ad_tensor *a, int64_t i0, int64_t i1, int64_t i2);
ad_tensor *em_const(ad_em *E, double v);
ad_tensor *em_cast(ad_em *E, ad_tensor *t, int dtype);
ad_tensor *em_sum_to(ad_em *E, ad_tensor *t, int ndim, const int64_t *sizes);
ad_tensor *em_reshape(ad_em *E, ad_tensor *t, int ndim, const int64_t *sizes);
ad_tensor *em_expand(ad_em *E, ad_tensor *t, int ndim, const int64_t *sizes);
ad_tensor *em_zeros(ad_em *E, int dtype, int ndim, const int64_t *sizes);
void em_done(ad_em *E);

/* ---- the tape (graph.c) ------------------------------------------------------------------------ */

typedef struct ad_meta {
    uint8_t dtype, ndim;
    bool batched;
    int64_t *sizes;
} ad_meta;

typedef struct ad_edge { /* where a gradient goes: a node's output, or a leaf */
    ad_node *node;
    ad_tensor *leaf;
    uint32_t nr;
} ad_edge;

typedef struct ad_saved {
    ad_tensor *t;
    uint32_t version;
    int32_t slot; /* input i, or 65536 + output k */
} ad_saved;

/* when hooks run */
enum {
    HOOK_TENSOR,     /* on the gradient of a tensor, which they may replace */
    HOOK_STORE,      /* retain_grad, after those */
    HOOK_PRE,        /* before a node's rule */
    HOOK_POST,       /* after it */
    HOOK_ACCUMULATED /* after a leaf's .grad has been added to */
};

struct ad_hook {
    ad_hook *next;
    int kind;
    int64_t key;      /* of the Python object that is called; 0 for retain_grad */
    ad_tensor *store; /* retain_grad: the tensor (not counted) whose .grad is set */
    uint32_t nr;
};

struct ad_node {
    _Atomic int32_t refs;
    _Atomic int32_t released; /* saved tensors were given up by a backward without retain_graph */
    ad_lock lock;             /* held while the rule reads the saved tensors, and while they are given up */
    const ad_op *op;
    uint64_t seq;
    int nin, nout, nsaved;
    size_t block;
    ad_edge *edges;
    ad_saved *saved;
    ad_meta *min, *mout;
    ad_hook *hooks;
    int64_t key;       /* Python Function object, else 0 */
    const char *title; /* its name; owned by its class */
    int64_t info;      /* Python dict about this node, else 0 */
    ad_attr at;
};

/* ---- forward mode (forward.c) ---- */

struct ad_carried {
    ad_carried *next;
    uint64_t level;
    ad_tensor *t;
};
void tangents_free(ad_carried *p);
int tangents_share(ad_tensor *to, const ad_tensor *from);
int forward_wants(const ad_call *c);
int forward_apply(ad_call *c);

/* Attaches a node to the call's outputs when gradients are on and some input wants one. */
int graph_record(ad_call *c);
/* Checks and bookkeeping around an in-place write of t; `wants`: its history is going to be recorded. */
int graph_check_inplace(ad_tensor *t, bool wants);
int graph_check_inputs(const ad_call *c); /* whether the history of each input can be told: before a write */
bool graph_wants(const ad_call *c);
/* n (taken) computed t, which was written in place */
int graph_rebase(ad_tensor *t, ad_node *n, uint32_t nr);
int graph_record_inplace(ad_call *c);
/* Whether the tape will keep in[0], which an in-place call is about to overwrite. */
bool graph_keeps_target(const ad_call *c);
ad_node *graph_node_of(ad_tensor *t); /* brings a view's node up to date with its base */
void node_unref(ad_node *n);
static inline ad_node *node_ref(ad_node *n) {
    if (n) count_up(&n->refs);
    return n;
}
void hooks_free(ad_hook *h);
extern ad_lock hook_lock;                                      /* of every list of hooks */
ad_lock *grad_lock(const ad_tensor *t);                        /* of t->grad */
void graph_set_history(ad_tensor *t, ad_node *n, uint32_t nr); /* takes the reference */
void saved_release(ad_node *n); /* gives up the saved tensors: backward without retain_graph */
void node_title(const ad_node *n, char *out, size_t room);       /* "MulBackward0" */
void node_short_title(const ad_node *n, char *out, size_t room); /* "Mul" */
void node_describe(const ad_node *n, uint32_t nr, char *out, size_t room);
void node_stamp(ad_node *n); /* its place in the order, once the nodes of its inputs exist */
/* A new reference; NULL with the error when given up or overwritten. */
ad_tensor *saved_get(ad_node *n, int k);
int saved_set(ad_node *n, int k, ad_tensor *t, int slot, uint32_t version, bool alias, bool history);
ad_node *node_new(const ad_op *op, int nin, int nout, int nsaved, int64_t nsizes, const ad_attr *at);
int64_t *meta_set(ad_meta *m, int64_t *room, const ad_tensor *t);
int edge_set(ad_edge *e, ad_tensor *t);
ad_tensor *vjp_in(ad_vjp *v, int i);  /* saved input i, borrowed */
ad_tensor *vjp_out(ad_vjp *v, int k); /* saved output k, borrowed */
/* g, with input i in its history, on which it depends with derivative 0: what PyTorch's rules say of inputs
 * that they read the sizes of. */
ad_tensor *vjp_tied(ad_vjp *v, int i, ad_tensor *g);
static inline bool vjp_needs(const ad_vjp *v, int i) {
    return (v->node->edges[i].node || v->node->edges[i].leaf) && !(i < 64 && v->unasked >> i & 1);
}
static inline const ad_meta *vjp_meta(const ad_vjp *v, int i) { return &v->node->min[i]; }
void graph_drop(int64_t key);     /* lets go of a Python object; 0 for none */
extern _Atomic int graph_anomaly; /* 1: remember where nodes are made; 2: look for NaN as well */

void rows_free(ad_rows *r); /* rows.c */

/* ---- batches (batch.c) ---- */

extern _Atomic int batch_watched; /* how many batches there are, and calls of vmap under way */
void batch_free(ad_batch *b);
static inline ad_batch *batch_ref(ad_batch *b) {
    if (AD_UNLIKELY(b != NULL)) count_up((_Atomic int32_t *)b); /* its first member */
    return b;
}
static inline void batch_unref(ad_batch *b) {
    if (AD_UNLIKELY(b != NULL) && count_down((_Atomic int32_t *)b)) batch_free(b);
}
uint64_t graph_mark(void); /* a number that comes after those of all nodes so far */

/* ---- elementwise loops (ops/elementwise.c) ------------------------------------------------------ */

#define EW_TILE 512
int ew_infer(ad_call *c);
void ew_run(const ad_call *c);
uint32_t ew_saves(const ad_call *c); /* what the derivatives that will be asked for read */
void ew_vjp(ad_vjp *v);
void ew_jvp(ad_jvp *j);
int ew_common(const ad_call *c); /* the dtype that an elementwise call computes in */
/* The common shape of n inputs; -1 with the error set. */
int broadcast_sizes(int n, ad_tensor *const *in, int *ndim, int64_t *sizes);
int result_type(int n, ad_tensor *const *in);
/* Copies between any two geometries and dtypes of equal sizes (dst may not overlap itself). */
void tensor_copy_data(ad_tensor *dst, const ad_tensor *src);
void tensor_move(ad_tensor *dst, const ad_tensor *src); /* of one dtype (ops/copy.c) */

/* dst += src for any geometry of dst, in order where positions repeat. */
void strided_accumulate(ad_tensor *dst, const ad_tensor *src);
/* matmul of any dimensions, vectors included. */
ad_tensor *op_matmul(ad_tensor *a, ad_tensor *b);
/* A view where the strides allow one, else a view of a contiguous copy. One size may be -1. */
ad_tensor *op_reshape(ad_tensor *x, int64_t n, const int64_t *sizes);

/* ---- helpers of structural rows ------------------------------------------------------------------ */

static inline void spec_like(ad_spec *s, const ad_tensor *t) {
    s->dtype = t->dtype;
    s->ndim = t->ndim;
    for (int d = 0; d < t->ndim; d++) s->sizes[d] = t->sizes[d];
}
static inline void spec_view(ad_spec *s, const ad_tensor *t) {
    spec_like(s, t);
    s->strided = true;
    s->offset = t->offset;
    for (int d = 0; d < t->ndim; d++) s->strides[d] = t->strides[d];
}

#endif

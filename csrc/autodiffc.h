/* The public C interface. The region between the markers is what the Python binding is made from,
 * word for word, so that the C compiler checks the one against the other. */
#ifndef AUTODIFFC_H
#define AUTODIFFC_H

#include <stdint.h>
#include <stddef.h>

typedef struct ad_tensor ad_tensor;

/* BEGIN CDEF */
typedef intptr_t ad_handle; /* a tensor; 0 is none, or a failure whose message ad_error_message() has */

enum {
    AD_ERR_NONE,
    AD_ERR_RUNTIME,
    AD_ERR_TYPE,
    AD_ERR_INDEX,
    AD_ERR_VALUE,
    AD_ERR_MEMORY,
    AD_ERR_NOT_IMPLEMENTED,
    AD_ERR_PYTHON,
    AD_ERR_INTERRUPT,
    AD_ERR_ZERO_DIVISION,
    AD_ERR_OVERFLOW,
    AD_ERR_CAPTURE,
    AD_ERR_BATCH
};

typedef struct ad_callbacks {
    void *(*let_go)(void);     /* gives up the interpreter's lock, which every call comes in with */
    void (*take_back)(void *); /* takes it again, with what let_go returned */
    int (*backward)(int64_t key, int nout, ad_handle *grads, int nin, ad_handle *result);
    ad_handle (*hook)(int64_t key, ad_handle grad); /* 0: unchanged; -1: raised */
    void (*drop)(int64_t key);                      /* the core has let go of a Python object */
    /* -1: raised */
    int (*node_hook)(int64_t key, int kind, int n, ad_handle *grads, int m, const ad_handle *outer);
    int64_t (*trace)(int64_t parent);              /* anomaly mode: a dict about a new node */
    void (*blame)(int64_t info, const char *name); /* anomaly mode: this node's rule failed */
    int64_t (*pack)(ad_handle t);                  /* a saved tensor's replacement; 0: raised */
    ad_handle (*unpack)(int64_t key);              /* a new reference; 0: raised */
    int (*interrupted)(void);                      /* nonzero after Ctrl-C */
    void (*refused)(void);                         /* a lenient recording has just ended */
} ad_callbacks;

/* library */
int ad_init(const ad_callbacks *callbacks);
int ad_error_class(void);
const char *ad_error_message(void);
const char *ad_isa(void);
const char *ad_cpu(void);
void ad_memory_stats(int64_t *out); /* 8 values: see memory_stats() */
void ad_memory_trim(void);
int ad_default_dtype(void);
void ad_set_default_dtype(int dtype);
int ad_get_num_threads(void);
int ad_set_num_threads(int n);

/* operations by number: read once at import */
int ad_op_count(void);
const char *ad_op_name(int op);

/* tensors */
void ad_retain(ad_handle t);
void ad_release(ad_handle t);
ad_handle ad_empty(int dtype, const int64_t *sizes, int64_t ndim);
ad_handle ad_empty_strided(int dtype, const int64_t *sizes, const int64_t *strides, int64_t ndim);
ad_handle ad_full(int dtype, const int64_t *sizes, int64_t ndim, double f, int64_t i);
ad_handle ad_scalar_f(double v, int dtype);
ad_handle ad_scalar_i(int64_t v, int dtype);
ad_handle ad_from_memory(int dtype, intptr_t data, const int64_t *sizes, const int64_t *strides, int64_t ndim,
                         int64_t owner, int readonly);
ad_handle ad_from_copy(int from, intptr_t data, const int64_t *sizes, int64_t ndim, int to);
int ad_dtype_of(ad_handle t);
int ad_ndim(ad_handle t);
int64_t ad_numel(ad_handle t);
const int64_t *ad_sizes(ad_handle t);
const int64_t *ad_strides(ad_handle t);
int64_t ad_offset(ad_handle t);
intptr_t ad_data_ptr(ad_handle t);
intptr_t ad_storage_ptr(ad_handle t);
intptr_t ad_storage_data(ad_handle t);
int64_t ad_storage_nbytes(ad_handle t);
int ad_storage_readonly(ad_handle t);
int64_t ad_version_of(ad_handle t);
void ad_bump_version(ad_handle t);
int ad_is_contiguous(ad_handle t);
int ad_overlaps(ad_handle a, ad_handle b); /* whether they may share elements */
int ad_item(ad_handle t); /* what a one-element tensor holds: 0 float, 1 integer, 2 bool; -1 error */
double ad_item_f(ad_handle t);
int64_t ad_item_i(ad_handle t);
int ad_set_data(ad_handle t, ad_handle src);
int ad_resize(ad_handle t, const int64_t *sizes, int64_t ndim);
int ad_set_strided(ad_handle t, ad_handle src, int64_t offset, const int64_t *sizes, const int64_t *strides,
                   int64_t ndim);
int ad_become(ad_handle t, ad_handle view); /* t takes the geometry and history of a view of itself */
ad_handle ad_detach(ad_handle t, int share_version);

ad_handle ad_on_storage(ad_handle t, int dtype, int64_t offset, const int64_t *sizes, const int64_t *strides,
                        int64_t ndim); /* another tensor, of any dtype, on the storage of t */
intptr_t ad_dlpack_export(ad_handle t, int versioned, int copied);
ad_handle ad_dlpack_import(intptr_t managed, int versioned, int64_t owner);
void ad_dlpack_release(intptr_t managed, int versioned);
/* a view where it can be, else a copy */
ad_handle ad_reshape(ad_handle t, const int64_t *sizes, int64_t ndim);

/* calling an operation; fixed arities are the fast paths */
ad_handle ad_op1(int op, ad_handle a);
ad_handle ad_op2(int op, ad_handle a, ad_handle b);
ad_handle ad_op3(int op, ad_handle a, ad_handle b, ad_handle c);
ad_handle ad_op2f(int op, ad_handle a, double s, int reversed);
ad_handle ad_op2i(int op, ad_handle a, int64_t s, int reversed);
ad_handle ad_op2b(int op, ad_handle a, int s, int reversed);
ad_handle ad_op3ff(int op, ad_handle a, double s, double r);
/* Numbers among three operands; kind: 0 float, 1 int, 2 bool. In place, a is written. */
ad_handle ad_op3n(int op, ad_handle a, ad_handle b, double s, int kind, int inplace);
ad_handle ad_op3nn(int op, ad_handle a, double s, int kind_s, double r, int kind_r, int inplace);
ad_handle ad_number(int kind, double f, int64_t i); /* a 0-d tensor that promotes like a number */
ad_handle ad_op1i(int op, ad_handle a, int64_t i0, int64_t i1, int64_t i2);
ad_handle ad_op2x(int op, ad_handle a, ad_handle b, int64_t i0, int64_t i1, int64_t i2, double f0);
ad_handle ad_op3x(int op, ad_handle a, ad_handle b, ad_handle c, int64_t i0, int64_t i1, double f0);
ad_handle ad_op1l(int op, ad_handle a, const int64_t *list, int64_t n, int64_t i0, int64_t i1);
ad_handle ad_opn(int op, const ad_handle *in, int64_t nin, const int64_t *i, int64_t ni, const double *f,
                 int64_t nf, const int64_t *list, int64_t nlist);
ad_handle ad_matmul(ad_handle a, ad_handle b);
ad_handle ad_linear(ad_handle x, ad_handle weight, ad_handle bias);
ad_handle ad_op1_(int op, ad_handle a);
ad_handle ad_op2_(int op, ad_handle a, ad_handle b);
ad_handle ad_op3_(int op, ad_handle a, ad_handle b, ad_handle c);
ad_handle ad_op2f_(int op, ad_handle a, double s);
ad_handle ad_op2i_(int op, ad_handle a, int64_t s);
ad_handle ad_op2b_(int op, ad_handle a, int s);
ad_handle ad_op3ff_(int op, ad_handle a, double s, double r);
ad_handle ad_opn_(int op, const ad_handle *in, int64_t nin, const int64_t *i, int64_t ni, const double *f,
                  int64_t nf, const int64_t *list, int64_t nlist);
int ad_result_count(void);       /* outputs of the last call that had several */
ad_handle ad_take_result(int k); /* moves output k out */
int ad_fits_out(ad_handle src, ad_handle out);
ad_handle ad_copy_out(ad_handle src, ad_handle out); /* out= : resizes, checks the dtype, copies */

/* indexing: an expression is a list of codes (ops/indexing.c) and the tensors that it names, in order */
ad_handle ad_getitem(ad_handle x, const int64_t *codes, int64_t n, const ad_handle *tensors);
ad_handle ad_getitem_int(ad_handle x, int64_t index);
int ad_setitem(ad_handle x, const int64_t *codes, int64_t n, const ad_handle *tensors, ad_handle value,
               int kind, double f, int64_t i); /* value 0: the number f (kind 0) or i (kind 1) */
ad_handle ad_index_put(ad_handle x, const ad_handle *tensors, const int64_t *codes, int64_t n,
                       ad_handle value, int accumulate, int inplace);
int ad_check_out(ad_handle out, const ad_handle *in, int64_t n);
ad_handle ad_take_along_dim(ad_handle x, ad_handle indices, int64_t dim);
ad_handle ad_number_as(int dtype, int kind, double f, int64_t i); /* 0-d; an error where it does not fit */

/* autograd */
int ad_requires_grad(ad_handle t);
int ad_set_requires_grad(ad_handle t, int on);
int ad_is_leaf(ad_handle t);
int ad_is_view(ad_handle t);
ad_handle ad_base(ad_handle t);
int ad_output_nr(ad_handle t);
int ad_retain_grad(ad_handle t);
int ad_retains_grad(ad_handle t);
ad_handle ad_grad(ad_handle t);
/* sparse gradients (rows.c): rows by index, in parts */
int64_t ad_rows_count(ad_handle t);
ad_handle ad_rows_part(ad_handle t, int64_t k, int values);
int ad_rows_set(ad_handle t, ad_handle index, ad_handle values);
int ad_set_grad(ad_handle t, ad_handle g);
int ad_zero_grads(const ad_handle *t, int64_t n, int set_to_none);
int ad_detach_(ad_handle t);
int ad_grad_enabled(void);
int ad_set_grad_enabled(int on); /* returns what it was */
int ad_inference_mode(void);
int ad_set_inference_mode(int on);
int ad_is_inference(ad_handle t);
int ad_backward(const ad_handle *roots, const ad_handle *grads, int64_t n, int retain_graph, int create_graph,
                const ad_handle *inputs, ad_handle *out, int64_t ninputs, int accumulate, int allow_unused);
int64_t ad_backward_id(void);         /* of the innermost backward pass of this thread, else 0 */
int ad_backward_accumulates(void);    /* whether that pass adds to the .grad of every leaf */
int ad_backward_reaches(ad_handle t); /* whether that pass gives t a gradient */
void ad_spend_leaf(ad_handle t);
int ad_other_leaves(const ad_handle *roots, int64_t n, const ad_handle *mine, int64_t nmine);
int ad_backward1(ad_handle root, ad_handle grad, int retain_graph, int create_graph);
int64_t ad_hook_key(ad_handle t, intptr_t node, int kind); /* of the hooks of a tensor or node; 0 for none */
int ad_add_hook(ad_handle t, intptr_t node, int kind, int64_t key);
int ad_sole_owner(ad_handle t); /* whether this handle alone keeps the tensor, and what computed it, alive */
int64_t ad_node_info(intptr_t node); /* the key of a Python dict about it */
void ad_node_set_info(intptr_t node, int64_t key);
void ad_set_anomaly(int mode); /* 1: remember where nodes are made; 2: look for NaN as well */
int ad_anomaly(void);
/* how many pairs of hooks this thread's saved tensors go through; adds `change` */
int ad_saved_hooks(int change);
intptr_t ad_python_node(const ad_handle *in, int64_t nin, const ad_handle *out, const int64_t *kinds,
                        int64_t nout, const ad_handle *saved, const int64_t *slots, int64_t nsaved,
                        int64_t key, const char *title);
ad_handle ad_node_saved(intptr_t node, int64_t k); /* a new reference, or 0 with the error */
void ad_join_node(ad_handle t, intptr_t node, int64_t nr);
int64_t ad_node_nsaved(intptr_t node);
int ad_node_saved_slot(intptr_t node, int64_t k); /* input i, or 65536 + output k */
intptr_t ad_node_of(ad_handle t);                 /* a new reference, or 0 */
void ad_node_retain(intptr_t node);
void ad_node_release(intptr_t node);
const char *ad_node_name(intptr_t node);
int64_t ad_node_key(intptr_t node);
int ad_node_inputs(intptr_t node);
intptr_t ad_node_next(intptr_t node, int i, ad_handle *leaf, int *nr); /* new references */
int64_t ad_vmap_enter(int64_t size,
                      int randomness); /* the level; randomness: 0 an error, 1 different, 2 the same */
void ad_vmap_exit(void);
int ad_is_batched(ad_handle t, int64_t level); /* at a level; -1: at any */
int ad_check_values(ad_handle t);              /* -1 for a tensor that stands for many samples */
int ad_level_enter(void);                      /* forward mode: the new level, or -1 */
int ad_level_exit(void);
int ad_level_count(void);
int ad_forward_depth(int depth); /* calls take part in the levels below; returns what it was */
ad_handle ad_tangent(ad_handle t, int level);
int ad_set_tangent(ad_handle t, int level, ad_handle tangent);

/* optimizers: n parameters at once; those without a gradient are left out. `tensors` are `count` arrays of n
 * handles: the parameters and each tensor of their state, the last `scalars` of them one number each
 * (ops/optim.h). 1: some have sparse gradients, which the step left alone */
int ad_optim_step(int op, int64_t n, const ad_handle *const *tensors, int count, int scalars, int64_t flags,
                  const double *numbers, int nnumbers);
ad_handle ad_total_norm(const ad_handle *tensors, int64_t n, double norm_type); /* of 1, 2 or infinity */
int ad_scale_to_norm(const ad_handle *tensors, int64_t n, ad_handle total, double max_norm);
int ad_clip_values(const ad_handle *tensors, int64_t n, double limit);

/* batch or instance norm; in training it keeps the running statistics (each may be 0). A momentum of NaN: the
 * average of all batches, which count tells */
ad_handle ad_running_norm(ad_handle x, ad_handle weight, ad_handle bias, ad_handle mean, ad_handle var,
                          ad_handle count, int instance, int training, double momentum, double eps);

/* generators of random numbers; 0 in a row's attributes is the default one */
intptr_t ad_generator_default(void);
intptr_t ad_generator_new(void);
void ad_generator_free(intptr_t generator);
int ad_generator_seed(intptr_t generator, uint64_t seed);
uint64_t ad_generator_initial_seed(intptr_t generator);
int ad_generator_get_state(intptr_t generator, uint8_t *bytes); /* 5056 bytes, PyTorch's layout */
int ad_generator_set_state(intptr_t generator, const uint8_t *bytes, int64_t n);

/* autocast and the profiler */
void ad_autocast_kinds(
    const uint8_t *kinds);        /* of each row: 0 as given, 1 to the low precision, 2 to float32 */
int ad_autocast(int dtype);       /* of this thread; -1: off; returns what it was */
void ad_autocast_block(int step); /* one begins (1) or ends (-1): with the outermost the kept casts go */
void ad_autocast_clear(void);
int ad_autocast_cache(int on); /* whether casts of parameters are kept; -1 asks; returns what it was */
void ad_profile(int how);      /* 0 off, 1 on, 3 with Python's stacks */
int64_t ad_profile_count(int64_t *sizes); /* calls so far, and integers that tell their operands' sizes */
/* 9 integers a call (profile.c), and sizes */
void ad_profile_read(int64_t from, int64_t n, int64_t *to, int64_t sizes_from, int64_t count,
                     int64_t *sizes_to);

/* capture and replay */
int ad_capture_begin(int lenient);    /* lenient: what cannot be recorded ends the recording, not the step */
const char *ad_capture_refused(void); /* what that was */
ad_handle ad_capture_arg(ad_handle t);
intptr_t ad_capture_end(const ad_handle *outs, int64_t n);
void ad_capture_abort(void);
int ad_capture_made(ad_handle t);     /* whether a recorded call computed it */
int ad_capture_constant(ad_handle t); /* whether it holds what Python gave it during this recording */
ad_handle ad_capture_fresh(ad_handle t);
int ad_capture_open(ad_handle t); /* whether it has a history that no backward pass has been through */
int ad_capturing(void);
int64_t ad_capture_position(void); /* of the optimizers' call recorded last */
intptr_t ad_capture_suspend(const ad_handle *outs, int64_t n);
int ad_capture_resume(intptr_t recording);
void ad_capture_nodes(void);
int64_t ad_capture_leaves(const ad_handle *roots, int64_t nroots, const ad_handle *stand_ins, int64_t n,
                          ad_handle *out, int64_t room);
int ad_node_released(intptr_t node);
int ad_program_fits(intptr_t program);
int ad_program_begin(intptr_t program, const ad_handle *args, int64_t nargs); /* 1: run or leave it */
void ad_program_leave(intptr_t program);
int ad_program_run(intptr_t program, const ad_handle *args, int64_t nargs, ad_handle *outs);
int ad_program_join(intptr_t program, const int64_t *args, const ad_handle *leaves, const int64_t *from,
                    int64_t n, const int64_t *carries, int64_t nresults);
int ad_program_busy(intptr_t program); /* whether the backward pass of its last call may still come */
ad_handle ad_program_output(intptr_t program, int64_t k); /* a copy of what the last run returned */
void ad_program_free(intptr_t program);
int ad_program_set_floats(intptr_t program, int64_t call, const double *f, int64_t n);
void ad_program_stats(intptr_t program, int64_t *out); /* 6 values */
int64_t ad_program_length(intptr_t program);
int64_t ad_program_groups(intptr_t program, int64_t *out, int64_t room); /* 6 values a group (lanes.c) */
int ad_program_shape(intptr_t program, int64_t call, int64_t *out);      /* 12 values */
int ad_program_operand(intptr_t program, int64_t call, int64_t o, int64_t *out); /* 70 values */
const char *ad_program_rows(intptr_t program, int64_t call);
int ad_program_layout(intptr_t program, int64_t call);
int ad_program_measure(intptr_t program, const ad_handle *args, int64_t nargs, int rounds, double *ns);
/* END CDEF */

#endif

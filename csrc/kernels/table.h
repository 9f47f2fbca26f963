/* The kernels of one instruction set, as a table of function pointers.
 *
 * Each file in isa/ includes the kernel headers once under its own target and fills one table;
 * cpu.c picks the table at start-up. Nothing here knows of tensors. */
#ifndef AD_KERNELS_TABLE_H
#define AD_KERNELS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conv_types.h"
#include "gemm_types.h"
#include "wino_types.h"

/* The types that elementwise kernels compute in. Narrower types are converted tile by tile. */
enum { CT_F32, CT_F64, CT_I64, CT_COUNT };

/* An elementwise kernel: n contiguous elements, operands already in the compute type.
 * A predicate writes, and a condition operand reads, one uint8_t (0 or 1) an element. Bit k of `flags` says
 * that operand k is one element for all n, spread over a vector; EW_STREAM that the result need not stay in a
 * cache. */
#define EW_STREAM 8u
typedef void (*ew_kernel)(int64_t n, void *out, const void *const *in, unsigned flags);

/* One row of ops/elementwise.def gives one value here: EW_add, EW_mul, ... */
enum ew_row {
#define EW1(name, ...) EW_##name,
#define EW2(name, ...) EW_##name,
#define EW3(name, ...) EW_##name,
#define CMP1(name, ...) EW_##name,
#define CMP2(name, ...) EW_##name,
#define SEL3(name, ...) EW_##name,
#include "../ops/elementwise.def"
#undef EW1
#undef EW2
#undef EW3
#undef CMP1
#undef CMP2
#undef SEL3
    EW_ROWS
};

/* Folds, one value for each row of reduce.def: RED_sum, RED_max, ... */
enum red_row {
#define RED(name, ...) RED_##name,
#include "reduce.def"
#undef RED
    RED_ROWS
};
/* n contiguous elements to one; c is the fold's parameter, or NULL. */
typedef void (*fold_kernel)(int64_t n, const void *x, const void *c, void *out);
/* rows of cols contiguous elements, `stride` elements apart, to one row; c has a parameter a column, or is
 * NULL. */
typedef void (*fold_cols_kernel)(int64_t rows, int64_t cols, const void *x, int64_t stride, const void *c,
                                 void *out);
/* Losses of two tensors, one value for each row of loss.def: LOSS_mse, ... */
enum loss_row {
#define LOSS(name, ...) LOSS_##name,
#include "loss.def"
#undef LOSS
    LOSS_ROWS
};
enum { SOFTMAX_STRIP = 256 };
typedef void (*loss_kernel)(int64_t n, const void *a, const void *b, double param, void *out);
/* g: a factor for each element, or NULL: `scale` for all. */
typedef void (*loss_grad_kernel)(int64_t n, const void *a, const void *b, double param, int which,
                                 double scale, const void *g, void *out);
/* A dimension that is resampled: output place i is a weighted sum of the places first[i], first[i] + 1, ...
 */
typedef struct resample_line_taps {
    int64_t in, out; /* sizes that are read and written */
    int64_t *first;  /* [out] */
    int64_t *at;     /* [out + 1]: where the weights of each begin */
    void *w;
    int64_t taps;  /* how many each has, or 0 */
    bool doubling; /* linear to twice the size */
} resample_line_taps;
/* Planes, or volumes, that are sampled at places of a grid. */
typedef struct grid_plane {
    int dims; /* 2 or 3 */
    int64_t width, height, depth, channels;
    int64_t plane, samples;   /* elements from one channel to the next */
    int mode, padding, align; /* bilinear, nearest, bicubic; zeros, border, reflection */
} grid_plane;
typedef void (*pool_sums_kernel)(int64_t n, const void *x, const int64_t *lo, const int64_t *hi,
                                 const int64_t *cols, int64_t rows, int64_t all, void *out);
/* Steps of recurrent layers (kernels/rnn.h), for float32 and float64. */
typedef struct rnn_kernels {
    void (*lstm[2])(int64_t n, const void *x, void *gates, void *c, void *saved, void *h);
    void (*lstm_grad[2])(int64_t n, const void *gates, const void *c0, const void *c, const void *dh,
                         void *dc, void *d);
    void (*lstm_out[2])(int64_t n, const void *gates, const void *c, void *h);
    void (*gru[2])(int64_t n, const void *x, const void *b, void *gates, const void *h0, void *h);
    void (*gru_grad[2])(int64_t n, const void *gates, const void *h0, void *dh, void *d, void *e);
    void (*simple[2])(int64_t n, const void *x, void *h, int relu);
    void (*simple_grad[2])(int64_t n, const void *h, const void *dh, void *d, int relu);
    void (*add[2])(int64_t n, void *y, const void *x);
} rnn_kernels;
/* Update rules of optimizers, one value for each row of optim.def: OPTIM_sgd, ... */
enum optim_row {
#define OPTIM(name, ...) OPTIM_##name,
#include "optim.def"
#undef OPTIM
    OPTIM_ROWS
};
enum {
    OPT_MAXIMIZE = 1,
    OPT_MOMENTUM = 2,
    OPT_CENTERED = 4,
    OPT_AMSGRAD = 8,
    OPT_NESTEROV = 16,
    OPT_DECOUPLED = 32,
};
/* n elements of the arrays q, with the numbers h. */
typedef void (*optim_kernel)(int64_t n, void *const *q, const double *h, int flags);

/* Attention (kernels/attention.h), for float32 and float64. */
typedef struct attention_kernels {
    void (*softmax[2])(int64_t rows, int64_t cols, int64_t ld, void *s, void *max, void *sum, void *alpha);
    void (*scale[2])(int64_t rows, int64_t n, int64_t ld, void *x, const void *factor);
    void (*grad[2])(int64_t rows, int64_t cols, int64_t ld, void *s, void *dp, const void *lse, const void *d,
                    double scale);
    void (*choose[2])(int64_t rows, int64_t cols, int64_t ld, void *s, const uint8_t *bytes, double factor,
                      double other);
    void (*add[2])(int64_t rows, int64_t cols, int64_t ld, void *s, int64_t ldx, const void *x);
    double (*dot[2])(int64_t n, const void *a, const void *b);
} attention_kernels;

typedef struct kern_table {
    const char *name; /* "sse2", "avx2", "avx512", "neon" */
    int vector_bytes;
    ew_kernel ew[EW_ROWS][CT_COUNT]; /* NULL where a row does not exist for a type */
    fold_kernel fold[RED_ROWS][CT_COUNT];
    fold_cols_kernel fold_cols[RED_ROWS][CT_COUNT];
    void (*extreme_cols[CT_COUNT])(int64_t n, int64_t cols, int64_t stride, const void *x, int least,
                                   void *top, int64_t *index);
    loss_kernel loss_sum[LOSS_ROWS][2], loss_each[LOSS_ROWS][2];
    loss_grad_kernel loss_grad[LOSS_ROWS][2];
    /* kernels/softmax.h, for float32 and float64; columns at most SOFTMAX_STRIP at a time */
    void (*softmax[2])(int64_t rows, int64_t n, const void *x, void *y, int log);
    void (*softmax_grad[2])(int64_t rows, int64_t n, const void *g, const void *y, void *out, int log);
    void (*softmax_cols[2])(int64_t n, int64_t cols, int64_t stride, const void *x, void *y, int log);
    void (*softmax_grad_cols[2])(int64_t n, int64_t cols, int64_t stride, const void *g, const void *y,
                                 void *out, int log);
    void (*lse[2])(int64_t rows, int64_t n, const void *x, void *m, void *l);
    void (*lse_cols[2])(int64_t n, int64_t cols, int64_t stride, const void *x, void *m, void *l);
    void (*entropy_grad[2])(int64_t rows, int64_t n, const void *x, const void *m, const void *l,
                            const void *s, const void *c, const void *w, void *out);
    void (*entropy_grad_cols[2])(int64_t n, int64_t cols, int64_t stride, const void *x, const void *m,
                                 const void *l, const void *s, const void *c, const void *w, void *out);
    /* kernels/distance.h, for float32 and float64 */
    void (*cdist[2])(int64_t points, int64_t n, int64_t m, const void *x, const void *yt, int kind, double p,
                     void *out);
    void (*cdist_grad[2])(int64_t points, int64_t n, int64_t m, const void *x, const void *yt, const void *g,
                          const void *dist, int kind, double p, void *out);
    /* kernels/rows.h, for float32 and float64 */
    void (*axpy[2])(int64_t n, double a, const void *x, void *y);
    double (*dot[2])(int64_t n, const void *x, const void *y);

    /* normalizations (kernels/norm.h), for float32 and float64 */
    void (*nm_row_stats[2])(int rows, int64_t n, const void *x, int about_zero, double *out);
    void (*nm_row_apply[2])(int rows, int64_t n, const void *x, const double *c, const void *w, const void *b,
                            void *y);
    void (*nm_row_dots[2])(int rows, int64_t n, const void *g, const void *x, const double *c, const void *w,
                           double *out);
    void (*nm_row_grad[2])(int rows, int64_t n, const void *g, const void *x, const double *c, const void *w,
                           void *dx, void *dw, void *db);
    void (*nm_plane_sums[2])(int64_t count, int64_t n, int64_t step, const void *x, const void *g,
                             const void *k, void *s, void *q);
    void (*nm_plane_flush[2])(int64_t count, void *s, void *q, double *sum, double *square);
    void (*nm_plane_apply[2])(int64_t count, int64_t n, int64_t step, const void *x, const void *g,
                              const void *m, const void *a, const void *b, const void *c, void *y);
    void (*nm_cols_sums[2])(int64_t rows, int64_t n, int64_t stride, const void *x, const void *g,
                            const void *k, void *s, void *q);
    void (*nm_cols_apply[2])(int64_t rows, int64_t n, int64_t stride, const void *x, const void *g,
                             const void *m, const void *a, const void *b, const void *c, void *y);
    const gemm_kernels *gemm[CT_COUNT]; /* NULL for i64 */
    const conv_kernels *conv[CT_COUNT]; /* the same */
    const wino_kernels *wino;           /* float32 */
    /* out[k] = m[k] ? *value : x[k], by the logarithm of an element's size; and how many of m are set */
    void (*mask_fill[4])(int64_t n, void *out, const void *x, const uint8_t *m, const void *value);
    void (*mask_scale[2])(int64_t n, void *y, const void *x, const uint8_t *m, double scale); /* f32, f64 */
    int64_t (*mask_count)(int64_t n, const uint8_t *m);
    /* kernels/half.h: float16, bfloat16 */
    void (*from_half[2])(int64_t n, float *y, const uint16_t *x);
    void (*to_half[2])(int64_t n, uint16_t *y, const float *x);
    void (*widen)(int64_t n, double *y, const float *x);
    void (*narrow)(int64_t n, float *y, const double *x);
    int (*index_in)(int64_t n, const int64_t *i, int64_t lo, uint64_t size);
    /* optimizers (kernels/optim.h), for float32 and float64 */
    optim_kernel optim[OPTIM_ROWS][2];
    void (*add_squares[2])(int64_t n, void *acc, const void *x);
    double (*axpy_dot[2])(int64_t n, void *q, double a, const void *x, double scale, const void *y);
    double (*factored[2])(int64_t n, void *p, const void *g, const void *var, const double *h);
    void (*scale[2])(int64_t n, void *x, double k);
    void (*clip[2])(int64_t n, void *x, double k);
    double (*norm[2])(int64_t n, const void *x, int power);
    /* pooling (kernels/pooling.h) */
    void (*pool_max_tap[CT_COUNT])(int64_t n, const void *x, int64_t step, void *best, void *code,
                                   int64_t tap);
    void (*pool_max_line[CT_COUNT])(int64_t n, const void *x, int64_t step, void *best, int64_t *at,
                                    int64_t base, int64_t jump);
    void (*pool_max_2x2[2])(int64_t rows, int64_t n, const void *x, int64_t pitch, int64_t second, void *out,
                            uint8_t *code);
    void (*pool_max_2x2_grad[2])(int64_t rows, int64_t n, const void *g, const uint8_t *code, void *x,
                                 int64_t pitch, int64_t second, int64_t width);
    void (*pool_avg_2x2[2])(int64_t rows, int64_t n, const void *x, int64_t pitch, int64_t second,
                            double divisor, void *out);
    void (*pool_avg_2x2_grad[2])(int64_t rows, int64_t n, const void *g, double divisor, void *x,
                                 int64_t pitch, int64_t second, int64_t width);
    void (*pool_avg_all[2])(int64_t planes, int64_t n, const void *x, double divisor, void *out);
    void (*pool_avg_all_grad[2])(int64_t planes, int64_t n, const void *g, double divisor, void *out);
    void (*pool_spread_taps[2])(int64_t width, int64_t k, int64_t s, int64_t p, const void *v, void *line);
    void (*pool_shares[2])(int64_t n, const void *g, const int64_t *cols, int64_t rows, int64_t all,
                           void *out);
    void (*pool_fill[CT_COUNT])(int64_t n, void *p, double v);
    void (*pool_codes8[CT_COUNT])(int64_t n, const void *code, uint8_t *out);
    void (*pool_codes64[CT_COUNT])(int64_t n, const void *code, int64_t *out);
    pool_sums_kernel pool_sums[CT_COUNT], pool_spread[2];
    /* resampling and padding (kernels/resample.h); pad_rows by 4 and 8 bytes an element */
    void (*pad_rows[2])(int64_t rows, int64_t before, int64_t n, int64_t after, const void *x, int64_t pitch,
                        const void *value, void *out);
    void (*resample_add[2])(int64_t n, double weight, const void *x, int first, void *line);
    void (*resample_line[2])(int64_t n, int64_t taps, const void *line, int64_t from, const int64_t *first,
                             const int64_t *at, const void *w, void *out);
    void (*resample_band[2])(const resample_line_taps *c, const resample_line_taps *b, int64_t y0, int64_t y1,
                             int64_t row0, int64_t row1, const void *x, void *mid, void *out);
    /* running sums and products (kernels/scan.h) */
    void (*scan_columns[CT_COUNT])(int64_t n, int64_t cols, const void *x, void *y, int64_t step,
                                   int product);
    void (*scan_lines[CT_COUNT])(int64_t lines, int64_t n, const void *x, void *y, int64_t pitch,
                                 int64_t step, int product);
    void (*grid_read[2])(const grid_plane *p, int64_t n, const void *grid, const void *x, void *out);
    void (*grid_write[2])(const grid_plane *p, int64_t n, const void *grid, const void *g, void *x);
    void (*grid_slopes[2])(const grid_plane *p, int64_t n, const void *grid, const void *g, const void *x,
                           void *out);
    void (*resample_twice[2])(int64_t n, const void *x, void *out);
    rnn_kernels rnn;
    attention_kernels attention;
} kern_table;

extern const kern_table kern_sse2, kern_avx2, kern_avx512, kern_neon;

/* The table in use: the best the processor offers, or the one AUTODIFFC_ISA names. */
extern const kern_table *kern;

/* Products of bfloat16 where the processor has an instruction for them, or NULL. A set of its own
 * ("avx512_bf16"), so that AUTODIFFC_ISA=avx512 stands for processors without it. */
extern const bf16_kernels kern_avx512_bf16, *kern_bf16;

/* Chooses `kern` and `kern_bf16` once; returns 0, or -1 when AUTODIFFC_ISA names a set that is unknown or
 * that this processor does not offer (the message is then in *why). */
int kern_select(const char **why);

#endif

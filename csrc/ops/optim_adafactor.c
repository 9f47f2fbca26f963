/* Adafactor (Shazeer and Stern, 2018): the mean square of a matrix's gradient is kept as a row and a column.
 * Inputs: the parameters, their gradients, the rows' means (the whole mean square of what has fewer than two
 * dimensions), the columns' means (there, the same again), and the step counts. f: lr, beta2 decay, eps1
 * (negative: the smallest relative step of the dtype), eps2, d, weight decay; i[0] = number of parameters,
 * i[1] = flags. */
#include <float.h>
#include <math.h>
#include "../core.h"
#include "../pool.h"
#include "declare.h"

enum {
    BLOCK = 8192,
    LEAST_ROWS = 16
}; /* elements of a task; rows at least, so that the columns' sums stay small */

/* One parameter: `batches` matrices of rows x cols, each in blocks of whole rows; or one row, in blocks of
 * columns. */
typedef struct side {
    const ad_tensor *p, *g, *state[2], *step;
    bool wide, converted, factored; /* float64; half types, computed in copies */
    int64_t rows, cols, batches, block, blocks, first;
    char *at[4];        /* the elements of p, g and the state */
    char *means, *sums; /* of the rows; of the columns, a row of them for each block */
    double *norms;      /* sums of squares, of each block */
    double blend, eps, alpha, k;
} side;

static void shape(const ad_call *c, int k, side *s) {
    int n = (int)c->at->i[0];
    memset(s, 0, sizeof *s);
    s->p = c->in[k];
    s->g = c->in[n + k];
    s->state[0] = c->in[2 * n + k];
    s->state[1] = c->in[3 * n + k];
    s->step = c->in[4 * n + k];
    s->wide = s->p->dtype == AD_F64;
    s->converted = !s->wide && s->p->dtype != AD_F32;
    s->factored = s->p->ndim > 1;
    s->cols = s->factored ? s->p->sizes[s->p->ndim - 1] : s->p->numel;
    s->rows = s->factored ? s->p->sizes[s->p->ndim - 2] : 1;
    s->batches = s->p->numel ? s->p->numel / (s->rows * s->cols) : 0;
    if (!s->factored) s->block = BLOCK, s->blocks = s->batches ? (s->cols + BLOCK - 1) / BLOCK : 0;
    else {
        s->block = s->cols ? (BLOCK + s->cols - 1) / s->cols : 1;
        if (s->block < LEAST_ROWS) s->block = LEAST_ROWS;
        s->blocks = (s->rows + s->block - 1) / s->block;
    }
}

static char *take(char *room, size_t *at, int64_t bytes) {
    char *p = room ? room + *at : NULL;
    *at += ((size_t)bytes + 63) & ~(size_t)63;
    return p;
}

/* Bytes of a parameter's room, or, where `room` is given, its places in it. */
static size_t place(side *s, char *room) {
    size_t at = 0;
    int64_t size = s->wide ? 8 : 4;
    const ad_tensor *t[4] = {s->p, s->g, s->state[0], s->state[1]};
    for (int i = 0; i < 4; i++)
        s->at[i] = s->converted ? take(room, &at, t[i]->numel * size) : tensor_data(t[i]);
    s->norms = (double *)take(room, &at, s->batches * s->blocks * (int64_t)sizeof(double));
    if (s->factored) {
        s->means = take(room, &at, s->batches * s->rows * size);
        s->sums = take(room, &at, s->batches * s->blocks * s->cols * size);
    }
    return at;
}

static int check_sizes(const side *s, int k) {
    const ad_tensor *t[3] = {s->g, s->state[0], s->state[1]};
    for (int i = 0; i < 3; i++) {
        bool fine = t[i]->dtype == s->p->dtype && t[i]->ndim == s->p->ndim && tensor_is_contiguous(t[i]);
        for (int d = 0; fine && d < s->p->ndim; d++) {
            bool one = s->factored && ((i == 1 && d == s->p->ndim - 1) || (i == 2 && d == s->p->ndim - 2));
            fine = t[i]->sizes[d] == (one ? 1 : s->p->sizes[d]);
        }
        if (!fine)
            return ad_fail(AD_ERR_RUNTIME,
                           "Adafactor: parameter %d is %s of size %s, its gradient or state is %s of size %s",
                           k, dtype_name[s->p->dtype], fmt_sizes(s->p->ndim, s->p->sizes),
                           dtype_name[t[i]->dtype], fmt_sizes(t[i]->ndim, t[i]->sizes));
    }
    if (!dtype_is_float(s->p->dtype) || !tensor_is_contiguous(s->p) || s->p->storage->readonly ||
        s->step->numel != 1)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Adafactor: parameter %d must be a writable floating-point tensor, its step one number", k);
    return 0;
}

int adafactor_step_infer(ad_call *c) {
    int n = (int)c->at->i[0];
    if (c->at->i[0] < 1 || c->at->i[0] > c->nin || c->nin != 5 * n)
        return ad_fail(AD_ERR_RUNTIME, "Adafactor: %d tensors for %d parameters", c->nin, n);
    for (int k = 0; k < n; k++) {
        side s;
        shape(c, k, &s);
        if (check_sizes(&s, k)) return -1;
    }
    return 0;
}

size_t adafactor_step_scratch(const ad_call *c) {
    size_t bytes = (size_t)c->at->i[0] * sizeof(side) + 64;
    for (int k = 0; k < (int)c->at->i[0]; k++) {
        side s;
        shape(c, k, &s);
        bytes += place(&s, NULL);
    }
    return bytes;
}

typedef struct task {
    const ad_call *c;
    side *of;
    int n;
    bool apply;
} task;

static double get(const char *x, bool wide, int64_t i) {
    return wide ? ((const double *)x)[i] : ((const float *)x)[i];
}
static void set(char *x, bool wide, int64_t i, double v) {
    if (wide) ((double *)x)[i] = v;
    else ((float *)x)[i] = (float)v;
}
static double toward(double a, double b, double w) { return a + w * (b - a); }

static const side *side_of(const task *w, int64_t block, int64_t *within) {
    int k = 0;
    while (block >= w->of[k].first + w->of[k].batches * w->of[k].blocks) k++;
    *within = block - w->of[k].first;
    return &w->of[k];
}

/* From a block's number to its rows: all rows of all batches counted on. */
static void rows_of(const side *s, int64_t b, int64_t *row, int64_t *rows) {
    int64_t inside = b % s->blocks * s->block;
    *row = b / s->blocks * s->rows + inside;
    *rows = s->rows - inside < s->block ? s->rows - inside : s->block;
}

/* Sums of squares: of the parameter, of the gradient's rows and columns. */
static void squares_range(int64_t begin, int64_t end, void *ctx) {
    const task *w = ctx;
    for (int64_t k = begin, b; k < end; k++) {
        const side *s = side_of(w, k, &b);
        size_t size = s->wide ? 8 : 4;
        if (!s->factored) {
            int64_t at = b * s->block, n = s->cols - at < s->block ? s->cols - at : s->block;
            s->norms[b] = kern->norm[s->wide](n, s->at[0] + (size_t)at * size, 2);
            for (int64_t i = at; i < at + n; i++) {
                double g = get(s->at[1], s->wide, i);
                set(s->at[2], s->wide, i, toward(get(s->at[2], s->wide, i), g * g, s->blend));
            }
            continue;
        }
        int64_t row, rows;
        rows_of(s, b, &row, &rows);
        char *sums = s->sums + (size_t)(b * s->cols) * size;
        memset(sums, 0, (size_t)s->cols * size);
        s->norms[b] = 0;
        for (int64_t r = row; r < row + rows; r++) {
            size_t at = (size_t)(r * s->cols) * size;
            s->norms[b] += kern->norm[s->wide](s->cols, s->at[0] + at, 2);
            set(s->means, s->wide, r, kern->norm[s->wide](s->cols, s->at[1] + at, 2) / (double)s->cols);
            kern->add_squares[s->wide](s->cols, sums, s->at[1] + at);
        }
    }
}

/* The state of each factored parameter moved on; the rows' mean over a matrix is left in the first place of
 * `sums`. */
static void state_range(int64_t begin, int64_t end, void *ctx) {
    const task *w = ctx;
    for (int64_t k = begin; k < end; k++) {
        side *s = &w->of[k];
        if (!s->factored) continue;
        for (int64_t m = 0; m < s->batches; m++) {
            double mean = 0;
            for (int64_t r = m * s->rows; r < (m + 1) * s->rows; r++) {
                double v = toward(get(s->at[2], s->wide, r), get(s->means, s->wide, r), s->blend);
                set(s->at[2], s->wide, r, v);
                mean += get(s->at[2], s->wide, r);
            }
            for (int64_t j = 0; j < s->cols; j++) {
                double sum = 0;
                for (int64_t b = 0; b < s->blocks; b++)
                    sum += get(s->sums, s->wide, (m * s->blocks + b) * s->cols + j);
                double v = toward(get(s->at[3], s->wide, m * s->cols + j), sum / (double)s->rows, s->blend);
                set(s->at[3], s->wide, m * s->cols + j, v);
            }
            set(s->sums, s->wide, m * s->blocks * s->cols, mean / (double)s->rows);
        }
    }
}

/* The norm of the update, or the update. */
static void update_range(int64_t begin, int64_t end, void *ctx) {
    const task *w = ctx;
    double lr = w->c->at->f[0], decay = w->c->at->f[5];
    for (int64_t k = begin, b; k < end; k++) {
        const side *s = side_of(w, k, &b);
        size_t size = s->wide ? 8 : 4;
        double h[5] = {1, 1, s->eps * s->eps, 1 - lr * decay, s->k};
        if (!s->factored) {
            int64_t at = b * s->block, n = s->cols - at < s->block ? s->cols - at : s->block;
            size_t skip = (size_t)at * size;
            s->norms[b] = kern->factored[s->wide](n, w->apply ? s->at[0] + skip : NULL, s->at[1] + skip,
                                                  s->at[2] + skip, h);
            continue;
        }
        int64_t row, rows, m = b / s->blocks;
        rows_of(s, b, &row, &rows);
        double mean = get(s->sums, s->wide, m * s->blocks * s->cols), sum = 0;
        h[1] = mean > s->eps ? mean : mean == mean ? s->eps : mean;
        for (int64_t r = row; r < row + rows; r++) {
            size_t at = (size_t)(r * s->cols) * size;
            h[0] = get(s->at[2], s->wide, r);
            sum += kern->factored[s->wide](s->cols, w->apply ? s->at[0] + at : NULL, s->at[1] + at,
                                           s->at[3] + (size_t)(m * s->cols) * size, h);
        }
        s->norms[b] = sum;
    }
}

static double root_mean_square(const side *s) {
    double sum = 0;
    for (int64_t b = 0; b < s->batches * s->blocks; b++) sum += s->norms[b];
    return s->p->numel ? sqrt(sum) / sqrt((double)s->p->numel) : 0;
}

static void convert(const side *s, bool back) {
    const ad_tensor *t[4] = {s->p, s->g, s->state[0], s->state[1]};
    for (int i = 0; s->converted && i < 4; i++) {
        if (i == 3 && !s->factored) continue;
        if (!back) dtype_loads[t[i]->dtype][CT_F32](t[i]->numel, s->at[i], tensor_data(t[i]), 2);
        else if (i != 1) dtype_stores[t[i]->dtype][CT_F32](t[i]->numel, tensor_data(t[i]), 2, s->at[i]);
    }
}

static const double eps_of[AD_DTYPES] = {
    [AD_F16] = 0x1p-10, [AD_BF16] = 0x1p-7, [AD_F32] = FLT_EPSILON, [AD_F64] = DBL_EPSILON};

void adafactor_step_run(const ad_call *c) {
    const double *f = c->at->f;
    int n = (int)c->at->i[0];
    int64_t total = 0;
    task w = {c, c->scratch, n, false};
    char *room = (char *)c->scratch + (((size_t)n * sizeof(side) + 63) & ~(size_t)63);
    for (int k = 0; k < n; k++) {
        side *s = &w.of[k];
        shape(c, k, s);
        room += place(s, room);
        s->first = total;
        total += s->batches * s->blocks;
        double step = tensor_get_f64(s->step) + 1;
        if (dtype_is_float(s->step->dtype))
            dtype_stores[s->step->dtype][CT_F64](1, tensor_data(s->step), 0, &step);
        else dtype_stores[s->step->dtype][CT_I64](1, tensor_data(s->step), 0, &(int64_t){(int64_t)step});
        s->blend = pow(step, f[1]);
        s->eps = f[2] < 0 ? eps_of[s->p->dtype] : f[2];
        s->alpha = fmin(f[0], 1 / sqrt(step));
        convert(s, false);
    }
    pool_parallel_for(total, 4, squares_range, &w);
    pool_parallel_for(n, 1, state_range, &w);
    for (int k = 0; k < n; k++) w.of[k].alpha *= fmax(f[3], root_mean_square(&w.of[k]));
    pool_parallel_for(total, 4, update_range, &w);
    double sign = c->at->i[1] & OPT_MAXIMIZE ? -1 : 1;
    for (int k = 0; k < n; k++) w.of[k].k = sign * w.of[k].alpha / fmax(1, root_mean_square(&w.of[k]) / f[4]);
    w.apply = true;
    pool_parallel_for(total, 4, update_range, &w);
    for (int k = 0; k < n; k++) convert(&w.of[k], true);
}

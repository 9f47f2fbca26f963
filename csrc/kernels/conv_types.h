/* What the convolution's driver (conv*.c) and its kernels (kernels/conv.h) tell each other. */
#ifndef AD_KERNELS_CONV_TYPES_H
#define AD_KERNELS_CONV_TYPES_H

#include <stdint.h>

/* `n` elements in a row, from `from` in the image to lane `at` of a panel and on; within one of its vectors.
 */
typedef struct conv_span {
    int64_t from;
    int32_t at, n;
} conv_span;

/* Positions that follow each other in the image: the first one's place, and how many. */
typedef struct conv_line {
    int64_t at, n;
} conv_line;

/* out[i * ldo + j] = bias[j] + sum over k < n of x[off[k] + i * step] * w[k * nr + j], for columns j of
 * `vecs` vectors, `lanes` of the last one in use; nr is the matrix product's. `add`: the sum goes on with
 * what is in out. */
typedef struct conv_tile {
    int vecs, add;
    int64_t n;
    const int64_t *off;
    const void *x, *w, *bias;
    int64_t step, lanes;
    void *out;
    int64_t ldo;
} conv_tile;

/* A vector of positions, or less: where it is in the image and in the result. */
typedef struct conv_slot {
    int64_t from, to, lanes;
} conv_slot;

/* out[slot.to + i * ldo + lane] = bias[i] + sum over k < n of a[k * mr + i] * x[slot.from + off[k] + lane]
 * for i < rows <= most_rows and each slot; mr is the matrix product's.
 * `whole`: a vector may be read for fewer lanes. */
typedef struct conv_rows {
    int rows, whole;
    int64_t n, slots;
    const int64_t *off;
    const void *a, *x, *bias;
    const conv_slot *slot;
    void *out;
    int64_t ldo;
} conv_rows;

enum { CONV_SUM_ROWS = 12 }; /* the most rows of the register tile of conv_kernels.sums */

/* out[r * ldo + j] = sum over the lines and their positions q, p = 0, 1, ... through all lines:
 * x[line.at + q * step + off[r]] * y[p * ldy + j], for r < rows <= sum_rows[vecs], j < vecs vectors.
 * `add`: += */
typedef struct conv_sums {
    int rows, vecs, add;
    const int64_t *off;
    const void *x, *y;
    int64_t step, ldy, nlines;
    const conv_line *lines;
    void *out;
    int64_t ldo;
} conv_sums;

/* One plane of a convolution in which each result has one image: taps[t] from place off[t] of the image.
 * out[i * ldo + j] = bias + sum over t of taps[t] * x[i * ldx + j + off[t]] */
typedef struct conv_plane {
    int64_t rows, cols, ntaps;
    const void *taps;
    const int64_t *off;
    const void *x;
    int64_t ldx;
    void *out;
    int64_t ldo;
    double bias;
    /* when set: the taps are the rows and columns of a kernel of this size, in order, and off[0] tells it all
     */
    int kernel;
    int64_t in[2],
        pad[2]; /* with conv_kernels.masks, and a kernel: x is the image as it is, and its padding */
} conv_plane;

typedef struct conv_kernels {
    int vl;          /* elements of a vector */
    int most_vecs;   /* of `sums` */
    int sum_rows[5]; /* of `sums`, by vectors */
    int most_rows;   /* of `rows` */
    int masks;       /* `plane` pads the image itself */

    /* panel[k * nr + lane] for k < n, nr the matrix product's: what the runs, in the order of their lanes,
     * read at off[k]. Lanes after the last span, up to a whole vector, become 0; `lanes` of them all are in
     * use. Writes up to a vector past the panel's end. */
    void (*pack)(int64_t n, const int64_t *off, const void *x, const conv_span *runs, int64_t nruns,
                 int64_t lanes, void *panel);

    /* rows i < rows, `tile` at a time, which is at most the matrix product's mr */
    void (*tiles)(const conv_tile *t, int64_t rows, int64_t tile);
    void (*sums)(const conv_sums *s);
    void (*rows)(const conv_rows *t);

    /* out[j * ldo + i] = x[i * ldx + j] for i < rows, j < cols; zeros for rows <= i < fill. */
    void (*transpose)(int64_t rows, int64_t cols, int64_t fill, const void *x, int64_t ldx, void *out,
                      int64_t ldo);

    /* to[r * ldt + i] = from[r * ldf + i * step] for r < rows, i < n */
    void (*pick)(int64_t rows, int64_t n, const void *from, int64_t ldf, int64_t step, void *to, int64_t ldt);
    /* to[2 i] = a[i] and to[2 i + 1] = b[i], n elements in all */
    void (*zip)(int64_t n, const void *a, const void *b, void *to);

    void (*plane)(const conv_plane *p);
    /* sums[t] += sum over i, j of y[i * ldo + j] * x[i * ldx + j + off[t]], where y is `out`; `part` is room
     * for ntaps vectors, zeros before the first call; with `last` they are added up into taps */
    void (*plane_sums)(const conv_plane *p, void *part, int last);
} conv_kernels;

#endif

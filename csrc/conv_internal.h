/* What the files of the convolution share. */
#ifndef AD_CONV_INTERNAL_H
#define AD_CONV_INTERNAL_H

#include "conv.h"
#include "gemm.h"
#include "kernels/table.h"

static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b != 0); }
static inline int64_t volume(const int64_t *d) { return d[0] * d[1] * d[2]; }
static inline int64_t size_of(int type) { return type == CT_F32 ? 4 : 8; }
static inline void *at(const void *p, int64_t elements, int type) {
    return (char *)p + elements * size_of(type);
}
/* Cuts `total` into as few parts of at most `most` as there need to be, equal but for the last. */
static inline int64_t even(int64_t total, int64_t most) {
    return total <= most ? max64(total, 1) : ceil_div(total, ceil_div(total, most));
}

/* Multiply-adds below which one thread works alone, and in a piece of work for the pool. */
#define CONV_PARALLEL_MIN ((int64_t)1 << 19)
#define CONV_PIECE ((int64_t)1 << 19)

/* The workspace: handed out from its front, or (base NULL) only measured. */
typedef struct conv_room {
    char *base;
    size_t used;
} conv_room;
static inline void *room_take(conv_room *r, int64_t elements, int64_t size) {
    void *p = r->base ? r->base + r->used : NULL;
    r->used += ((size_t)(elements * size) + 63) & ~(size_t)63;
    return p;
}

/* An image as the loops read it: padded, so that no tap falls outside, and with the positions that a stride
 * skips between taken apart, so that positions which follow each other lie side by side. Dimension d of a
 * plane has `phases` parts; part j holds the elements q * step + residue(j) - pad for 0 <= q < ext,
 * residue(j) = j * dil mod step. */
typedef struct conv_stage {
    int type;
    int64_t planes; /* of all images */
    int64_t size[3], ext[3], phases[3], step[3], dil[3], pad[3];
    int64_t plane; /* elements of one */
    int copied;    /* 0: the image is used as it is */
} conv_stage;
/* One plane; `zeroed`: what is padding is zeros already. */
void stage_plane(const conv_stage *g, const void *from, void *to, int zeroed);
/* `data` itself, or the copy at `room`. */
const void *stage_run(const conv_stage *g, const void *data, void *room);
static inline int64_t stage_elements(const conv_stage *g) { return g->copied ? g->planes * g->plane : 0; }
void stage_of_x(conv_stage *g, const conv_shape *s);
/* x with its padding alone: positions that a stride skips stay between the others. */
void stage_of_padding(conv_stage *g, const conv_shape *s);
/* y with as much room around as the taps reach over it, for what is summed into x. */
void stage_of_y(conv_stage *g, const conv_shape *s);
/* Of dimension d, the positions of x that have rest r by the stride: how many there are; and where position u
 * of them sees y through tap t: at u + *e, or not at all (0). */
static inline int64_t with_rest(const conv_shape *s, int d, int64_t r) {
    return (s->in[d] - r - 1) / s->stride[d] + 1;
}
static inline int tap_back(const conv_shape *s, int d, int64_t r, int64_t t, int64_t *e) {
    int64_t n = r + s->pad[d] - t * s->dil[d];
    *e = n / s->stride[d];
    return n % s->stride[d] == 0;
}
/* The taps that rest r meets: places in y (staged as g says) and numbers; returns how many. */
int64_t taps_of_rest(const conv_shape *s, const conv_stage *g, const int64_t *r, int64_t *off, int64_t *tap);
/* The place of tap t, in the image's dimension d. */
static inline int64_t stage_tap(const conv_stage *g, const int64_t *t) {
    int64_t phase = 0, place = 0;
    for (int d = 0; d < 3; d++) {
        phase = phase * g->phases[d] + t[d] % g->phases[d];
        place = place * g->ext[d] + t[d] * g->dil[d] / g->step[d];
    }
    return phase * volume(g->ext) + place;
}

/* Products of a packed matrix with patches: for each group and image
 *   c[i, p] = bias[i] + sum over k < K of a[i, k] x[off[k] + place(p)]   for i < m and all positions p. */
typedef struct conv_product {
    int type;
    int64_t groups, n, m, k;
    const void *a; /* packed: group, tile of rows, k, row */
    const void *x; /* of the first image and group */
    int64_t x_image, x_group;
    const int64_t *off;
    int64_t pos[3], place[2]; /* positions; how far apart those of the outer dimensions are */
    void *c;
    int64_t c_image, c_group; /* one row after the other, all positions of an image in each */
    int merged;               /* c is [group, row, image, position] instead */
    const void *bias;         /* groups * m values, or NULL */
    const conv_stage *stage;  /* set: x is the image before it is staged, which the pieces of work do */
} conv_product;
int64_t product_tile(const conv_product *p);
int64_t product_a_elements(const conv_product *p); /* of the packed matrix */
int product_merges(int64_t n, int64_t positions, int type);
void product_run(const conv_product *p);

/* Vectors of the result's channels, the image read where it lies. CONV_Y or CONV_X. */
int direct_fits(const conv_shape *s, int what);
void conv_direct(const conv_shape *s, int what, conv_room *r, const void *from, const void *w,
                 const void *bias, void *to);

/* One channel of x a group: plane by plane. */
int is_depthwise(const conv_shape *s);
void conv_y_depth(const conv_shape *s, conv_room *r, const void *x, const void *w, const void *bias, void *y);
void conv_x_depth(const conv_shape *s, conv_room *r, const void *y, const void *w, const void *bias, void *x);
void conv_w_depth(const conv_shape *s, conv_room *r, const void *y, const void *x, void *w);

/* Kernels of 3 by 3 between many channels, in float32. conv_wino: CONV_Y or CONV_X. */
int wino_fits(const conv_shape *s, int what);
void conv_wino(const conv_shape *s, int what, conv_room *r, const void *from, const void *w, const void *bias,
               void *to);

void conv_wino_w(const conv_shape *s, conv_room *r, const void *y, const void *x, void *w);

/* The same, dilated. */
int dilated_fits(const conv_shape *s, int what);
void conv_dilated(const conv_shape *s, int what, conv_room *r, const void *x, const void *w, const void *y,
                  const void *bias);

/* Loops, for any type. `what`: CONV_Y, ... */
void conv_plain(const conv_shape *s, int what, const void *x, const void *w, const void *y, const void *bias);

/* The ways to compute; with a room that only measures, nothing is run. */
void conv_y_product(const conv_shape *s, conv_room *r, const void *x, const void *w, const void *bias,
                    void *y);
void conv_x_product(const conv_shape *s, conv_room *r, const void *y, const void *w, const void *bias,
                    void *x);
void conv_w_sums(const conv_shape *s, conv_room *r, const void *y, const void *x, void *w);

#endif

/* The gradient of a convolution's weight: for each channel of x and tap, and each channel of y, a sum over
 * all positions of all images.
 *
 * y is transposed first, so that the channels of a position lie side by side and fill vectors; x is read
 * where it lies, an element for a whole vector. Images are shared out in chunks whose sums are added in
 * order.
 *
 * Where each position of y meets one of x, the two may change places: the one of fewer channels is transposed
 * (and read again by every piece of work), and with x transposed the sums are the gradient as it has to lie
 * (2048 channels out of 512, 7 by 7: a seventh less time). */
#include "conv_internal.h"

#include "pool.h"

#include <string.h>

#define BLOCK 128                         /* positions summed up before the sums go back to memory */
#define MOST_CHUNKS 8                     /* of images */
#define CHUNK_ELEMENTS ((int64_t)1 << 20) /* of the sums of all chunks */
#define PIECES 16                         /* at least so many pieces of work, where there is enough of it */

typedef struct job {
    const conv_shape *s;
    const conv_kernels *kernels;
    const void *x, *y; /* y: group, panel of channels, image, position, channel */
    void *sums, *w;
    const int64_t *off;
    const conv_line *lines;
    int64_t k, width; /* rows of the sums; their columns, whole vectors */
    int64_t positions, image_lines;
    int64_t chunks, chunk; /* images of a chunk */
    int64_t rows, down;    /* of a piece of work; pieces in k */
    int64_t x_group;
    int64_t panel; /* vectors of a panel: what the register tile takes */
    int turned;    /* x and y have changed places: the sums lie as w does */
} job;

static void add_up(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    const conv_shape *s = j->s;
    for (int64_t u = begin; u < end; u++) {
        int64_t down = u % j->down, group = u / j->down % s->groups, chunk = u / j->down / s->groups;
        int64_t first = down * j->rows, last = min64(j->k, first + j->rows);
        int64_t line = chunk * j->chunk * j->image_lines,
                line_end = min64(s->n, (chunk + 1) * j->chunk) * j->image_lines;
        int64_t all = s->n * j->positions, position = chunk * j->chunk * j->positions;
        conv_sums sum = {.ldo = j->width, .step = s->stride[2], .x = at(j->x, group * j->x_group, s->type)};
        while (line < line_end) {
            int64_t count = 0, n = 0;
            while (line + n < line_end && (n == 0 || count + j->lines[line + n].n <= BLOCK))
                count += j->lines[line + n++].n;
            sum.lines = j->lines + line;
            sum.nlines = n;
            int64_t vl = j->kernels->vl, vecs = j->width / vl;
            for (int64_t v = 0; v < vecs; v += j->panel) {
                sum.vecs = (int)min64(vecs - v, j->panel);
                sum.ldy = sum.vecs * vl;
                sum.y = at(j->y, group * all * j->width + all * v * vl + position * sum.ldy, s->type);
                int64_t tile = even(last - first, j->kernels->sum_rows[sum.vecs]);
                for (int64_t i = first; i < last; i += tile) {
                    sum.rows = (int)min64(last - i, tile);
                    sum.off = j->off + i;
                    sum.out =
                        at(j->sums, ((chunk * s->groups + group) * j->k + i) * j->width + v * vl, s->type);
                    j->kernels->sums(&sum);
                }
            }
            sum.add = 1;
            line += n;
            position += count;
        }
    }
}

#define FINISH_ROWS 64

/* The chunks added to the first one, and that transposed into w. */
static void finish(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    const conv_shape *s = j->s;
    int64_t blocks = ceil_div(j->k, FINISH_ROWS), chunk = s->groups * j->k * j->width;
    for (int64_t u = begin; u < end; u++) {
        int64_t group = u / blocks, i = u % blocks * FINISH_ROWS, rows = min64(FINISH_ROWS, j->k - i);
        void *sum = at(j->sums, (group * j->k + i) * j->width, s->type);
        for (int64_t c = 1; c < j->chunks; c++) {
            const void *more = at(sum, c * chunk, s->type);
            if (s->type == CT_F32)
                for (int64_t q = 0; q < rows * j->width; q++) ((float *)sum)[q] += ((const float *)more)[q];
            else
                for (int64_t q = 0; q < rows * j->width; q++) ((double *)sum)[q] += ((const double *)more)[q];
        }
        if (j->turned) {
            j->kernels->pick(rows, s->co, sum, j->width, 1, at(j->w, (group * j->k + i) * s->co, s->type),
                             s->co);
            continue;
        }
        j->kernels->transpose(rows, s->co, rows, sum, j->width, at(j->w, group * s->co * j->k + i, s->type),
                              j->k);
    }
}

typedef struct turn_job {
    const job *j;
    const void *y;
    void *to;
    int64_t blocks;
} turn_job;

#define TURN_POSITIONS 256

static void turn(int64_t begin, int64_t end, void *ctx) {
    const turn_job *t = ctx;
    const job *j = t->j;
    const conv_shape *s = j->s;
    for (int64_t u = begin; u < end; u++) { /* group, image, block of positions */
        int64_t p = u % t->blocks * TURN_POSITIONS, image = u / t->blocks % s->n,
                group = u / t->blocks / s->n;
        int64_t all = s->n * j->positions, position = image * j->positions + p;
        for (int64_t c = 0, width; c < j->width; c += width) {
            width = min64(j->panel * j->kernels->vl, j->width - c);
            j->kernels->transpose(
                min64(width, s->co - c), min64(TURN_POSITIONS, j->positions - p), width,
                at(t->y, ((image * s->groups + group) * s->co + c) * j->positions + p, s->type), j->positions,
                at(t->to, group * all * j->width + all * c + position * width, s->type), width);
        }
    }
}

static void sums_of(const conv_shape *s, conv_room *r, const void *y, const void *x, void *w, int turned) {
    conv_stage g;
    stage_of_padding(&g, s);
    int64_t taps = volume(s->k), size = size_of(s->type), t[3];
    const conv_kernels *kernels = kern->conv[s->type];
    job j = {
        .s = s, .kernels = kernels, .w = w, .turned = turned, .k = s->ci * taps, .positions = volume(s->out)};
    j.width = ceil_div(s->co, kernels->vl) * kernels->vl;
    j.x_group = s->ci * g.plane;
    j.panel = even(j.width / kernels->vl, kernels->most_vecs);

    int64_t len = s->out[2], height = s->out[1]; /* rows that follow each other are one */
    if (g.ext[2] == len && s->stride[1] == 1 && s->stride[2] == 1) len *= height, height = 1;
    int64_t part = even(len, BLOCK);
    j.image_lines = s->out[0] * height * ceil_div(len, part);

    int64_t sums = s->groups * j.k * j.width, tile = kernels->sum_rows[j.panel], tiles = ceil_div(j.k, tile);
    j.chunks = max64(1, min64(min64(s->n, MOST_CHUNKS), CHUNK_ELEMENTS / sums));
    j.chunk = ceil_div(s->n, j.chunks);
    j.chunks = ceil_div(s->n, j.chunk);
    double work = (double)s->n * (double)s->groups * (double)j.k * (double)j.width * (double)j.positions;
    int64_t want = work >= (double)(PIECES * CONV_PIECE) ? PIECES : max64(1, (int64_t)(work / CONV_PIECE));
    int64_t down = min64(tiles, max64(1, want / (j.chunks * s->groups)));
    j.rows = ceil_div(tiles, down) * tile;
    j.down = ceil_div(j.k, j.rows);

    void *staged = room_take(r, stage_elements(&g), size);
    void *side_by_side = room_take(r, s->n * s->groups * j.positions * j.width, size);
    int direct = turned && j.chunks == 1 && j.width == s->co; /* the sums are the result */
    j.sums = direct ? w : room_take(r, j.chunks * sums, size);
    int64_t *off = room_take(r, j.k, 8);
    conv_line *lines = room_take(r, s->n * j.image_lines, sizeof *lines);
    if (!r->base) return;

    j.off = off;
    for (int64_t c = 0; c < s->ci; c++)
        for (t[0] = 0; t[0] < s->k[0]; t[0]++)
            for (t[1] = 0; t[1] < s->k[1]; t[1]++)
                for (t[2] = 0; t[2] < s->k[2]; t[2]++)
                    *off++ = c * g.plane + (t[0] * s->dil[0] * g.ext[1] + t[1] * s->dil[1]) * g.ext[2] +
                             t[2] * s->dil[2];
    j.lines = lines;
    for (int64_t image = 0; image < s->n; image++)
        for (int64_t a = 0; a < s->out[0]; a++)
            for (int64_t b = 0; b < height; b++)
                for (int64_t q = 0; q < len; q += part)
                    *lines++ = (conv_line){image * s->groups * s->ci * g.plane +
                                               (a * s->stride[0] * g.ext[1] + b * s->stride[1]) * g.ext[2] +
                                               q * s->stride[2],
                                           min64(part, len - q)};
    j.x = stage_run(&g, x, staged);
    turn_job turns = {&j, y, side_by_side, ceil_div(j.positions, TURN_POSITIONS)};
    int64_t each = min64(j.positions, TURN_POSITIONS) * j.width;
    pool_parallel_for(s->n * s->groups * turns.blocks, max64(1, 32768 / each), turn, &turns);
    j.y = side_by_side;
    int64_t pieces = j.chunks * s->groups * j.down;
    int64_t grain = work < (double)CONV_PARALLEL_MIN
                        ? pieces
                        : max64(1, (int64_t)((double)CONV_PIECE * (double)pieces / work));
    pool_parallel_for(pieces, grain, add_up, &j);
    if (direct) return;
    pool_parallel_for(s->groups * ceil_div(j.k, FINISH_ROWS), max64(1, 32768 / (FINISH_ROWS * j.width)),
                      finish, &j);
}

void conv_w_sums(const conv_shape *s, conv_room *r, const void *y, const void *x, void *w) {
    int pointwise = volume(s->k) == 1 && volume(s->stride) == 1 && !(s->pad[0] | s->pad[1] | s->pad[2]);
    if (!pointwise || s->ci > s->co) {
        sums_of(s, r, y, x, w, 0);
        return;
    }
    conv_shape turned = *s;
    turned.ci = s->co, turned.co = s->ci;
    sums_of(&turned, r, x, y, w, 1);
}

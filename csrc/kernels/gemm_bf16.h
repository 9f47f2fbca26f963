/* Products of bfloat16 on the processor's own instruction for them, which multiplies pairs: each lane adds
 * a[1] b[1], then a[0] b[0] to a float32 sum (AVX512-BF16's vdpbf16ps: products exact, sums rounded to
 * nearest, denormal numbers read and written as zero). Included by isa/avx512_bf16.c alone.
 *
 * Idea: as in gemm.h, a tile of C in registers, 12 rows by 2 vectors. Terms come in pairs of 32 bits, one
 * of A broadcast, sixteen of B a vector, so both operands are packed: A as [pair][row], B as [pair][column].
 * With terms contiguous packing is a transposition of 32-bit numbers, with rows contiguous an interleaving.
 * A sum without a partner ends in a pair with zeros. Each element of C is one chain over the pairs in order,
 * kept in float32 from block to block and rounded once, however C is cut. */

#define B_MR 12
#define B_NR 32
#define B_LANES 16

#ifdef __clang__
#define B_UNROLL _Pragma("clang loop unroll(full)")
#else
#define B_UNROLL _Pragma("GCC unroll 16")
#endif
#define BFN static inline __attribute__((always_inline))

BFN __mmask16 b_first(int64_t n) { return (__mmask16)(n >= 16 ? 0xffff : (1u << n) - 1); }
BFN __mmask32 b_first32(int64_t n) { return n >= 32 ? 0xffffffffu : n <= 0 ? 0 : (1u << n) - 1; }

/* ---- one tile ---- */

/* rows, vecs are constants at every use; lanes: of the last vector. */
BFN void b_tile(const int rows, const int vecs, const bf16_piece *g, const uint32_t *a, const uint32_t *b,
                float *sums, uint16_t *c, const float *bias_row, const float *bias_col, int64_t lanes,
                const uint32_t *next_a, const uint32_t *next_b, int64_t step_b) {
    __m512 sum[B_MR][2];
    __mmask16 keep = b_first(lanes);
    if (g->first) {
        B_UNROLL for (int i = 0; i < rows; i++) {
            B_UNROLL for (int j = 0; j < vecs; j++) sum[i][j] = _mm512_setzero_ps();
        }
    } else {
        B_UNROLL for (int i = 0; i < rows; i++) {
            B_UNROLL for (int j = 0; j < vecs; j++) sum[i][j] =
                _mm512_loadu_ps(sums + i * g->ld_sums + j * B_LANES);
        }
    }
    for (int64_t p = g->pairs; p > 0; p--) {
        __m512i vb[2];
        _mm_prefetch((const char *)next_a, _MM_HINT_T1);
        _mm_prefetch((const char *)next_b, _MM_HINT_T1);
        next_a += B_MR;
        next_b += step_b;
        B_UNROLL for (int j = 0; j < vecs; j++) vb[j] = _mm512_loadu_si512(b + j * B_LANES);
        B_UNROLL for (int i = 0; i < rows; i++) {
            __m512i va = _mm512_set1_epi32((int)a[i]);
            B_UNROLL for (int j = 0; j < vecs; j++) {
                sum[i][j] = _mm512_dpbf16_ps(sum[i][j], (__m512bh)va, (__m512bh)vb[j]);
            }
        }
        a += B_MR;
        b += B_NR;
    }
    if (!g->last) {
        B_UNROLL for (int i = 0; i < rows; i++) {
            B_UNROLL for (int j = 0; j < vecs; j++)
                _mm512_storeu_ps(sums + i * g->ld_sums + j * B_LANES, sum[i][j]);
        }
        return;
    }
    B_UNROLL for (int j = 0; j < vecs; j++) {
        __mmask16 m = j < vecs - 1 ? 0xffff : keep;
        __m512 bias = bias_row ? _mm512_maskz_loadu_ps(m, bias_row + j * B_LANES) : _mm512_setzero_ps();
        B_UNROLL for (int i = 0; i < rows; i++) {
            uint16_t *to = c + i * g->ldc + j * B_LANES;
            __m512 s = sum[i][j];
            if (g->add) {
                __m512i old = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, to));
                s = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(old, 16)), _mm512_set1_ps(g->beta),
                                    _mm512_mul_ps(s, _mm512_set1_ps(g->alpha)));
            }
            if (bias_row) s = _mm512_add_ps(s, bias);
            if (bias_col) s = _mm512_add_ps(s, _mm512_set1_ps(bias_col[i]));
            /* max returns its second operand on NaN */
            if (g->act == GEMM_ACT_RELU) s = _mm512_max_ps(_mm512_setzero_ps(), s);
            _mm256_mask_storeu_epi16(to, m, (__m256i)_mm512_cvtneps_pbh(s));
        }
    }
}

typedef void b_tile_fn(const bf16_piece *g, const uint32_t *a, const uint32_t *b, float *sums, uint16_t *c,
                       const float *bias_row, const float *bias_col, int64_t lanes, const uint32_t *next_a,
                       const uint32_t *next_b, int64_t step_b);
#define B_TILE(rows, vecs)                                                                                   \
    static void b_tile_##rows##_##vecs(const bf16_piece *g, const uint32_t *a, const uint32_t *b,            \
                                       float *sums, uint16_t *c, const float *bias_row,                      \
                                       const float *bias_col, int64_t lanes, const uint32_t *next_a,         \
                                       const uint32_t *next_b, int64_t step_b) {                             \
        b_tile(rows, vecs, g, a, b, sums, c, bias_row, bias_col, lanes, next_a, next_b, step_b);             \
    }
#define B_DEFINE(rows) B_TILE(rows, 1) B_TILE(rows, 2)
#define B_EACH(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
B_EACH(B_DEFINE)
#define B_ENTRY(rows) {b_tile_##rows##_1, b_tile_##rows##_2},
static b_tile_fn *const b_table[B_MR][2] = {B_EACH(B_ENTRY)};

static void b_tiles(const bf16_piece *g) {
    for (int64_t j = 0; j < g->n; j += B_NR) {
        int64_t cols = g->n - j < B_NR ? g->n - j : B_NR;
        int wide = cols > B_LANES;
        const uint32_t *b = g->b + j / B_NR * g->panel_step;
        /* While a tile is computed, the next tile of A comes nearer, and a part of the next panel of B. */
        int64_t tiles = (g->m + g->tile_rows - 1) / g->tile_rows, part = (B_NR + tiles - 1) / tiles;
        for (int64_t i = 0; i < g->m; i += g->tile_rows) {
            int64_t rows = g->m - i < g->tile_rows ? g->m - i : g->tile_rows;
            const uint32_t *a = g->a + i / g->tile_rows * g->tile_step;
            const uint32_t *next_b = b + g->panel_step + i / g->tile_rows * g->pairs * part;
            b_table[rows - 1][wide](g, a, b, g->sums + i * g->ld_sums + j, g->c + i * g->ldc + j,
                                    g->bias_row ? g->bias_row + j : NULL,
                                    g->bias_col ? g->bias_col + i : NULL, wide ? cols - B_LANES : cols,
                                    a + g->tile_step, next_b, part);
        }
    }
}

/* ---- packing ---- */

#define B_LO 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define B_HI 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
typedef int32_t b_vec __attribute__((vector_size(64)));

/* 16 by 16 numbers of 32 bits; see g_transpose in gemm.h. */
BFN void b_transpose(b_vec *r) {
    B_UNROLL for (int step = 1; step < 16; step *= 2) {
        b_vec t[16];
        B_UNROLL for (int i = 0; i < 8; i++) {
            t[2 * i] = __builtin_shufflevector(r[i], r[i + 8], B_LO);
            t[2 * i + 1] = __builtin_shufflevector(r[i], r[i + 8], B_HI);
        }
        B_UNROLL for (int i = 0; i < 16; i++) r[i] = t[i];
    }
}

/* See pack_a in gemm_types.h. */
BFN void b_pack(const int width, int64_t w, int64_t k, const uint16_t *x, int64_t si, int64_t sp,
                uint32_t *out) {
    if (sp == 1) {
        for (int64_t p = 0; p < k; p += 32) {
            __mmask32 m = b_first32(k - p);
            int64_t steps = (k - p + 1) / 2;
            for (int i = 0; i < width; i += 16) {
                b_vec r[16];
                B_UNROLL for (int t = 0; t < 16; t++) {
                    r[t] = i + t < w ? (b_vec)_mm512_maskz_loadu_epi16(m, x + (i + t) * si + p) : (b_vec){0};
                }
                b_transpose(r);
                uint32_t *o = out + p / 2 * width + i;
                B_UNROLL for (int t = 0; t < 16; t++) {
                    if (t < steps) _mm512_mask_storeu_epi32(o + t * width, b_first(width - i), (__m512i)r[t]);
                }
            }
        }
    } else if (si == 1) {
        __mmask32 m = b_first32(w);
        for (int64_t p = 0; p < k; p += 2, x += 2 * sp, out += width) {
            __m512i even = _mm512_maskz_loadu_epi16(m, x);
            __m512i odd = p + 1 < k ? _mm512_maskz_loadu_epi16(m, x + sp) : _mm512_setzero_si512();
            B_UNROLL for (int i = 0; i < width; i += 16) {
                __m256i e = i ? _mm512_extracti64x4_epi64(even, 1) : _mm512_castsi512_si256(even);
                __m256i d = i ? _mm512_extracti64x4_epi64(odd, 1) : _mm512_castsi512_si256(odd);
                __m512i v = _mm512_or_si512(_mm512_cvtepu16_epi32(e),
                                            _mm512_slli_epi32(_mm512_cvtepu16_epi32(d), 16));
                _mm512_mask_storeu_epi32(out + i, b_first(width - i), v);
            }
        }
    } else {
        for (int64_t p = 0; p < k; p += 2, x += 2 * sp, out += width) {
            for (int64_t i = 0; i < width; i++) {
                uint32_t e = i < w ? x[i * si] : 0, d = i < w && p + 1 < k ? x[i * si + sp] : 0;
                out[i] = e | d << 16;
            }
        }
    }
}

static void b_pack_a(int64_t w, int64_t k, const uint16_t *x, int64_t si, int64_t sp, uint32_t *out) {
    b_pack(B_MR, w, k, x, si, sp, out);
}

static void b_pack_b(int64_t w, int64_t k, const uint16_t *x, int64_t si, int64_t sp, uint32_t *out) {
    b_pack(B_NR, w, k, x, si, sp, out);
}

const bf16_kernels kern_avx512_bf16 = {
    .mr = B_MR, .nr = B_NR, .tiles = b_tiles, .pack_a = b_pack_a, .pack_b = b_pack_b};

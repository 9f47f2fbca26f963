/* Moving elements that do not lie side by side: plain C over vectors of 16 bytes, which every processor has.
 * Nothing is read that the elements do not span. */
#ifndef AD_STRIDED_H
#define AD_STRIDED_H

#include <stdint.h>
#include <string.h>

typedef uint32_t strided_u32 __attribute__((vector_size(16)));
typedef uint64_t strided_u64 __attribute__((vector_size(16)));
#ifdef __clang__
#define STRIDED_PICK(type, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define STRIDED_PICK(type, a, b, ...) __builtin_shuffle(a, b, (type){__VA_ARGS__})
#endif

static inline strided_u32 strided_get32(const void *p) {
    strided_u32 v;
    memcpy(&v, p, 16);
    return v;
}
static inline strided_u64 strided_get64(const void *p) {
    strided_u64 v;
    memcpy(&v, p, 16);
    return v;
}

/* n elements of `size` bytes from one stride to another, in bytes. */
#define STRIDED_LOOP(type)                                                                                   \
    for (int64_t i = 0; i < n; i++) *(type *)(dst + i * to) = *(const type *)(src + i * from);
static inline void strided_move(int size, int64_t n, char *dst, int64_t to, const char *src, int64_t from) {
    if (to == size && from == size) {
        memcpy(dst, src, (size_t)(n * size));
        return;
    }
    if (size == 4 && to == 4 && from == 8) { /* every other one: the last may be the last of its memory */
        for (; n > 4; n -= 4, dst += 16, src += 32) {
            strided_u32 r =
                STRIDED_PICK(strided_u32, strided_get32(src), strided_get32(src + 16), 0, 2, 4, 6);
            memcpy(dst, &r, 16);
        }
    }
    if (size == 4 && to == 4 && from == -4) /* backwards */
        for (; n >= 4; n -= 4, dst += 16, src -= 16) {
            strided_u32 v = strided_get32(src - 12), r = STRIDED_PICK(strided_u32, v, v, 3, 2, 1, 0);
            memcpy(dst, &r, 16);
        }
    if (size == 8 && to == 8 && from == -8)
        for (; n >= 2; n -= 2, dst += 16, src -= 16) {
            strided_u64 v = strided_get64(src - 8), r = STRIDED_PICK(strided_u64, v, v, 1, 0);
            memcpy(dst, &r, 16);
        }
    switch (size) {
    case 1:
        STRIDED_LOOP(uint8_t)
        break;
    case 2:
        STRIDED_LOOP(uint16_t)
        break;
    case 4:
        STRIDED_LOOP(uint32_t)
        break;
    default:
        STRIDED_LOOP(uint64_t)
    }
}
#undef STRIDED_LOOP

/* One element n times. */
static inline void strided_fill(int size, int64_t n, void *dst, const void *src) {
    if (size == 4) {
        uint32_t v, *o = dst;
        memcpy(&v, src, 4);
        for (int64_t i = 0; i < n; i++) o[i] = v;
    } else if (size == 8) {
        uint64_t v, *o = dst;
        memcpy(&v, src, 8);
        for (int64_t i = 0; i < n; i++) o[i] = v;
    } else if (size == 2) {
        uint16_t v, *o = dst;
        memcpy(&v, src, 2);
        for (int64_t i = 0; i < n; i++) o[i] = v;
    } else memset(dst, *(const uint8_t *)src, (size_t)n);
}

/* rows by cols elements whose columns are contiguous, `pitch` bytes apart, to rows `to` bytes apart. */
static inline void strided_turn32(int64_t rows, int64_t cols, char *dst, int64_t to, const char *src,
                                  int64_t pitch) {
    int64_t c = 0;
    for (; c + 4 <= cols; c += 4) {
        const char *s = src + c * pitch;
        char *d = dst + c * 4;
        int64_t r = 0;
        for (; r + 4 <= rows; r += 4, s += 16) {
            strided_u32 a = strided_get32(s), b = strided_get32(s + pitch), e = strided_get32(s + 2 * pitch),
                        f = strided_get32(s + 3 * pitch);
            strided_u32 ab = STRIDED_PICK(strided_u32, a, b, 0, 4, 1, 5),
                        ef = STRIDED_PICK(strided_u32, e, f, 0, 4, 1, 5),
                        AB = STRIDED_PICK(strided_u32, a, b, 2, 6, 3, 7),
                        EF = STRIDED_PICK(strided_u32, e, f, 2, 6, 3, 7);
            a = STRIDED_PICK(strided_u32, ab, ef, 0, 1, 4, 5);
            b = STRIDED_PICK(strided_u32, ab, ef, 2, 3, 6, 7);
            e = STRIDED_PICK(strided_u32, AB, EF, 0, 1, 4, 5);
            f = STRIDED_PICK(strided_u32, AB, EF, 2, 3, 6, 7);
            memcpy(d + r * to, &a, 16);
            memcpy(d + (r + 1) * to, &b, 16);
            memcpy(d + (r + 2) * to, &e, 16);
            memcpy(d + (r + 3) * to, &f, 16);
        }
        for (; r < rows; r++, s += 4)
            for (int64_t k = 0; k < 4; k++) memcpy(d + r * to + 4 * k, s + k * pitch, 4);
    }
    for (; c < cols; c++)
        for (int64_t r = 0; r < rows; r++) memcpy(dst + r * to + c * 4, src + c * pitch + r * 4, 4);
}
static inline void strided_turn64(int64_t rows, int64_t cols, char *dst, int64_t to, const char *src,
                                  int64_t pitch) {
    int64_t c = 0;
    for (; c + 2 <= cols; c += 2) {
        const char *s = src + c * pitch;
        char *d = dst + c * 8;
        int64_t r = 0;
        for (; r + 2 <= rows; r += 2, s += 16) {
            strided_u64 a = strided_get64(s), b = strided_get64(s + pitch);
            strided_u64 x = STRIDED_PICK(strided_u64, a, b, 0, 2), y = STRIDED_PICK(strided_u64, a, b, 1, 3);
            memcpy(d + r * to, &x, 16);
            memcpy(d + (r + 1) * to, &y, 16);
        }
        for (; r < rows; r++, s += 8)
            for (int64_t k = 0; k < 2; k++) memcpy(d + r * to + 8 * k, s + k * pitch, 8);
    }
    for (; c < cols; c++)
        for (int64_t r = 0; r < rows; r++) memcpy(dst + r * to + c * 8, src + c * pitch + r * 8, 8);
}

#endif

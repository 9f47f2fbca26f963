/* A caching allocator: freed blocks wait in bins by size, so that a training step after the first asks
 * the system for nothing. Sizes are rounded to quarter powers of two; every block is 64-byte aligned.
 *
 * The bins need no lock of their own: memory is taken and given back under the interpreter's, which every
 * call holds but for the time that a row runs, and rows allocate nothing. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "core.h"

#define BINS 256
#define HUGE_PAGE ((size_t)2 << 20)
#define CACHE_FLOOR                                                                                          \
    ((int64_t)256 << 20) /* the cache keeps this much, or half of the peak if that is more                   \
                          */

#if defined(__SANITIZE_ADDRESS__)
#define AD_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AD_ADDRESS_SANITIZER
#endif
#endif

typedef struct free_block {
    struct free_block *next;
} free_block;

static struct {
    free_block *head;
} bins[BINS];
static int64_t used_bytes, peak_bytes, cached_bytes, system_calls, total_calls;

static int64_t live[MEM_KINDS];

/* The bin of a size, and the size rounded up to the bin's: steps of 64 up to 1 KB, then quarters. */
static inline int bin_of(size_t bytes, size_t *rounded) {
    if (bytes <= 1024) {
        int bin = bytes ? (int)((bytes - 1) / 64) : 0;
        *rounded = (size_t)(bin + 1) * 64;
        return bin;
    }
    int log = 63 - __builtin_clzll(bytes - 1); /* 2^log <= bytes - 1 < 2^(log + 1), log >= 10 */
    size_t quarter = (size_t)1 << (log - 2), step = (bytes - ((size_t)1 << log) + quarter - 1) / quarter;
    *rounded = ((size_t)1 << log) + step * quarter;
    return 16 + (log - 10) * 4 + (int)step - 1;
}

/* Large blocks ask for huge pages: walking planes that are far apart would miss the translation buffer at
 * each. */
static void *from_system(size_t size) {
    void *p;
    bool large = size >= 2 * HUGE_PAGE;
    if (posix_memalign(&p, large ? HUGE_PAGE : 64, size)) return NULL;
#ifdef MADV_HUGEPAGE
    if (large) madvise(p, size, MADV_HUGEPAGE); /* advice: a system that has none to give changes nothing */
#endif
    return p;
}

void *mem_alloc(size_t bytes) { return mem_alloc_kind(bytes, MEM_PLAIN); }
void mem_free(void *p, size_t bytes) { mem_free_kind(p, bytes, MEM_PLAIN); }

void *mem_alloc_kind(size_t bytes, int kind) {
    if (bytes > (size_t)1 << 47)
        return ad_fail_null(AD_ERR_MEMORY, "cannot allocate %zu bytes: larger than the address space", bytes);
    size_t size;
    int bin = bin_of(bytes, &size);
    void *p = NULL;
    total_calls++;
    live[kind]++;
    if (bins[bin].head) {
        p = bins[bin].head;
        bins[bin].head = bins[bin].head->next;
        cached_bytes -= (int64_t)size;
    } else system_calls++;
    used_bytes += (int64_t)size;
    if (used_bytes > peak_bytes) peak_bytes = used_bytes;
    if (AD_LIKELY(p != NULL)) return p;
    if (!(p = from_system(size))) {
        ad_memory_trim(); /* what the cache holds may be enough */
        if (!(p = from_system(size))) {
            used_bytes -= (int64_t)size;
            live[kind]--;
            return ad_fail_null(AD_ERR_MEMORY, "cannot allocate %zu bytes", bytes);
        }
    }
    return p;
}

void mem_free_kind(void *p, size_t bytes, int kind) {
    if (!p) return;
    size_t size;
    int bin = bin_of(bytes, &size);
    bool keep = true;
    live[kind]--;
    used_bytes -= (int64_t)size;
#ifdef AD_ADDRESS_SANITIZER
    keep = false; /* so that a use after free is seen */
#else
    int64_t limit = peak_bytes / 2 > CACHE_FLOOR ? peak_bytes / 2 : CACHE_FLOOR;
    if (size > 4096 && cached_bytes + (int64_t)size > limit) keep = false;
#endif
    if (keep) {
        free_block *b = p;
        b->next = bins[bin].head;
        bins[bin].head = b;
        cached_bytes += (int64_t)size;
    }
    if (!keep) free(p);
}

void ad_memory_trim(void) {
    free_block *all = NULL;
    for (int i = 0; i < BINS; i++)
        while (bins[i].head) {
            free_block *b = bins[i].head;
            bins[i].head = b->next;
            b->next = all;
            all = b;
        }
    cached_bytes = 0;
    while (all) {
        free_block *next = all->next;
        free(all);
        all = next;
    }
}

void ad_memory_stats(int64_t *out) {
    out[0] = used_bytes;
    out[1] = peak_bytes;
    out[2] = cached_bytes;
    out[3] = system_calls;
    out[4] = total_calls;
    out[5] = live[MEM_TENSOR];
    out[6] = live[MEM_NODE];
    out[7] = live[MEM_STORAGE];
}

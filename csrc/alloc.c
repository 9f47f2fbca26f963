/* A caching allocator, so that a training step after the first asks the system for nothing. Every block is
 * 64-byte aligned.
 *
 * Small blocks wait in bins by size, rounded to quarter powers of two, once they are freed. Large ones are
 * cut from segments of address space and joined again with free neighbours (best fit; the boundary tags are
 * Knuth's, The Art of Computer Programming, 2.5): what one layer's values leave serves the next one's,
 * whatever their sizes, and the memory in use at once is nearly all that a step occupies. Pages of a segment
 * that were never needed are never touched.
 *
 * Nothing here needs a lock of its own: memory is taken and given back under the interpreter's, which every
 * call holds but for the time that a row runs, and rows allocate nothing. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "core.h"

#define BINS 256
#define PAGE ((size_t)4096)
#define HUGE_PAGE ((size_t)2 << 20)
#define LARGE ((size_t)256 << 10)   /* blocks from here on are cut from segments */
#define SEGMENT ((size_t)256 << 20) /* of address space, at least, where the system allows it */
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

/* Under the address sanitizer nothing is kept, so that a use after free is seen. */
#ifdef AD_ADDRESS_SANITIZER
enum { NO_CACHE = 1 };
#else
enum { NO_CACHE = 0 };
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

/* ---- large blocks ---- */

/* The head of a block of a segment, in use or free; the memory that is handed out begins after it. */
typedef struct chunk {
    size_t size;                /* the head included */
    size_t resident;            /* of a free one: at most so many of its bytes occupy memory */
    struct chunk *left, *right; /* neighbours in the segment, NULL at its ends */
    struct chunk *next, **link; /* of a free one: in its bin, and what points to it there */
} chunk;
#define HEAD ((size_t)64)
_Static_assert(sizeof(chunk) <= HEAD, "the head of a chunk");

static chunk *free_chunks[BINS];

static void chunk_list(chunk *c) {
    size_t rounded;
    chunk **head = &free_chunks[bin_of(c->size, &rounded)];
    c->next = *head;
    if (c->next) c->next->link = &c->next;
    c->link = head;
    *head = c;
    cached_bytes += (int64_t)c->resident;
}
static void chunk_unlist(chunk *c) {
    *c->link = c->next;
    if (c->next) c->next->link = c->link;
    c->link = NULL;
    cached_bytes -= (int64_t)c->resident;
}

/* A segment with room for `size` bytes, as one free chunk that is in no list. Segments ask for huge pages:
 * walking planes that are far apart would miss the translation buffer at each. */
static chunk *segment_new(size_t size) {
    size_t room = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (room < SEGMENT) room = SEGMENT;
    for (;; room = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE) {
        /* one huge page more, of which only the aligned rest is kept */
        char *p = mmap(NULL, room + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        system_calls++;
        if (p == MAP_FAILED) {
            if (room > size + HUGE_PAGE) continue;
            return NULL;
        }
        size_t skip = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
        if (skip) munmap(p, skip);
        munmap(p + skip + room, HUGE_PAGE - skip);
        p += skip;
#ifdef MADV_HUGEPAGE
        madvise(p, room, MADV_HUGEPAGE); /* advice: a system that has none to give changes nothing */
#endif
        chunk *c = (chunk *)p;
        *c = (chunk){.size = room};
        return c;
    }
}

/* Not whole pages: the beginnings of tensors of one size would meet in the same places of every cache. */
static inline size_t large_size(size_t bytes) { return (bytes + 2 * HEAD - 1) / HEAD * HEAD; }

static void *large_alloc(size_t bytes) {
    size_t size = large_size(bytes), rounded;
    chunk *best = NULL;
    for (int bin = bin_of(size, &rounded); bin < BINS && !best; bin++)
        for (chunk *c = free_chunks[bin]; c; c = c->next)
            if (c->size >= size && (!best || c->size < best->size)) best = c;
    if (best) chunk_unlist(best);
    else if (!(best = segment_new(size))) return NULL;
    if (best->size - size >= LARGE) {
        chunk *rest = (chunk *)((char *)best + size);
        *rest = (chunk){.size = best->size - size, .left = best, .right = best->right};
        if (rest->right) rest->right->left = rest;
        rest->resident = best->resident > size ? best->resident - size : 0;
        best->right = rest;
        best->size = size;
        chunk_list(rest);
    }
    return (char *)best + HEAD;
}

/* `right` becomes part of its left neighbour. */
static void chunk_join(chunk *left, chunk *right) {
    left->size += right->size;
    left->resident += right->resident;
    left->right = right->right;
    if (left->right) left->right->left = left;
}

static void large_free(void *p) {
    chunk *c = (chunk *)((char *)p - HEAD);
    c->resident = c->size;
    if (c->right && c->right->link) {
        chunk_unlist(c->right);
        chunk_join(c, c->right);
    }
    if (c->left && c->left->link) {
        chunk *left = c->left;
        chunk_unlist(left);
        chunk_join(left, c);
        c = left;
    }
    chunk_list(c);
}

static void discard(char *from, char *to) {
    uintptr_t a = ((uintptr_t)from + PAGE - 1) / PAGE * PAGE, b = (uintptr_t)to / PAGE * PAGE;
    if (b > a) madvise((void *)a, b - a, MADV_DONTNEED);
}

/* Gives the pages of free chunks back, and segments that are wholly free. */
static void large_trim(void) {
    for (int bin = 0; bin < BINS; bin++)
        for (chunk *c = free_chunks[bin], *next; c; c = next) {
            next = c->next;
            if (!c->left && !c->right) {
                chunk_unlist(c);
                munmap(c, c->size);
                continue;
            }
            if (!c->resident) continue;
            cached_bytes -= (int64_t)c->resident;
            c->resident = 0;
            discard((char *)(c + 1), (char *)c + c->size);
        }
}

/* ---- all blocks ---- */

static void *from_system(size_t size) {
    void *p;
    system_calls++;
    return posix_memalign(&p, 64, size) ? NULL : p;
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
    bool large = bytes >= LARGE && !NO_CACHE;
    if (large) size = large_size(bytes);
    if (!large && bins[bin].head) {
        p = bins[bin].head;
        bins[bin].head = bins[bin].head->next;
        cached_bytes -= (int64_t)size;
    }
    used_bytes += (int64_t)size;
    if (used_bytes > peak_bytes) peak_bytes = used_bytes;
    if (AD_LIKELY(p != NULL)) return p;
    if (!(p = large ? large_alloc(bytes) : from_system(size))) {
        ad_memory_trim(); /* what the cache holds may be enough */
        if (!(p = large ? large_alloc(bytes) : from_system(size))) {
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
    live[kind]--;
    if (bytes >= LARGE && !NO_CACHE) size = large_size(bytes);
    used_bytes -= (int64_t)size;
    int64_t limit = peak_bytes / 2 > CACHE_FLOOR ? peak_bytes / 2 : CACHE_FLOOR;
    if (NO_CACHE) {
        free(p);
    } else if (bytes >= LARGE) {
        large_free(p);
        if (cached_bytes > limit) large_trim();
    } else if (size > 4096 && cached_bytes + (int64_t)size > limit) {
        free(p);
    } else {
        free_block *b = p;
        b->next = bins[bin].head;
        bins[bin].head = b;
        cached_bytes += (int64_t)size;
    }
}

void mem_discard(void *p, size_t bytes) {
    if (bytes >= LARGE && !NO_CACHE) discard(p, (char *)p + bytes);
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
    while (all) {
        free_block *next = all->next;
        free(all);
        all = next;
    }
    cached_bytes = 0;
    for (int bin = 0; bin < BINS; bin++)
        for (chunk *c = free_chunks[bin]; c; c = c->next) cached_bytes += (int64_t)c->resident;
    large_trim();
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

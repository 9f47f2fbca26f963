/* Pairs of a key and a position, and the order in which an unstable sort leaves equal keys.
 *
 * Scripts sort lengths and scores that tie, and what they do next follows the positions. PyTorch 2.13 leaves
 * equal elements as the C++ library's algorithms happen to (measured on vectors of a few distinct values):
 *   sort without stable   introsort: median-of-three quicksort (Hoare's partition) down to 16 elements, a
 * heap sort below twice log2(n) levels, one insertion sort over all at the end topk                  k 64 <=
 * n: a heap of the first k that takes what is less than its top, then a heap sort; else introselect of the (k
 * - 1)-th, then the introsort of what stands before it kthvalue              quickselect with the median of
 * three at both ends median, nanmedian     introselect of positions mode                  introsort, and the
 * last position of the longest run The functions here do the same steps on our keys. Up to 16 elements all of
 * that is a stable insertion sort. Where no two keys are equal the order is one alone, so that sort.c takes
 * its own faster way and comes here for ties. */
#ifndef AD_OPS_TIE_ORDER_H
#define AD_OPS_TIE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pair {
    uint64_t key;
    int64_t at;
} pair;

#define ORDER_SHORT 16

static inline void pair_swap(pair *a, pair *b) {
    pair t = *a;
    *a = *b;
    *b = t;
}
static inline int order_levels(int64_t n) { return n > 0 ? 2 * (63 - __builtin_clzll((uint64_t)n)) : 0; }

/* Insertion, stable. */
static inline void sort_small(pair *p, int64_t n) {
    for (int64_t i = 1; i < n; i++) {
        pair x = p[i];
        int64_t k = i;
        for (; k > 0 && p[k - 1].key > x.key; k--) p[k] = p[k - 1];
        p[k] = x;
    }
}

/* A hole at `at` of a heap of n goes down to a leaf along the greater children; x then rises from there. */
static inline void heap_place(pair *p, int64_t at, int64_t n, pair x) {
    int64_t top = at, child;
    while ((child = 2 * at + 2) < n) {
        if (p[child].key < p[child - 1].key) child--;
        p[at] = p[child];
        at = child;
    }
    if (child == n) { /* a last child without a sister */
        p[at] = p[child - 1];
        at = child - 1;
    }
    for (int64_t up; at > top && p[up = (at - 1) / 2].key < x.key; at = up) p[at] = p[up];
    p[at] = x;
}
/* p[0..k) becomes a heap of the k least of p[0..n). */
static inline void heap_least(pair *p, int64_t k, int64_t n) {
    for (int64_t i = k / 2 - 1; i >= 0; i--) heap_place(p, i, k, p[i]);
    for (int64_t i = k; i < n; i++)
        if (k && p[i].key < p[0].key) {
            pair x = p[i];
            p[i] = p[0];
            heap_place(p, 0, k, x);
        }
}
static inline void heap_unfold(pair *p, int64_t n) {
    while (--n > 0) {
        pair x = p[n];
        p[n] = p[0];
        heap_place(p, 0, n, x);
    }
}

/* Puts the median of the second, the middle and the last first, and parts the others by it: what stands
 * before the returned position is no greater, what stands from there on no less. */
static inline int64_t order_part(pair *p, int64_t n) {
    int64_t a = 1, b = n / 2, c = n - 1, m;
    if (p[a].key < p[b].key) m = p[b].key < p[c].key ? b : p[a].key < p[c].key ? c : a;
    else m = p[a].key < p[c].key ? a : p[b].key < p[c].key ? c : b;
    pair_swap(&p[0], &p[m]);
    uint64_t pivot = p[0].key;
    int64_t i = 1, j = n;
    for (;; i++) {
        while (p[i].key < pivot) i++;
        do j--;
        while (pivot < p[j].key);
        if (i >= j) return i;
        pair_swap(&p[i], &p[j]);
    }
}

static void order_parts(pair *p, int64_t n, int levels) {
    while (n > ORDER_SHORT) {
        if (levels-- == 0) {
            heap_least(p, n, n);
            heap_unfold(p, n);
            return;
        }
        int64_t cut = order_part(p, n);
        order_parts(p + cut, n - cut, levels);
        n = cut;
    }
}
static inline void order_sort(pair *p, int64_t n) {
    order_parts(p, n, order_levels(n));
    sort_small(p, n);
}

/* The k-th (from 0) in its place, no greater before it, no less after it. */
static inline void order_select(pair *p, int64_t k, int64_t n) {
    if (k >= n) return;
    int levels = order_levels(n);
    while (n > 3) {
        if (levels-- == 0) {
            heap_least(p, k + 1, n);
            pair_swap(&p[0], &p[k]);
            return;
        }
        int64_t cut = order_part(p, n);
        if (cut <= k) {
            p += cut;
            k -= cut;
            n -= cut;
        } else n = cut;
    }
    sort_small(p, n);
}

/* The k least, in order when `sorted`. */
static inline void order_least(pair *p, int64_t k, int64_t n, bool sorted) {
    if (!k) return;
    if (k * 64 <= n) {
        heap_least(p, k, n);
        heap_unfold(p, k);
        return;
    }
    order_select(p, k - 1, n);
    if (sorted) order_sort(p, k - 1);
}

/* The k-th by quickselect: the median of three becomes the pivot, with the other two as guards at the ends.
 */
static inline void order_kth(pair *p, int64_t k, int64_t n) {
    int64_t l = 0, r = n - 1;
    while (l < r) {
        if (r == l + 1) {
            if (p[l].key > p[r].key) pair_swap(&p[l], &p[r]);
            return;
        }
        pair_swap(&p[l + (r - l) / 2], &p[l + 1]);
        if (p[l + 1].key > p[r].key) pair_swap(&p[l + 1], &p[r]);
        if (p[l].key > p[r].key) pair_swap(&p[l], &p[r]);
        if (p[l + 1].key > p[l].key) pair_swap(&p[l + 1], &p[l]);
        uint64_t pivot = p[l].key;
        int64_t i = l + 1, j = r;
        for (;;) {
            do i++;
            while (pivot > p[i].key);
            do j--;
            while (p[j].key > pivot);
            if (j < i) break;
            pair_swap(&p[i], &p[j]);
        }
        pair_swap(&p[l], &p[j]);
        if (j <= k) l = i;
        if (j >= k) r = j - 1;
    }
}

#endif

/* The order in which an unstable sort leaves elements of equal keys.
 *
 * Scripts sort lengths and scores that tie, and what they do next follows the positions. PyTorch 2.13 leaves
 * equal elements as the C++ library's algorithms happen to (measured on vectors of a few distinct values):
 * Sort without stable is an introsort: median-of-three quicksort (Hoare's partition) down to 16 elements, a
 * heap sort below twice log2(n) levels, one insertion sort over all at the end.
 *
 * topk, where k 64 <= n, is a heap of the first k that takes what is less than its top, then a heap sort;
 * else introselect of the (k - 1)-th, then the introsort of what stands before it.
 *
 * kthvalue is a quickselect with the median of three at both ends; median and nanmedian are introselects of
 * positions; mode is an introsort, and the last position of the longest run.
 *
 * The functions here do the same steps on our keys; up to 16 elements all of that is a stable insertion sort.
 * Where no two keys are equal the order is one alone, so that sort.c may take a faster way.
 *
 * Two steps are other than they look. Hoare's partition exchanges the k-th element from the left that is not
 * less than the pivot with the k-th from the right that is not greater, for as long as the one stands before
 * the other: both lists are made of blocks without a branch on the keys (Edelkamp and Weiss, BlockQuicksort,
 * 2016), and the result is the same. And the insertion sort at the end is stable, so that any other stable
 * sort may stand for it.
 *
 * Included once for each form of an element: ORDER_E is its type, ORDER_LESS(a, b) compares two keys,
 * ORDER_FN(name) makes a name. */
#define PART_BLOCK 64

static inline void ORDER_FN(swap)(ORDER_E *a, ORDER_E *b) {
    ORDER_E t = *a;
    *a = *b;
    *b = t;
}

/* Insertion, stable. */
static void ORDER_FN(small)(ORDER_E *p, int64_t n) {
    for (int64_t i = 1; i < n; i++) {
        ORDER_E x = p[i];
        int64_t k = i;
        for (; k > 0 && ORDER_LESS(x, p[k - 1]); k--) p[k] = p[k - 1];
        p[k] = x;
    }
}

/* A hole at `at` of a heap of n goes down to a leaf along the greater children; x then rises from there. */
static void ORDER_FN(heap_place)(ORDER_E *p, int64_t at, int64_t n, ORDER_E x) {
    int64_t top = at, child;
    while ((child = 2 * at + 2) < n) {
        if (ORDER_LESS(p[child], p[child - 1])) child--;
        p[at] = p[child];
        at = child;
    }
    if (child == n) { /* a last child without a sister */
        p[at] = p[child - 1];
        at = child - 1;
    }
    for (int64_t up; at > top && ORDER_LESS(p[up = (at - 1) / 2], x); at = up) p[at] = p[up];
    p[at] = x;
}
/* p[0..k) becomes a heap of the k least of p[0..n). */
static void ORDER_FN(heap_least)(ORDER_E *p, int64_t k, int64_t n) {
    for (int64_t i = k / 2 - 1; i >= 0; i--) ORDER_FN(heap_place)(p, i, k, p[i]);
    for (int64_t i = k; i < n; i++)
        if (k && ORDER_LESS(p[i], p[0])) {
            ORDER_E x = p[i];
            p[i] = p[0];
            ORDER_FN(heap_place)(p, 0, k, x);
        }
}
static void ORDER_FN(heap_unfold)(ORDER_E *p, int64_t n) {
    while (--n > 0) {
        ORDER_E x = p[n];
        p[n] = p[0];
        ORDER_FN(heap_place)(p, 0, n, x);
    }
}

/* Puts the median of the second, the middle and the last first, and parts the others by it: what stands
 * before the returned position is no greater, what stands from there on no less. */
static int64_t ORDER_FN(part)(ORDER_E *p, int64_t n) {
    int64_t a = 1, b = n / 2, c = n - 1, m;
    if (ORDER_LESS(p[a], p[b])) m = ORDER_LESS(p[b], p[c]) ? b : ORDER_LESS(p[a], p[c]) ? c : a;
    else m = ORDER_LESS(p[a], p[c]) ? a : ORDER_LESS(p[b], p[c]) ? c : b;
    ORDER_FN(swap)(&p[0], &p[m]);
    const ORDER_E pivot = p[0];
    uint8_t left[3 * PART_BLOCK], right[3 * PART_BLOCK]; /* where the next elements to exchange stand */
    int64_t lo = 1, hi = n, nl = 0, nr = 0, l = 0, r = 0;
    while (hi - lo >= 2 * PART_BLOCK) {
        if (l == nl) {
            l = nl = 0;
            for (int64_t k = 0; k < PART_BLOCK; k++) {
                left[nl] = (uint8_t)k;
                nl += !ORDER_LESS(p[lo + k], pivot);
            }
        }
        if (r == nr) {
            r = nr = 0;
            for (int64_t k = 0; k < PART_BLOCK; k++) {
                right[nr] = (uint8_t)k;
                nr += !ORDER_LESS(pivot, p[hi - 1 - k]);
            }
        }
        int64_t both = nl - l < nr - r ? nl - l : nr - r;
        for (int64_t k = 0; k < both; k++) ORDER_FN(swap)(&p[lo + left[l + k]], &p[hi - 1 - right[r + k]]);
        l += both;
        r += both;
        if (l == nl) lo += PART_BLOCK;
        if (r == nr) hi -= PART_BLOCK;
    }
    /* what is left, in one block from either end */
    if (l < nl) lo += left[l];
    if (r < nr) hi -= right[r];
    int64_t rest = hi - lo, k = 0;
    nl = nr = 0;
    for (int64_t i = 0; i < rest; i++) {
        left[nl] = right[nr] = (uint8_t)i;
        nl += !ORDER_LESS(p[lo + i], pivot);
        nr += !ORDER_LESS(pivot, p[hi - 1 - i]);
    }
    for (; k < nl && k < nr && lo + left[k] < hi - 1 - right[k]; k++)
        ORDER_FN(swap)(&p[lo + left[k]], &p[hi - 1 - right[k]]);
    int64_t next = k < nl ? lo + left[k] : hi, last = k ? hi - 1 - right[k - 1] : hi;
    return next < last ? next : last;
}

/* All that an introsort does before its last insertion sort. */
static void ORDER_FN(parts)(ORDER_E *p, int64_t n, int levels) {
    while (n > ORDER_SHORT) {
        if (levels-- == 0) {
            ORDER_FN(heap_least)(p, n, n);
            ORDER_FN(heap_unfold)(p, n);
            return;
        }
        int64_t cut = ORDER_FN(part)(p, n);
        ORDER_FN(parts)(p + cut, n - cut, levels);
        n = cut;
    }
}

/* The k-th (from 0) in its place, no greater before it, no less after it. */
static void ORDER_FN(select)(ORDER_E *p, int64_t k, int64_t n) {
    if (k >= n) return;
    int levels = order_levels(n);
    while (n > 3) {
        if (levels-- == 0) {
            ORDER_FN(heap_least)(p, k + 1, n);
            ORDER_FN(swap)(&p[0], &p[k]);
            return;
        }
        int64_t cut = ORDER_FN(part)(p, n);
        if (cut <= k) {
            p += cut;
            k -= cut;
            n -= cut;
        } else n = cut;
    }
    ORDER_FN(small)(p, n);
}

/* The k least, in order when `sorted`. */
static void ORDER_FN(least)(ORDER_E *p, int64_t k, int64_t n, bool sorted) {
    if (!k) return;
    if (k * 64 <= n) {
        ORDER_FN(heap_least)(p, k, n);
        ORDER_FN(heap_unfold)(p, k);
        return;
    }
    ORDER_FN(select)(p, k - 1, n);
    if (!sorted) return;
    ORDER_FN(parts)(p, k - 1, order_levels(k - 1));
    ORDER_FN(small)(p, k - 1);
}

/* The k-th by quickselect: the median of three becomes the pivot, with the other two as guards at the ends.
 */
static void ORDER_FN(kth)(ORDER_E *p, int64_t k, int64_t n) {
    int64_t l = 0, r = n - 1;
    while (l < r) {
        if (r == l + 1) {
            if (ORDER_LESS(p[r], p[l])) ORDER_FN(swap)(&p[l], &p[r]);
            return;
        }
        ORDER_FN(swap)(&p[l + (r - l) / 2], &p[l + 1]);
        if (ORDER_LESS(p[r], p[l + 1])) ORDER_FN(swap)(&p[l + 1], &p[r]);
        if (ORDER_LESS(p[r], p[l])) ORDER_FN(swap)(&p[l], &p[r]);
        if (ORDER_LESS(p[l], p[l + 1])) ORDER_FN(swap)(&p[l + 1], &p[l]);
        ORDER_E pivot = p[l];
        int64_t i = l + 1, j = r;
        for (;;) {
            do i++;
            while (ORDER_LESS(p[i], pivot));
            do j--;
            while (ORDER_LESS(pivot, p[j]));
            if (j < i) break;
            ORDER_FN(swap)(&p[i], &p[j]);
        }
        ORDER_FN(swap)(&p[l], &p[j]);
        if (j <= k) l = i;
        if (j >= k) r = j - 1;
    }
}

static bool ORDER_FN(any_equal)(const ORDER_E *p, int64_t n) { /* of a sorted line */
    for (int64_t i = 1; i < n; i++)
        if (!ORDER_LESS(p[i - 1], p[i])) return true;
    return false;
}

/* Sorts p[0..n), stable; tmp is as long. Returns where the result is: p or tmp. */
static ORDER_E *ORDER_FN(sort)(ORDER_E *p, ORDER_E *tmp, int64_t n) {
    ORDER_E *from = p, *to = tmp;
    if (n <= 24) {
        ORDER_FN(small)(p, n);
        return p;
    }
    if (n < ORDER_RADIX) { /* merges of short runs */
        for (int64_t i = 0; i < n; i += 16) ORDER_FN(small)(p + i, n - i < 16 ? n - i : 16);
        for (int64_t w = 16; w < n; w *= 2) {
            for (int64_t i = 0; i < n; i += 2 * w) {
                int64_t a = i, am = i + w < n ? i + w : n, b = am, bm = i + 2 * w < n ? i + 2 * w : n;
                for (int64_t k = i; k < bm; k++)
                    to[k] = a < am && (b == bm || !ORDER_LESS(from[b], from[a])) ? from[a++] : from[b++];
            }
            ORDER_E *t = from;
            from = to;
            to = t;
        }
        return from;
    }
    /* by digits, of fewer bits where lines are short; bits that are all alike are passed over */
    int bits = n < 4096 ? 8 : 11;
    uint64_t differ = 0, first = ORDER_KEY(p[0]);
    for (int64_t i = 1; i < n; i++) differ |= ORDER_KEY(p[i]) ^ first;
    if (bits == 8 && n >= 512 && differ >> 11 == 0) bits = 11; /* one pass instead of two */
    uint64_t mask = ((uint64_t)1 << bits) - 1;
    for (int shift = 0; shift < 64; shift += bits) {
        int64_t count[2048], sum = 0;
        if (!(differ >> shift & mask)) continue;
        memset(count, 0, (size_t)(mask + 1) * sizeof *count);
        for (int64_t i = 0; i < n; i++) count[ORDER_KEY(from[i]) >> shift & mask]++;
        for (uint64_t d = 0; d <= mask; d++) {
            int64_t c = count[d];
            count[d] = sum;
            sum += c;
        }
        for (int64_t i = 0; i < n; i++) to[count[ORDER_KEY(from[i]) >> shift & mask]++] = from[i];
        ORDER_E *t = from;
        from = to;
        to = t;
    }
    return from;
}
#undef PART_BLOCK

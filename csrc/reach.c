/* Which nodes and leaves a history reaches. */
#include <string.h>
#include "reach.h"

static int64_t reach_find(const reach *r, const void *key) {
    size_t i = hash_ptr(key) & (size_t)(r->cap - 1);
    while (r->key[i] && r->key[i] != key) i = (i + 1) & (size_t)(r->cap - 1);
    return (int64_t)i;
}

bool reach_has(const reach *r, const void *key) { return r->cap && r->key[reach_find(r, key)]; }

static int reach_grow(reach *r) {
    reach old = *r;
    r->cap = old.cap ? 2 * old.cap : 256;
    r->key = mem_alloc((size_t)r->cap * sizeof *r->key);
    if (!r->key) {
        *r = old;
        return -1;
    }
    memset(r->key, 0, (size_t)r->cap * sizeof *r->key);
    for (int64_t i = 0; i < old.cap; i++)
        if (old.key[i]) r->key[reach_find(r, old.key[i])] = old.key[i];
    if (old.cap) mem_free(old.key, (size_t)old.cap * sizeof *old.key);
    return 0;
}

void reach_free(reach *r) {
    if (r->cap) mem_free(r->key, (size_t)r->cap * sizeof *r->key);
}

int64_t reach_put(reach *r, const void *key, bool *fresh) {
    if (2 * (r->n + 1) > r->cap && reach_grow(r)) return -1;
    int64_t i = reach_find(r, key);
    *fresh = !r->key[i];
    if (*fresh) {
        r->key[i] = key;
        r->n++;
    }
    return i;
}

int reach_collect(const ad_handle *roots, int64_t n, reach *seen, ad_node ***out, int64_t *cap,
                  int64_t *count) {
    ad_node **list = mem_alloc(64 * sizeof *list);
    *out = list;
    *cap = 64;
    *count = 0;
    if (!list) return -1;
    for (int64_t k = 0, next = 0; k < n || next < *count;) {
        ad_node *one = NULL, *from = NULL;
        bool fresh = false;
        int nedges = 1;
        if (k < n) {
            one = graph_node_of((ad_tensor *)roots[k]);
            if (!one && reach_put(seen, (void *)roots[k], &fresh) < 0) return -1;
            k++;
        } else {
            from = list[next++];
            nedges = from->nin;
        }
        for (int i = 0; i < nedges; i++) {
            if (from) one = from->edges[i].node;
            fresh = false;
            if (from && from->edges[i].leaf && reach_put(seen, from->edges[i].leaf, &fresh) < 0) return -1;
            if (!one || reach_put(seen, one, &fresh) < 0) {
                if (one) return -1;
                continue;
            }
            if (!fresh) continue;
            if (*count == *cap) {
                ad_node **more = mem_alloc(2 * (size_t)*cap * sizeof *more);
                if (!more) return -1;
                memcpy(more, list, (size_t)*cap * sizeof *more);
                mem_free(list, (size_t)*cap * sizeof *list);
                *out = list = more;
                *cap *= 2;
            }
            list[(*count)++] = one;
        }
    }
    return 0;
}

/* By rising number, through `room` of the same length. A walk from the results finds most nodes in falling
 * order; others are sorted by the digits of their numbers' differences, which are small. */
static void sort_by_age(ad_node **list, ad_node **room, int64_t n) {
    uint64_t least = UINT64_MAX, most = 0;
    bool falling = true;
    for (int64_t k = 0; k < n; k++) {
        uint64_t seq = list[k]->seq;
        if (seq < least) least = seq;
        if (seq > most) most = seq;
        falling &= !k || seq < list[k - 1]->seq;
    }
    if (falling) {
        for (int64_t k = 0; k < n / 2; k++) {
            ad_node *t = list[k];
            list[k] = list[n - 1 - k];
            list[n - 1 - k] = t;
        }
        return;
    }
    ad_node **from = list, **to = room;
    for (int shift = 0; shift < 64 && (most - least) >> shift; shift += 8) {
        int64_t count[257] = {0};
        for (int64_t k = 0; k < n; k++) count[((from[k]->seq - least) >> shift & 255) + 1]++;
        for (int d = 0; d < 256; d++) count[d + 1] += count[d];
        for (int64_t k = 0; k < n; k++) to[count[(from[k]->seq - least) >> shift & 255]++] = from[k];
        ad_node **t = from;
        from = to;
        to = t;
    }
    if (from != list) memcpy(list, from, (size_t)n * sizeof *list);
}

/* From the oldest node to the youngest: a node leads to an input if it is one, or if one of its edges does.
 */
int reach_mark(reach *r, const ad_handle *roots, int64_t n) {
    int64_t cap, count;
    ad_node **list, **room = NULL;
    reach seen = {0};
    int status = -1;
    if (reach_collect(roots, n, &seen, &list, &cap, &count)) goto done;
    room = mem_alloc((size_t)cap * sizeof *room);
    if (!room) goto done;
    sort_by_age(list, room, count);
    for (int64_t k = 0; k < count; k++) {
        ad_node *node = list[k];
        for (int i = 0; i < node->nin; i++) {
            const void *key = node->edges[i].node ? (void *)node->edges[i].node : (void *)node->edges[i].leaf;
            if (!key || !reach_has(r, key)) continue;
            bool fresh;
            if (reach_put(r, node, &fresh) < 0) goto done;
            break;
        }
    }
    status = 0;
done:
    if (room) mem_free(room, (size_t)cap * sizeof *room);
    if (list) mem_free(list, (size_t)cap * sizeof *list);
    reach_free(&seen);
    return status;
}

/* Says that a transform is done with a leaf of its own making: see ad_other_leaves. */
void ad_spend_leaf(ad_handle t) { ((ad_tensor *)t)->flags |= AD_T_SPENT_LEAF; }

/* Whether the history of some tensor reaches leaves that want gradients and are none of `mine`. */
int ad_other_leaves(const ad_handle *roots, int64_t n, const ad_handle *mine, int64_t nmine) {
    ad_node **list = NULL;
    int64_t cap = 0, count = 0;
    reach seen = {0}, own = {0};
    int status = reach_collect(roots, n, &seen, &list, &cap, &count) ? -1 : 0;
    bool found = false;
    for (int64_t k = 0; k < nmine && !status; k++) {
        bool fresh;
        status = reach_put(&own, (void *)mine[k], &fresh) < 0;
    }
    for (int64_t k = 0; k < count && !status && !found; k++)
        for (int i = 0; i < list[k]->nin && !found; i++) {
            const ad_tensor *leaf = list[k]->edges[i].leaf;
            found = leaf && !(leaf->flags & AD_T_SPENT_LEAF) && !reach_has(&own, leaf);
        }
    for (int64_t k = 0; k < n && !status && !found; k++) {
        ad_tensor *t = (ad_tensor *)roots[k];
        found = !graph_node_of(t) && !(t->flags & AD_T_SPENT_LEAF) && !reach_has(&own, t);
    }
    if (list) mem_free(list, (size_t)cap * sizeof *list);
    reach_free(&seen);
    reach_free(&own);
    return status ? -1 : found;
}

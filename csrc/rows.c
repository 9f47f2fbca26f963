/* Sparse gradients: what embedding(sparse=True) and embedding_bag(sparse=True) leave with its weight, rows by
 * index instead of a matrix that is mostly zeros. They hang on the leaf beside .grad, of which only one is
 * there at a time: where a dense gradient comes to rows, or rows to a dense gradient, the result is dense. */
#include "rows.h"
#include "program.h"

void rows_free(ad_rows *r) {
    while (r) {
        ad_rows *next = r->next;
        tensor_unref(r->index);
        tensor_unref(r->values);
        mem_free(r, sizeof *r);
        r = next;
    }
}

int rows_add(ad_tensor *leaf, ad_tensor *index, ad_tensor *values) {
    ad_rows *r = mem_alloc(sizeof *r), **end = &leaf->rows;
    if (!r) return -1;
    *r = (ad_rows){.index = tensor_ref(index), .values = tensor_ref(values)};
    lock_take(grad_lock(leaf));
    while (*end) end = &(*end)->next;
    *end = r;
    lock_drop(grad_lock(leaf));
    return 0;
}

void rows_clear(ad_tensor *leaf) {
    lock_take(grad_lock(leaf));
    ad_rows *r = leaf->rows;
    leaf->rows = NULL;
    lock_drop(grad_lock(leaf));
    rows_free(r);
}

/* The rows added up in a matrix: a new reference. */
ad_tensor *rows_dense(ad_tensor *leaf) {
    bool was = tls.no_grad;
    tls.no_grad = true;
    ad_attr first = {.i = {0}};
    ad_tensor *sum = tensor_zeros(leaf->dtype, leaf->ndim, leaf->sizes);
    for (const ad_rows *r = leaf->rows; r && sum; r = r->next) {
        ad_tensor *in[3] = {sum, r->index, r->values}, *y = ad_apply_inplace(OP_index_add, 3, in, &first);
        tensor_unref(sum);
        sum = y;
    }
    tls.no_grad = was;
    return sum;
}

/* ---- from Python ---- */

int64_t ad_rows_count(ad_handle h) {
    int64_t n = 0;
    for (const ad_rows *r = ((ad_tensor *)h)->rows; r; r = r->next) n++;
    return n;
}
ad_handle ad_rows_part(ad_handle h, int64_t k, int values) { /* a new reference */
    const ad_rows *r = ((ad_tensor *)h)->rows;
    while (r && k--) r = r->next;
    return r ? (ad_handle)tensor_ref(values ? r->values : r->index) : 0;
}
int ad_rows_set(ad_handle h, ad_handle index, ad_handle values) { /* in place of what is there; 0: nothing */
    rows_clear((ad_tensor *)h);
    return index ? rows_add((ad_tensor *)h, (ad_tensor *)index, (ad_tensor *)values) : 0;
}

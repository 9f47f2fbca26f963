/* A node of the tape as Python and messages see it: its name, its edges, what is kept for it. */
#include <stdio.h>
#include <string.h>
#include "program.h"

void node_title(const ad_node *n, char *out, size_t room) { /* "as_strided" -> "AsStridedBackward0" */
    const char *from = n->op->name;
    if (n->title) {
        snprintf(out, room, "%s", n->title);
        return;
    }
    if (n->op == &ad_ops[OP_copy]) { /* PyTorch's odd one */
        snprintf(out, room, "CopyBackwards");
        return;
    }
    if (n->op == &ad_ops[OP_to]) from = "to_copy";
    if (n->op == &ad_ops[OP_split]) from = n->at.i[1] ? "unbind" : "split";
    if (n->op == &ad_ops[OP_unview] && n->at.i[7] == OP_diagonal) from = "diag_embed";
    size_t k = 0;
    bool up = true;
    for (; *from && k + 1 < room; from++) {
        if (*from == '_') {
            up = true;
            continue;
        }
        out[k++] = up && *from >= 'a' && *from <= 'z' ? (char)(*from - 32) : *from;
        up = false;
    }
    static const char tail[] = "Backward0";
    for (int i = 0; tail[i] && k + 1 < room; i++) out[k++] = tail[i];
    out[k] = 0;
}

void node_short_title(const ad_node *n, char *out, size_t room) {
    node_title(n, out, room);
    char *tail = strstr(out, "Backward");
    if (tail && tail != out) *tail = 0;
}

void node_describe(const ad_node *n, uint32_t nr, char *out, size_t room) {
    char title[64];
    out[0] = 0;
    if (!n) return;
    node_short_title(n, title, sizeof title);
    snprintf(out, room, ", which is output %u of %s", nr, title);
}

intptr_t ad_node_of(ad_handle t) { return (intptr_t)node_ref(graph_node_of((ad_tensor *)t)); }
void ad_node_retain(intptr_t n) { node_ref((ad_node *)n); }
void ad_node_release(intptr_t n) { node_unref((ad_node *)n); }
int64_t ad_node_key(intptr_t n) { return ((ad_node *)n)->key; }
int ad_node_inputs(intptr_t n) { return ((ad_node *)n)->nin; }
const char *ad_node_name(intptr_t n) {
    static _Thread_local char title[64];
    node_title((ad_node *)n, title, sizeof title);
    return title;
}
intptr_t ad_node_next(intptr_t h, int i, ad_handle *leaf, int *nr) {
    ad_node *n = (ad_node *)h;
    if (i < 0 || i >= n->nin) return 0;
    *leaf = (ad_handle)tensor_ref(n->edges[i].leaf);
    *nr = (int)n->edges[i].nr;
    return (intptr_t)node_ref(n->edges[i].node);
}

int64_t ad_node_info(intptr_t n) { return ((ad_node *)n)->info; }
void ad_node_set_info(intptr_t n, int64_t key) { ((ad_node *)n)->info = key; }
void ad_set_anomaly(int mode) { atomic_store(&graph_anomaly, mode); }
int ad_anomaly(void) { return atomic_load(&graph_anomaly); }
int ad_saved_hooks(int change) { return tls.saved_hooks += change; }

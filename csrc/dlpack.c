/* Exchange of tensors with other libraries through DLPack's structs. The structs are the exchange's binary
 * interface, versions 0 and 1. */
#include <string.h>
#include "core.h"

typedef struct dl_tensor {
    void *data;
    struct {
        int32_t type, id;
    } device;
    int32_t ndim;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} dl_tensor;

typedef struct dl_managed {
    dl_tensor t;
    void *context;
    void (*release)(struct dl_managed *);
} dl_managed;

typedef struct dl_versioned {
    struct {
        uint32_t major, minor;
    } version;
    void *context;
    void (*release)(struct dl_versioned *);
    uint64_t flags;
    dl_tensor t;
} dl_versioned;

enum { DL_CPU = 1, DL_READ_ONLY = 1, DL_IS_COPIED = 2 };
enum { DL_INT = 0, DL_UINT = 1, DL_FLOAT = 2, DL_BFLOAT = 4, DL_BOOL = 6 };

static const uint8_t dl_code[AD_DTYPES] = {DL_BOOL, DL_UINT,  DL_INT,    DL_INT,   DL_INT,
                                           DL_INT,  DL_FLOAT, DL_BFLOAT, DL_FLOAT, DL_FLOAT};

/* What the context of an exported struct points to: the struct itself and all that it needs, in one block. */
typedef struct exported {
    ad_tensor *tensor;
    size_t block;
    union {
        dl_managed old;
        dl_versioned now;
    } m;
    int64_t dims[];
} exported;

static void let_go(exported *e) {
    tensor_unref(e->tensor);
    mem_free(e, e->block);
}
static void release_old(dl_managed *m) { let_go(m->context); }
static void release_now(dl_versioned *m) { let_go(m->context); }

intptr_t ad_dlpack_export(ad_handle h, int versioned, int copied) {
    if (ad_check_values(h)) return 0;
    ad_tensor *t = (ad_tensor *)h;
    size_t block = sizeof(exported) + 2 * (size_t)t->ndim * sizeof(int64_t);
    exported *e = mem_alloc(block);
    if (!e) return 0;
    memset(e, 0, sizeof *e);
    e->tensor = tensor_ref(t);
    t->storage->exposed = true;
    e->block = block;
    for (int d = 0; d < t->ndim; d++) {
        e->dims[d] = t->sizes[d];
        e->dims[t->ndim + d] =
            t->sizes[d] < 2 ? 1 : t->strides[d]; /* some readers insist where it does not matter */
    }
    dl_tensor v = {.data = t->numel ? tensor_data(t) : NULL,
                   .ndim = t->ndim,
                   .shape = e->dims,
                   .strides = e->dims + t->ndim};
    v.device.type = DL_CPU;
    v.dtype.code = dl_code[t->dtype];
    v.dtype.bits = (uint8_t)(8 * dtype_size[t->dtype]);
    v.dtype.lanes = 1;
    if (!versioned) {
        e->m.old = (dl_managed){.t = v, .context = e, .release = release_old};
        return (intptr_t)&e->m.old;
    }
    e->m.now = (dl_versioned){.context = e, .release = release_now, .t = v};
    e->m.now.version.major = 1;
    e->m.now.flags = (t->storage->readonly ? DL_READ_ONLY : 0u) | (copied ? DL_IS_COPIED : 0u);
    return (intptr_t)&e->m.now;
}

void ad_dlpack_release(intptr_t managed, int versioned) {
    if (versioned) {
        dl_versioned *m = (dl_versioned *)managed;
        if (m->release) m->release(m);
    } else {
        dl_managed *m = (dl_managed *)managed;
        if (m->release) m->release(m);
    }
}

/* A tensor of the memory that the struct describes; `owner` keeps the struct. */
ad_handle ad_dlpack_import(intptr_t managed, int versioned, int64_t owner) {
    const dl_tensor *v = versioned ? &((dl_versioned *)managed)->t : &((dl_managed *)managed)->t;
    if (versioned && ((dl_versioned *)managed)->version.major != 1)
        return ad_fail(AD_ERR_RUNTIME, "from_dlpack: version %u.%u of the exchange is not supported",
                       ((dl_versioned *)managed)->version.major, ((dl_versioned *)managed)->version.minor),
               0;
    if (v->device.type != DL_CPU)
        return ad_fail(AD_ERR_RUNTIME, "from_dlpack: the memory is on device type %d, not on the CPU",
                       (int)v->device.type),
               0;
    int dtype = 0;
    while (dtype < AD_DTYPES && (dl_code[dtype] != v->dtype.code || 8 * dtype_size[dtype] != v->dtype.bits))
        dtype++;
    if (dtype == AD_DTYPES || v->dtype.lanes != 1)
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "from_dlpack: unsupported type (code %d, %d bits, %d lanes)",
                       v->dtype.code, v->dtype.bits, v->dtype.lanes),
               0;
    if (v->ndim < 0 || v->ndim > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %d, the most is %d", (int)v->ndim, AD_MAXDIM), 0;
    int64_t strides[AD_MAXDIM];
    if (v->strides) memcpy(strides, v->strides, (size_t)v->ndim * sizeof *strides);
    else dims_contiguous_strides(v->ndim, v->shape, strides);
    return ad_from_memory(dtype, (intptr_t)v->data + (intptr_t)v->byte_offset, v->shape, strides, v->ndim,
                          owner, versioned && ((dl_versioned *)managed)->flags & DL_READ_ONLY);
}

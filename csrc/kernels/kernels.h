/* Everything that is compiled once per instruction set, in order; each file in isa/ includes this
 * under its own target. f64 comes before f32, which borrows it where double precision is cheapest. */
#include "table.h"

#define CT f64
#include "vec.h"
#include "vmath.h"
#include "vmath_more.h"
#include "ew.h"
#include "reduce.h"
#include "softmax.h"
#include "loss.h"
#include "distance.h"
#include "rows.h"

#include "norm.h"
#include "gemm.h"
#include "conv_direct.h"
#include "conv.h"
#include "optim.h"
#include "pooling.h"
#include "resample.h"
#include "grid.h"
#include "scan.h"
#include "rnn.h"
#include "attention.h"
#undef CT
#define CT f32
#include "vec.h"
#include "vmath.h"
#include "vmath_more.h"
#include "ew.h"
#include "reduce.h"
#include "softmax.h"
#include "loss.h"
#include "distance.h"
#include "rows.h"

#include "norm.h"
#include "gemm.h"
#include "conv_direct.h"
#include "conv.h"
#include "wino.h"
#include "optim.h"
#include "pooling.h"
#include "resample.h"
#include "grid.h"
#include "scan.h"
#include "rnn.h"
#include "attention.h"
#undef CT
#define CT i64
#include "vec.h"
#include "vmath.h"
#include "vmath_more.h"
#include "ew.h"
#include "reduce.h"
#include "pooling.h"
#include "scan.h"
#undef CT
#include "mask.h"
#include "half.h"

#define KERN_STR_(s) #s
#define KERN_STR(s) KERN_STR_(s)
#define EW_ROW_F(name) {k_##name##_f32, k_##name##_f64, NULL}
#define EW_ROW_I(name) {NULL, NULL, k_##name##_i64}
#define EW_ROW_A(name) {k_##name##_f32, k_##name##_f64, k_##name##_i64}
#define EW_ROW(name, types, ...) [EW_##name] = EW_ROW_##types(name),
#define RED_ROW_F(form, name) {form##_##name##_f32, form##_##name##_f64, NULL}
#define RED_ROW_A(form, name) {form##_##name##_f32, form##_##name##_f64, form##_##name##_i64}

const kern_table VCAT(kern, AD_ISA_NAME) = {
    .name = KERN_STR(AD_ISA_NAME),
    .vector_bytes = VBYTES,
    .ew =
        {
#define EW1 EW_ROW
#define EW2 EW_ROW
#define EW3 EW_ROW
#define CMP1 EW_ROW
#define CMP2 EW_ROW
#define SEL3 EW_ROW
#include "../ops/elementwise.def"
#undef EW1
#undef EW2
#undef EW3
#undef CMP1
#undef CMP2
#undef SEL3
        },
    .fold =
        {
#define RED(name, types, ...) [RED_##name] = RED_ROW_##types(f, name),
#include "reduce.def"
#undef RED
        },
    .fold_cols =
        {
#define RED(name, types, ...) [RED_##name] = RED_ROW_##types(c, name),
#include "reduce.def"
#undef RED
        },
#define LOSS(name, ...) [LOSS_##name] = {ls_##name##_f32, ls_##name##_f64},
    .extreme_cols = {extreme_cols_f32, extreme_cols_f64, extreme_cols_i64},
    .loss_sum =
        {
#include "loss.def"
        },
#undef LOSS
#define LOSS(name, ...) [LOSS_##name] = {le_##name##_f32, le_##name##_f64},
    .loss_each =
        {
#include "loss.def"
        },
#undef LOSS
#define LOSS(name, ...) [LOSS_##name] = {lg_##name##_f32, lg_##name##_f64},
    .loss_grad =
        {
#include "loss.def"
        },
#undef LOSS
    .cdist = {distance_f32, distance_f64},
    .cdist_grad = {distance_grad_f32, distance_grad_f64},
    .axpy = {row_axpy_f32, row_axpy_f64},
    .dot = {row_dot_f32, row_dot_f64},
    .softmax = {sm_rows_f32, sm_rows_f64},
    .softmax_grad = {sm_grad_rows_f32, sm_grad_rows_f64},
    .softmax_cols = {sm_cols_f32, sm_cols_f64},
    .softmax_grad_cols = {sm_grad_cols_f32, sm_grad_cols_f64},
    .lse = {sm_lse_rows_f32, sm_lse_rows_f64},
    .lse_cols = {sm_lse_cols_f32, sm_lse_cols_f64},
    .entropy_grad = {sm_ce_rows_f32, sm_ce_rows_f64},
    .entropy_grad_cols = {sm_ce_cols_f32, sm_ce_cols_f64},
#define NORM_ROW(fn) {fn##_f32, fn##_f64}
    .nm_row_stats = NORM_ROW(nm_row_stats),
    .nm_row_apply = NORM_ROW(nm_row_apply),
    .nm_row_dots = NORM_ROW(nm_row_dots),
    .nm_row_grad = NORM_ROW(nm_row_grad),
    .nm_plane_sums = NORM_ROW(nm_plane_sums),
    .nm_plane_flush = NORM_ROW(nm_plane_flush),
    .nm_plane_apply = NORM_ROW(nm_plane_apply),
    .nm_cols_sums = NORM_ROW(nm_cols_sums),
    .nm_cols_apply = NORM_ROW(nm_cols_apply),
#undef NORM_ROW
#define OPTIM(name, ...) [OPTIM_##name] = {opt_##name##_f32, opt_##name##_f64},
    .optim =
        {
#include "optim.def"
        },
#undef OPTIM
#define OPT_ROW(fn) {fn##_f32, fn##_f64}
    .add_squares = OPT_ROW(opt_add_squares),
    .factored = OPT_ROW(opt_factored),
    .axpy_dot = OPT_ROW(opt_axpy_dot),
    .scale = OPT_ROW(opt_scale),
    .clip = OPT_ROW(opt_clip),
    .norm = OPT_ROW(opt_norm),
#undef OPT_ROW
#define RNN_ROW(fn) {fn##_f32, fn##_f64}
    .rnn = {.lstm = RNN_ROW(rn_lstm),
            .lstm_grad = RNN_ROW(rn_lstm_grad),
            .lstm_out = RNN_ROW(rn_lstm_out),
            .gru = RNN_ROW(rn_gru),
            .gru_grad = RNN_ROW(rn_gru_grad),
            .simple = RNN_ROW(rn_simple),
            .simple_grad = RNN_ROW(rn_simple_grad),
            .add = RNN_ROW(rn_add)},
    .attention = {.softmax = RNN_ROW(at_softmax),
                  .scale = RNN_ROW(at_scale),
                  .grad = RNN_ROW(at_grad),
                  .choose = RNN_ROW(at_choose),
                  .add = RNN_ROW(at_add),
                  .dot = RNN_ROW(at_dot)},
#undef RNN_ROW
    .gemm = {&g_kernels_f32, &g_kernels_f64, NULL},
    .conv = {&c_kernels_f32, &c_kernels_f64, NULL},
    .wino = &w_kernels_f32,
    .mask_fill = {k_mask_fill8, k_mask_fill16, k_mask_fill32, k_mask_fill64},
    .mask_scale = {k_mask_scale32, k_mask_scale64},
    .mask_count = k_mask_count,
    .from_half = {k_from_f16, k_from_bf16},
    .to_half = {k_to_f16, k_to_bf16},
    .widen = k_widen,
    .narrow = k_narrow,
    .index_in = k_index_in,
#define FLOAT_ROW(fn) {fn##_f32, fn##_f64}
#define POOL_ROW(fn) {fn##_f32, fn##_f64, fn##_i64}
    .pool_max_tap = POOL_ROW(pool_max_tap),
    .pool_max_line = POOL_ROW(pool_max_line),
    .pool_max_2x2 = FLOAT_ROW(pool_max_2x2),
    .pool_max_2x2_grad = FLOAT_ROW(pool_max_2x2_grad),
    .pool_avg_2x2 = FLOAT_ROW(pool_avg_2x2),
    .pool_avg_2x2_grad = FLOAT_ROW(pool_avg_2x2_grad),
    .pool_avg_all = FLOAT_ROW(pool_avg_all),
    .pool_avg_all_grad = FLOAT_ROW(pool_avg_all_grad),
    .pool_spread_taps = FLOAT_ROW(pool_spread_taps),
    .pool_shares = FLOAT_ROW(pool_shares),
    .pool_fill = POOL_ROW(pool_fill),
    .pool_codes8 = POOL_ROW(pool_codes8),
    .pool_codes64 = POOL_ROW(pool_codes64),
    .pool_sums = POOL_ROW(pool_sums),
    .pool_spread = FLOAT_ROW(pool_spread),
    .pad_rows = FLOAT_ROW(pad_rows),
    .resample_add = FLOAT_ROW(resample_add),
    .resample_line = FLOAT_ROW(resample_line),
    .resample_band = FLOAT_ROW(resample_band),
    .scan_columns = {scan_columns_f32, scan_columns_f64, scan_columns_i64},
    .scan_lines = {scan_lines_f32, scan_lines_f64, scan_lines_i64},
    .grid_read = FLOAT_ROW(grid_read),
    .grid_write = FLOAT_ROW(grid_write),
    .grid_slopes = FLOAT_ROW(grid_slopes),
    .resample_twice = FLOAT_ROW(resample_twice),
#undef POOL_ROW
#undef FLOAT_ROW
};

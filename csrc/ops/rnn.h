/* What the recurrent rows (rnn.c) and their composed form (rnn_rules.c) share. */
#ifndef AD_OPS_RNN_H
#define AD_OPS_RNN_H

#include "../core.h"

enum { RNN_TANH, RNN_RELU, RNN_LSTM, RNN_GRU };                                 /* i[0] */
enum { RNN_X, RNN_H0, RNN_C0, RNN_W, RNN_BIAS, RNN_PROJ, RNN_INPUTS };          /* inputs of rnn */
enum { RNN_Y, RNN_GATES, RNN_CELLS, RNN_HN, RNN_CN, RNN_OUTPUTS };              /* its outputs */
enum { RNN_DX, RNN_DH0, RNN_DC0, RNN_DW, RNN_DBIAS, RNN_DPROJ, RNN_GRADIENTS }; /* outputs of rnn_grad */

static inline int rnn_gates(int kind) { return kind == RNN_LSTM ? 4 : kind == RNN_GRU ? 3 : 1; }

#endif

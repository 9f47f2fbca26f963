/* What attention (attention.c) and its composed form (attention_rules.c) share. */
#ifndef AD_OPS_ATTENTION_H
#define AD_OPS_ATTENTION_H

#define ATTENTION_WIDTH 256 /* most features of a head that the blocks have room for */

#endif

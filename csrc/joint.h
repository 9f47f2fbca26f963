/* Functions that are differentiated outside: a program of two parts, whose call is a node of the tape. */
#ifndef AD_JOINT_H
#define AD_JOINT_H

#include "program.h"

void joint_free(ad_program *p);
bool joint_busy(const ad_program *p); /* whether the backward pass of its last call may still come */
void joint_node_gone(ad_node *n);     /* of any node that is being freed */
/* The second part: gradients of the results in, of what was differentiated out. */
int program_backward(ad_program *p, const ad_handle *grads, int64_t n, ad_handle *outs);
int joint_record(ad_program *p, const ad_handle *args, const ad_handle *outs);

#endif

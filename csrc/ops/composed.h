/* Operations that are computed by a kernel of their own and differentiated twice, or in forward mode, as a
 * composition of others. */
#ifndef AD_OPS_COMPOSED_H
#define AD_OPS_COMPOSED_H

#include "../core.h"

/* Emits the operation's outputs from its inputs (NULL where absent); those it leaves NULL have no gradient.
 */
typedef void (*composition)(ad_em *E, const ad_attr *at, ad_tensor **in, ad_tensor **out);

/* The saved inputs of a node, NULL where an input is absent or not saved. */
void vjp_optional_in(ad_vjp *v, int n, ad_tensor **in);

/* The gradient rule: composes the outputs from the inputs anew and walks back through them. The gradients
 * have a history of their own when the rule is asked for one. */
void composed_vjp(ad_vjp *v, int nin, ad_tensor **in, composition compose);

/* The tangent rule: the composition on inputs that carry tangents. */
void composed_jvp(ad_jvp *j, composition compose);

#endif

/* fixed: texts in buffers of a fixed size. */
#ifndef DOMAIN_FIXED_H
#define DOMAIN_FIXED_H

#include <stddef.h>

/* Copy @from (NULL counts as "") into the @cap bytes at @out, cut before a character that does not
 * fit. Where that is not UTF-8, every byte above ASCII becomes a question mark. The two may
 * overlap. */
void fixed_copy(char *out, size_t cap, const char *from);

#define FIXED_COPY(array, from) fixed_copy((array), sizeof(array), (from))

#endif

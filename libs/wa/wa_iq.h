/* wa_iq: answers to `<iq>` requests, both sides. */
#ifndef WA_WA_IQ_H
#define WA_WA_IQ_H

#include "wa/wa_node.h"

/* `<iq type="result" id= from=>` for @request: id as asked, from whom it was sent to. */
struct wa_node *wa_iq_result(struct arena *arena, const struct wa_node *request);

/* The same with `type="error"` and `<error code= text=/>`. */
struct wa_node *wa_iq_error(struct arena *arena, const struct wa_node *request, int code,
                            const char *text);

/* 0 for `type="result"`, else the code of the error that @answer is (500 where it has none), with
 * its text in *@text (may be NULL; borrowed; "" where it has none). */
int wa_iq_code(const struct wa_node *answer, const char **text);

#endif

/* wa_node_text: texts of a peer made safe for everything behind the codec. */
#ifndef WA_WA_NODE_TEXT_H
#define WA_WA_NODE_TEXT_H

#include "base/arena.h"

/* @raw as NUL-terminated, well-formed UTF-8 in @arena; each byte that is not part of a character,
 * and each NUL, becomes U+FFFD. */
const char *wa_node_text_clean(struct arena *arena, struct bytes raw);

#endif

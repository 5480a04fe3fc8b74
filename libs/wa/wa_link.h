/* wa_link: what both ends of a connection do alike once the handshake is done: nodes to sealed
 * frames and back. */
#ifndef WA_WA_LINK_H
#define WA_WA_LINK_H

#include "base/attr.h"
#include "base/buf.h"
#include "noise/noise.h"
#include "wa/wa_node.h"

struct err;

/* Append one frame that holds @packed, the form of wa_node_encode. */
NODISCARD int wa_link_seal(struct noise_transport *transport, struct bytes packed, struct buf *out,
                           struct err *err);
/* Decrypt @frame and decode the node in it, all in @arena.
 *   -ERR_CRYPTO, -ERR_LIMIT  the stream cannot go on
 *   -ERR_INVALID             this one frame is no node; the next ones may be */
NODISCARD int wa_link_open(struct noise_transport *transport, struct bytes frame,
                           struct arena *arena, struct wa_node **out, struct err *err);

#endif

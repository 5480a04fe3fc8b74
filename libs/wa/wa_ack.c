#include "wa/wa_ack.h"

#include "wa/wa_optional.h"

enum { ERROR_MAX = 9999 };

static void copy_attr(struct wa_node *to, const struct wa_node *from, const char *key,
                      const char *as)
{
    struct wa_jid jid;

    if (wa_node_attr_jid(from, key, &jid)) {
        wa_node_set_jid(to, as, &jid);
    } else { /* no address, but what the server knows it by */
        wa_node_set(to, as, wa_node_attr(from, key));
    }
}

static struct wa_node *begin(struct arena *arena, const struct wa_node *stanza, int error)
{
    struct wa_node *ack = wa_node_new(arena, "ack");

    wa_node_set(ack, "class", stanza->tag);
    wa_node_set(ack, "id", wa_node_attr(stanza, "id"));
    if (error != 0) {
        wa_node_set_int(ack, "error", error);
    }
    return ack;
}

struct wa_node *wa_ack_for(struct arena *arena, const struct wa_node *stanza, int error)
{
    struct wa_node *ack = begin(arena, stanza, error);

    copy_attr(ack, stanza, "from", "to");
    copy_attr(ack, stanza, "participant", "participant");
    copy_attr(ack, stanza, "recipient", "recipient");
    wa_node_set(ack, "type", wa_node_attr(stanza, "type"));
    return ack;
}

struct wa_node *wa_ack_sent(struct arena *arena, const struct wa_node *stanza, int64_t time,
                            int error)
{
    struct wa_node *ack = begin(arena, stanza, error);

    copy_attr(ack, stanza, "to", "from");
    copy_attr(ack, stanza, "participant", "participant");
    if (!wa_node_is(stanza, "message")) {
        wa_node_set(ack, "type", wa_node_attr(stanza, "type"));
    }
    if (time > 0) {
        wa_node_set_int(ack, "t", time);
    }
    return ack;
}

bool wa_ack_parse(const struct wa_node *node, struct wa_ack *out)
{
    struct wa_ack made = {.class = wa_node_attr(node, "class"),
                          .id = wa_node_attr(node, "id"),
                          .type = wa_node_attr(node, "type"),
                          .phash = wa_node_attr(node, "phash")};
    int64_t error = 0;

    if (!wa_node_is(node, "ack") || made.class == NULL || made.id == NULL) {
        return false;
    }
    wa_optional_jid(node, "from", &made.from);
    wa_optional_jid(node, "to", &made.to);
    wa_optional_jid(node, "participant", &made.participant);
    wa_optional_jid(node, "recipient", &made.recipient);
    if (wa_node_attr(node, "error") != NULL &&
        !wa_node_attr_int(node, "error", 0, ERROR_MAX, &error)) {
        error = WA_NACK_UNHANDLED; /* refused, for a reason that is no number */
    }
    made.time = wa_node_attr_time(node, "t");
    made.error = (int)error;
    *out = made;
    return true;
}

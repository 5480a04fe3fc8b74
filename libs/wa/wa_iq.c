#include "wa/wa_iq.h"

#include "wa/wa_optional.h"

enum { CODE_MAX = 9999, CODE_UNKNOWN = 500 };

static struct wa_node *reply(struct arena *arena, const struct wa_node *request, const char *type)
{
    struct wa_node *iq = wa_node_new(arena, "iq");
    struct wa_jid to = wa_jid_of_server(WA_SERVER_PN);

    wa_optional_jid(request, "to", &to);
    wa_node_set(iq, "id", wa_node_attr(request, "id"));
    wa_node_set_jid(iq, "from", &to);
    wa_node_set(iq, "type", type);
    return iq;
}

struct wa_node *wa_iq_result(struct arena *arena, const struct wa_node *request)
{
    return reply(arena, request, "result");
}

struct wa_node *wa_iq_error(struct arena *arena, const struct wa_node *request, int code,
                            const char *text)
{
    struct wa_node *iq = reply(arena, request, "error");
    struct wa_node *error = wa_node_child(iq, "error");

    wa_node_set_int(error, "code", code);
    wa_node_set(error, "text", text);
    return iq;
}

int wa_iq_code(const struct wa_node *answer, const char **text)
{
    const struct wa_node *error = wa_node_find(answer, "error");
    const char *said = wa_node_attr(error, "text");
    int64_t code = CODE_UNKNOWN;

    if (text != NULL) {
        *text = said == NULL ? "" : said;
    }
    if (wa_node_attr_is(answer, "type", "result")) {
        return 0;
    }
    wa_optional_int(error, "code", CODE_MAX, &code);
    return code == 0 ? CODE_UNKNOWN : (int)code; /* an error is never a success */
}

#include "ingress/family.h"

#include <jansson.h>

#include "domain/fixed.h"
#include "http/http.h"

enum { MESSAGE_MAX = 512 };

/* A message that quotes what was sent may have been cut within a character. */
static json_t *readable(const char *message)
{
    json_t *json = json_string(message);
    char clean[MESSAGE_MAX];

    if (json == NULL) {
        FIXED_COPY(clean, message);
        json = json_string(clean);
    }
    return json;
}

static json_t *render_f0(const struct http_problem *p)
{
    return json_pack("{s:b, s:o, s:s}", "success", 0, "message", readable(p->message), "error",
                     p->code);
}

static json_t *render_f4(const struct http_problem *p)
{
    return json_pack("{s:s, s:o}", "error", http_reason(p->status), "message",
                     readable(p->message));
}

const struct http_family families[FAMILY_COUNT] = {
    [FAMILY_F0] = {"F0", "/api/blast-control", render_f0},
    [FAMILY_F4] = {"F4", "", render_f4},
};

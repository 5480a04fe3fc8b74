#include "ingress/family.h"

#include <jansson.h>

#include "http/http.h"

static json_t *render_f0(const struct http_problem *p)
{
    return json_pack("{s:b, s:s, s:s}", "success", 0, "message", p->message, "error", p->code);
}

static json_t *render_f4(const struct http_problem *p)
{
    return json_pack("{s:s, s:s}", "error", http_reason(p->status), "message", p->message);
}

const struct http_family families[FAMILY_COUNT] = {
    [FAMILY_F0] = {"F0", "/api/blast-control", render_f0},
    [FAMILY_F4] = {"F4", "", render_f4},
};

/* http_json: bytes from a peer as JSON, within limits. Pure. */
#ifndef HTTP_HTTP_JSON_H
#define HTTP_HTTP_JSON_H

#include "base/attr.h"
#include "base/mem.h"

struct err;
struct json_t;

/* Parse @text, which must be one object; empty or blank counts as {}. Gives *@out (json_decref).
 * -ERR_INVALID: says line and column; never repeats the text, which may hold a password. So is one
 * that is nested deeper than TEXT_JSON_DEPTH_MAX. */
NODISCARD int http_json_parse(struct bytes text, struct json_t **out, struct err *err);

#endif

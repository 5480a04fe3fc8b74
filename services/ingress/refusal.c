#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "domain/fixed.h"
#include "ingress/ingress.h"

const char *actor_kind_name(enum actor_kind kind)
{
    static const char *const names[] = {
        [ACTOR_USER] = "user", [ACTOR_API_KEY] = "api_key", [ACTOR_KAFKA] = "kafka"};

    return names[kind];
}

int refuse(struct refusal *why, enum refusal_kind kind, const char *code, const char *fmt, ...)
{
    char text[2 * sizeof(why->text)];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    why->kind = kind;
    FIXED_COPY(why->code, code);
    FIXED_COPY(why->text,
               text); /* what it quotes may be cut within a character, which no store takes */
    return -1;
}

int refuse_store(struct refusal *why, const char *what, const struct err *err)
{
    bool is_away = err->code == -ERR_CLOSED || err->code == -ERR_TIMEOUT || err->code == -ERR_LIMIT;

    log_warn("a store failed", LOG_STR("what", what), LOG_STR("error", err_name(err->code)),
             LOG_STR("reason", err->text));
    return is_away ? refuse(why, REFUSED_UNAVAILABLE, "UNAVAILABLE", "%s is not reachable", what)
                   : refuse(why, REFUSED_INTERNAL, "INTERNAL_ERROR", "%s failed", what);
}

int refusal_status(enum refusal_kind kind)
{
    static const int statuses[] = {
        [REFUSED_INVALID] = 400,  [REFUSED_NOT_FOUND] = 404,   [REFUSED_CONFLICT] = 409,
        [REFUSED_LIMIT] = 429,    [REFUSED_UNAVAILABLE] = 503, [REFUSED_TIMEOUT] = 504,
        [REFUSED_INTERNAL] = 500,
    };

    return statuses[kind];
}

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    if (err != NULL) {
        va_list ap;

        err->code = -(int)code;
        va_start(ap, fmt);
        (void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
        va_end(ap);
    }
    return -(int)code;
}

int err_wrap(struct err *err, int rc, const char *fmt, ...)
{
    if (err != NULL) {
        struct err inner = *err;
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
        va_end(ap);
        if (n >= 0 && (size_t)n < sizeof(err->text)) {
            (void)snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %.200s", inner.text);
        }
    }
    return rc;
}

enum err_action err_action(int rc)
{
    switch (-rc) {
#define ERR_CASE(name, action, text) \
    case ERR_##name:                 \
        return ERR_ACTION_##action;
        ERR_LIST(ERR_CASE)
#undef ERR_CASE
    default:
        return ERR_ACTION_GIVE_UP;
    }
}

const char *err_name(int rc)
{
    switch (-rc) {
#define ERR_CASE(name, action, text) \
    case ERR_##name:                 \
        return #name;
        ERR_LIST(ERR_CASE)
#undef ERR_CASE
    default:
        return "OK";
    }
}

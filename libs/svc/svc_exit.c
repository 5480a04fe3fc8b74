#include "svc/svc_exit.h"

#include "base/err.h"
#include "base/log.h"

static int status_of(int code)
{
    switch (-code) {
    case ERR_INVALID:
        return SVC_EXIT_CONFIG;
    case ERR_REFUSED:
    case ERR_CRYPTO:
        return SVC_EXIT_FORBIDDEN;
    case ERR_FENCED:
        return SVC_EXIT_FENCED;
    case ERR_LIMIT:
    case ERR_SYSTEM:
        return SVC_EXIT_SYSTEM;
    case ERR_TIMEOUT:
    case ERR_CLOSED:
    case ERR_EXTERNAL:
        return SVC_EXIT_UNAVAILABLE;
    default:
        return SVC_EXIT_SOFTWARE;
    }
}

int svc_die(const char *service, const struct err *err)
{
    int status = status_of(err->code);

    log_error("cannot go on", LOG_STR("process", service), LOG_STR("error", err_name(err->code)),
              LOG_STR("reason", err->text), LOG_INT("exit", status));
    return status;
}

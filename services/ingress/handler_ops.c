#include "base/buf.h"
#include "ingress/handler.h"
#include "svc/svc_health.h"

static void answer_state(struct http_request *request, struct ingress *ingress, bool with_ready)
{
    struct buf body = {0};
    int status = svc_health_answer(ingress->health, with_ready, &body);

    http_answer(request, status, "application/json; charset=utf-8", buf_bytes(&body));
    buf_done(&body);
}

void on_healthz(struct http_request *request, void *ctx)
{
    answer_state(request, ctx, false);
}

void on_readyz(struct http_request *request, void *ctx)
{
    answer_state(request, ctx, true);
}

void on_metrics(struct http_request *request, void *ctx)
{
    struct ingress *ingress = ctx;
    struct buf body = {0};

    svc_health_metrics(ingress->health, &body);
    http_answer(request, 200, SVC_METRICS_TYPE, buf_bytes(&body));
    buf_done(&body);
}

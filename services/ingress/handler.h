/* handler: the endpoints, and what they share. Each turns a request into a call of a use case and
 * words its outcome for its family. */
#ifndef INGRESS_HANDLER_H
#define INGRESS_HANDLER_H

#include <stdbool.h>

#include "http/http.h"
#include "ingress/client.h"
#include "ingress/ingress.h"
#include "ingress/request.h"

/* Who may call a route: http_route.access. */
enum access {
    ACCESS_OPEN,  /* anybody */
    ACCESS_USER,  /* a bearer credential */
    ACCESS_SOCKET /* the same, or ?token= (browsers cannot set headers of a WebSocket) */
};

/* http_app.admit: credential and rate. */
bool handler_admit(struct http_request *request, const struct http_route *route, void *ctx);

/* http_app.done: the access log. */
void handler_done(const struct http_request *request, const struct http_done *done, void *ctx);

const struct actor *actor_of(const struct http_request *request);
struct asker asker_of(struct http_request *request, void *ctx); /* @ctx: what handlers get */

/* What came as a credential; NULL: nothing. */
const char *handler_credential(const struct http_request *request);

/* The address on whose behalf it came; returns @out. */
const char *handler_client(const struct http_request *request, const struct ingress *ingress,
                           char out[CLIENT_MAX]);

/* Answer 429 in the family's words. */
void handler_limited(struct http_request *request, int retry_after_s);

/* Answer with a refusal in the family's envelope. */
void handler_refuse(struct http_request *request, const struct refusal *why);

/* The body's members by table; false: answered 400, 408 or 413. */
bool handler_body(struct http_request *request, const struct request_field *fields, size_t n,
                  void *to, struct json_t **body);

/* ---- outside all families: handler_ops.c ---- */
http_handler on_healthz;
http_handler on_readyz;
http_handler on_metrics;

/* ---- the schema registry: handler_registry.c ---- */
http_handler on_schema_types;
http_handler on_schema_by_id;
http_handler on_schema_text_by_id;
http_handler on_schema_versions_by_id;
http_handler on_subjects;
http_handler on_subject_versions;
http_handler on_subject_version;
http_handler on_subject_version_text;
http_handler on_subject_lookup;
http_handler on_subject_register;
http_handler on_registry_config;
http_handler on_registry_mode;

/* ---- F4: handler_f4.c, handler_socket.c ---- */
http_handler on_login;
http_handler on_f4_sessions_list;
http_handler on_f4_sessions_create;
http_handler on_f4_session_get;
http_handler on_f4_session_delete;
http_handler on_f4_session_connect;
http_handler on_f4_session_disconnect;
http_handler on_f4_session_name;
http_handler on_f4_session_webhook;
http_handler on_f4_session_send;
http_handler on_f4_send;
http_handler on_f4_socket;

/* ---- F0: handler_f0.c, handler_f0_create.c ---- */
http_handler on_f0_list;
http_handler on_f0_create;
http_handler on_f0_get;
http_handler on_f0_start;
http_handler on_f0_pause;
http_handler on_f0_resume;
http_handler on_f0_stop;
http_handler on_f0_delete;
http_handler on_f0_messages;

#endif

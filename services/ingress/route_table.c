#include "ingress/route_table.h"

#include "ingress/family.h"
#include "ingress/handler.h"

enum {
    UPLOAD_BODY_MAX = 1 << 30, /* bytes of a CSV; BLAST_RECIPIENTS_MAX holds too */
    BLAST_JSON_MAX = 12 << 20  /* bytes of a blast as JSON, which is kept in memory */
};

#define ROUTE(of_method, of_pattern, of_family, of_access, handler, text, ...)                   \
    {                                                                                            \
        .pattern = (of_pattern), .handle = (handler), .doc = (text), .method = HTTP_##of_method, \
        .family = FAMILY_##of_family, .access = ACCESS_##of_access, __VA_ARGS__                  \
    }
#define F0 "/api/blast-control/sessions"
#define F4 "/api/sessions"

const struct http_route route_table[] = {
    /* clang-format off: one row, one endpoint */
    ROUTE(POST, "/api/login", F4, OPEN, on_login, "log in"),
    ROUTE(GET, F4, F4, USER, on_f4_sessions_list, "list sessions"),
    ROUTE(POST, F4, F4, USER, on_f4_sessions_create, "create a session"),
    ROUTE(GET, F4 "/{id}", F4, USER, on_f4_session_get, "one session"),
    ROUTE(DELETE, F4 "/{id}", F4, USER, on_f4_session_delete, "delete a session"),
    ROUTE(PUT, F4 "/{id}/name", F4, USER, on_f4_session_name, "rename a session"),
    ROUTE(PUT, F4 "/{id}/webhook", F4, USER, on_f4_session_webhook, "set its webhook"),
    ROUTE(POST, F4 "/{id}/connect", F4, USER, on_f4_session_connect, "start QR login"),
    ROUTE(POST, F4 "/{id}/disconnect", F4, USER, on_f4_session_disconnect, "disconnect"),
    ROUTE(POST, F4 "/{id}/send", F4, USER, on_f4_session_send, "send a message"),
    ROUTE(POST, "/api/send", F4, USER, on_f4_send, "send by phone"),
    ROUTE(GET, "/api/ws/{id}", F4, SOCKET, on_f4_socket, "QR login channel"),

    ROUTE(GET, F0, F0, USER, on_f0_list, "list blasts"),
    ROUTE(POST, F0, F0, USER, on_f0_create, "create a blast", .body_max = UPLOAD_BODY_MAX,
          .json_max = BLAST_JSON_MAX),
    ROUTE(GET, F0 "/{sessionId}", F0, USER, on_f0_get, "one blast"),
    ROUTE(DELETE, F0 "/{sessionId}", F0, USER, on_f0_delete, "delete a blast"),
    ROUTE(POST, F0 "/{sessionId}/start", F0, USER, on_f0_start, "start"),
    ROUTE(POST, F0 "/{sessionId}/pause", F0, USER, on_f0_pause, "pause"),
    ROUTE(POST, F0 "/{sessionId}/resume", F0, USER, on_f0_resume, "resume"),
    ROUTE(POST, F0 "/{sessionId}/stop", F0, USER, on_f0_stop, "stop"),
    ROUTE(GET, F0 "/{sessionId}/messages", F0, USER, on_f0_messages, "its messages"),

    ROUTE(GET, "/healthz", F4, OPEN, on_healthz, "is it well"),
    ROUTE(GET, "/readyz", F4, OPEN, on_readyz, "may it get work"),
    ROUTE(GET, "/metrics", F4, OPEN, on_metrics, "Prometheus text"),

    /* the schema registry */
    ROUTE(GET, "/schemas/types", F4, OPEN, on_schema_types, "AVRO"),
    ROUTE(GET, "/schemas/ids/{id}", F4, OPEN, on_schema_by_id, "a schema by id"),
    ROUTE(GET, "/schemas/ids/{id}/schema", F4, OPEN, on_schema_text_by_id, "its text"),
    ROUTE(GET, "/schemas/ids/{id}/versions", F4, OPEN, on_schema_versions_by_id, "its subject"),
    ROUTE(GET, "/subjects", F4, OPEN, on_subjects, "all subjects"),
    ROUTE(POST, "/subjects/{subject}", F4, OPEN, on_subject_lookup, "look a schema up"),
    ROUTE(GET, "/subjects/{subject}/versions", F4, OPEN, on_subject_versions, "its versions"),
    ROUTE(POST, "/subjects/{subject}/versions", F4, OPEN, on_subject_register, "register"),
    ROUTE(GET, "/subjects/{subject}/versions/{version}", F4, OPEN, on_subject_version,
          "one version, or latest"),
    ROUTE(GET, "/subjects/{subject}/versions/{version}/schema", F4, OPEN, on_subject_version_text,
          "its text"),
    ROUTE(GET, "/config", F4, OPEN, on_registry_config, "compatibility"),
    ROUTE(GET, "/config/{subject}", F4, OPEN, on_registry_config, "compatibility"),
    ROUTE(GET, "/mode", F4, OPEN, on_registry_mode, "read only"),
    /* clang-format on */
};
const size_t route_table_n = sizeof(route_table) / sizeof(route_table[0]);

/* Inside the admin interface: its requests as jobs for the loop. What each does is in
 * sandbox_admin_phones.c and sandbox_admin_seen.c; threads, statuses and routes are in
 * sandbox_admin.c. */
#ifndef SANDBOX_SANDBOX_ADMIN_INTERNAL_H
#define SANDBOX_SANDBOX_ADMIN_INTERNAL_H

#include <jansson.h>

#include "base/err.h"
#include "http/http.h"
#include "sandbox/sandbox_world.h"

enum {
    SANDBOX_BODY_MAX = 16 << 20, /* numbers by the hundred thousand */
    SANDBOX_PAGE = 100,
    SANDBOX_PAGE_MAX = 10000
};

/* One request: filled on its own thread, worked on by the loop, answered on its own again. */
struct sandbox_job {
    struct sandbox_admin *admin;
    struct sandbox_world *world;
    struct http_request *request;
    void (*work)(struct sandbox_job *job);
    const json_t *body; /* what was posted; NULL: nothing */
    const char *text;   /* the same as text, for the QR code */

    int status;     /* 0: 200 */
    json_t *answer; /* NULL: {} */
    struct err err; /* code is not 0: an error instead */
};

/* method, path, name of the work, help, most bytes of the body (0: as usual) */
#define SANDBOX_PHONE "/admin/phones/{number}"
#define SANDBOX_ROUTES(X)                                                                      \
    X(POST, "/admin/phones", make_phones, "make phones", SANDBOX_BODY_MAX)                     \
    X(GET, "/admin/phones", list_phones, "list phones", 0)                                     \
    X(GET, SANDBOX_PHONE, show_phone, "one phone, its companions and behaviour", 0)            \
    X(POST, SANDBOX_PHONE "/send", send, "the phone writes a text", 0)                         \
    X(GET, SANDBOX_PHONE "/messages/{id}", written, "what became of a text", 0)                \
    X(POST, SANDBOX_PHONE "/messages/{id}/ask", ask, "the phone asks for a message again", 0)  \
    X(POST, SANDBOX_PHONE "/online", online, "the phone comes back", 0)                        \
    X(POST, SANDBOX_PHONE "/offline", offline, "the phone goes away", 0)                       \
    X(POST, SANDBOX_PHONE "/behaviour", behaviour, "change how it answers", 0)                 \
    X(DELETE, SANDBOX_PHONE "/devices/{device}", unlink, "unlink a companion", 0)              \
    X(POST, SANDBOX_PHONE "/devices/{device}/replace", replace, "another login takes over", 0) \
    X(POST, SANDBOX_PHONE "/acks", acks, "keep acks of messages to it back", 0)                \
    X(DELETE, SANDBOX_PHONE "/devices/{device}/prekeys", lose_keys,                            \
      "the server loses its one-time keys", 0)                                                 \
    X(GET, "/admin/ledger", ledger, "what devices decrypted", 0)                               \
    X(DELETE, "/admin/ledger", clear, "forget it, and the violations", 0)                      \
    X(GET, "/admin/violations", violations, "the newest violations", 0)                        \
    X(GET, "/admin/summary", summary, "counts of all", 0)

void sandbox_work_scan(struct sandbox_job *job);
#define SANDBOX_WORK(method, path, name, help, body_max) \
    void sandbox_work_##name(struct sandbox_job *job);
SANDBOX_ROUTES(SANDBOX_WORK)
#undef SANDBOX_WORK

/* ---- parameters; what is wrong with one is the job's error ---- */

struct sandbox_account *sandbox_job_account(struct sandbox_job *job); /* of the path; or NULL */
unsigned sandbox_job_device(struct sandbox_job *job); /* the companion of the path; or 0 */

/* A whole number of the query string; *@value stays when it is not there. */
bool sandbox_job_query(struct sandbox_job *job, const char *name, int64_t max, int64_t *value);

#endif

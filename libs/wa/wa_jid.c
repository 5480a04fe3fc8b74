#include "wa/wa_jid.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const server_names[] = {[WA_SERVER_NONE] = "",
#define SERVER_NAME(name, text) [WA_SERVER_##name] = (text),
                                           WA_SERVER_LIST(SERVER_NAME)
#undef SERVER_NAME
};

enum { SERVERS = sizeof(server_names) / sizeof(server_names[0]) };

const char *wa_server_name(enum wa_server server)
{
    return (unsigned)server < SERVERS ? server_names[server] : "";
}

enum wa_server wa_server_find(const char *name, size_t n)
{
    for (unsigned i = 1; i < SERVERS; i++) {
        if (strlen(server_names[i]) == n && memcmp(server_names[i], name, n) == 0) {
            return (enum wa_server)i;
        }
    }
    return n == 4 && memcmp(name, "c.us", 4) == 0 ? WA_SERVER_PN : WA_SERVER_NONE;
}

struct wa_jid wa_jid_make(enum wa_server server, const char *user, uint16_t device)
{
    struct wa_jid jid = {.server = server, .device = device};
    size_t n = strlen(user);

    assert(n <= WA_JID_USER_MAX);
    memcpy(jid.user, user, n);
    return jid;
}

struct wa_jid wa_jid_of_server(enum wa_server server)
{
    return (struct wa_jid){.server = server};
}

/* The largest device number that the wire has a form for. */
static unsigned device_max(enum wa_server server)
{
    switch (server) {
    case WA_SERVER_PN:
    case WA_SERVER_LID:
    case WA_SERVER_HOSTED:
    case WA_SERVER_HOSTED_LID:
        return WA_JID_DEVICE_MAX;
    case WA_SERVER_MSGR:
    case WA_SERVER_INTEROP:
        return UINT16_MAX;
    default:
        return 0;
    }
}

/* A decimal number up to @max that fills all of @text. */
static bool parse_number(const char *text, size_t n, unsigned max, unsigned *out)
{
    unsigned v = 0;

    if (n == 0 || n > 5) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        v = v * 10 + (unsigned)(text[i] - '0');
    }
    *out = v;
    return v <= max;
}

static bool ends_in_zero(const char *text, size_t n)
{
    return n >= 2 && memcmp(text + n - 2, ".0", 2) == 0;
}

/* What stands before the '@': user, user:device, user.0:device. */
static bool parse_user(const char *text, size_t n, struct wa_jid *jid)
{
    const char *colon = memchr(text, ':', n);
    unsigned device = 0;

    if (colon != NULL) {
        size_t user = (size_t)(colon - text);

        if (!parse_number(colon + 1, n - user - 1, device_max(jid->server), &device)) {
            return false;
        }
        n = ends_in_zero(text, user) ? user - 2 : user;
    }
    if (n > WA_JID_USER_MAX || (n == 0 && device > 0) || ends_in_zero(text, n)) {
        return false; /* with another ".0" its text would be that of somebody else */
    }
    memcpy(jid->user, text, n);
    jid->device = (uint16_t)device;
    return true;
}

bool wa_jid_parse(const char *text, struct wa_jid *out)
{
    struct wa_jid jid = {0};
    const char *at = strchr(text, '@');
    const char *name = at == NULL ? text : at + 1;

    jid.server = wa_server_find(name, strlen(name));
    if (jid.server == WA_SERVER_NONE) {
        return false;
    }
    if (at != NULL && !parse_user(text, (size_t)(at - text), &jid)) {
        return false;
    }
    *out = jid;
    return true;
}

const char *wa_jid_format(const struct wa_jid *jid, char out[WA_JID_TEXT_MAX])
{
    const char *server = wa_server_name(jid->server);

    if (jid->user[0] == '\0') {
        (void)snprintf(out, WA_JID_TEXT_MAX, "%s", server);
    } else if (jid->device == 0) {
        (void)snprintf(out, WA_JID_TEXT_MAX, "%s@%s", jid->user, server);
    } else {
        (void)snprintf(out, WA_JID_TEXT_MAX, "%s:%u@%s", jid->user, jid->device, server);
    }
    return out;
}

const char *wa_jid_format_ad(const struct wa_jid *jid, char out[WA_JID_TEXT_MAX])
{
    (void)snprintf(out, WA_JID_TEXT_MAX, "%s.0:%u@%s", jid->user, jid->device,
                   wa_server_name(jid->server));
    return out;
}

struct wa_jid wa_jid_with_device(const struct wa_jid *jid, uint16_t device)
{
    struct wa_jid out = *jid;

    out.device = device;
    return out;
}

struct wa_jid wa_jid_bare(const struct wa_jid *jid)
{
    return wa_jid_with_device(jid, 0);
}

int wa_jid_compare(const struct wa_jid *a, const struct wa_jid *b)
{
    int order;

    if (a->server != b->server) {
        return a->server < b->server ? -1 : 1;
    }
    order = strcmp(a->user, b->user);
    if (order != 0) {
        return order;
    }
    if (a->device != b->device) {
        return a->device < b->device ? -1 : 1;
    }
    return (a->integrator > b->integrator) - (a->integrator < b->integrator);
}

bool wa_jid_equal(const struct wa_jid *a, const struct wa_jid *b)
{
    return wa_jid_compare(a, b) == 0;
}

bool wa_jid_same_user(const struct wa_jid *a, const struct wa_jid *b)
{
    return a->server == b->server && strcmp(a->user, b->user) == 0;
}

bool wa_jid_is_none(const struct wa_jid *jid)
{
    return jid->server == WA_SERVER_NONE;
}

bool wa_jid_is_user(const struct wa_jid *jid)
{
    return jid->user[0] != '\0' &&
           (jid->server == WA_SERVER_PN || jid->server == WA_SERVER_HOSTED || wa_jid_is_lid(jid));
}

bool wa_jid_is_lid(const struct wa_jid *jid)
{
    return jid->server == WA_SERVER_LID || jid->server == WA_SERVER_HOSTED_LID;
}

bool wa_jid_is_group(const struct wa_jid *jid)
{
    return jid->server == WA_SERVER_GROUP && jid->user[0] != '\0';
}

/* wa_usync: asking the server about users: their devices, hidden ids, whether a number is known.
 * Both sides. Parsed values borrow texts from the node; arrays are in the given arena. Pure. */
#ifndef WA_WA_USYNC_H
#define WA_WA_USYNC_H

#include "wa/wa_node.h"

struct err;

enum {
    WA_USYNC_USERS_MAX = 5000,  /* in one query or answer */
    WA_USYNC_DEVICES_MAX = 256, /* of one user: a device number has one byte */
};

/* What can be asked about a user; a set of them. */
enum wa_usync_protocol {
    WA_USYNC_CONTACT = 1 << 0,
    WA_USYNC_DEVICES = 1 << 1,
    WA_USYNC_LID = 1 << 2,
    WA_USYNC_BUSINESS = 1 << 3,
    WA_USYNC_STATUS = 1 << 4,
    WA_USYNC_PICTURE = 1 << 5,
    WA_USYNC_DISAPPEARING = 1 << 6,
    WA_USYNC_USERNAME = 1 << 7,
    WA_USYNC_BOT = 1 << 8
};

/* A user in a query: an address, or a phone number for WA_USYNC_CONTACT. */
struct wa_usync_asked {
    struct wa_jid jid;   /* none when a number is asked */
    const char *contact; /* as written, such as "+4912345"; NULL when an address is asked */
};

struct wa_usync_query {
    unsigned protocols;  /* set of enum wa_usync_protocol */
    const char *sid;     /* the request's own id */
    const char *mode;    /* "query", "full" */
    const char *context; /* "message" before a send, "interactive", "background" */
    const struct wa_usync_asked *users;
    size_t n;
};

/* Build the request. */
struct wa_node *wa_usync_query(struct arena *arena, const char *id,
                               const struct wa_usync_query *query);

/* The server's side. -ERR_INVALID: no query, or a user with neither address nor number;
 * -ERR_LIMIT: over WA_USYNC_USERS_MAX. Unknown protocols are left out. */
NODISCARD int wa_usync_query_parse(const struct wa_node *iq, struct arena *arena,
                                   struct wa_usync_query *out, struct err *err);

/* The digits of a contact text: without "+" in front and "@..." behind. NULL: there are none, or
 * more than a number has. In @arena. */
const char *wa_usync_digits(struct arena *arena, const char *contact);

/* ---- answer ---- */

struct wa_usync_device {
    uint16_t id;        /* 0: the phone */
    uint32_t key_index; /* at least 1 for companions, 0 for the phone */
    bool is_hosted;
};

struct wa_usync_found {
    struct wa_jid jid; /* as asked; of a number: the user's */
    bool has_devices;
    const struct wa_usync_device *devices;
    size_t n_devices;
    struct bytes key_index_list; /* ADVSignedKeyIndexList; empty: none */
    int64_t key_index_time;      /* of it, seconds; 0: none */
    bool has_lid;
    struct wa_jid lid;
    bool has_contact;
    bool is_in;          /* the number is registered */
    const char *contact; /* the number as asked, NULL: not repeated */
};

struct wa_usync_answer {
    const struct wa_usync_found *users;
    size_t n;
};

/* Begin an answer to @request: the node to add users to. *@iq is the whole. */
struct wa_node *wa_usync_answer(struct arena *arena, const struct wa_node *request,
                                struct wa_node **iq);
/* Add one user as @found says; the node, to add what else was asked. */
struct wa_node *wa_usync_answer_add(struct wa_node *list, const struct wa_usync_found *found);

/* -ERR_INVALID: no list; -ERR_LIMIT: over WA_USYNC_USERS_MAX or DEVICES_MAX. Users without an
 * address, and devices with a number that cannot be, are left out. */
NODISCARD int wa_usync_answer_parse(const struct wa_node *answer, struct arena *arena,
                                    struct wa_usync_answer *out, struct err *err);

/* The address of @device of @user, with the hosted servers where it is one. */
struct wa_jid wa_usync_device_jid(const struct wa_jid *user, const struct wa_usync_device *device);

#endif

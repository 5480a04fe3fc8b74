/* recipient: one recipient of a blast out of a JSON object or a CSV row. Pure.
 *
 * What comes out is what travels: phone is digits. Memory is the arena's. */
#ifndef INGRESS_RECIPIENT_H
#define INGRESS_RECIPIENT_H

#include <stddef.h>

#include "base/attr.h"
#include "domain/campaign.h"
#include "domain/phone.h"
#include "ingress/csv.h"
#include "record/records.h"

struct arena;
struct err;
struct json_t;

enum {
    RECIPIENT_NAME_MAX = CAMPAIGN_CONTACT_MAX,      /* characters of a contact's name */
    RECIPIENT_TEMPLATE_MAX = CAMPAIGN_TEMPLATE_MAX, /* characters of a template */
    RECIPIENT_VALUE_MAX = 1024,                     /* characters of a variable's value */
    RECIPIENT_VARIABLES_MAX = 50
};

/* The digits of @text, the member @name: a phone, or a user's JID. -ERR_INVALID says what is wrong,
 * of a group's JID that groups are not sent to. */
NODISCARD int recipient_phone(const char *name, const char *text, char out[PHONE_MAX],
                              struct err *err);

/* {phone, contactName?, variables?, messageTemplate?}. -ERR_INVALID says which member. */
NODISCARD int recipient_from_json(const struct json_t *json, struct arena *arena,
                                  struct recipient *out, struct err *err);

/* The same of one that came over Kafka. */
NODISCARD int recipient_from_submitted(const struct submitted_recipient *from, struct arena *arena,
                                       struct recipient *out, struct err *err);

/* The columns of a header row: phone (or phoneNumber), name (or contactName), messageTemplate; all
 * others are variables of that name. */
struct recipient_columns {
    size_t n;
    int phone;
    int name;                         /* -1: none */
    int template;                     /* -1: none */
    const char *names[CSV_CELLS_MAX]; /* NULL for those three */
};

/* -ERR_INVALID: no phone column, a name twice, one that is no name of a variable, or too many. */
NODISCARD int recipient_header(const struct csv_row *row, struct arena *arena,
                               struct recipient_columns *out, struct err *err);

/* -ERR_INVALID says what is wrong with the row, without its number. */
NODISCARD int recipient_from_row(const struct recipient_columns *columns, const struct csv_row *row,
                                 struct arena *arena, struct recipient *out, struct err *err);

/* About how many bytes it will take in a record. */
size_t recipient_bytes(const struct recipient *recipient);

#endif

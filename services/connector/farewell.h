/* farewell: devices of sessions that were removed. WhatsApp is asked to unlink each, over a
 * connection of its own, again and again with growing waits, until it has confirmed or
 * FAREWELL_DAYS are over; as long the table to_unlink keeps the sealed credentials, so that a crash
 * forgets none. */
#ifndef CONNECTOR_FAREWELL_H
#define CONNECTOR_FAREWELL_H

#include <stddef.h>

struct account;
struct connector;
struct pg_rows;

enum {
    FAREWELL_DAYS = 7,        /* then the device stays linked, and its credentials go */
    FAREWELL_AT_ONCE = 20,    /* connections */
    FAREWELL_TRY_MS = 20000,  /* for connecting, logging in and the answer */
    FAREWELL_FIRST_MS = 1000, /* the waits between tries double */
    FAREWELL_MOST_MS = 600000,
    FAREWELL_LOOK_MS = 1000 /* while others have the connections, or the partition is away */
};

/* @account's device is to be unlinked, and its row committed: takes the credentials, which no
 * connection uses any more. */
void farewell_add(struct account *account);

/* A row of @partition: session_uuid, device, sealed, asked_at. One that is unreadable is logged,
 * and kept as long as others are: a key may be missing. */
void farewell_load(struct connector *connector, int partition, const struct pg_rows *rows,
                   size_t row);

/* @partition is not ours at the moment: connections end, and are made again when it is back. */
void farewell_pause(struct connector *connector, int partition);

/* It is somebody else's: all of it is forgotten; the rows stay. */
void farewell_drop(struct connector *connector, int partition);

#endif

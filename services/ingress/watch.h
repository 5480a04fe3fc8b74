/* watch: whoever asks for a session that waits to be linked keeps it from being closed as idle: the
 * connector looks at the marks that are left here. Any thread; nothing happens while Redis is
 * away. */
#ifndef INGRESS_WATCH_H
#define INGRESS_WATCH_H

struct arena;
struct ingress;
struct session_row;

/* Its status or code was asked for; of use only while it waits. */
void watch_row(struct ingress *ingress, const struct session_row *row, struct arena *arena);

/* The same, whatever it does: it is being told to connect. */
void watch_session(struct ingress *ingress, const char *session_uuid, struct arena *arena);

#endif

/* loop_wake: how other threads (librdkafka's, civetweb's) hand work to the loop.
 *
 * new and close belong to the loop's thread; what is marked "any thread" does not. All of them keep
 * the loop running until closed. */
#ifndef LOOP_LOOP_WAKE_H
#define LOOP_LOOP_WAKE_H

#include <stdint.h>

#include "base/attr.h"

struct err;
struct loop;

/* ---- wake: "look again", many calls may arrive as one ---- */

struct loop_wake;
typedef void loop_wake_cb(void *ctx);

/* Gives *@out (loop_wake_close). -ERR_SYSTEM when the system has no descriptors left. */
NODISCARD int loop_wake_new(struct loop *loop, loop_wake_cb *fn, void *ctx, struct loop_wake **out,
                            struct err *err);
void loop_wake_signal(struct loop_wake *wake); /* any thread, also from signal handlers */

/* The descriptor to which another library writes LOOP_WAKE_SIZE bytes of loop_wake_payload to
 * signal (rd_kafka_queue_io_event_enable). Stays the wake's; stop the writer before closing. */
enum { LOOP_WAKE_SIZE = 8 };
int loop_wake_fd(const struct loop_wake *wake);
extern const uint64_t loop_wake_payload;
void loop_wake_close(struct loop_wake **wake);

/* ---- gate: a thread runs a function on the loop and waits for it ---- */

struct loop_gate;
typedef void loop_gate_cb(void *ctx);

NODISCARD int loop_gate_new(struct loop *loop, struct loop_gate **out, struct err *err);

/* Any thread but the loop's. Runs @fn(@ctx) on the loop and returns 0 when it ran; -ERR_CLOSED when
 * the gate was shut before it did (it will not run any more). */
NODISCARD int loop_gate_call(struct loop_gate *gate, loop_gate_cb *fn, void *ctx);

/* From now on calls answer -ERR_CLOSED, those that wait too. Any thread. Then stop the callers and
 * say close. */
void loop_gate_shut(struct loop_gate *gate);
void loop_gate_close(struct loop_gate **gate); /* all calling threads must be gone */

#endif

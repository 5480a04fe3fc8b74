/* An event as it comes from Kafka; the first byte says of what: 0 a session, 1 a message, 2 a
 * message, whose receipt is told. What a subscriber gets is JSON of the shape that it knows. */
#include <string.h>

#include <jansson.h>

#include "bus/bus_codec.h"
#include "testkit/testkit_fuzz.h"
#include "webhooks/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An inbound message has "message" and no "event"; all else has "event" and no "message". */
static void check(const struct payload *payload, const char *member)
{
    json_t *json = json_loads(payload->body, JSON_REJECT_DUPLICATES, NULL);
    bool is_message = payload->name == EVENT_NAME_MESSAGE;
    const json_t *message = json_object_get(json, "message");

    must(json != NULL && json_is_string(json_object_get(json, "session_id")));
    must(json_is_object(message) == is_message);
    must(json_is_string(json_object_get(json, "event")) == !is_message);
    must(!is_message || (json_is_string(json_object_get(message, "message")) &&
                         json_is_integer(json_object_get(message, "timestamp"))));
    must(member == NULL || json_object_get(json, member) != NULL);
    json_decref(json);
}

static void as_session(struct bytes from, struct arena *arena)
{
    struct session_event event;
    struct payload payload;

    if (bus_decode(TOPIC_SESSION_EVENTS, from, arena, &event, NULL) == 0 &&
        payload_of_session(&event, arena, &payload)) {
        check(&payload, "timestamp");
    }
}

static void as_message(struct bytes from, bool is_receipt, struct arena *arena)
{
    struct message_event event;
    struct payload payload;

    if (bus_decode(TOPIC_MESSAGE_EVENTS, from, arena, &event, NULL) < 0) {
        return;
    }
    if (payload_of_message(&event, arena, &payload)) {
        check(&payload, NULL);
    }
    if (is_receipt && (event.kind == MESSAGE_EVENT_DELIVERED || event.kind == MESSAGE_EVENT_READ)) {
        struct payload_receipt about = {event.event_id, event.session_key, event.aggregate_id};

        payload_of_receipt(&event, &about, arena, &payload);
        check(&payload, "receipt");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};

    if (size == 0) {
        return 0;
    }
    if (data[0] == 0) {
        as_session((struct bytes){data + 1, size - 1}, &arena);
    } else {
        as_message((struct bytes){data + 1, size - 1}, data[0] == 2, &arena);
    }
    arena_done(&arena);
    return 0;
}

#include "bus/bus_record.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static size_t count_headers(const rd_kafka_message_t *message, rd_kafka_headers_t **headers,
                            size_t *bytes)
{
    size_t n = 0;
    const char *name;
    const void *value;
    size_t size;

    *bytes = 0;
    if (rd_kafka_message_headers(message, headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return 0;
    }
    while (rd_kafka_header_get_all(*headers, n, &name, &value, &size) ==
           RD_KAFKA_RESP_ERR_NO_ERROR) {
        *bytes += strlen(name) + 1 + size;
        n++;
    }
    return n;
}

static struct bytes put(uint8_t **room, const void *p, size_t n)
{
    struct bytes copy = {0};

    if (p != NULL) {
        copy = (struct bytes){*room, n};
        memcpy(*room, p, n);
        *room += n;
    }
    return copy;
}

struct bus_record_box *bus_record_new(enum topic topic, const rd_kafka_message_t *message)
{
    bool is_end = message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_headers_t *headers = NULL;
    size_t header_bytes = 0;
    size_t n_headers = is_end ? 0 : count_headers(message, &headers, &header_bytes);
    size_t fixed = sizeof(struct bus_record_box) + n_headers * sizeof(struct bus_header);
    size_t bytes = is_end ? 0 : header_bytes + message->key_len + message->len;
    struct bus_record_box *box = mem_new0(fixed + bytes + 1);
    uint8_t *room = (uint8_t *)box + fixed;
    rd_kafka_timestamp_type_t kind;

    box->record.topic = topic;
    box->record.partition = message->partition;
    box->record.offset = message->offset;
    box->is_end = is_end;
    if (is_end) {
        return box;
    }
    box->record.timestamp_ms = rd_kafka_message_timestamp(message, &kind);
    box->record.key = put(&room, message->key, message->key_len);
    box->record.value = put(&room, message->payload, message->len);
    box->n_headers = n_headers;
    for (size_t i = 0; i < n_headers; i++) {
        const char *name = NULL;
        const void *value = NULL;
        size_t size = 0;

        (void)rd_kafka_header_get_all(headers, i, &name, &value, &size);
        box->headers[i].name = (const char *)put(&room, name, strlen(name) + 1).p;
        box->headers[i].value = put(&room, value, size);
    }
    return box;
}

static const struct bus_record_box *box_of(const struct bus_record *record)
{
    return (const struct bus_record_box *)record; /* its first member */
}

void bus_record_free(struct bus_record **record)
{
    free(*record);
    *record = NULL;
}

bool bus_record_header(const struct bus_record *record, const char *name, struct bytes *out)
{
    const struct bus_record_box *box = box_of(record);

    for (size_t i = box->n_headers; i > 0; i--) {
        if (strcasecmp(box->headers[i - 1].name, name) == 0) {
            *out = box->headers[i - 1].value;
            return true;
        }
    }
    return false;
}

bool bus_header_is_secret(const char *name)
{
    static const char *const secret[] = {"x-api-key", "authorization", "cookie", "x-auth-token"};

    for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++) {
        if (strcasecmp(name, secret[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The secret header of @record from the @at-th on that is long enough to be looked for. */
static const struct bytes *next_secret(const struct bus_record_box *box, size_t *at)
{
    while (*at < box->n_headers) {
        const struct bus_header *header = &box->headers[(*at)++];

        if (bus_header_is_secret(header->name) && header->value.n >= BUS_SECRET_MIN) {
            return &header->value;
        }
    }
    return NULL;
}

void bus_record_mask(const struct bus_record *record, uint8_t *text, size_t n)
{
    const struct bus_record_box *box = box_of(record);
    const struct bytes *secret;
    size_t at = 0;

    while ((secret = next_secret(box, &at)) != NULL) {
        uint8_t *found = text;

        while ((found = memmem(found, n - (size_t)(found - text), secret->p, secret->n)) != NULL) {
            memset(found, '*', secret->n);
        }
    }
}

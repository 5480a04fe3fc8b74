#include "domain/zone.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "domain/civil.h"
#include "domain/zone_rule.h"

enum { HEADER_SIZE = 44, TYPE_SIZE = 6 };

struct zone {
    size_t times_n;
    int64_t *times_s;      /* ascending: from here on ... */
    int32_t *offsets;      /* ... this many seconds east */
    int32_t before;        /* what holds before the first */
    struct zone_rule rule; /* what holds after the last */
};

/* The counts of one block of the file. */
struct counts {
    uint32_t isut, isstd, leap, times, types, chars;
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const uint8_t *p)
{
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

static int read_header(struct bytes file, size_t at, struct counts *out, struct err *err)
{
    if (file.n < at + HEADER_SIZE || memcmp(file.p + at, "TZif", 4) != 0) {
        return err_set(err, ERR_INVALID, "no TZif header at byte %zu", at);
    }
    if (file.p[at + 4] < '2') {
        return err_set(err, ERR_INVALID, "TZif of version 1");
    }
    const uint8_t *p = file.p + at + 20;

    *out = (struct counts){be32(p),      be32(p + 4),  be32(p + 8),
                           be32(p + 12), be32(p + 16), be32(p + 20)};
    if (out->times > ZONE_TIMES_MAX || out->leap > ZONE_TIMES_MAX || out->types > 256 ||
        out->chars > 256 || out->isut > 256 || out->isstd > 256) {
        return err_set(err, ERR_LIMIT, "TZif with %u times, %u types", out->times, out->types);
    }
    if (out->types == 0) {
        return err_set(err, ERR_INVALID, "TZif without a type");
    }
    return 0;
}

/* Bytes of the data block behind a header; times are @width bytes wide. */
static size_t block_size(const struct counts *c, size_t width)
{
    return c->times * (width + 1) + (size_t)c->types * TYPE_SIZE + c->chars +
           c->leap * (width + 4) + c->isstd + c->isut;
}

static int read_block(const uint8_t *p, const struct counts *c, struct zone *zone, struct err *err)
{
    const uint8_t *kinds = p + (size_t)c->times * 8;
    const uint8_t *types = kinds + c->times;

    zone->times_n = c->times;
    zone->times_s = mem_array0(c->times + 1, sizeof(*zone->times_s));
    zone->offsets = mem_array0(c->times + 1, sizeof(*zone->offsets));
    zone->before = (int32_t)be32(types); /* type 0 (RFC 9636, 3.2) */
    for (uint32_t i = 0; i < c->times; i++) {
        if (kinds[i] >= c->types) {
            return err_set(err, ERR_INVALID, "TZif names type %u of %u", kinds[i], c->types);
        }
        zone->times_s[i] = be64(p + (size_t)i * 8);
        zone->offsets[i] = (int32_t)be32(types + (size_t)kinds[i] * TYPE_SIZE);
        if (zone->offsets[i] < -ZONE_OFFSET_MAX_S || zone->offsets[i] > ZONE_OFFSET_MAX_S) {
            return err_set(err, ERR_INVALID, "TZif with an offset of %d s", zone->offsets[i]);
        }
        if (i > 0 && zone->times_s[i] <= zone->times_s[i - 1]) {
            return err_set(err, ERR_INVALID, "TZif with times that go back");
        }
    }
    if (zone->before < -ZONE_OFFSET_MAX_S || zone->before > ZONE_OFFSET_MAX_S) {
        return err_set(err, ERR_INVALID, "TZif with an offset of %d s", zone->before);
    }
    return 0;
}

/* "\n" TZ "\n" behind the second block; empty when nobody knows what comes after the last time. */
static int read_footer(struct bytes file, size_t at, struct zone *zone, struct err *err)
{
    const uint8_t *end = NULL;
    char text[ZONE_RULE_TEXT_MAX];

    if (at < file.n && file.p[at] == '\n') {
        end = memchr(file.p + at + 1, '\n', file.n - at - 1);
    }
    if (end == NULL) {
        return err_set(err, ERR_INVALID, "TZif without a footer");
    }
    size_t n = (size_t)(end - (file.p + at + 1));

    if (n == 0) {
        zone->rule.standard_s = zone->times_n > 0 ? zone->offsets[zone->times_n - 1] : zone->before;
        return 0;
    }
    if (n >= sizeof(text)) {
        return err_set(err, ERR_INVALID, "TZif with a footer of %zu bytes", n);
    }
    memcpy(text, file.p + at + 1, n);
    text[n] = '\0';
    if (strlen(text) != n || zone_rule_parse(text, &zone->rule) < 0) {
        return err_set(err, ERR_INVALID, "TZif with a footer that is no rule");
    }
    return 0;
}

static int parse(struct bytes file, struct zone *zone, struct err *err)
{
    struct counts first = {0};
    struct counts second = {0};
    int rc = read_header(file, 0, &first, err);

    if (rc < 0) {
        return rc;
    }
    size_t at = HEADER_SIZE + block_size(&first, 4);

    rc = read_header(file, at, &second, err);
    if (rc < 0) {
        return rc;
    }
    at += HEADER_SIZE;
    size_t size = block_size(&second, 8);

    if (size > file.n - at) {
        return err_set(err, ERR_INVALID, "TZif is cut short");
    }
    rc = read_block(file.p + at, &second, zone, err);
    return rc < 0 ? rc : read_footer(file, at + size, zone, err);
}

int zone_parse(struct bytes file, struct zone **out, struct err *err)
{
    struct zone *zone = NULL;

    if (file.n > ZONE_FILE_MAX) {
        return err_set(err, ERR_LIMIT, "time zone of %zu bytes", file.n);
    }
    zone = mem_new0(sizeof(*zone));
    int rc = parse(file, zone, err);

    if (rc < 0) {
        zone_free(&zone);
        return rc;
    }
    *out = zone;
    return 0;
}

void zone_free(struct zone **zone)
{
    if (*zone != NULL) {
        free((*zone)->times_s);
        free((*zone)->offsets);
        free(*zone);
        *zone = NULL;
    }
}

static int64_t to_ms(int64_t s)
{
    if (s > INT64_MAX / 1000) {
        return INT64_MAX;
    }
    return s < INT64_MIN / 1000 ? INT64_MIN : s * 1000;
}

struct zone_offset zone_offset_at(const struct zone *zone, int64_t at_ms)
{
    int64_t at_s = civil_div(at_ms, 1000);

    if (zone == NULL) {
        return (struct zone_offset){.seconds = 0, .until_ms = INT64_MAX};
    }
    size_t low = 0;
    size_t high = zone->times_n; /* the number of times that are not after @at */

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (zone->times_s[middle] <= at_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < zone->times_n) {
        return (struct zone_offset){.seconds = low == 0 ? zone->before : zone->offsets[low - 1],
                                    .until_ms = to_ms(zone->times_s[low])};
    }
    int64_t until_s = INT64_MAX;
    int32_t seconds = zone_rule_offset(&zone->rule, at_s, &until_s);

    return (struct zone_offset){.seconds = seconds, .until_ms = to_ms(until_s)};
}

#include "webhooks/gate.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <utlist.h>

#include "base/mem.h"
#include "webhooks/url.h"

struct gate_line {
    struct gate_host *host;
    struct gate_place *first;
    unsigned under_way;
    bool is_ready; /* in gate.ready */
    struct gate_line *prev;
    struct gate_line *next;
};

struct gate_host {
    char name[URL_PLACE_MAX];
    struct gate_line lines[GATE_LANES];
};

/* ---- lists ---- */

/* The list macros stand in for functions; their size is not ours. */
/* NOLINTBEGIN(readability-function-cognitive-complexity,readability-function-size) */

static void line_add(struct gate_line *line, struct gate_place *place)
{
    DL_APPEND(line->first, place);
}

static void line_remove(struct gate_line *line, struct gate_place *place)
{
    DL_DELETE(line->first, place);
}

static void ready_add(struct gate_line **ready, struct gate_line *line)
{
    DL_APPEND(*ready, line);
    line->is_ready = true;
}

static void ready_remove(struct gate_line **ready, struct gate_line *line)
{
    DL_DELETE(*ready, line);
    line->is_ready = false;
}

/* NOLINTEND(readability-function-cognitive-complexity,readability-function-size) */

/* ---- hosts ---- */

static const unsigned per_host[GATE_LANES] = {GATE_QUICK_PER_HOST, GATE_SLOW_PER_HOST};

static unsigned host_under_way(const struct gate_host *host)
{
    return host->lines[GATE_QUICK].under_way + host->lines[GATE_SLOW].under_way;
}

static struct gate_host *find_or_make_host(struct gate *gate, const char *name)
{
    struct gate_host *host = map_get(&gate->hosts, name);

    if (host == NULL) {
        host = mem_new0(sizeof(*host));
        (void)snprintf(host->name, sizeof(host->name), "%s", name);
        for (int lane = 0; lane < GATE_LANES; lane++) {
            host->lines[lane].host = host;
        }
        map_put(&gate->hosts, host->name, host);
    }
    return host;
}

/* Something of @host has changed: are its lines in the right lists? Forgets a host without any
 * posts. */
static void look_again(struct gate *gate, struct gate_host *host)
{
    bool is_any = false;

    for (int lane = 0; lane < GATE_LANES; lane++) {
        struct gate_line *line = &host->lines[lane];
        bool is_ready = line->first != NULL && line->under_way < per_host[lane] &&
                        host_under_way(host) < GATE_PER_HOST;

        if (is_ready && !line->is_ready) {
            ready_add(&gate->ready[lane], line);
        } else if (!is_ready && line->is_ready) {
            ready_remove(&gate->ready[lane], line);
        }
        is_any = is_any || line->first != NULL || line->under_way > 0;
    }
    if (!is_any) {
        map_drop(&gate->hosts, host->name);
        free(host);
    }
}

/* ---- posts ---- */

static void count(struct gate *gate, const struct gate_place *place, int by)
{
    place->host->lines[place->lane].under_way += (unsigned)by;
    gate->under_way += (size_t)by;
    gate->slow += place->lane == GATE_SLOW ? (size_t)by : 0;
}

void gate_enter(struct gate *gate, struct gate_place *place, const char *host, enum gate_lane lane)
{
    *place = (struct gate_place){.host = find_or_make_host(gate, host), .lane = lane};
    line_add(&place->host->lines[lane], place);
    gate->waiting++;
    look_again(gate, place->host);
}

static struct gate_place *begin(struct gate *gate, struct gate_line *line)
{
    struct gate_place *place = line->first;

    line_remove(line, place);
    ready_remove(&gate->ready[place->lane], line); /* what is left of it goes behind the others */
    gate->waiting--;
    place->is_under_way = true;
    count(gate, place, 1);
    look_again(gate, place->host);
    return place;
}

struct gate_place *gate_next(struct gate *gate)
{
    for (int i = 0; i < GATE_LANES && gate->under_way < GATE_TOTAL; i++) {
        enum gate_lane lane = gate->turn;
        struct gate_line *line = gate->ready[lane];

        gate->turn = lane == GATE_QUICK ? GATE_SLOW : GATE_QUICK;
        if (line != NULL && (lane == GATE_QUICK || gate->slow < GATE_SLOW_TOTAL)) {
            return begin(gate, line);
        }
    }
    return NULL;
}

void gate_turn_slow(struct gate *gate, struct gate_place *place)
{
    assert(place->is_under_way);
    count(gate, place, -1);
    place->lane = GATE_SLOW;
    count(gate, place, 1);
    look_again(gate, place->host);
}

void gate_leave(struct gate *gate, struct gate_place *place)
{
    struct gate_host *host = place->host;

    if (place->is_under_way) {
        count(gate, place, -1);
    } else {
        line_remove(&host->lines[place->lane], place);
        gate->waiting--;
    }
    place->host = NULL;
    look_again(gate, host);
}

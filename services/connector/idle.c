#include "connector/idle.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/log.h"
#include "cache/cache.h"
#include "cache/cache_keys.h"
#include "connector/account.h"
#include "connector/connector.h"

enum {
    CODES_MAX = 8,  /* of one connection there are six */
    AGAIN_MS = 5000 /* after an answer of Redis that did not come */
};

struct code {
    int64_t shown_ms; /* loop time */
    int64_t ends_ms;
};

struct idle {
    struct loop_timer timer;
    int64_t since_ms;             /* the first look */
    struct code codes[CODES_MAX]; /* the oldest first */
    size_t n;
};

/* A question to Redis under way; the account may be gone when the answer comes. */
struct idle_question {
    struct idle_question *prev; /* (utlist) */
    struct idle_question *next;
    struct connector *connector;
    char uuid[UUID_TEXT_MAX];
};

static void on_time(struct loop_timer *timer, void *ctx);

static int64_t now_ms(const struct account *account)
{
    return loop_now_ms(account->connector->loop);
}

static void wake_in(struct account *account, int64_t wait_ms)
{
    loop_timer_start(account->connector->loop, &account->idle->timer, wait_ms > 0 ? wait_ms : 0,
                     on_time, account);
}

/* ---- the rule ---- */

/* When it is over for one who looked last at @look_ms. */
static int64_t ends_at(const struct account *account, int64_t look_ms)
{
    const struct idle *idle = account->idle;
    int64_t end_ms = look_ms;

    for (size_t i = 0; i < idle->n; i++) {
        const struct code *code = &idle->codes[i];

        /* the first one answers a look that came before it */
        if ((i == 0 || code->shown_ms <= look_ms) && code->ends_ms > end_ms) {
            end_ms = code->ends_ms;
        }
    }
    return end_ms + account->connector->config.idle_s * 1000;
}

/* Somebody looked @ago_ms before now; negative: nobody that is known of. */
static void decide(struct account *account, int64_t ago_ms)
{
    int64_t look_ms = account->idle->since_ms;
    int64_t end_ms;

    if (ago_ms >= 0 && now_ms(account) - ago_ms > look_ms) {
        look_ms = now_ms(account) - ago_ms;
    }
    end_ms = ends_at(account, look_ms);
    if (now_ms(account) < end_ms) {
        wake_in(account, end_ms - now_ms(account));
        return;
    }
    log_info("nobody waits for it", LOG_STR("session", account->state.uuid));
    account_see(account, account_seen_new(SESSION_SAW_IDLE));
    wake_in(account, AGAIN_MS); /* unless it is stopped by what follows */
}

/* ---- asking ---- */

static void drop(struct idle_question *question)
{
    DL_DELETE(question->connector->idle_questions, question);
    free(question);
}

static void on_answer(int rc, const struct cache_reply *reply, void *ctx)
{
    struct idle_question *question = ctx;
    struct account *account = account_find(question->connector, question->uuid);

    drop(question);
    if (account == NULL || account->idle == NULL) {
        return;
    }
    if (rc < 0 || reply->kind != CACHE_INT) {
        wake_in(account, AGAIN_MS);
    } else { /* PTTL; negative: there is no mark */
        decide(account, reply->number < 0 ? -1 : CACHE_WATCH_TTL_MS - reply->number);
    }
}

static void on_time(struct loop_timer *timer, void *ctx)
{
    struct account *account = ctx;
    struct connector *connector = account->connector;
    struct cache_key key = cache_key_watch(account->state.uuid);
    const char *const parts[] = {"PTTL", key.text, NULL};
    struct idle_question *question;

    (void)timer;
    if (!ledger_is_live(connector->ledger, account->partition)) {
        wake_in(account, AGAIN_MS); /* nothing is to be decided at the moment */
        return;
    }
    question = mem_new0(sizeof(*question));
    question->connector = connector;
    memcpy(question->uuid, account->state.uuid, UUID_TEXT_MAX);
    DL_APPEND(connector->idle_questions, question);
    cache_command_text(connector->cache, parts, on_answer, question);
}

/* ---- life ---- */

static bool waits(const struct session *session)
{
    return session->phase == SESSION_WAITING_FOR_SCAN ||
           (session->phase == SESSION_CONNECTING && !session->linked);
}

void idle_follow(struct account *account)
{
    if (!waits(&account->state)) {
        idle_stop(account);
    } else if (account->idle == NULL) {
        account->idle = mem_new0(sizeof(*account->idle));
        account->idle->since_ms = now_ms(account);
        wake_in(account, account->connector->config.idle_s * 1000);
    }
}

void idle_code(struct account *account, int64_t lifetime_ms)
{
    struct idle *idle = account->idle;

    if (idle == NULL) {
        return;
    }
    if (idle->n == CODES_MAX) {
        memmove(idle->codes, idle->codes + 1, (CODES_MAX - 1) * sizeof(idle->codes[0]));
        idle->n--;
    }
    idle->codes[idle->n++] =
        (struct code){.shown_ms = now_ms(account), .ends_ms = now_ms(account) + lifetime_ms};
}

void idle_stop(struct account *account)
{
    if (account->idle != NULL) {
        loop_timer_stop(&account->idle->timer);
        free(account->idle);
        account->idle = NULL;
    }
}

void idle_drop_all(struct connector *connector)
{
    struct idle_question *question = NULL;
    struct idle_question *next = NULL;

    DL_FOREACH_SAFE (connector->idle_questions, question, next) {
        free(question);
    }
    connector->idle_questions = NULL;
}

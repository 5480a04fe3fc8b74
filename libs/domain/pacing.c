#include "domain/pacing.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

enum { MINUTE_MS = 60000 }; /* a token is so many parts: per_min parts come in every millisecond */

/* splitmix64 */
static uint64_t next(struct pacing_random *random)
{
    uint64_t z = (random->state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int32_t pacing_draw(struct pacing_random *random, int32_t min, int32_t max)
{
    assert(min <= max);
    uint64_t span = (uint64_t)((int64_t)max - min) + 1;
    uint64_t limit = UINT64_MAX - UINT64_MAX % span; /* a multiple: no value is more likely */
    uint64_t drawn = next(random);

    while (drawn >= limit) {
        drawn = next(random);
    }
    return (int32_t)(min + (int64_t)(drawn % span));
}

static int32_t draw(struct pacing *pacing, const struct blast_delay *delay)
{
    return pacing_draw(&pacing->random, delay->min_ms, delay->max_ms);
}

void pacing_start(struct pacing *pacing, const struct blast_config *config, uint64_t seed,
                  int64_t now_ms)
{
    pacing->random.state = seed;
    pacing->due_ms = now_ms + draw(pacing, &config->message_delay);
}

void pacing_handed_over(struct pacing *pacing, const struct blast_config *config, int64_t now_ms)
{
    int64_t from = pacing->due_ms;

    /* A turn that came late is made up for, but not a pause or a night. */
    if (from < now_ms - PACING_CATCH_UP_MS) {
        from = now_ms - PACING_CATCH_UP_MS;
    }
    pacing->due_ms =
        from + draw(pacing, &config->contact_delay) + draw(pacing, &config->message_delay);
}

void pacing_bucket_init(struct pacing_bucket *bucket, int32_t per_min, int32_t burst,
                        int64_t now_ms)
{
    *bucket =
        (struct pacing_bucket){.per_min = per_min, .burst = burst < 1 ? 1 : burst, .at_ms = now_ms};
    bucket->tokens = (int64_t)bucket->burst * MINUTE_MS;
}

static int64_t filled(const struct pacing_bucket *bucket, int64_t now_ms)
{
    int64_t full = (int64_t)bucket->burst * MINUTE_MS;
    int64_t passed = now_ms > bucket->at_ms ? now_ms - bucket->at_ms : 0;

    if (passed >= full / bucket->per_min + 1) {
        return full; /* also keeps the product small */
    }
    int64_t tokens = bucket->tokens + passed * bucket->per_min;

    return tokens < full ? tokens : full;
}

int64_t pacing_bucket_wait(const struct pacing_bucket *bucket, int64_t now_ms)
{
    if (bucket->per_min <= 0) {
        return 0;
    }
    int64_t lacks = MINUTE_MS - filled(bucket, now_ms);

    return lacks <= 0 ? 0 : (lacks + bucket->per_min - 1) / bucket->per_min;
}

void pacing_bucket_take(struct pacing_bucket *bucket, int64_t now_ms)
{
    assert(pacing_bucket_wait(bucket, now_ms) == 0);
    if (bucket->per_min > 0) {
        bucket->tokens = filled(bucket, now_ms) - MINUTE_MS;
        bucket->at_ms = now_ms > bucket->at_ms ? now_ms : bucket->at_ms;
    }
}

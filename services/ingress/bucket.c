#include "ingress/bucket.h"

enum { TOKEN = 1000, MS_PER_MIN = 60000 };

static void fill(struct bucket *bucket, int64_t per_min, int64_t now_ms)
{
    int64_t full = per_min * TOKEN;
    int64_t gap_ms = now_ms - bucket->at_ms;

    if (bucket->at_ms == 0 || gap_ms >= MS_PER_MIN) {
        bucket->milli_tokens = full;
        bucket->at_ms = now_ms;
    } else if (gap_ms > 0) {
        int64_t gained = gap_ms * full / MS_PER_MIN;

        /* what is less than a thousandth stays in the time, or hammering would keep it empty */
        bucket->at_ms += gained * MS_PER_MIN / full;
        bucket->milli_tokens += gained;
    }
    if (bucket->milli_tokens > full) { /* also when the rate was lowered */
        bucket->milli_tokens = full;
    }
}

int64_t bucket_take(struct bucket *bucket, int64_t per_min, int64_t now_ms)
{
    fill(bucket, per_min, now_ms);
    if (bucket->milli_tokens >= TOKEN) {
        bucket->milli_tokens -= TOKEN;
        return 0;
    }
    return ((TOKEN - bucket->milli_tokens) * MS_PER_MIN + per_min * TOKEN - 1) / (per_min * TOKEN);
}

void bucket_give(struct bucket *bucket, int64_t per_min, int64_t now_ms)
{
    bucket->milli_tokens += TOKEN;
    fill(bucket, per_min, now_ms);
}

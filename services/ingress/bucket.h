/* bucket: tokens that come at a steady rate and are saved up to a minute's worth. Pure. */
#ifndef INGRESS_BUCKET_H
#define INGRESS_BUCKET_H

#include <stdint.h>

/* All-zero: never used, and so full. */
struct bucket {
    int64_t milli_tokens;
    int64_t at_ms; /* when these were counted */
};

/* Take a token at @now_ms, a clock that does not go back and is over 0; @per_min (1 or more) come
 * in a minute. Returns 0, or after how many milliseconds there will be one. */
int64_t bucket_take(struct bucket *bucket, int64_t per_min, int64_t now_ms);

/* Put one back. */
void bucket_give(struct bucket *bucket, int64_t per_min, int64_t now_ms);

#endif

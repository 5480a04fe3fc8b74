#include "domain/answer.h"

#include <assert.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>

void answer_to_json(const struct answer *answer, struct buf *out)
{
    bool ok = answer->verdict == VERDICT_OK;
    const char *text = answer->message != NULL ? answer->message : verdict_text(answer->verdict);
    json_t *json =
        json_pack("{ss ss ss ss ss ss sI}", "command_id", answer->command_id, "verdict",
                  ok ? "ok" : "refused", "code", verdict_code(answer->verdict), "message", text,
                  "aggregate_type", answer->aggregate_type, "aggregate_id", answer->aggregate_id,
                  "sequence", (json_int_t)answer->sequence);
    char *line;

    assert(json != NULL); /* every text came through the codec, so it is UTF-8 */
    line = json_dumps(json, JSON_COMPACT);
    assert(line != NULL);
    buf_add_str(out, line);
    free(line);
    json_decref(json);
}

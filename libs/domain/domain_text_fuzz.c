/* Texts of strangers: phones, JIDs, session keys, templates, configs. The input is split at
 * newlines. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "domain/blast_config.h"
#include "domain/phone.h"
#include "domain/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_recipient(const char *text)
{
    struct destination destination;
    char phone[PHONE_MAX];

    if (destination_parse(text, &destination) == 0 &&
        destination_parse(destination.jid, &destination) != 0) {
        abort(); /* what we write we also read */
    }
    if (phone_parse(text, phone) == 0 && phone_parse(phone, phone) != 0) {
        abort();
    }
    (void)session_key_is_valid(text);
}

static void as_template(const char *text, const char *value)
{
    struct record_pair pair = {"a", value};
    struct record_map variables = {1, &pair};
    struct template_values values = {"62", value, &variables};
    struct buf out = {0};
    unsigned missing = 0;

    if (template_render(text, &values, &out, &missing) == 0 && out.n > TEMPLATE_OUTPUT_MAX) {
        abort();
    }
    buf_done(&out);
}

static void as_config(const char *text)
{
    struct blast_config defaults = blast_config_default();
    struct blast_config config;

    if (blast_config_from_json(text, &defaults, &config, NULL) == 0 &&
        (!hours_are_valid(&config.hours) ||
         config.message_delay.min_ms > config.message_delay.max_ms)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *all = mem_strndup(size > 0 ? (const char *)data : "", size);
    char *rest = all;
    const char *first = strsep(&rest, "\n");

    as_recipient(first);
    as_template(first, rest != NULL ? rest : "");
    as_config(first);
    free(all);
    return 0;
}

#include "scheduler/bounds.h"

#include <string.h>

#include "base/err.h"
#include "domain/blast.h"
#include "domain/campaign.h"

struct bound {
    const char *name;
    const char *text; /* may be NULL */
    size_t max;       /* bytes */
};

static int check(const struct bound *bounds, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t bytes = bounds[i].text == NULL ? 0 : strlen(bounds[i].text);

        if (bytes > bounds[i].max) {
            return err_set(err, ERR_LIMIT, "%s: %zu bytes, at most %zu", bounds[i].name, bytes,
                           bounds[i].max);
        }
    }
    return 0;
}

static int check_create(const struct create_blast *create, struct err *err)
{
    const struct bound bounds[] = {
        {"create.blast_key", create->blast_key, BLAST_KEY_MAX - 1},
        {"create.session_key", create->session_key, SESSION_KEY_MAX - 1},
        {"create.campaign_id", create->campaign_id, CAMPAIGN_ID_MAX},
        {"create.campaign_name", create->campaign_name, CAMPAIGN_NAME_BYTES_MAX},
        {"create.message_template", create->message_template, CAMPAIGN_TEMPLATE_BYTES_MAX},
        {"create.upload_id", create->upload_id, BLAST_UPLOAD_MAX - 1},
    };

    return check(bounds, sizeof(bounds) / sizeof(bounds[0]), err);
}

int bounds_check(const struct blast_command *command, struct err *err)
{
    const struct bound bounds[] = {
        {"correlation_id", command->correlation_id, BOUNDS_ENVELOPE_MAX},
        {"reply_to", command->reply_to, BOUNDS_ENVELOPE_MAX},
        {"actor_kind", command->actor_kind, BOUNDS_ENVELOPE_MAX},
        {"actor_id", command->actor_id, BOUNDS_ENVELOPE_MAX},
    };
    int rc = check(bounds, sizeof(bounds) / sizeof(bounds[0]), err);

    return rc == 0 && command->kind == BLAST_COMMAND_CREATE ? check_create(&command->as.create, err)
                                                            : rc;
}

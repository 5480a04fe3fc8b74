#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "domain/blast_config.h"
#include "domain/campaign.h"
#include "domain/ids.h"
#include "ingress/blast_query.h"
#include "ingress/command.h"
#include "ingress/request.h"
#include "ingress/reserve.h"
#include "ingress/session_query.h"
#include "ingress/usecase.h"

/* ---- open ---- */

static int check_draft(const struct blast_draft *draft, struct refusal *why)
{
    const struct {
        const char *name;
        const char *text;
        size_t max;
    } texts[] = {
        {"whatsappSessionId", draft->session, SESSION_KEY_MAX - 1},
        {"campaignName", draft->campaign_name, CAMPAIGN_NAME_MAX},
        {"messageTemplate", draft->message_template, CAMPAIGN_TEMPLATE_MAX},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].text == NULL) {
            return refuse(why, REFUSED_INVALID, "INVALID_REQUEST", "%s is required", texts[i].name);
        }
        if (texts[i].text[0] == 0 || request_characters(texts[i].text) > texts[i].max) {
            return refuse(why, REFUSED_INVALID, "INVALID_REQUEST",
                          "%s must be a string of 1 to %zu characters", texts[i].name,
                          texts[i].max);
        }
    }
    if (draft->campaign_id != NULL && strlen(draft->campaign_id) > CAMPAIGN_ID_MAX) {
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST", "campaignId is over %d bytes",
                      CAMPAIGN_ID_MAX);
    }
    return 0;
}

static json_t *delay_json(const struct svc_range *range)
{
    return json_pack("{s:I, s:I}", "min", (json_int_t)range->min, "max", (json_int_t)range->max);
}

/* The config as given, with the members it lacks filled from the configuration of the service
 * (given ones are kept as they are). */
static int complete_config(struct ingress *ingress, const char *given, struct arena *arena,
                           const char **out, struct refusal *why)
{
    const struct blast_config defaults = blast_config_default();
    struct blast_config parsed;
    struct err err = {0};
    json_t *json;
    json_t *filled;
    char *text;

    if (blast_config_from_json(given, &defaults, &parsed, &err) < 0) {
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST", "%s", err.text);
    }
    json = given != NULL && given[0] != 0 ? json_loads(given, 0, NULL) : json_object();
    filled =
        json_pack("{s:o, s:o, s:{s:b}}", "messageDelay",
                  delay_json(&ingress->config->message_delay_ms), "contactDelay",
                  delay_json(&ingress->config->contact_delay_ms), "businessHours", "enabled", 0);
    (void)json_object_update(filled, json);
    text = json_dumps(filled, JSON_COMPACT);
    *out = arena_strdup(arena, text);
    free(text);
    json_decref(json);
    json_decref(filled);
    return 0;
}

static void set_account(struct blast_making *making, const struct session_row *session)
{
    memcpy(making->session_uuid.text, session->uuid, sizeof(making->session_uuid.text));
    (void)snprintf(making->session_key, sizeof(making->session_key), "%s", session->session_key);
    making->session_sequence = session->applied_seq > session->runtime.sequence
                                   ? session->applied_seq
                                   : session->runtime.sequence;
}

/* The name may stand for another session by now, or for none. */
static bool is_at_home(const struct blast_home *home, const struct session_row *session)
{
    return home == NULL || strcmp(home->session_uuid.text, session->uuid) == 0;
}

/* A session that does not exist yet may be named by its key: the blast is kept where it will be
 * (B4). A key of somebody else, or an id that is no key, is not found. */
static int find_account(struct blast_making *making, struct refusal *why)
{
    const struct blast_home *home = making->draft->home;
    const char *name = making->draft->session;
    int64_t user_id = making->by.actor->user_id;
    struct session_row session;
    struct err err = {0};
    int64_t owner = 0;
    int rc = session_find(making->by.ingress, user_id, name, making->by.arena, &session, &err);

    if (rc == 0 && is_at_home(home, &session)) {
        set_account(making, &session);
        return 0;
    }
    if (rc < 0 && rc != -ERR_NOT_FOUND) {
        return refuse_store(why, "PostgreSQL", &err);
    }
    if (home != NULL) {
        making->session_uuid = home->session_uuid;
        memcpy(making->session_key, home->session_key, sizeof(making->session_key));
        return 0;
    }
    if (session_key_is_valid(name) && !making->draft->auto_start) {
        if (reserve_owner(making->by.ingress, name, &owner, &err) < 0) {
            return refuse_store(why, "PostgreSQL", &err);
        }
        if (owner == 0 || owner == user_id) {
            making->session_uuid = session_uuid(user_id, name);
            (void)snprintf(making->session_key, sizeof(making->session_key), "%s", name);
            return 0;
        }
    }
    return refuse(why, REFUSED_NOT_FOUND, "WHATSAPP_SESSION_NOT_FOUND",
                  "WhatsApp session not found");
}

int usecase_blast_open(struct blast_making *making, const struct asker *by,
                       const struct blast_draft *draft, struct refusal *why)
{
    memset(making, 0, sizeof(*making));
    making->by = *by;
    making->draft = draft;
    if (check_draft(draft, why) < 0 ||
        complete_config(by->ingress, draft->config, by->arena, &making->config, why) < 0 ||
        find_account(making, why) < 0) {
        return -1;
    }
    making->uuid = draft->idempotency_key != NULL
                       ? idempotent_uuid(by->actor->user_id, "blast", making->session_uuid.text,
                                         draft->idempotency_key)
                       : uuid_v7(clock_wall_ms());
    upload_init(&making->upload, by->ingress, making->uuid.text, making->session_uuid.text,
                by->actor->user_id);
    return 0;
}

void usecase_blast_close(struct blast_making *making)
{
    if (making->upload.hash != NULL) {
        upload_done(&making->upload);
    }
}

/* ---- create ---- */

/* The scheduler decides when it has stored the last chunk, some 20,000 recipients a second. */
static int64_t create_timeout_ms(const struct blast_making *making)
{
    return making->by.ingress->config->command_timeout_ms + making->upload.total / 20;
}

int usecase_blast_create(struct blast_making *making, struct blast_row *out, struct refusal *why)
{
    struct blast_command command = {.kind = BLAST_COMMAND_CREATE};
    const struct blast_draft *draft = making->draft;
    struct blast_names names;
    char hash[UPLOAD_HASH_MAX];
    struct err err = {0};

    if (making->upload.total == 0) {
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST", "There are no recipients");
    }
    if (upload_finish(&making->upload, hash, why) < 0) {
        return -1;
    }
    if (reserve_blast(making->by.ingress, making->by.actor->user_id, making->uuid.text,
                      clock_wall_ms(), &names, &err) < 0) {
        return refuse_store(why, "PostgreSQL", &err);
    }
    const struct command_target target = {.aggregate_id = making->uuid.text,
                                          .session_uuid = making->session_uuid.text,
                                          .actor = making->by.actor,
                                          .idempotency_key = draft->idempotency_key,
                                          .kind = "create-blast",
                                          .timeout_ms = create_timeout_ms(making),
                                          .session_sequence = making->session_sequence};
    const struct command_made made = command_make(&target);

    COMMAND_ENVELOPE(&command, making->by.ingress, &target, &made);
    command.as.create = (struct create_blast){
        .id = names.id,
        .blast_key = names.blast_key,
        .session_key = making->session_key,
        .campaign_id = draft->campaign_id,
        .campaign_name = draft->campaign_name,
        .message_template = draft->message_template,
        .total_messages = (int32_t)making->upload.total,
        .upload_id = making->upload.upload_id.text,
        .chunk_count = making->upload.chunks,
        .recipients_sha256 = hash,
        .last_chunk_offset = making->upload.last_offset,
        .config = making->config,
        .auto_start = draft->auto_start,
    };
    if (command_run(making->by.ingress, TOPIC_BLAST_CMD, &command, &target, &made, why) < 0) {
        return -1;
    }
    return out == NULL ? 0 : usecase_blast_get(&making->by, names.blast_key, out, why);
}

/* ---- one that exists ---- */

int usecase_blast_get(const struct asker *by, const char *name, struct blast_row *out,
                      struct refusal *why)
{
    struct err err = {0};
    int rc = blast_find(by->ingress, by->actor->user_id, name, by->arena, out, &err);

    if (rc == -ERR_NOT_FOUND) {
        return refuse(why, REFUSED_NOT_FOUND, "BLAST_SESSION_NOT_FOUND", "Blast session not found");
    }
    return rc < 0 ? refuse_store(why, "PostgreSQL", &err) : 0;
}

static int64_t seen_sequence(const struct blast_row *blast)
{
    const struct session_row *session = blast->session;

    if (session == NULL) {
        return 0;
    }
    return session->applied_seq > session->runtime.sequence ? session->applied_seq
                                                            : session->runtime.sequence;
}

int usecase_blast_act(const struct asker *by, enum blast_act act, struct blast_row *blast,
                      struct refusal *why)
{
    static const enum blast_command_kind kinds[] = {
        [BLAST_ACT_START] = BLAST_COMMAND_START,   [BLAST_ACT_PAUSE] = BLAST_COMMAND_PAUSE,
        [BLAST_ACT_RESUME] = BLAST_COMMAND_RESUME, [BLAST_ACT_STOP] = BLAST_COMMAND_STOP,
        [BLAST_ACT_DELETE] = BLAST_COMMAND_REMOVE,
    };
    struct blast_command command = {.kind = kinds[act]};
    const struct command_target target = {.aggregate_id = blast->uuid,
                                          .session_uuid = blast->session_uuid,
                                          .actor = by->actor,
                                          .timeout_ms = by->ingress->config->command_timeout_ms,
                                          .session_sequence = seen_sequence(blast)};
    const struct command_made made = command_make(&target);

    COMMAND_ENVELOPE(&command, by->ingress, &target, &made);
    if (command_run(by->ingress, TOPIC_BLAST_CMD, &command, &target, &made, why) < 0) {
        if (why->kind == REFUSED_NOT_FOUND) {
            (void)refuse(why, REFUSED_NOT_FOUND, "BLAST_SESSION_NOT_FOUND",
                         "Blast session not found");
        }
        return -1;
    }
    return act == BLAST_ACT_DELETE ? 0 : usecase_blast_get(by, blast->blast_key, blast, why);
}

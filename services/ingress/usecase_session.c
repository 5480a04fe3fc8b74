#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "domain/webhook.h"
#include "ingress/command.h"
#include "ingress/request.h"
#include "ingress/reserve.h"
#include "ingress/session_query.h"
#include "ingress/usecase.h"

enum {
    NAME_CHARACTERS = 100,
    SECRET_BYTES = 24,     /* of a secret that we make */
    SECRET_BYTES_MAX = 64, /* of one that is given: Standard Webhooks allows 24 to 64 */
    TOKEN_BYTES = 32
};

/* what a sealed token is bound to (crypto_seal.h); the label of webhook secrets is domain's */
#define LABEL_SESSION_TOKEN "session_token"

static const char secret_prefix[] = "whsec_";

/* ---- secrets ---- */

static const char *secret_text(struct bytes bytes, const char *prefix, enum text_base64 variant,
                               struct arena *arena)
{
    struct buf text = {0};
    const char *out;

    buf_add_str(&text, prefix);
    text_base64(&text, bytes, variant);
    out = arena_strdup(arena, buf_text(&text));
    buf_wipe(&text);
    return out;
}

static const char *random_text(size_t n, const char *prefix, enum text_base64 variant,
                               struct arena *arena)
{
    uint8_t bytes[TOKEN_BYTES];
    const char *out;

    crypto_random(bytes, n);
    out = secret_text((struct bytes){bytes, n}, prefix, variant, arena);
    mem_wipe(bytes, sizeof(bytes));
    return out;
}

/* A webhook secret that is the same for every try of one command: the first try's is stored, and
 * the one whose answer arrives is shown. */
static const char *secret_of(const struct ingress *ingress, const struct command_made *made,
                             struct arena *arena)
{
    static const char label[] = "webhook secret of a command";
    const char *id = made->command_id.text;
    uint8_t bytes[SECRET_BYTES];
    const char *out;

    crypto_hkdf((struct bytes){ingress->keys.keys[0].key, CRYPTO_KEY},
                (struct bytes){(const uint8_t *)label, sizeof(label) - 1},
                (struct bytes){(const uint8_t *)id, strlen(id)}, bytes, sizeof(bytes));
    out = secret_text((struct bytes){bytes, sizeof(bytes)}, secret_prefix, TEXT_BASE64, arena);
    mem_wipe(bytes, sizeof(bytes));
    return out;
}

static struct bytes sealed(struct ingress *ingress, const char *uuid, const char *label,
                           const char *plain, struct arena *arena)
{
    struct buf out = {0};
    struct bytes kept;

    assert(plain != NULL);
    crypto_seal(&ingress->keys, uuid, label, (struct bytes){(const uint8_t *)plain, strlen(plain)},
                &out);
    kept = arena_bytes(arena, buf_bytes(&out));
    buf_done(&out);
    return kept;
}

static int check_secret(const char *secret, struct refusal *why)
{
    size_t prefix_n = sizeof(secret_prefix) - 1;
    bool has_prefix = strncmp(secret, secret_prefix, prefix_n) == 0;
    struct buf raw = {0};
    bool is_good = has_prefix && text_unbase64(&raw, secret + prefix_n, strlen(secret + prefix_n),
                                               TEXT_BASE64) == 0;
    size_t n = raw.n;

    buf_wipe(&raw);
    if (!is_good || n < SECRET_BYTES || n > SECRET_BYTES_MAX) {
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST",
                      "webhook_secret must be whsec_ and %d to %d bytes in base64", SECRET_BYTES,
                      SECRET_BYTES_MAX);
    }
    return 0;
}

/* ---- create ---- */

static int check_draft(const struct session_draft *draft, char phone[PHONE_MAX],
                       struct refusal *why)
{
    struct err err = {0};

    if (draft->key != NULL && !session_key_is_valid(draft->key)) {
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST",
                      "id must be 1 to 64 letters, digits, - or _, and no uuid, short number or "
                      "reserved word");
    }
    if (draft->name != NULL &&
        (draft->name[0] == 0 || request_characters(draft->name) > NAME_CHARACTERS)) {
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST",
                      "name must be a string of 1 to %d characters", NAME_CHARACTERS);
    }
    phone[0] = 0;
    if (draft->phone != NULL && draft->phone[0] != 0 && phone_parse(draft->phone, phone) < 0) {
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST",
                      "phone must be an international number with its country code");
    }
    if (draft->webhook_url != NULL &&
        request_check_url("webhook_url", draft->webhook_url, &err) < 0) {
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST", "%s", err.text);
    }
    return draft->webhook_secret != NULL ? check_secret(draft->webhook_secret, why) : 0;
}

static int refuse_names(const struct err *err, struct refusal *why)
{
    return err->code == -ERR_REFUSED
               ? refuse(why, REFUSED_CONFLICT, "EXISTS", "Session id already exists")
               : refuse_store(why, "PostgreSQL", err);
}

/* What a session is called and holds from the start. */
static void fill_create(struct ingress *ingress, const struct session_draft *draft,
                        const struct session_names *names, struct arena *arena,
                        struct create_session *out)
{
    static const char *all[] = {"All"};
    const char *token = random_text(TOKEN_BYTES, "", TEXT_BASE64URL, arena);

    out->id = names->id;
    out->session_key = names->session_key;
    out->position = (int32_t)names->position;
    out->name =
        draft->name != NULL ? draft->name : arena_printf(arena, "Session %s", names->session_key);
    out->webhook_url = draft->webhook_url != NULL ? draft->webhook_url : "";
    out->token_enc = sealed(ingress, names->uuid.text, LABEL_SESSION_TOKEN, token, arena);
    out->subscribe = (struct record_strings){1, all};
}

int usecase_session_create(const struct asker *by, const struct session_draft *draft,
                           struct session_row *out, const char **secret, struct refusal *why)
{
    struct ingress *ingress = by->ingress;
    struct session_command command = {.kind = SESSION_COMMAND_CREATE};
    struct session_names names;
    char phone[PHONE_MAX] = "";
    const char *made_secret = NULL;
    struct err err = {0};

    if (check_draft(draft, phone, why) < 0) {
        return -1;
    }
    if (reserve_session(ingress, by->actor->user_id, draft->key, draft->idempotency_key, &names,
                        &err) < 0) {
        return refuse_names(&err, why);
    }
    const struct command_target target = {.aggregate_id = names.uuid.text,
                                          .session_uuid = names.uuid.text,
                                          .actor = by->actor,
                                          .idempotency_key = draft->idempotency_key,
                                          .kind = "create-session",
                                          .timeout_ms = ingress->config->command_timeout_ms};
    const struct command_made made = command_make(&target);

    COMMAND_ENVELOPE(&command, ingress, &target, &made);
    fill_create(ingress, draft, &names, by->arena, &command.as.create);
    command.as.create.phone = phone[0] != 0 ? phone : NULL;
    if (command.as.create.webhook_url[0] != 0) {
        made_secret = draft->webhook_secret == NULL ? secret_of(ingress, &made, by->arena) : NULL;
        command.as.create.webhook_secret_enc =
            sealed(ingress, names.uuid.text, WEBHOOK_SECRET_LABEL,
                   made_secret != NULL ? made_secret : draft->webhook_secret, by->arena);
    }
    if (command_run(ingress, TOPIC_SESSION_CMD, &command, &target, &made, why) < 0) {
        if (strcmp(why->code, "EXISTS") == 0) {
            (void)refuse(why, REFUSED_CONFLICT, "EXISTS", "Session id already exists");
        }
        return -1;
    }
    *secret = made_secret;
    return usecase_session_get(by, names.uuid.text, out, why);
}

/* ---- one that exists ---- */

int usecase_session_get(const struct asker *by, const char *name, struct session_row *out,
                        struct refusal *why)
{
    struct err err = {0};
    int rc = session_find(by->ingress, by->actor->user_id, name, by->arena, out, &err);

    if (rc == -ERR_NOT_FOUND) {
        return refuse(why, REFUSED_NOT_FOUND, "WHATSAPP_SESSION_NOT_FOUND", "Session not found");
    }
    return rc < 0 ? refuse_store(why, "PostgreSQL", &err) : 0;
}

static int run_on(const struct asker *by, const struct session_row *session,
                  const struct session_command *what, struct refusal *why)
{
    struct session_command command = *what;
    const struct command_target target = {.aggregate_id = session->uuid,
                                          .session_uuid = session->uuid,
                                          .actor = by->actor,
                                          .timeout_ms = by->ingress->config->command_timeout_ms};
    const struct command_made made = command_make(&target);

    COMMAND_ENVELOPE(&command, by->ingress, &target, &made);
    if (command_run(by->ingress, TOPIC_SESSION_CMD, &command, &target, &made, why) < 0) {
        if (why->kind == REFUSED_NOT_FOUND) {
            (void)refuse(why, REFUSED_NOT_FOUND, "WHATSAPP_SESSION_NOT_FOUND", "Session not found");
        }
        return -1;
    }
    return 0;
}

int usecase_session_act(const struct asker *by, const struct session_row *session,
                        enum session_act act, struct refusal *why)
{
    struct session_command command = {0};

    switch (act) {
    case SESSION_ACT_CONNECT:
        command.kind = SESSION_COMMAND_CONNECT;
        command.as.connect.immediate = true;
        break;
    case SESSION_ACT_DISCONNECT:
        command.kind = SESSION_COMMAND_DISCONNECT;
        command.as.disconnect.origin = "f4";
        break;
    case SESSION_ACT_DELETE:
        command.kind = SESSION_COMMAND_REMOVE_SESSION;
        break;
    }
    return run_on(by, session, &command, why);
}

int usecase_session_rename(const struct asker *by, const struct session_row *session,
                           const char *name, struct refusal *why)
{
    struct session_command command = {.kind = SESSION_COMMAND_RENAME_TO};

    command.as.rename_to.name = name;
    return run_on(by, session, &command, why);
}

int usecase_session_webhook(const struct asker *by, const struct session_row *session,
                            const char *url, const char *secret, const char **made,
                            struct refusal *why)
{
    struct session_command command = {.kind = SESSION_COMMAND_SET_WEBHOOK};
    struct err err = {0};
    const char *made_secret = NULL;

    if (request_check_url("webhook_url", url, &err) < 0) {
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST", "%s", err.text);
    }
    if (secret != NULL && check_secret(secret, why) < 0) {
        return -1;
    }
    if (secret == NULL && url[0] != 0 && !session->has_webhook_secret) {
        made_secret = random_text(SECRET_BYTES, secret_prefix, TEXT_BASE64, by->arena);
        secret = made_secret;
    }
    command.as.set_webhook.webhook_url = url;
    if (secret != NULL) {
        command.as.set_webhook.secret_enc =
            sealed(by->ingress, session->uuid, WEBHOOK_SECRET_LABEL, secret, by->arena);
    }
    *made = made_secret;
    return run_on(by, session, &command, why);
}

#include "wa/wa_body.h"

#include <string.h>

#include "base/err.h"
#include "e2e.pb-c.h"
#include "wa/wa_node_text.h"
#include "wa/wa_proto.h"

/* ---- names ---- */

const char *wa_body_kind_name(enum wa_body_kind kind)
{
    static const char *const names[] = {
#define BODY_NAME(name, text) [WA_BODY_##name] = (text),
        WA_BODY_LIST(BODY_NAME)
#undef BODY_NAME
    };

    return names[kind];
}

bool wa_body_is_for_people(enum wa_body_kind kind)
{
    return kind != WA_BODY_NOTHING && (kind < WA_BODY_VOTE || kind == WA_BODY_UNKNOWN);
}

bool wa_body_is_for_self(enum wa_body_kind kind)
{
    return kind == WA_BODY_KEY_SHARE || kind == WA_BODY_KEY_REQUEST || kind == WA_BODY_HISTORY ||
           kind == WA_BODY_LID_MAPPING;
}

/* ---- pieces ---- */

bool wa_body_unpad(struct bytes *plain)
{
    uint8_t n = plain->n == 0 ? 0 : plain->p[plain->n - 1];

    if (n == 0 || n > WA_BODY_PADDING_MAX || n > plain->n) {
        return false;
    }
    for (size_t i = plain->n - n; i < plain->n; i++) {
        if (plain->p[i] != n) {
            return false;
        }
    }
    plain->n -= n;
    return true;
}

static const char *text_of(struct arena *arena, const char *text)
{
    return text == NULL
               ? NULL
               : wa_node_text_clean(arena, (struct bytes){(const uint8_t *)text, strlen(text)});
}

/* The first that says something. */
static const char *first_of(const char *a, const char *b, const char *c)
{
    const char *all[] = {a, b, c};

    for (size_t i = 0; i < 3; i++) {
        if (all[i] != NULL && all[i][0] != '\0') {
            return all[i];
        }
    }
    return NULL;
}

static struct bytes bytes_of(struct arena *arena, bool has, const ProtobufCBinaryData *data)
{
    return has ? arena_bytes(arena, (struct bytes){data->data, data->len}) : (struct bytes){0};
}

static void take_key(struct arena *arena, const Wa__MessageKey *key, struct wa_body *out)
{
    if (key != NULL) {
        out->target_id = text_of(arena, key->id);
        out->target_from_me = key->has_from_me && key->from_me;
    }
}

static void take_context(struct arena *arena, const Wa__ContextInfo *context, struct wa_body *out)
{
    if (context != NULL) {
        out->quoted_id = text_of(arena, context->stanza_id);
        out->is_forwarded = context->has_is_forwarded && context->is_forwarded;
        out->expiration = context->has_expiration ? context->expiration : 0;
    }
}

/* ---- content ---- */

struct content {
    enum wa_body_kind kind;
    const char *text;
    const char *mimetype;
    const char *file_name;
    const Wa__ContextInfo *context;
};

static const Wa__PollCreation *poll_of(const Wa__Message *m)
{
    const Wa__PollCreation *versions[] = {m->poll_creation, m->poll_creation_v2,
                                          m->poll_creation_v3, m->poll_creation_v5};

    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        if (versions[i] != NULL) {
            return versions[i];
        }
    }
    return NULL;
}

static bool find_text(const Wa__Message *m, struct content *out)
{
    if (m->conversation != NULL) {
        *out = (struct content){.kind = WA_BODY_TEXT, .text = m->conversation};
    } else if (m->extended_text != NULL) {
        *out = (struct content){.kind = WA_BODY_TEXT,
                                .text = m->extended_text->text,
                                .context = m->extended_text->context_info};
    } else {
        return false;
    }
    return true;
}

static bool find_media(const Wa__Message *m, struct content *out)
{
    const Wa__Video *video = m->video != NULL ? m->video : m->ptv;

    if (m->image != NULL) {
        *out = (struct content){WA_BODY_IMAGE, m->image->caption, m->image->mimetype, NULL,
                                m->image->context_info};
    } else if (video != NULL) {
        *out = (struct content){WA_BODY_VIDEO, video->caption, video->mimetype, NULL,
                                video->context_info};
    } else if (m->audio != NULL) {
        *out =
            (struct content){WA_BODY_AUDIO, NULL, m->audio->mimetype, NULL, m->audio->context_info};
    } else if (m->document != NULL) {
        *out = (struct content){WA_BODY_DOCUMENT, m->document->caption, m->document->mimetype,
                                first_of(m->document->file_name, m->document->title, NULL),
                                m->document->context_info};
    } else if (m->sticker != NULL) {
        *out = (struct content){WA_BODY_STICKER, NULL, m->sticker->mimetype, NULL,
                                m->sticker->context_info};
    } else {
        return false;
    }
    return true;
}

static bool find_other(const Wa__Message *m, struct content *out)
{
    const Wa__PollCreation *poll = poll_of(m);

    *out = (struct content){0};
    if (m->contact != NULL) {
        *out = (struct content){.kind = WA_BODY_CONTACT,
                                .text = m->contact->display_name,
                                .context = m->contact->context_info};
    } else if (m->contacts_array != NULL) {
        *out = (struct content){.kind = WA_BODY_CONTACT,
                                .text = m->contacts_array->display_name,
                                .context = m->contacts_array->context_info};
    } else if (m->location != NULL) {
        const Wa__Location *at = m->location;

        *out = (struct content){.kind = WA_BODY_LOCATION,
                                .text = first_of(at->name, at->address, at->comment),
                                .context = at->context_info};
    } else if (m->live_location != NULL) {
        *out = (struct content){.kind = WA_BODY_LOCATION,
                                .text = m->live_location->caption,
                                .context = m->live_location->context_info};
    } else if (m->group_invite != NULL) {
        *out = (struct content){
            .kind = WA_BODY_INVITE,
            .text = first_of(m->group_invite->caption, m->group_invite->group_name, NULL),
            .context = m->group_invite->context_info};
    } else if (poll != NULL) {
        *out = (struct content){
            .kind = WA_BODY_POLL, .text = poll->name, .context = poll->context_info};
    }
    return out->kind != WA_BODY_NOTHING;
}

static void take_content(struct arena *arena, const struct content *content, struct wa_body *out)
{
    out->kind = content->kind;
    out->text = text_of(arena, content->text);
    out->mimetype = text_of(arena, content->mimetype);
    out->file_name = text_of(arena, content->file_name);
    take_context(arena, content->context, out);
}

/* ---- protocol messages ---- */

static void take_share(struct arena *arena, const Wa__AppStateSyncKeyShare *share,
                       struct wa_body *out)
{
    struct wa_body_key *keys = arena_array0(arena, share->n_keys, sizeof(*keys));

    for (size_t i = 0; i < share->n_keys; i++) {
        const Wa__AppStateSyncKeyId *id = share->keys[i]->key_id;
        const Wa__AppStateSyncKeyData *data = share->keys[i]->key_data;

        if (id != NULL) {
            keys[i].id = bytes_of(arena, id->has_key_id, &id->key_id);
        }
        if (data != NULL) {
            keys[i].data = bytes_of(arena, data->has_key_data, &data->key_data);
            keys[i].time_ms = data->has_timestamp ? data->timestamp : 0;
        }
    }
    out->keys = keys;
    out->n_keys = share->n_keys;
}

static void take_request(struct arena *arena, const Wa__AppStateSyncKeyRequest *request,
                         struct wa_body *out)
{
    struct wa_body_key *keys = arena_array0(arena, request->n_key_ids, sizeof(*keys));

    for (size_t i = 0; i < request->n_key_ids; i++) {
        keys[i].id = bytes_of(arena, request->key_ids[i]->has_key_id, &request->key_ids[i]->key_id);
    }
    out->keys = keys;
    out->n_keys = request->n_key_ids;
}

static void take_history(struct arena *arena, const Wa__HistorySyncNotification *history,
                         struct wa_body *out)
{
    out->history = (struct wa_body_history){
        .sync_type = history->has_sync_type ? history->sync_type : 0,
        .chunk_order = history->has_chunk_order ? history->chunk_order : 0,
        .progress = history->has_progress ? history->progress : 0,
        .inline_payload = bytes_of(arena, history->has_initial_hist_bootstrap_inline_payload,
                                   &history->initial_hist_bootstrap_inline_payload)};
}

static int take_lids(struct arena *arena, const Wa__LidMigrationMappingSync *sync,
                     struct wa_body *out, struct err *err)
{
    ProtobufCMessage *raw = NULL;
    const Wa__LidMigration *migration;
    struct wa_body_lid *lids;
    int rc;

    if (!sync->has_encoded_mapping_payload) {
        return 0;
    }
    rc = wa_proto_unpack(
        &wa__lid_migration__descriptor,
        (struct bytes){sync->encoded_mapping_payload.data, sync->encoded_mapping_payload.len}, &raw,
        err);
    if (rc < 0) {
        return err_wrap(err, rc, "LID mappings");
    }
    migration = (const Wa__LidMigration *)raw;
    lids = arena_array0(arena, migration->n_pn_to_lid_mappings, sizeof(*lids));
    for (size_t i = 0; i < migration->n_pn_to_lid_mappings; i++) {
        const Wa__LidMigration__Mapping *from = migration->pn_to_lid_mappings[i];
        uint64_t lid = from->has_latest_lid ? from->latest_lid : from->assigned_lid;

        if (from->has_pn && from->pn != 0 && lid != 0) {
            lids[out->n_lids++] = (struct wa_body_lid){.pn = from->pn, .lid = lid};
        }
    }
    out->lids = lids;
    wa_proto_free(&raw);
    return 0;
}

static int take_message(const Wa__Message *m, struct arena *arena, struct wa_body *out,
                        struct err *err);

static int take_protocol(const Wa__Protocol *p, struct arena *arena, struct wa_body *out,
                         struct err *err)
{
    int rc = 0;

    out->kind = WA_BODY_PROTOCOL;
    if (p->has_type && p->type == WA__PROTOCOL__TYPE__MESSAGE_EDIT && p->edited_message != NULL) {
        struct content content;

        if (find_text(p->edited_message, &content) || find_media(p->edited_message, &content)) {
            take_content(arena, &content, out);
        }
        out->kind = WA_BODY_EDIT;
        take_key(arena, p->key, out);
    } else if (p->key != NULL && (!p->has_type || p->type == WA__PROTOCOL__TYPE__REVOKE)) {
        out->kind = WA_BODY_REVOKE;
        take_key(arena, p->key, out);
    } else if (p->app_state_sync_key_share != NULL) {
        out->kind = WA_BODY_KEY_SHARE;
        take_share(arena, p->app_state_sync_key_share, out);
    } else if (p->app_state_sync_key_request != NULL) {
        out->kind = WA_BODY_KEY_REQUEST;
        take_request(arena, p->app_state_sync_key_request, out);
    } else if (p->history_sync_notification != NULL) {
        out->kind = WA_BODY_HISTORY;
        take_history(arena, p->history_sync_notification, out);
    } else if (p->lid_migration_mapping_sync != NULL) {
        out->kind = WA_BODY_LID_MAPPING;
        rc = take_lids(arena, p->lid_migration_mapping_sync, out, err);
    } else if (p->has_type && p->type == WA__PROTOCOL__TYPE__EPHEMERAL_SETTING) {
        out->kind = WA_BODY_TIMER;
        out->expiration = p->has_ephemeral_expiration ? p->ephemeral_expiration : 0;
    }
    return rc;
}

/* ---- the whole ---- */

/* The message inside of a wrapper, or NULL. */
static const Wa__Message *inner_of(const Wa__Message *m, struct wa_body *out)
{
    const struct {
        const Wa__FutureProof *wrapper;
        bool view_once;
    } all[] = {{m->ephemeral, false},       {m->view_once, true},
               {m->view_once_v2, true},     {m->view_once_v2_extension, true},
               {m->edited, false},          {m->document_with_caption, false},
               {m->group_mentioned, false}, {m->bot_invoke, false},
               {m->lottie_sticker, false}};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].wrapper != NULL && all[i].wrapper->message != NULL) {
            out->is_view_once = out->is_view_once || all[i].view_once;
            return all[i].wrapper->message;
        }
    }
    return NULL;
}

static void take_attachments(const Wa__Message *m, struct arena *arena, struct wa_body *out)
{
    const Wa__SenderKeyDistribution *skdm = m->sender_key_distribution;
    const Wa__MessageContextInfo *info = m->message_context_info;

    if (skdm != NULL && out->sender_key.n == 0) {
        out->sender_key = bytes_of(arena, skdm->has_axolotl, &skdm->axolotl);
        out->sender_key_group = text_of(arena, skdm->group_id);
    }
    if (info != NULL && out->message_secret.n == 0) {
        out->message_secret = bytes_of(arena, info->has_message_secret, &info->message_secret);
    }
}

static int take_message(const Wa__Message *m, struct arena *arena, struct wa_body *out,
                        struct err *err)
{
    struct content content;

    if (m->protocol != NULL) {
        return take_protocol(m->protocol, arena, out, err);
    }
    if (m->reaction != NULL) {
        out->kind = WA_BODY_REACTION;
        out->text = text_of(arena, m->reaction->text);
        take_key(arena, m->reaction->key, out);
    } else if (m->poll_update != NULL) {
        out->kind = WA_BODY_VOTE;
        take_key(arena, m->poll_update->poll_creation_message_key, out);
    } else if (find_text(m, &content) || find_media(m, &content) || find_other(m, &content)) {
        take_content(arena, &content, out);
    } else if (m->base.n_unknown_fields > 0) {
        out->kind = WA_BODY_UNKNOWN;
    }
    return 0;
}

static int take_all(const Wa__Message *m, struct arena *arena, struct wa_body *out, struct err *err)
{
    const Wa__Message *inner;
    unsigned wrappers = 0;

    take_attachments(m, arena, out);
    if (m->device_sent != NULL) {
        out->is_device_sent = true;
        out->destination = text_of(arena, m->device_sent->destination_jid);
        m = m->device_sent->message;
        if (m == NULL) {
            return 0;
        }
        take_attachments(m, arena, out);
    }
    while ((inner = inner_of(m, out)) != NULL) {
        if (++wrappers > WA_BODY_WRAPPERS_MAX) {
            return err_set(err, ERR_LIMIT, "a message in over %d others", WA_BODY_WRAPPERS_MAX);
        }
        m = inner;
        take_attachments(m, arena, out);
    }
    return take_message(m, arena, out, err);
}

int wa_body_parse(struct bytes message, struct arena *arena, struct wa_body *out, struct err *err)
{
    struct wa_body made = {0};
    ProtobufCMessage *raw = NULL;
    int rc = wa_proto_unpack(&wa__message__descriptor, message, &raw, err);

    if (rc < 0) {
        return rc;
    }
    rc = take_all((const Wa__Message *)raw, arena, &made, err);
    wa_proto_free(&raw);
    if (made.text == NULL) {
        made.text = "";
    }
    if (rc == 0) {
        *out = made;
    }
    return rc;
}

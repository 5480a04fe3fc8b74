/* The messages that are sent from here: a companion's texts, and what a phone tells companions. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/err.h"
#include "crypto/crypto.h"
#include "e2e.pb-c.h"
#include "wa/wa_body.h"
#include "wa/wa_node_text.h"
#include "wa/wa_proto.h"

void wa_body_pad(struct buf *plain)
{
    uint8_t n;

    crypto_random(&n, 1);
    n = (uint8_t)((n & (WA_BODY_PADDING_MAX - 1)) + 1);
    memset(buf_room(plain, n), n, n);
    buf_used(plain, n);
}

/* An array of @n pointers to messages, as protobuf-c has its repeated ones. */
static void *pointers(struct arena *arena, size_t n)
{
    return arena_array0(arena, n, sizeof(void *));
}

/* protobuf-c's structs hold char * and uint8_t * that packing only reads. */
static char *borrow(const char *text)
{
    union {
        const char *in;
        char *out;
    } cast = {.in = text};

    return cast.out;
}

static ProtobufCBinaryData borrow_bytes(struct bytes bytes)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } cast = {.in = bytes.p};

    return (ProtobufCBinaryData){.data = cast.out, .len = bytes.n};
}

void wa_body_text(const char *text, struct buf *out)
{
    Wa__Message message = WA__MESSAGE__INIT;

    message.conversation = borrow(text);
    wa_proto_pack(&message, out);
}

void wa_body_device_sent(const char *chat, struct bytes message, struct buf *out)
{
    ProtobufCMessage *raw = NULL;
    Wa__DeviceSent sent = WA__DEVICE_SENT__INIT;
    Wa__Message outer = WA__MESSAGE__INIT;
    int rc = wa_proto_unpack(&wa__message__descriptor, message, &raw, NULL);

    assert(rc == 0); /* it was made here */
    sent.destination_jid = borrow(chat);
    sent.message = (Wa__Message *)raw; /* fields not known here go along */
    outer.device_sent = &sent;
    outer.message_context_info = sent.message->message_context_info;
    wa_proto_pack(&outer, out);
    wa_proto_free(&raw);
}

static void pack_protocol(Wa__Protocol *protocol, Wa__Protocol__Type type, struct buf *out)
{
    Wa__Message message = WA__MESSAGE__INIT;

    protocol->has_type = true;
    protocol->type = type;
    message.protocol = protocol;
    wa_proto_pack(&message, out);
}

void wa_body_key_share(const struct wa_body_key *keys, size_t n, struct buf *out)
{
    Wa__Protocol protocol = WA__PROTOCOL__INIT;
    Wa__AppStateSyncKeyShare share = WA__APP_STATE_SYNC_KEY_SHARE__INIT;
    struct arena arena = {0};

    share.n_keys = n;
    share.keys = pointers(&arena, n);
    for (size_t i = 0; i < n; i++) {
        Wa__AppStateSyncKey *key = arena_new0(&arena, sizeof(*key));
        Wa__AppStateSyncKeyId *id = arena_new0(&arena, sizeof(*id));
        Wa__AppStateSyncKeyData *data = arena_new0(&arena, sizeof(*data));
        Wa__AppStateSyncKeyFingerprint *print = arena_new0(&arena, sizeof(*print));

        wa__app_state_sync_key__init(key);
        wa__app_state_sync_key_id__init(id);
        wa__app_state_sync_key_data__init(data);
        wa__app_state_sync_key_fingerprint__init(print);
        id->has_key_id = true;
        id->key_id = borrow_bytes(keys[i].id);
        data->has_key_data = true;
        data->key_data = borrow_bytes(keys[i].data);
        data->has_timestamp = true;
        data->timestamp = keys[i].time_ms;
        print->has_raw_id = true;
        print->has_current_index = true;
        data->fingerprint = print;
        key->key_id = id;
        key->key_data = data;
        share.keys[i] = key;
    }
    protocol.app_state_sync_key_share = &share;
    pack_protocol(&protocol, WA__PROTOCOL__TYPE__APP_STATE_SYNC_KEY_SHARE, out);
    arena_done(&arena);
}

void wa_body_lid_mapping(const struct wa_body_lid *lids, size_t n, struct buf *out)
{
    Wa__Protocol protocol = WA__PROTOCOL__INIT;
    Wa__LidMigrationMappingSync sync = WA__LID_MIGRATION_MAPPING_SYNC__INIT;
    Wa__LidMigration migration = WA__LID_MIGRATION__INIT;
    struct arena arena = {0};
    struct buf encoded = {0};

    migration.n_pn_to_lid_mappings = n;
    migration.pn_to_lid_mappings = pointers(&arena, n);
    for (size_t i = 0; i < n; i++) {
        Wa__LidMigration__Mapping *to = arena_new0(&arena, sizeof(*to));

        wa__lid_migration__mapping__init(to);
        to->has_pn = true;
        to->pn = lids[i].pn;
        to->has_assigned_lid = true;
        to->assigned_lid = lids[i].lid;
        migration.pn_to_lid_mappings[i] = to;
    }
    wa_proto_pack(&migration, &encoded);
    sync.has_encoded_mapping_payload = true;
    sync.encoded_mapping_payload = borrow_bytes(buf_bytes(&encoded));
    protocol.lid_migration_mapping_sync = &sync;
    pack_protocol(&protocol, WA__PROTOCOL__TYPE__LID_MIGRATION_MAPPING_SYNC, out);
    buf_done(&encoded);
    arena_done(&arena);
}

/* ---- history ---- */

static void pack_sync(const struct wa_body_sync *from, struct arena *arena, struct buf *out)
{
    Wa__HistorySync sync = WA__HISTORY_SYNC__INIT;

    sync.has_sync_type = true;
    sync.sync_type = from->sync_type;
    sync.has_chunk_order = true;
    sync.chunk_order = from->chunk_order;
    sync.has_progress = true;
    sync.progress = from->progress;
    sync.n_pushnames = from->n_names;
    sync.pushnames = pointers(arena, from->n_names);
    for (size_t i = 0; i < from->n_names; i++) {
        sync.pushnames[i] = arena_new0(arena, sizeof(**sync.pushnames));
        wa__history_sync__pushname__init(sync.pushnames[i]);
        sync.pushnames[i]->id = borrow(from->names[i].jid);
        sync.pushnames[i]->pushname = borrow(from->names[i].name);
    }
    sync.n_phone_number_to_lid_mappings = from->n_lids;
    sync.phone_number_to_lid_mappings = pointers(arena, from->n_lids);
    for (size_t i = 0; i < from->n_lids; i++) {
        Wa__HistorySync__PhoneNumberToLid *to = arena_new0(arena, sizeof(*to));

        wa__history_sync__phone_number_to_lid__init(to);
        to->pn_jid = borrow(from->lids[i].jid);
        to->lid_jid = borrow(from->lids[i].name);
        sync.phone_number_to_lid_mappings[i] = to;
    }
    wa_proto_pack(&sync, out);
}

static void deflate_all(struct bytes from, struct buf *out)
{
    uLongf n = compressBound((uLong)from.n);
    int rc = compress(buf_room(out, n), &n, from.p, (uLong)from.n);

    assert(rc == Z_OK); /* there is room */
    buf_used(out, n);
}

void wa_body_history_inline(const struct wa_body_sync *sync, struct buf *out)
{
    Wa__Protocol protocol = WA__PROTOCOL__INIT;
    Wa__HistorySyncNotification notice = WA__HISTORY_SYNC_NOTIFICATION__INIT;
    struct arena arena = {0};
    struct buf packed = {0};
    struct buf payload = {0};

    pack_sync(sync, &arena, &packed);
    deflate_all(buf_bytes(&packed), &payload);
    notice.has_sync_type = true;
    notice.sync_type = sync->sync_type;
    notice.has_chunk_order = true;
    notice.chunk_order = sync->chunk_order;
    notice.has_progress = true;
    notice.progress = sync->progress;
    notice.has_initial_hist_bootstrap_inline_payload = true;
    notice.initial_hist_bootstrap_inline_payload = borrow_bytes(buf_bytes(&payload));
    protocol.history_sync_notification = &notice;
    pack_protocol(&protocol, WA__PROTOCOL__TYPE__HISTORY_SYNC_NOTIFICATION, out);
    buf_done(&packed);
    buf_done(&payload);
    arena_done(&arena);
}

static int inflate_all(struct bytes from, struct buf *out, struct err *err)
{
    enum { STEP = 64 << 10 };
    z_stream z = {0};
    int status = inflateInit(&z);
    union {
        const uint8_t *in;
        Bytef *out;
    } cast = {.in = from.p};

    z.next_in = cast.out;
    z.avail_in = (uInt)from.n;
    while (status == Z_OK && out->n <= WA_BODY_INFLATED_MAX) {
        z.next_out = buf_room(out, STEP);
        z.avail_out = STEP;
        status = inflate(&z, Z_NO_FLUSH);
        buf_used(out, STEP - z.avail_out);
    }
    (void)inflateEnd(&z);
    if (out->n > WA_BODY_INFLATED_MAX) {
        return err_set(err, ERR_LIMIT, "a history of over %d bytes", WA_BODY_INFLATED_MAX);
    }
    if (status != Z_STREAM_END) {
        return err_set(err, ERR_INVALID, "a history that does not inflate");
    }
    return 0;
}

static const char *clean(struct arena *arena, const char *text)
{
    return wa_node_text_clean(arena, (struct bytes){(const uint8_t *)text, strlen(text)});
}

static void take_sync(const Wa__HistorySync *sync, struct arena *arena, struct wa_body_sync *out)
{
    struct wa_body_name *names = arena_array0(arena, sync->n_pushnames, sizeof(*names));
    struct wa_body_name *lids =
        arena_array0(arena, sync->n_phone_number_to_lid_mappings, sizeof(*lids));

    *out = (struct wa_body_sync){.sync_type = sync->has_sync_type ? sync->sync_type : 0,
                                 .chunk_order = sync->has_chunk_order ? sync->chunk_order : 0,
                                 .progress = sync->has_progress ? sync->progress : 0,
                                 .names = names,
                                 .lids = lids};
    for (size_t i = 0; i < sync->n_pushnames; i++) {
        const Wa__HistorySync__Pushname *from = sync->pushnames[i];

        if (from->id != NULL && from->pushname != NULL) {
            names[out->n_names++] = (struct wa_body_name){.jid = clean(arena, from->id),
                                                          .name = clean(arena, from->pushname)};
        }
    }
    for (size_t i = 0; i < sync->n_phone_number_to_lid_mappings; i++) {
        const Wa__HistorySync__PhoneNumberToLid *from = sync->phone_number_to_lid_mappings[i];

        if (from->pn_jid != NULL && from->lid_jid != NULL) {
            lids[out->n_lids++] = (struct wa_body_name){.jid = clean(arena, from->pn_jid),
                                                        .name = clean(arena, from->lid_jid)};
        }
    }
}

int wa_body_history_open(struct bytes payload, struct arena *arena, struct wa_body_sync *out,
                         struct err *err)
{
    struct buf inflated = {0};
    ProtobufCMessage *raw = NULL;
    int rc = inflate_all(payload, &inflated, err);

    if (rc == 0) {
        rc = wa_proto_unpack(&wa__history_sync__descriptor, buf_bytes(&inflated), &raw, err);
    }
    if (rc == 0) {
        take_sync((const Wa__HistorySync *)raw, arena, out);
        wa_proto_free(&raw);
    }
    buf_done(&inflated);
    return rc;
}

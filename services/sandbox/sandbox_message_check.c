/* What a server refuses of a message. */
#include <string.h>

#include "adv.pb-c.h"
#include "sandbox/sandbox_message_internal.h"
#include "wa/wa_proto.h"

bool sandbox_message_check_asked(const struct sandbox_letter *letter,
                                 const struct sandbox_device *target)
{
    if (sandbox_message_has_asked(letter, target)) {
        return true;
    }
    sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_RETRY_UNASKED, "message %s for %s:%u",
                           letter->sent.id, target->account->number, (unsigned)target->number);
    return false;
}

bool sandbox_message_check_identity(const struct sandbox_letter *letter)
{
    struct ProtobufCMessage *raw = NULL;
    struct ProtobufCMessage *own = NULL;
    bool ok = false;

    if (letter->sender->number == 0 || !wa_message_sent_has_pkmsg(&letter->sent)) {
        return true;
    }
    if (wa_proto_unpack(&wa__advsigned_device_identity__descriptor, letter->sent.device_identity,
                        &raw, NULL) == 0 &&
        wa_proto_unpack(&wa__advsigned_device_identity__descriptor,
                        buf_bytes(&letter->sender->identity), &own, NULL) == 0) {
        const Wa__ADVSignedDeviceIdentity *a = (const Wa__ADVSignedDeviceIdentity *)(void *)raw;
        const Wa__ADVSignedDeviceIdentity *b = (const Wa__ADVSignedDeviceIdentity *)(void *)own;

        ok = a->details.len == b->details.len &&
             a->device_signature.len == b->device_signature.len &&
             memcmp(a->details.data, b->details.data, a->details.len) == 0 &&
             memcmp(a->device_signature.data, b->device_signature.data, a->device_signature.len) ==
                 0;
    }
    wa_proto_free(&raw);
    wa_proto_free(&own);
    if (!ok) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_MISSING_DEVICE_IDENTITY,
                               "message %s", letter->sent.id);
    }
    return ok;
}

static bool is_target(const struct sandbox_letter *letter, const struct sandbox_device *device)
{
    for (size_t i = 0; i < letter->sent.n_targets; i++) {
        if (letter->sent.targets[i].has_enc &&
            sandbox_device_of(letter->world, &letter->sent.targets[i].device) == device) {
            return true;
        }
    }
    return false;
}

/* Every device of @account that the sender was told of must be among the targets. */
static bool check_left_out(const struct sandbox_letter *letter,
                           const struct sandbox_account *account)
{
    const struct sandbox_listed *listed =
        sandbox_map_find(&letter->sender->listed, account->number);
    bool ok = true;

    for (size_t i = 0; listed != NULL && i <= account->n_companions; i++) {
        const struct sandbox_device *device =
            i == 0 ? &account->phone_device : account->companions[i - 1];
        bool was_listed = (listed->devices[device->number / 8] & (1U << (device->number % 8))) != 0;

        if (was_listed && device != letter->sender && !is_target(letter, device)) {
            sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_DEVICE_LEFT_OUT,
                                   "message %s has nothing for %s:%u", letter->sent.id,
                                   account->number, (unsigned)device->number);
            ok = false;
        }
    }
    return ok;
}

struct sandbox_device *sandbox_message_target(const struct sandbox_letter *letter,
                                              const struct wa_jid *jid)
{
    struct sandbox_device *device = sandbox_device_of(letter->world, jid);

    return device == letter->sender ? NULL : device;
}

static bool never_was(const struct sandbox_letter *letter, const struct wa_jid *jid)
{
    const struct sandbox_account *account = sandbox_account_of(letter->world, jid);

    return account == NULL || (account != letter->to && account != letter->sender->account) ||
           jid->device > account->last_device;
}

static bool came_before(const struct sandbox_letter *letter, size_t i,
                        const struct sandbox_device *device)
{
    for (size_t j = 0; j < i; j++) {
        if (sandbox_device_of(letter->world, &letter->sent.targets[j].device) == device) {
            return true;
        }
    }
    return false;
}

static bool check_target(const struct sandbox_letter *letter, size_t i)
{
    const struct wa_message_target *target = &letter->sent.targets[i];
    const struct sandbox_device *device = sandbox_message_target(letter, &target->device);
    char text[WA_JID_TEXT_MAX];

    if (never_was(letter, &target->device)) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_UNKNOWN_DEVICE,
                               "message %s for %s", letter->sent.id,
                               wa_jid_format(&target->device, text));
        return false;
    }
    if (device == NULL) {
        return true;
    }
    if (came_before(letter, i, device)) {
        sandbox_violate_device(letter->sender, SANDBOX_VIOLATION_REPEATED_DEVICE, "message %s",
                               letter->sent.id);
        return false;
    }
    return !target->has_enc || target->enc.count == 0 ||
           sandbox_message_check_asked(letter, device);
}

bool sandbox_message_check_targets(const struct sandbox_letter *letter)
{
    bool ok = true;

    for (size_t i = 0; i < letter->sent.n_targets; i++) {
        ok = check_target(letter, i) && ok;
    }
    if (!letter->is_retry) {
        ok = check_left_out(letter, letter->to) && ok;
        if (letter->to != letter->sender->account) {
            ok = check_left_out(letter, letter->sender->account) && ok;
        }
    }
    return ok;
}

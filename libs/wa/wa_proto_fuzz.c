/* Every message of a peer: what passes the check unpacks or is refused, and packs again. The first
 * byte chooses the kind. */
#include <stddef.h>

#include "adv.pb-c.h"
#include "creds.pb-c.h"
#include "handshake.pb-c.h"
#include "payload.pb-c.h"
#include "wa/wa_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const kinds[] = {
        &wa__handshake_message__descriptor,
        &wa__cert_chain__descriptor,
        &wa__noise_certificate_details__descriptor,
        &wa__client_payload__descriptor,
        &wa__device_props__descriptor,
        &wa__advsigned_device_identity_hmac__descriptor,
        &wa__advsigned_device_identity__descriptor,
        &wa__advdevice_identity__descriptor,
        &wa__advkey_index_list__descriptor,
        &wa__stored_creds__descriptor,
    };
    struct ProtobufCMessage *message = NULL;
    struct buf out = {0};

    if (size > 0 && wa_proto_unpack(kinds[data[0] % (sizeof(kinds) / sizeof(kinds[0]))],
                                    (struct bytes){data + 1, size - 1}, &message, NULL) == 0) {
        wa_proto_pack(message, &out);
    }
    wa_proto_free(&message);
    buf_done(&out);
    return 0;
}

/* wa_node_wire: the tags of the binary form, for encoder and decoder. */
#ifndef WA_WA_NODE_WIRE_H
#define WA_WA_NODE_WIRE_H

enum wa_wire {
    WA_WIRE_LIST_EMPTY = 0,
    WA_WIRE_SINGLE_LAST = 235,
    WA_WIRE_DICTIONARY_0 = 236,
    WA_WIRE_DICTIONARY_3 = 239,
    WA_WIRE_INTEROP_JID = 245,
    WA_WIRE_FB_JID = 246,
    WA_WIRE_AD_JID = 247,
    WA_WIRE_LIST_8 = 248,
    WA_WIRE_LIST_16 = 249,
    WA_WIRE_JID_PAIR = 250,
    WA_WIRE_HEX_8 = 251,
    WA_WIRE_BINARY_8 = 252,
    WA_WIRE_BINARY_20 = 253,
    WA_WIRE_BINARY_32 = 254,
    WA_WIRE_NIBBLE_8 = 255
};

/* Servers as the domain type of an AD_JID. */
enum wa_domain {
    WA_DOMAIN_PN = 0,
    WA_DOMAIN_LID = 1,
    WA_DOMAIN_HOSTED = 128,
    WA_DOMAIN_HOSTED_LID = 129
};

enum {
    WA_WIRE_FLAG_ZLIB = 0x02,
    WA_WIRE_PACKED_MAX = 127, /* characters that an encoder may pack */
    WA_WIRE_PACKED_ODD = 0x80
};

#endif

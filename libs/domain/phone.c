#include "domain/phone.h"

#include <string.h>

#include "base/err.h"
#include "base/uuid.h"
#include "domain/fixed.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits_at(const char *text)
{
    size_t n = 0;

    while (is_digit(text[n])) {
        n++;
    }
    return n;
}

/* E.164 country codes: for each first two digits which third digits are assigned. "*" says that the
 * two digits, or in the case of 1 and 7 the first one, are a code by themselves. */
static bool calling_code_is_assigned(const char *digits)
{
    static const struct {
        char begin[3];
        const char *third;
    } codes[] = {
        {"20", "*"},          {"21", "123468"},     {"22", "0123456789"}, {"23", "0123456789"},
        {"24", "0123456789"}, {"25", "012345678"},  {"26", "0123456789"}, {"27", "*"},
        {"29", "01789"},      {"30", "*"},          {"31", "*"},          {"32", "*"},
        {"33", "*"},          {"34", "*"},          {"35", "0123456789"}, {"36", "*"},
        {"37", "0123456789"}, {"38", "01235679"},   {"39", "*"},          {"40", "*"},
        {"41", "*"},          {"42", "013"},        {"43", "*"},          {"44", "*"},
        {"45", "*"},          {"46", "*"},          {"47", "*"},          {"48", "*"},
        {"49", "*"},          {"50", "0123456789"}, {"51", "*"},          {"52", "*"},
        {"53", "*"},          {"54", "*"},          {"55", "*"},          {"56", "*"},
        {"57", "*"},          {"58", "*"},          {"59", "0123456789"}, {"60", "*"},
        {"61", "*"},          {"62", "*"},          {"63", "*"},          {"64", "*"},
        {"65", "*"},          {"66", "*"},          {"67", "023456789"},  {"68", "012356789"},
        {"69", "012"},        {"80", "08"},         {"81", "*"},          {"82", "*"},
        {"84", "*"},          {"85", "02356"},      {"86", "*"},          {"87", "08"},
        {"88", "012368"},     {"90", "*"},          {"91", "*"},          {"92", "*"},
        {"93", "*"},          {"94", "*"},          {"95", "*"},          {"96", "012345678"},
        {"97", "012345679"},  {"98", "*"},          {"99", "234568"},
    };

    if (digits[0] == '1' || digits[0] == '7') {
        return true;
    }
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (memcmp(digits, codes[i].begin, 2) == 0) {
            return codes[i].third[0] == '*' || strchr(codes[i].third, digits[2]) != NULL;
        }
    }
    return false;
}

/* Is the run of @n digits at @digits an international number? */
static bool is_phone(const char *digits, size_t n)
{
    return n >= 8 && n <= 15 && digits[0] != '0' && calling_code_is_assigned(digits);
}

static void put(char *out, const char *from, size_t n)
{
    memcpy(out, from, n);
    out[n] = '\0';
}

int phone_parse(const char *text, char out[PHONE_MAX])
{
    const char *digits = text[0] == '+' ? text + 1 : text;
    size_t n = digits_at(digits);

    if (digits[n] != '\0' || !is_phone(digits, n)) {
        return -ERR_INVALID;
    }
    put(out, digits, n);
    return 0;
}

static bool is_group(const char *text)
{
    size_t n = digits_at(text);

    if (n == 0) {
        return false;
    }
    if (text[n] == '-') {
        size_t second = digits_at(text + n + 1);

        if (second == 0) {
            return false;
        }
        n += 1 + second;
    }
    return strcmp(text + n, "@g.us") == 0;
}

int destination_parse(const char *text, struct destination *out)
{
    static const char server[] = "@s.whatsapp.net";
    struct destination made = {.kind = DESTINATION_PHONE};
    size_t n = digits_at(text);

    if (strlen(text) >= PHONE_JID_MAX) {
        return -ERR_INVALID;
    }
    if (is_group(text)) {
        made.kind = DESTINATION_GROUP;
        FIXED_COPY(made.jid, text);
    } else if (is_phone(text, n) && strcmp(text + n, server) == 0) {
        made.kind = DESTINATION_USER;
        put(made.phone, text, n);
        FIXED_COPY(made.jid, text);
    } else if (phone_parse(text, made.phone) == 0) {
        n = strlen(made.phone);
        memcpy(made.jid, made.phone, n);
        memcpy(made.jid + n, server, sizeof(server));
    } else {
        return -ERR_INVALID;
    }
    *out = made;
    return 0;
}

static bool is_key_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

static bool is_hex_in_any_case(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strchr("0123456789abcdefABCDEF", text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool looks_like_uuid(const char *text, size_t n)
{
    if (n == 32) {
        return is_hex_in_any_case(text, n);
    }
    if (n != 36) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? text[i] != '-' : !is_hex_in_any_case(text + i, 1)) {
            return false;
        }
    }
    return true;
}

bool session_key_is_valid(const char *text)
{
    size_t n = strlen(text);

    if (n == 0 || n >= SESSION_KEY_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_key_char(text[i])) {
            return false;
        }
    }
    return !looks_like_uuid(text, n) && (digits_at(text) != n || n >= 10) &&
           strcmp(text, "connected") != 0 && strcmp(text, "all") != 0;
}

/* Answers that are kept back, as a test asks, until they are let go. */
#include <stdlib.h>

#include "sandbox/sandbox_internal.h"

struct sandbox_held {
    struct sandbox_held *next;
    const struct sandbox_account *account; /* who holds it back */
    enum sandbox_held_kind kind;
    uint64_t conn; /* serial of whom it is for */
    struct buf packed;
};

void sandbox_held_put(struct sandbox_conn *conn, const struct sandbox_account *account,
                      enum sandbox_held_kind kind, const struct wa_node *answer)
{
    struct sandbox_held *held = mem_new0(sizeof(*held));
    struct sandbox_held **end = &conn->world->held;

    while (*end != NULL) {
        end = &(*end)->next;
    }
    held->account = account;
    held->kind = kind;
    held->conn = conn->serial;
    if (wa_node_encode(answer, &held->packed, NULL) < 0) {
        abort(); /* made here of what fits */
    }
    *end = held;
}

static void send_held(struct sandbox_world *world, const struct sandbox_held *held)
{
    struct sandbox_conn *conn = world->conns;
    struct wa_node *answer = NULL;

    while (conn != NULL && conn->serial != held->conn) {
        conn = conn->next;
    }
    if (conn == NULL) {
        return;
    }
    if (wa_node_decode(buf_bytes(&held->packed), &world->arena, &answer, NULL) < 0) {
        abort(); /* encoded here */
    }
    sandbox_conn_send(conn, answer);
}

static void held_free(struct sandbox_held *held)
{
    buf_done(&held->packed);
    free(held);
}

void sandbox_held_release(struct sandbox_world *world, const struct sandbox_account *account,
                          enum sandbox_held_kind kind)
{
    struct sandbox_held **at = &world->held;

    while (*at != NULL) {
        struct sandbox_held *held = *at;

        if (held->account != account || held->kind != kind) {
            at = &held->next;
            continue;
        }
        *at = held->next;
        send_held(world, held);
        held_free(held);
    }
}

void sandbox_held_drop(struct sandbox_world *world, const struct sandbox_account *account)
{
    struct sandbox_held **at = &world->held;

    while (*at != NULL) {
        struct sandbox_held *held = *at;

        if (held->account == account) {
            *at = held->next;
            held_free(held);
        } else {
            at = &held->next;
        }
    }
}

size_t sandbox_account_held(const struct sandbox_account *account)
{
    size_t n = 0;

    for (const struct sandbox_held *held = account->world->held; held != NULL; held = held->next) {
        n += held->account == account ? 1 : 0;
    }
    return n;
}

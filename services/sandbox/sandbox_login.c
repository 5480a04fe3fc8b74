/* Login of a companion, and the ends of its connection. */
#include <string.h>

#include "sandbox/sandbox_internal.h"

static void on_silence(void *ctx)
{
    sandbox_conn_shut(ctx);
}

static void refuse(struct sandbox_conn *conn, int reason)
{
    struct wa_node *failure = wa_node_new(&conn->world->arena, "failure");

    wa_node_set_int(failure, "reason", reason);
    sandbox_conn_send(conn, failure);
    sandbox_conn_last_word(conn);
}

static struct sandbox_device *find_device(struct sandbox_conn *conn,
                                          const struct wa_payload *payload)
{
    struct sandbox_account *account;
    struct sandbox_device *device = NULL;
    char number[24];

    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)payload->username);
    account = sandbox_world_account(conn->world, number);
    if (account != NULL && payload->has_device && payload->device > 0 && payload->device <= 255) {
        device = sandbox_account_find(account, (uint16_t)payload->device);
    }
    if (device != NULL && !crypto_equal(device->noise, conn->noise, CRYPTO_KEY)) {
        sandbox_violate(conn, SANDBOX_VIOLATION_BAD_HANDSHAKE, "the noise key is not that of %s:%u",
                        number, payload->device);
        device = NULL;
    }
    return device;
}

void sandbox_login(struct sandbox_conn *conn, const struct wa_payload *payload)
{
    struct sandbox_device *device = find_device(conn, payload);
    struct wa_node *success;
    struct wa_jid lid;

    if (device == NULL) {
        refuse(conn, 401);
        return;
    }
    if (device->account->behaviour.refuse_logins != 0) {
        refuse(conn, (int)device->account->behaviour.refuse_logins);
        return;
    }
    if (device->conn != NULL) {
        sandbox_login_end(device->conn, 0, "replaced");
    }
    device->conn = conn;
    device->is_active = false;
    conn->device = device;
    conn->phase = SANDBOX_LOGGED_IN;
    lid = sandbox_device_jid(device, WA_SERVER_LID);
    success = wa_node_new(&conn->world->arena, "success");
    wa_node_set_int(success, "t", sandbox_now_s(conn->world));
    wa_node_set_jid(success, "lid", &lid);
    sandbox_conn_send(conn, success);
    sandbox_agenda_put(&conn->world->agenda, &conn->timeout,
                       conn->world->now_ms + SANDBOX_SILENCE_MS, on_silence, conn);
    if (!payload->passive) {
        sandbox_login_active(conn);
    }
}

void sandbox_login_active(struct sandbox_conn *conn)
{
    struct sandbox_device *device = conn->device;

    if (device->is_active) {
        return;
    }
    device->is_active = true;
    sandbox_queue_drain(device);
    sandbox_notify_prekeys(device);
    if (!device->was_greeted) {
        device->was_greeted = true;
        sandbox_phone_greet(device);
    }
}

void sandbox_login_left(struct sandbox_conn *conn)
{
    struct sandbox_device *device = conn->device;

    conn->device = NULL;
    if (device != NULL && device->conn == conn) {
        device->conn = NULL;
        device->is_active = false;
        device->is_available = false;
        sandbox_agenda_drop(&conn->world->agenda, &device->queue.overdue);
    }
}

void sandbox_login_end(struct sandbox_conn *conn, int code, const char *conflict)
{
    struct wa_node *error = wa_node_new(&conn->world->arena, "stream:error");

    if (code != 0) {
        wa_node_set_int(error, "code", code);
    }
    if (conflict != NULL) {
        wa_node_set(wa_node_child(error, "conflict"), "type", conflict);
    }
    sandbox_conn_send(conn, error);
    sandbox_conn_last_word(conn);
}

/* ---- a companion is no more ---- */

static void forget(struct sandbox_device *device)
{
    struct sandbox_account *account = device->account;
    struct sandbox_change change = {device->number, device->key_index, false};

    sandbox_device_drop(device);
    sandbox_notify_devices(account, &change);
}

static void on_parted(void *ctx)
{
    sandbox_login_end(ctx, 401, "device_removed");
}

void sandbox_login_part(struct sandbox_conn *conn)
{
    struct sandbox_device *device = conn->device;

    sandbox_login_left(conn);
    conn->phase = SANDBOX_PARTING;
    sandbox_agenda_put(&conn->world->agenda, &conn->timeout,
                       conn->world->now_ms + SANDBOX_PARTING_MS, on_parted, conn);
    forget(device);
}

int sandbox_account_unlink(struct sandbox_account *account, unsigned device, struct err *err)
{
    struct sandbox_device *found =
        device == 0 || device > 255 ? NULL : sandbox_account_find(account, (uint16_t)device);

    if (found == NULL) {
        return err_set(err, ERR_NOT_FOUND, "%s has no companion %u", account->number, device);
    }
    sandbox_enter(account->world);
    if (found->conn != NULL) {
        sandbox_login_end(found->conn, 401, "device_removed");
    }
    forget(found);
    sandbox_leave(account->world);
    return 0;
}

/* sandbox: a WhatsApp server with virtual phones on this machine, for demos, tests and load. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/loop.h"
#include "sandbox/sandbox_admin.h"
#include "sandbox/sandbox_net.h"
#include "sandbox/sandbox_world.h"
#include "svc/svc_drain.h"
#include "svc/svc_exit.h"
#include "svc/svc_health.h"
#include "svc/svc_main.h"
#include "ws/ws_tls.h"

enum { FILE_MAX = 65536, HOSTS_MAX = 8, CERT_RENEW_S = 300 * 24 * 3600 };

struct config {
    struct svc_common common;
    int64_t ws_port;
    int64_t admin_port;
    const char *bind;
    const char *hosts;
    const char *state_dir;
    bool tls;
    int64_t ack_grace_ms;
};

static const struct svc_config_entry entries[] = {
    SVC_INT(struct config, ws_port, "SANDBOX_WS_PORT", "18443", 0, 65535,
            "port of the websocket; 0: any"),
    SVC_INT(struct config, admin_port, "SANDBOX_ADMIN_PORT", "18090", 0, 65535,
            "port of the admin interface; 0: any"),
    SVC_TEXT(struct config, bind, "SANDBOX_BIND", "127.0.0.1", "numeric address of both", .min = 1),
    SVC_TEXT(struct config, hosts, "SANDBOX_HOSTS", "",
             "further names for the TLS certificate, with commas", .min = 0),
    SVC_TEXT(struct config, state_dir, "SANDBOX_STATE_DIR", NULL,
             "folder for root_key, ca.pem and what they come from", .min = 1),
    SVC_BOOL(struct config, tls, "SANDBOX_TLS", "1", "wss, else ws"),
    SVC_INT(struct config, ack_grace_ms, "SANDBOX_ACK_GRACE_MS", "60000", 100, 3600000,
            "after so long a missing ack is a violation"),
    SVC_TEXT(struct config, common.instance_id, "INSTANCE_ID", "", "name of this process",
             .max = 64),
    SVC_TEXT(struct config, common.log_level, "LOG_LEVEL", "info", "lowest level that is logged",
             .choices = "debug info warn error"),
    SVC_BOOL(struct config, common.log_pretty, "LOG_PRETTY", "0", "log for people instead of JSON"),
    SVC_INT(struct config, common.drain_timeout_ms, "DRAIN_TIMEOUT_MS", "10000", 100, 600000,
            "after SIGTERM, the longest wait"),
    SVC_TEXT(struct config, common.crash_at, "KENTONGAN_CRASH_AT", "",
             "for tests: end at this named point", .max = 96),
};

static const struct svc_config_table table =
    SVC_CONFIG_TABLE("sandbox", "a WhatsApp server with virtual phones", entries, NULL);

struct app {
    struct config config;
    struct loop *loop;
    struct sandbox_world *world;
    struct ws_tls *tls;
    struct sandbox_net *net;
    struct sandbox_admin *admin;
    struct svc_health *health;
    struct svc_drain *drain;
};

/* ---- files in the state folder ---- */

static void path_of(const struct app *app, const char *name, char *out, size_t size)
{
    (void)snprintf(out, size, "%s/%s", app->config.state_dir, name);
}

static bool read_file(const struct app *app, const char *name, struct buf *out)
{
    char path[FILENAME_MAX];
    FILE *file;

    path_of(app, name, path, sizeof(path));
    file = fopen(path, "rbe");
    if (file == NULL) {
        return false;
    }
    buf_used(out, fread(buf_room(out, FILE_MAX), 1, FILE_MAX, file));
    (void)fclose(file);
    return out->n > 0;
}

/* Written beside and moved into place: others wait for it to appear. */
static int write_file(const struct app *app, const char *name, struct bytes bytes, mode_t mode,
                      struct err *err)
{
    char path[FILENAME_MAX];
    char beside[FILENAME_MAX + 8];
    int fd;
    bool ok;

    path_of(app, name, path, sizeof(path));
    (void)snprintf(beside, sizeof(beside), "%s.new", path);
    fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    ok = fd >= 0 && write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (!ok || rename(beside, path) != 0) {
        return err_set(err, ERR_SYSTEM, "cannot write %s: errno %d", path, errno);
    }
    return 0;
}

/* Server and phones keep their keys from one start to the next. */
static int load_seed(const struct app *app, uint8_t seed[CRYPTO_KEY], struct err *err)
{
    struct buf file = {0};
    int rc = 0;

    if (mkdir(app->config.state_dir, 0755) != 0 && errno != EEXIST) {
        return err_set(err, ERR_SYSTEM, "cannot make %s: errno %d", app->config.state_dir, errno);
    }
    if (read_file(app, "seed", &file) && file.n == CRYPTO_KEY) {
        memcpy(seed, file.p, CRYPTO_KEY);
    } else {
        crypto_random(seed, CRYPTO_KEY);
        rc = write_file(app, "seed", (struct bytes){seed, CRYPTO_KEY}, 0600, err);
    }
    buf_wipe(&file);
    return rc;
}

static int write_root_key(const struct app *app, struct err *err)
{
    uint8_t root[CRYPTO_KEY];
    struct buf text = {0};
    int rc;

    sandbox_world_root_key(app->world, root);
    text_hex(&text, (struct bytes){root, sizeof(root)});
    buf_add_str(&text, "\n");
    rc = write_file(app, "root_key", buf_bytes(&text), 0644, err);
    buf_done(&text);
    return rc;
}

/* ---- TLS ---- */

/* Clients that run have read ca.pem: a restart does not change it as long as it is good. */
static bool load_cert(struct app *app, const char *wanted)
{
    struct buf chain = {0};
    struct buf key = {0};
    struct buf hosts = {0};
    struct stat info;
    char path[FILENAME_MAX];
    bool ok;

    path_of(app, "cert.pem", path, sizeof(path));
    ok = stat(path, &info) == 0 && info.st_mtime + CERT_RENEW_S > clock_wall_ms() / 1000 &&
         read_file(app, "cert.pem", &chain) && read_file(app, "key.pem", &key) &&
         read_file(app, "hosts", &hosts) && strcmp(buf_text(&hosts), wanted) == 0 &&
         ws_tls_server_new(buf_bytes(&chain), buf_bytes(&key), &app->tls, NULL) == 0;
    buf_done(&chain);
    buf_wipe(&key);
    buf_done(&hosts);
    return ok;
}

static int make_cert(struct app *app, const char *names, struct err *err)
{
    const char *list[HOSTS_MAX + 1] = {0};
    struct ws_test_ca ca = {0};
    char *copy = mem_strdup(names);
    char *rest = copy;
    size_t n = 0;
    int rc;

    while (rest != NULL && n < HOSTS_MAX) {
        list[n++] = strsep(&rest, ",");
    }
    rc = ws_test_ca_init(&ca, list, err);
    if (rc == 0) {
        rc = write_file(app, "key.pem", buf_bytes(&ca.key_pem), 0600, err);
    }
    if (rc == 0) {
        rc = write_file(app, "cert.pem", buf_bytes(&ca.chain_pem), 0644, err);
    }
    if (rc == 0) {
        rc = write_file(app, "hosts", (struct bytes){(const uint8_t *)names, strlen(names)}, 0644,
                        err);
    }
    if (rc == 0) {
        rc = write_file(app, "ca.pem", buf_bytes(&ca.ca_pem), 0644, err);
    }
    if (rc == 0) {
        rc = ws_tls_server_new(buf_bytes(&ca.chain_pem), buf_bytes(&ca.key_pem), &app->tls, err);
    }
    ws_test_ca_done(&ca);
    free(copy);
    return rc;
}

static int open_tls(struct app *app, struct err *err)
{
    struct buf names = {0};
    int rc = 0;

    if (!app->config.tls) {
        return 0;
    }
    buf_add_str(&names, "127.0.0.1,localhost");
    if (app->config.hosts[0] != '\0') {
        buf_addf(&names, ",%s", app->config.hosts);
    }
    if (!load_cert(app, buf_text(&names))) {
        rc = make_cert(app, buf_text(&names), err);
    }
    buf_done(&names);
    return rc;
}

/* ---- start and end ---- */

static int open_world(struct app *app, struct err *err)
{
    struct sandbox_options options = {.now_ms = clock_wall_ms(),
                                      .ack_grace_ms = app->config.ack_grace_ms};
    int rc = load_seed(app, options.seed, err);

    if (rc == 0) {
        rc = sandbox_world_new(&options, &app->world, err);
    }
    mem_wipe(&options, sizeof(options));
    return rc;
}

static int open_doors(struct app *app, struct err *err)
{
    struct sandbox_net_config net = {
        .address = app->config.bind, .port = (uint16_t)app->config.ws_port, .tls = app->tls};
    struct sandbox_admin_config admin = {.bind = app->config.bind,
                                         .port = (int)app->config.admin_port,
                                         .world = app->world,
                                         .health = app->health};
    int rc = sandbox_net_new(app->loop, app->world, &net, &app->net, err);

    if (rc == 0) {
        admin.net = app->net;
        rc = sandbox_admin_new(app->loop, &admin, &app->admin, err);
    }
    return rc;
}

static void on_drain(void *ctx)
{
    struct app *app = ctx;

    svc_health_set_ready(app->health, false);
    loop_stop(app->loop);
}

static int start(struct app *app, struct err *err)
{
    int rc = loop_new(&app->loop, err);

    if (rc < 0) {
        return rc;
    }
    app->health = svc_health_new(app->loop);
    app->drain = svc_drain_new(app->loop, app->config.common.drain_timeout_ms, on_drain, app);
    rc = open_world(app, err);
    if (rc == 0) {
        rc = open_tls(app, err);
    }
    if (rc == 0) {
        rc = open_doors(app, err);
    }
    return rc == 0 ? write_root_key(app, err) : rc; /* last: who waits for it finds all ready */
}

static void stop(struct app *app)
{
    sandbox_admin_close(&app->admin);
    sandbox_net_close(&app->net);
    sandbox_world_free(&app->world);
    ws_tls_free(&app->tls);
    svc_drain_free(&app->drain);
    svc_health_free(&app->health);
    loop_free(&app->loop);
}

static int run(void *ctx, struct err *err)
{
    struct app *app = ctx;
    int rc = start(app, err);

    if (rc == 0) {
        log_info("the sandbox is open", LOG_INT("ws_port", sandbox_net_port(app->net)),
                 LOG_INT("admin_port", sandbox_admin_port(app->admin)),
                 LOG_STR("state_dir", app->config.state_dir),
                 LOG_STR("scheme", app->config.tls ? "wss" : "ws"));
        svc_health_set_ready(app->health, true);
        loop_run(app->loop);
        log_info("the sandbox is closed", LOG_INT("status", SVC_EXIT_OK));
    }
    stop(app);
    return rc;
}

int main(int argc, char **argv)
{
    struct app app = {0};

    return svc_main(&table, argc, argv, &app.config.common, run, &app);
}

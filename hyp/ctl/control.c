// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/control.h"

#include <string.h>

#include "base/log.h"
#include "boot/options.h"
#include "ctl/qmp.h"
#include "drv/serial_line.h"
#include "drv/serial_ports.h"
#include "mem/heap.h"
#include "sched/timer.h"
#include "vm/event.h"
#include "vm/vm_account.h"

/* The serial ports of the host's virtio device, and behind them the line, if there is one. */
enum { LINE = SERIAL_PORTS, CLIENTS };

static struct client {
    unsigned port, connection; /* 0: nobody, or there is no memory for them */
    struct qmp_session *session;
} clients[CLIENTS];
static bool has_line;
static uint64_t events_seen;

static size_t port_read(void *port, char *to, size_t max)
{
    unsigned n = ((struct client *)port)->port;

    return n == LINE ? serial_line_read(to, max) : serial_port_read(n, to, max);
}

static size_t port_write(void *port, const char *data, size_t len)
{
    unsigned n = ((struct client *)port)->port;

    return n == LINE ? serial_line_write(data, len) : serial_port_write(n, data, len);
}

static void leave(struct client *c)
{
    if (!c->session)
        return;
    qmp_close(c->session);
    heap_free(c->session);
    c->session = NULL;
}

static void enter(struct client *c)
{
    struct qmp_session *s = heap_alloc(sizeof(*s));

    if (s) {
        s->read = port_read;
        s->write = port_write;
        s->port = c;
        s->is_line = c->port == LINE;
    }
    if (s && !qmp_open(s)) {
        c->session = s;
        return;
    }
    heap_free(s);
    log_warn("control: no memory for a client on port %u", c->port + 1);
}

/* Whether there may be more to do at once. */
static bool look_at_port(struct client *c)
{
    unsigned connection = c->port == LINE ? has_line : serial_port_connection(c->port);

    if (connection != c->connection) {
        leave(c);
        c->connection = connection;
        if (connection)
            enter(c);
    }
    return c->session && qmp_step(c->session);
}

/* ---- events ---- */

struct text {
    char data[400];
    size_t len;
};

static void text_put(void *ctx, const char *data, size_t len)
{
    struct text *t = ctx;

    len = min_u64(len, sizeof(t->data) - t->len);
    memcpy(t->data + t->len, data, len);
    t->len += len;
}

/* QEMU's names for what QEMU has. */
static const char *event_name(enum vm_event_kind kind)
{
    static const char *const name[] = {
        [VM_EVENT_CREATED] = "VM_CREATED",     [VM_EVENT_STARTED] = "VM_STARTED",
        [VM_EVENT_STOPPED] = "SHUTDOWN",       [VM_EVENT_PAUSED] = "STOP",
        [VM_EVENT_RESUMED] = "RESUME",         [VM_EVENT_RESET] = "RESET",
        [VM_EVENT_CRASHED] = "GUEST_PANICKED", [VM_EVENT_DESTROYED] = "VM_DESTROYED",
    };

    return name[kind];
}

static void put_data(struct json_out *o, const struct vm_event *e)
{
    json_begin_object(o, NULL);
    json_put_string(o, "vm", e->vm);
    if (e->kind == VM_EVENT_STOPPED || e->kind == VM_EVENT_RESET) {
        bool stopped = e->kind == VM_EVENT_STOPPED;

        json_put_bool(o, "guest", e->by_guest);
        json_put_string(o, "reason",
                        e->by_guest ? stopped ? "guest-shutdown" : "guest-reset"
                        : stopped   ? "host-qmp-quit"
                                    : "host-qmp-system-reset");
        json_put_string(o, "text", e->reason);
    }
    if (e->kind == VM_EVENT_CRASHED) {
        json_put_string(o, "action", "pause"); /* it is kept as it is, for inspection */
        json_put_string(o, "text", e->reason);
    }
    json_end_object(o);
}

static void send_events(void)
{
    struct vm_event e;
    uint64_t missed;

    while (vm_event_next(&events_seen, &e, &missed)) {
        struct text t = {.len = 0};
        struct json_out o = {.put = text_put, .ctx = &t};

        put_data(&o, &e);
        for (struct qmp_session *to = qmp_first(); to; to = to->next) {
            to->lost += (unsigned)missed;
            qmp_send_event(to, event_name(e.kind), vm_account_ns(e.time) / 1000, t.data, t.len);
        }
    }
}

/* ---- output of consoles, and captures ---- */

/* What comes character by character is sent together, unless there is much of it: a person sees no difference. */
enum { OUTPUT_EVERY_US = 5000, OUTPUT_AT_ONCE = 2048 };

static struct timer output_timer;
static uint64_t output_next; /* host time: not earlier, if little waits */
static void (*wake_control)(void);

static void output_is_due(struct timer *t)
{
    (void)t;
    wake_control();
}

static void send_output(void)
{
    uint64_t now = arch_time(), most = 0;

    for (struct qmp_session *s = qmp_first(); s; s = s->next)
        most = max_u64(most, max_u64(qmp_output_waits(s), qmp_captured_waits(s)));
    if (!most)
        return;
    if (most < OUTPUT_AT_ONCE && now < output_next) {
        timer_set(&output_timer, output_next);
        return;
    }
    output_next = now + timer_us(OUTPUT_EVERY_US);
    for (struct qmp_session *s = qmp_first(); s; s = s->next) {
        qmp_send_output(s);
        qmp_send_captured(s);
    }
}

/* One message of each client, so that one that sends much keeps neither the others waiting nor the hart. */
bool control_step(void)
{
    bool more = false;

    serial_ports_step();
    send_events();
    for (unsigned i = 0; i < CLIENTS; i++)
        more |= look_at_port(&clients[i]);
    send_events(); /* of what they did */
    qmp_send_committed();
    send_output();
    for (struct qmp_session *s = qmp_first(); s; s = s->next)
        (void)qmp_flush(s);
    sched_point();
    return more;
}

bool control_init_line(const struct platform *p)
{
    const char *name = boot_option("control");
    const struct platform_uart *u = name ? platform_find_uart(p, name) : NULL;

    if (name && !u)
        log_error(
            "control=%.20s: no UART that there is a driver for: uart0 to uart%u, or 0xADDRESS",
            name, p->more_uart_count);
    if (u && serial_line_init(u, u != &p->uart)) {
        log_error("control=%.20s: its registers cannot be mapped", name);
        u = NULL;
    }
    if (u)
        log_info("control: the machine protocol is on %s", u->path);
    return u && u == &p->uart;
}

void control_start(void (*wake)(void))
{
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i].port = i;
    wake_control = wake;
    timer_init(&output_timer, output_is_due);
    serial_ports_start(wake);
    has_line = serial_line_start(wake);
    vm_event_watch(wake);
    qmp_capture_start(wake);
}

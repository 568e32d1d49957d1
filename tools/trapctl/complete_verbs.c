// SPDX-License-Identifier: BSD-2-Clause
#include "complete_verbs.h"

#include <string.h>

#include "complete.h"
#include "json_get.h"

enum { WORDS = 7, ANY = ARGS_WORDS };
enum source { THESE, NETS, CARDS, UPLINKS, IMAGES, DISKS, VMS };

static const struct place {
    enum word kind;
    const char *verb; /* the first word, NULL: this is it */
    int from, to; /* how many words stand before */
    enum source source;
    const char *word[WORDS];
} places[] = {
    {WORD_NET, NULL, 0, 0, THESE, {"set", "link", "port", "forward"}},
    {WORD_NET, NULL, 0, 0, NETS, {0}},
    {WORD_NET, "set", 1, 1, NETS, {0}},
    {WORD_NET, "set", 2, 2, THESE, {"mode=bridge", "mode=nat", "mode=internal"}},
    {WORD_NET, "link", 1, 1, CARDS, {0}},
    {WORD_NET, "link", 1, 1, NETS, {0}},
    {WORD_NET, "link", 2, 2, THESE, {"up", "down"}},
    {WORD_NET, "port", 1, 1, CARDS, {0}},
    {WORD_NET, "port", 2, 3, THESE, {"rate=", "rate=off", "isolated=on", "isolated=off"}},
    {WORD_NET, "forward", 1, 1, THESE, {"add", "rm"}},
    {WORD_NET, "forward", 2, 2, NETS, {0}},
    {WORD_PORT, NULL, 0, 0, CARDS, {0}},
    {WORD_PORT, NULL, 0, 0, UPLINKS, {0}},
    {WORD_DISK, NULL, 0, 0, THESE, {"ls", "create", "clone", "resize", "rm", "limit"}},
    {WORD_DISK, "ls", 1, 1, VMS, {0}},
    {WORD_DISK, "create", 3, 6, THESE, {"raw", "qcow2", "backing=", "room=", "on="}},
    {WORD_DISK, "clone", 1, 1, IMAGES, {0}},
    {WORD_DISK, "clone", 3, 5, THESE, {"room=", "on="}},
    {WORD_DISK, "resize", 1, 1, IMAGES, {0}},
    {WORD_DISK, "resize", 1, 1, DISKS, {0}},
    {WORD_DISK, "rm", 1, ANY, IMAGES, {0}},
    {WORD_DISK, "limit", 1, 1, DISKS, {0}},
    {WORD_DISK, "limit", 2, 3, THESE, {"iops=", "iops=off", "bytes=", "bytes=off"}},
};
enum { PLACES = sizeof(places) / sizeof(*places) };

/* What the machine lists, by the command and the member that is the name; of cards, both names with a slash. */
static const struct {
    const char *command, *name;
} lists[] = {
    [NETS] = {"query-nets", "net"},      [CARDS] = {"query-nets", NULL},
    [UPLINKS] = {"query-nets", NULL},    [IMAGES] = {"query-images", "image"},
    [DISKS] = {"query-block", "device"}, [VMS] = {"query-vms", "name"},
};

bool complete_verbs_knows(enum word kind)
{
    return kind == WORD_NET || kind == WORD_PORT || kind == WORD_DISK;
}

struct offering {
    void (*offer)(void *ctx, const char *text);
    void *ctx;
};

static void offer_pair(const struct offering *o, const char *a, const char *b)
{
    char text[256];

    snprintf(text, sizeof(text), "%s/%s", a, b);
    o->offer(o->ctx, text);
}

static void offer_one(const struct offering *o, enum source source, const json_t *each)
{
    const json_t *port;
    size_t i;

    if (source == UPLINKS && get_bool(each, "uplink"))
        offer_pair(o, get_string(each, "net"), "uplink");
    if (source == CARDS)
        json_array_foreach(json_object_get(each, "ports"), i, port)
            offer_pair(o, get_string(port, "vm"), get_string(port, "device"));
    if (lists[source].name && *get_string(each, lists[source].name))
        o->offer(o->ctx, get_string(each, lists[source].name));
}

/* Names need no counting of what images use. */
static json_t *arguments_for(enum source source)
{
    return source == IMAGES ? json_pack("{s:b}", "count", 0) : NULL;
}

/* Failures are silent: nobody asked for anything. */
static void offer_source(struct ctl *c, const struct offering *o, enum source source)
{
    json_t *list, *each;
    size_t i;

    if (!c->connected ||
        qmp_ask(&c->qmp, lists[source].command, arguments_for(source), COMPLETE_MS, &list))
        return;
    json_array_foreach(list, i, each) offer_one(o, source, each);
    json_decref(list);
}

void complete_verbs(struct ctl *c, enum word kind, const char *const behind[], int count,
                    void (*offer)(void *ctx, const char *text), void *ctx)
{
    struct offering o = {offer, ctx};

    for (unsigned i = 0; i < PLACES; i++) {
        const struct place *p = &places[i];

        if (p->kind != kind || count < p->from || count > p->to ||
            (p->verb && strcmp(p->verb, behind[0])))
            continue;
        for (unsigned k = 0; k < WORDS && p->word[k]; k++)
            offer(ctx, p->word[k]);
        if (p->source != THESE)
            offer_source(c, &o, p->source);
    }
}

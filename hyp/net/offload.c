// SPDX-License-Identifier: BSD-2-Clause
#include "net/offload.h"

#include <errno.h>
#include <string.h>

#include "net/packet.h"

enum { SUM_CHUNK = 512 }; /* bytes summed at once; even */

/* ---- checks ---- */

static bool check_tcp(struct net_frame *f)
{
    struct net_offload *o = &f->offload;
    uint16_t type = o->gso == NET_GSO_TCP4 ? ETH_IPV4 : ETH_IPV6;
    struct packet p;
    uint32_t header;

    if (!o->csum || !o->gso_size || !packet_parse(f->head, f->head_len, f->len, &p))
        return false;
    if (p.type != type || p.protocol != IP_TCP || p.fragment || !p.transport || p.end != f->len)
        return false;
    if (o->csum_start != p.transport || o->csum_offset != TCP_SUM ||
        p.transport + (uint32_t)TCP_HEADER > f->head_len)
        return false;
    header = p.transport + 4u * (f->head[p.transport + TCP_LENGTH] >> 4);
    if (header < p.transport + (uint32_t)TCP_HEADER || header > f->head_len)
        return false;
    o->header = (uint16_t)header;
    return (f->len - header + o->gso_size - 1) / o->gso_size <= OFFLOAD_SEGMENTS;
}

bool offload_check(struct net_frame *f)
{
    const struct net_offload *o = &f->offload;

    if (!o->csum && !o->gso)
        return !o->ecn;
    if (o->csum_start < NET_ETHERNET || (uint32_t)o->csum_start + o->csum_offset + 2 > f->head_len)
        return false;
    return o->gso ? check_tcp(f) : !o->ecn;
}

/* ---- reading ---- */

int offload_read(const struct net_frame *f, uint32_t offset, void *to, uint32_t len)
{
    char *p = to;
    uint32_t n = 0;

    if (!range_ok(offset, len, f->len))
        return -EFAULT;
    if (offset < f->head_len) {
        n = (uint32_t)min_u64(len, f->head_len - offset);
        memcpy(p, f->head + offset, n);
    }
    if (n == len)
        return 0;
    return f->data->read(f->data, f->data_at + (offset + n - f->head_len), p + n, len - n);
}

/* Adds what follows the head to a sum that began at start. */
static int add_data(const struct net_frame *f, uint32_t start, uint64_t *sum)
{
    uint64_t rest = 0;
    uint8_t chunk[SUM_CHUNK] __attribute__((aligned(8)));

    for (uint32_t at = f->head_len; at < f->len;) {
        uint32_t n = (uint32_t)min_u64(f->len - at, sizeof(chunk));
        int r = offload_read(f, at, chunk, n);

        if (r)
            return r;
        rest = sum_add(rest, chunk, n);
        at += n;
    }
    /* RFC 1071, 2 (B): a sum that began at an odd byte has its bytes swapped. */
    *sum += (f->head_len - start) & 1 ? __builtin_bswap16(sum_fold(rest)) : rest;
    return 0;
}

/* ---- checksums ---- */

/* Puts the sum of all from start on to where it belongs; what is there, the pseudo-header's, counts too. */
static int finish_sum(struct offload_cut *c, uint32_t start, uint32_t field)
{
    const struct net_frame *f = &c->frame;
    uint64_t sum = sum_add(0, c->head + start, f->head_len - start);
    int r = add_data(f, start, &sum);

    if (r)
        return r;
    sum_put(c->head + field, sum);
    /* RFC 768: 0 would mean that there is none, and 0xffff is as good; TCP takes either. */
    if (!c->head[field] && !c->head[field + 1])
        c->head[field] = c->head[field + 1] = 0xff;
    return 0;
}

/* The head's first len bytes, then up to NET_HEAD in all of what the frame has at offset. The rest is its data's. */
static int make_head(struct offload_cut *c, uint32_t len, uint32_t offset, uint32_t payload)
{
    const struct net_frame *f = c->whole;
    uint32_t more = (uint32_t)min_u64(payload, NET_HEAD - len);
    int r;

    memcpy(c->head, f->head, len);
    r = offload_read(f, offset, c->head + len, more);
    c->frame = (struct net_frame){.head = c->head,
                                  .head_len = len + more,
                                  .len = len + payload,
                                  .data = f->data,
                                  .source = f->source,
                                  .data_at = f->data_at + (offset + more - f->head_len)};
    return r;
}

static int finish_whole(struct offload_cut *c)
{
    const struct net_frame *f = c->whole;
    const struct net_offload *o = &f->offload;

    c->frame = *f;
    c->frame.offload = (struct net_offload){.csum = false};
    memcpy(c->head, f->head, f->head_len);
    c->frame.head = c->head;
    return o->csum ? finish_sum(c, o->csum_start, o->csum_start + (uint32_t)o->csum_offset) : 0;
}

/* ---- segments ---- */

static void fix_ip4(uint8_t *ip, uint32_t total, uint16_t segment)
{
    put16(ip + IP4_TOTAL, (uint16_t)total);
    put16(ip + IP4_ID, (uint16_t)(get16(ip + IP4_ID) + segment));
    put16(ip + IP4_SUM, 0);
    sum_put(ip + IP4_SUM, sum_add(0, ip, 4u * (ip[0] & 15)));
}

static void fix_tcp(struct offload_cut *c, uint8_t *tcp, bool last)
{
    put32(tcp + TCP_SEQ, get32(tcp + TCP_SEQ) + c->done);
    if (!last)
        tcp[TCP_FLAGS] &= (uint8_t)~(TCP_FIN | TCP_PSH);
    if (c->segments)
        tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
}

/* The pseudo-header, which the sender summed for the whole's length. (RFC 9293, 3.1; RFC 8200, 8.1) */
static void put_pseudo_sum(uint8_t *ip, uint8_t *tcp, uint32_t tcp_len)
{
    bool four = ip[0] >> 4 == 4;
    uint8_t rest[4] = {0, IP_TCP, (uint8_t)(tcp_len >> 8), (uint8_t)tcp_len};
    uint64_t sum = sum_add(0, ip + (four ? IP4_FROM : IP6_FROM), four ? 8 : 32);
    uint16_t folded = sum_fold(sum_add(sum, rest, sizeof(rest)));

    tcp[TCP_SUM] = (uint8_t)folded;
    tcp[TCP_SUM + 1] = (uint8_t)(folded >> 8);
}

static int next_segment(struct offload_cut *c)
{
    const struct net_offload *o = &c->whole->offload;
    uint32_t left = c->whole->len - o->header - c->done;
    uint32_t n = (uint32_t)min_u64(left, o->gso_size);
    uint8_t *ip, *tcp = c->head + o->csum_start;
    struct packet p;
    int r = make_head(c, o->header, o->header + c->done, n);

    /* Parsed again, since only offsets in what offload_check saw are needed: it found them good. */
    if (r || !packet_parse(c->whole->head, c->whole->head_len, c->whole->len, &p))
        return r ? r : -EFAULT;
    ip = c->head + p.ip;
    if (p.type == ETH_IPV4)
        fix_ip4(ip, c->frame.len - p.ip, c->segments);
    else
        put16(ip + IP6_PAYLOAD, (uint16_t)(c->frame.len - p.ip - IP6_HEADER));
    fix_tcp(c, tcp, n == left);
    put_pseudo_sum(ip, tcp, c->frame.len - o->csum_start);
    r = finish_sum(c, o->csum_start, o->csum_start + (uint32_t)TCP_SUM);
    c->done += n;
    c->segments++;
    c->ended = n == left;
    return r;
}

int offload_next(struct offload_cut *c)
{
    int r;

    if (c->ended)
        return 0;
    if (c->whole->offload.gso) {
        r = next_segment(c);
    } else {
        c->ended = true;
        r = finish_whole(c);
    }
    return r ? r : 1;
}

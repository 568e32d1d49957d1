// SPDX-License-Identifier: BSD-2-Clause
// Headers, checksums, segmentation: each finished frame is checked by sums of this file's own, over a frame put together
// again, and the payloads of all segments are the whole's.
// units: hyp/net/offload.c hyp/net/packet.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/offload.h"
#include "net/packet.h"

enum { WHOLE = 65000 };

static uint8_t bytes[NET_FRAME_MAX + 16];
static struct net_piece piece[3];
static struct net_frame frame;
static struct net_data data;

static int read_data(const struct net_data *d, uint32_t offset, void *to, uint32_t len)
{
    char *p = to;

    for (unsigned i = 0; i < d->pieces; i++) {
        uint32_t n;

        if (offset >= d->piece[i].len) {
            offset -= d->piece[i].len;
            continue;
        }
        n = (uint32_t)min_u64(len, d->piece[i].len - offset);
        memcpy(p, (const char *)d->piece[i].hva + offset, n);
        p += n;
        len -= n;
        offset = 0;
    }
    return len ? -EFAULT : 0;
}

/* bytes[] as a frame whose first head bytes are the head, the rest in pieces that are cut at odd places. */
static void set_frame(uint32_t len, uint32_t head)
{
    uint32_t rest = len - head, a = rest / 3 | 1;

    memset(piece, 0, sizeof(piece));
    data = (struct net_data){.piece = piece, .read = read_data};
    if (rest > 2 * a) {
        piece[0] = (struct net_piece){.hva = bytes + head, .len = a};
        piece[1] = (struct net_piece){.hva = bytes + head + a, .len = a};
        piece[2] = (struct net_piece){.hva = bytes + head + 2 * a, .len = rest - 2 * a};
        data.pieces = 3;
    } else {
        piece[0] = (struct net_piece){.hva = bytes + head, .len = rest};
        data.pieces = 1;
    }
    frame = (struct net_frame){
        .head = bytes, .head_len = head, .len = len, .data = rest ? &data : NULL};
}

/* Ethernet (with a VLAN tag), IP, TCP with some options; the length of the headers. */
static uint32_t make_tcp(bool six, bool vlan, uint32_t options, uint32_t payload)
{
    uint8_t *p = bytes;
    uint32_t at = 12, tcp = 20 + options, len;

    memset(bytes, 0, 200);
    if (vlan) {
        put16(p + at, ETH_VLAN);
        at += 4;
    }
    put16(p + at, six ? ETH_IPV6 : ETH_IPV4);
    at += 2;
    if (six) {
        p[at] = 0x60;
        put16(p + at + 4, (uint16_t)(tcp + payload));
        p[at + 6] = IP_TCP;
        for (unsigned i = 8; i < 40; i++)
            p[at + i] = (uint8_t)(i * 7);
        at += 40;
    } else {
        p[at] = 0x45;
        put16(p + at + 2, (uint16_t)(20 + tcp + payload));
        put16(p + at + 4, 0xfffe);
        p[at + 8] = 64;
        p[at + 9] = IP_TCP;
        put32(p + at + 12, 0x0a000001);
        put32(p + at + 16, 0x0aff0102);
        at += 20;
    }
    put32(p + at + 4, 0xfffff000);
    p[at + 12] = (uint8_t)(tcp / 4 << 4);
    p[at + 13] = TCP_CWR | TCP_PSH | TCP_FIN | 0x10;
    len = at + tcp + payload;
    for (uint32_t i = at + 20; i < len; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    set_frame(len, (uint32_t)min_u64(len, NET_HEAD));
    frame.offload.csum = true;
    frame.offload.csum_start = (uint16_t)at;
    frame.offload.csum_offset = 16;
    return at + tcp;
}

/* Big endian words, one by one. */
static uint32_t plain_sum(uint32_t sum, const uint8_t *p, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* 0xffff when the packet in p, which is whole, has a good TCP checksum. */
static uint32_t verify(const uint8_t *p, uint32_t len, uint32_t ip, uint32_t tcp)
{
    bool four = p[ip] >> 4 == 4;
    uint32_t sum = plain_sum(IP_TCP + (len - tcp), p + ip + (four ? 12 : 8), four ? 8 : 32);

    return plain_sum(sum, p + tcp, len - tcp);
}

static void put_pseudo(uint32_t ip, uint32_t tcp, uint32_t len)
{
    bool four = bytes[ip] >> 4 == 4;

    put16(bytes + tcp + 16,
          (uint16_t)plain_sum(IP_TCP + (len - tcp), bytes + ip + (four ? 12 : 8), four ? 8 : 32));
}

static void sums(void **state)
{
    /* RFC 1071, section 3 */
    static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    uint8_t odd[9], field[2];

    (void)state;
    memcpy(odd + 1, example, 8);
    sum_put(field, sum_add(0, example, 8));
    assert_int_equal(get16(field), (uint16_t)~0xddf2);
    sum_put(field, sum_add(0, odd + 1, 8)); /* not aligned */
    assert_int_equal(get16(field), (uint16_t)~0xddf2);
    sum_put(field, sum_add(sum_add(0, example, 4), example + 4, 3));
    assert_int_equal(get16(field), (uint16_t)~plain_sum(0, example, 7));
}

static void a_checksum_is_finished(void **state)
{
    struct offload_cut c;

    (void)state;
    for (uint32_t payload = 0; payload < 700; payload += 7) {
        uint8_t whole[1024];
        uint32_t header = make_tcp(payload & 1, false, 4 * (payload % 3), payload);
        uint32_t tcp = frame.offload.csum_start;

        put_pseudo(14, tcp, frame.len);
        /* The head may end anywhere behind the field. */
        set_frame(frame.len, (uint32_t)min_u64(frame.len, tcp + 18 + payload % 60));
        frame.offload =
            (struct net_offload){.csum = true, .csum_start = (uint16_t)tcp, .csum_offset = 16};
        assert_true(offload_check(&frame));
        assert_false(offload_fits(&frame.offload, 0));
        assert_true(offload_fits(&frame.offload, NET_CAN_CSUM));
        offload_begin(&c, &frame);
        assert_int_equal(offload_next(&c), 1);
        assert_true(offload_fits(&c.frame.offload, 0));
        assert_int_equal(c.frame.len, frame.len);
        assert_int_equal(offload_read(&c.frame, 0, whole, c.frame.len), 0);
        assert_int_equal(verify(whole, c.frame.len, 14, tcp), 0xffff);
        assert_memory_equal(whole + header, bytes + header, payload);
        assert_int_equal(offload_next(&c), 0);
    }
}

/* Cuts the frame, and looks at each segment. */
static void cut(uint32_t header, bool six, bool vlan, uint16_t size)
{
    uint32_t ip = vlan ? 18 : 14, tcp = frame.offload.csum_start, at = header, n = 0;
    static uint8_t whole[NET_FRAME_MAX];
    struct offload_cut c;
    int r;

    offload_begin(&c, &frame);
    while ((r = offload_next(&c)) == 1) {
        uint32_t len = c.frame.len, payload = len - header;
        bool last = at + payload == frame.len;

        assert_int_equal(offload_read(&c.frame, 0, whole, len), 0);
        assert_true(payload == size || last);
        assert_memory_equal(whole + header, bytes + at, payload);
        assert_int_equal(verify(whole, len, ip, tcp), 0xffff);
        assert_int_equal(get32(whole + tcp + 4), 0xfffff000u + (at - header));
        assert_int_equal(whole[tcp + 13],
                         0x10 | (n ? 0 : TCP_CWR) | (last ? TCP_PSH | TCP_FIN : 0));
        if (six) {
            assert_int_equal(get16(whole + ip + 4), len - ip - 40);
        } else {
            assert_int_equal(get16(whole + ip + 2), len - ip);
            assert_int_equal(get16(whole + ip + 4), (uint16_t)(0xfffe + n));
            assert_int_equal(plain_sum(0, whole + ip, 20), 0xffff);
        }
        at += payload;
        n++;
    }
    assert_int_equal(r, 0);
    assert_int_equal(at, frame.len);
}

static void a_frame_is_cut(void **state)
{
    static const uint32_t payloads[] = {1, 536, 1447, 1448, 1449, 4000, 30001, WHOLE};

    (void)state;
    for (unsigned how = 0; how < 4; how++)
        for (unsigned i = 0; i < ARRAY_LEN(payloads); i++) {
            bool six = how & 1, vlan = how & 2;
            uint16_t size = i == 1 ? 100 : 1448;
            uint32_t header = make_tcp(six, vlan, 12 + 4 * how, payloads[i]);

            frame.offload.gso = six ? NET_GSO_TCP6 : NET_GSO_TCP4;
            frame.offload.gso_size = size;
            frame.offload.ecn = true;
            assert_true(offload_check(&frame));
            assert_int_equal(frame.offload.header, header);
            assert_true(offload_fits(&frame.offload, 15));
            assert_false(offload_fits(&frame.offload, 15 & ~NET_CAN_ECN));
            cut(header, six, vlan, size);
        }
}

static void make_good(void)
{
    make_tcp(false, false, 12, 5000);
    frame.offload.gso = NET_GSO_TCP4;
    frame.offload.gso_size = 1000;
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    make_good();
    assert_true(offload_check(&frame));
#define BAD(change) \
    do { \
        make_good(); \
        change; \
        assert_false(offload_check(&frame)); \
    } while (0)
    BAD(frame.offload.csum = false);
    BAD(frame.offload.gso_size = 0);
    BAD(frame.offload.gso_size = 5000 / OFFLOAD_SEGMENTS - 1);
    BAD(frame.offload.gso = NET_GSO_TCP6);
    BAD(frame.offload.csum_start--);
    BAD(frame.offload.csum_start = 13);
    BAD(frame.offload.csum_offset = 6);
    BAD(frame.offload.csum_offset = 0xfffe);
    BAD(bytes[23] = IP_UDP);
    BAD(bytes[14] = 0x44);
    BAD(bytes[14] = 0x4f);
    BAD(bytes[14] = 0x65);
    BAD(put16(bytes + 16, 5000)); /* shorter than the frame */
    BAD(put16(bytes + 16, 6000));
    BAD(put16(bytes + 20, 0x2000)); /* a fragment */
    BAD(put16(bytes + 20, 1));
    BAD(bytes[46] = 0x40);
    BAD(bytes[46] = 0xf0; frame.head_len = 80);
    BAD(frame.head_len = 50);
    make_good();
    frame.offload = (struct net_offload){.ecn = true};
    assert_false(offload_check(&frame));
    frame.offload = (struct net_offload){.csum = true, .ecn = true, .csum_start = 34};
    assert_false(offload_check(&frame));
}

static void a_source_that_fails(void **state)
{
    struct offload_cut c;

    (void)state;
    make_good();
    assert_true(offload_check(&frame));
    data.pieces = 2;
    offload_begin(&c, &frame);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(offload_next(&c), 1);
    assert_int_equal(offload_next(&c), -EFAULT);
    assert_int_equal(offload_read(&frame, frame.len, bytes, 1), -EFAULT);
    assert_int_equal(offload_read(&frame, UINT32_MAX, bytes, 2), -EFAULT);
}

static void extension_headers(void **state)
{
    struct packet p;

    (void)state;
    make_tcp(true, false, 0, 300);
    bytes[20] = 0; /* hop by hop, then routing, then TCP */
    bytes[54] = 43;
    bytes[55] = 1;
    bytes[70] = IP_TCP;
    bytes[71] = 0;
    assert_true(packet_parse(bytes, NET_HEAD, frame.len, &p));
    assert_int_equal(p.protocol, IP_TCP);
    assert_int_equal(p.transport, 78);
    bytes[70] = 44; /* a fragment */
    assert_true(packet_parse(bytes, NET_HEAD, frame.len, &p));
    assert_true(p.fragment);
    assert_int_equal(p.transport, 0);
    bytes[70] = 60;
    bytes[71] = 255; /* beyond the packet */
    assert_false(packet_parse(bytes, NET_HEAD, frame.len, &p));
    for (unsigned i = 54; i < NET_HEAD; i++)
        bytes[i] = 0; /* a chain of headers that does not end */
    assert_true(packet_parse(bytes, NET_HEAD, frame.len, &p));
    assert_int_equal(p.transport, 0);
    put16(bytes + 12, ETH_ARP);
    assert_true(packet_parse(bytes, 14, 14, &p));
    assert_int_equal(p.ip, 0);
    put16(bytes + 12, ETH_VLAN);
    assert_false(packet_parse(bytes, 14, 14, &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums),
        cmocka_unit_test(a_checksum_is_finished),
        cmocka_unit_test(a_frame_is_cut),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(a_source_that_fails),
        cmocka_unit_test(extension_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

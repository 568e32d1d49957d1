// SPDX-License-Identifier: BSD-2-Clause
// The layout of a GPT on the disk (UEFI 2.10, 5.3.2 and 5.3.3), and what gpt.c and gpt_edit.c share.
// Lock rank: none. Callers: gpt*.c only.
#pragma once
#include "blk/gpt.h"

#define GPT_SIGNATURE "EFI PART"

enum { /* offsets in the header */
       GPT_H_REVISION = 8,
       GPT_H_SIZE = 12,
       GPT_H_CRC = 16,
       GPT_H_MY = 24,
       GPT_H_ALTERNATE = 32,
       GPT_H_FIRST = 40,
       GPT_H_LAST = 48,
       GPT_H_GUID = 56,
       GPT_H_ENTRIES = 72,
       GPT_H_COUNT = 80,
       GPT_H_ENTRY_SIZE = 84,
       GPT_H_ENTRIES_CRC = 88,
       GPT_H_LEN = 92,
};
enum { /* offsets in an entry */
       GPT_E_TYPE = 0,
       GPT_E_GUID = 16,
       GPT_E_FIRST = 32,
       GPT_E_LAST = 40,
       GPT_E_ATTRIBUTES = 48,
       GPT_E_NAME = 56,
       GPT_E_LEN = 128,
};

uint64_t gpt_get(const uint8_t *p, unsigned bytes); /* little endian */
int gpt_header_crc(uint8_t *header, uint32_t size, uint32_t *crc) MUST_CHECK;
size_t gpt_table_bytes(const struct gpt *g); /* of the entries, whole blocks */

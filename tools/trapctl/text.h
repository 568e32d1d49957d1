// SPDX-License-Identifier: BSD-2-Clause
// Numbers and strings as people read and write them. Pure.
// Invariant: what a machine or guest wrote reaches a terminal through text_put_safe (a console's own output excepted).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { TEXT_NUMBER = 32 };

/* Three digits or a little more, in the largest unit below them: "96.0 MiB", "256 MiB", "0". */
const char *text_bytes(uint64_t bytes, char to[TEXT_NUMBER]);
/* A count in at most five characters: "31", "4807", "12.3k", "5.01M". */
const char *text_count(double n, char to[TEXT_NUMBER]);
/* "0:01:03", "3d 04:05:06". */
const char *text_duration(uint64_t seconds, char to[TEXT_NUMBER]);
/* Processor time: "1:03.25", minutes and seconds. */
const char *text_cpu_time(uint64_t ns, char to[TEXT_NUMBER]);

/* Without control characters, but line ends and tabs; bad UTF-8 and escape sequences become "?". */
void text_put_safe(FILE *to, const char *text);

/* Decimal or 0x…; the whole word. */
bool text_u64(const char *word, uint64_t *value);
/* Bytes: "512", "64K", "10M", "8G", "1T"; up to 2^62. */
bool text_size(const char *word, uint64_t *bytes);
/* "2", "0.5": seconds, as milliseconds; above 0, up to an hour. */
bool text_interval(const char *word, unsigned *ms);
/* Harts as "0,2-3" into harts[], ascending; their number, or -1. */
int text_harts(const char *word, unsigned harts[], unsigned max);
/* The reverse, of flags by number: "0,2-3". */
const char *text_hart_list(const bool *has, unsigned count, char *to, size_t size);

/* Splits a line into words, in place: blanks separate, quotes ("" and '') keep together, \ takes the next one as it is.
   The number of words, or -1: too many, or a quote that is not ended. */
int text_split(char *line, char *word[], int max);

/* The length of the longest beginning that is whole UTF-8; invalid bytes become '?' in place. */
size_t text_whole_utf8(char *data, size_t len);

// SPDX-License-Identifier: BSD-2-Clause
// A bundle that tests change before it is read, and what was read from it. Link: tests/fake/bundle.units.
#pragma once
#include <libfdt.h>

#include "vm/vm.h"

enum { TREE_BUF = 65536, TREE_VMS = 8 };

#define VM "/trapline/vm0" /* the node of the only VM that there is */

extern char tree_buf[TREE_BUF]; /* the file: a tree, */
extern uint64_t tree_size; /* and what lies behind it */
extern struct vm_config tree_vm[TREE_VMS]; /* the VMs that the reader has seen, */
extern unsigned tree_vms; /* how many */
extern int tree_each_result; /* what it is told of each */
extern char tree_why[256], tree_logged[2048]; /* what it said */

extern const struct bundle_reader tree_reader; /* which looks for these */

/* Before each test: tree_open. */
int tree_setup(void **state);
/* A good bundle, with all that a VM can have but networks. */
void tree_open(void);
void tree_pack(void); /* no longer than it must be */
int tree_read(void);
int tree_read_at(void *fit, uint64_t size);
/* It is refused, with a line that has both of these in it; then tree_open. */
void tree_refused(const char *a, const char *b);

int tree_node(const char *path);
void tree_add(const char *parent, const char *name);
void tree_set(const char *path, const char *name, const void *data, size_t len);
void tree_set_s(const char *path, const char *name, const char *s);
void tree_set_u32(const char *path, const char *name, uint32_t v);
void tree_set_u64(const char *path, const char *name, uint64_t v);
void tree_del(const char *path, const char *name);
void tree_add_image(const char *name, const void *data, size_t len);

// SPDX-License-Identifier: BSD-2-Clause
// Reading a FIT image (U-Boot, "Flat Image Tree" specification): the file's tree, images' data in
// the tree or outside it, hashes. bundle.c reads the VMs.
// Nothing in the file is believed: every offset, length and string is checked. Errors are -EINVAL
// (or -ENOMEM) and one line in why, which names the image and the property, and says what to do.
// Pure but for the heap and the log. Lock rank: none. Callers: bundle.c.
#pragma once
#include "vm/bundle.h"
#include "vm/vm.h"

struct fit {
    const void *tree;
    uint64_t size; /* of the file: tree and external data */
    char *why;
    size_t why_size;
    struct bundle_hashes *hashes; /* what was found of images: so each is checked once */
    const char *vm;     /* whose node is read: named in errors; NULL: none's */
    unsigned unknown; /* properties of VMs that are not known: a few are logged */
};

/* Writes why, after "bundle: " and the VM's name; always -EINVAL. */
int fit_fail(struct fit *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Checks the whole tree; the other functions need that. */
int fit_check_file(struct fit *f) MUST_CHECK;
/* The same, and that it is not compressed and has the hashes it should have. */
int fit_take_image(struct fit *f, int node, struct vm_image *image) MUST_CHECK;

const char *fit_node_name(struct fit *f, int node); /* never NULL */
/* A string property: NULL when there is none, or when it is not one terminated string (*bad). */
const char *fit_get_string(struct fit *f, int node, const char *name, bool *bad);
/* A number of one or two cells. 0, -ENOENT, or -EINVAL when it has another size. */
int fit_get_number(struct fit *f, int node, const char *name, uint64_t *value) MUST_CHECK;

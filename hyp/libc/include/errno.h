// SPDX-License-Identifier: BSD-2-Clause
// Error numbers (negative in return values), the few that the hypervisor uses.
#pragma once
#define EPERM 1
#define ENOENT 2
#define EIO 5
#define E2BIG 7
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define ENODEV 19
#define EINVAL 22
#define ENOSPC 28
#define ERANGE 34
#define ENODATA 61
#define EBADMSG 74
#define EILSEQ 84
#define ENOTSUP 95
#define ETIMEDOUT 110
#define EALREADY 114

// SPDX-License-Identifier: BSD-2-Clause
// The descriptors of all SBI extensions, one for each file of this folder that is named after it.
// Lock rank: none. Callers: sbi.c only, which puts them into its table.
#pragma once
#include "vcpu/sbi/sbi.h"

extern const struct sbi_extension sbi_ext_base;
extern const struct sbi_extension sbi_ext_time;
extern const struct sbi_extension sbi_ext_ipi;
extern const struct sbi_extension sbi_ext_rfence;
extern const struct sbi_extension sbi_ext_hsm;
extern const struct sbi_extension sbi_ext_srst;
extern const struct sbi_extension sbi_ext_dbcn;
extern const struct sbi_extension sbi_ext_susp;
extern const struct sbi_extension sbi_ext_fwft;
extern const struct sbi_extension sbi_ext_pmu;
extern const struct sbi_extension sbi_ext_sse;
extern const struct sbi_extension sbi_ext_sta;
extern const struct sbi_extension sbi_ext_legacy;

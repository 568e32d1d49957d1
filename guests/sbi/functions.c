// SPDX-License-Identifier: BSD-2-Clause
// The functions of SBI 3.0, from the specification's own "Function Listing" tables, and rules of its
// chapter 3. Sections are those of the functions.
#include "sbi/spec.h"

const struct spec_function spec_functions[] = {
    {EXT_RULE, RULE_UNKNOWN_EXTENSION, "RULE", "unknown_extension", "3"},
    {EXT_RULE, RULE_UNKNOWN_FUNCTION, "RULE", "unknown_function", "3"},
    {EXT_RULE, RULE_REGISTERS, "RULE", "registers", "3"},

    {SBI_BASE, 0, "BASE", "get_spec_version", "4.1"},
    {SBI_BASE, 1, "BASE", "get_impl_id", "4.2"},
    {SBI_BASE, 2, "BASE", "get_impl_version", "4.3"},
    {SBI_BASE, 3, "BASE", "probe_extension", "4.4"},
    {SBI_BASE, 4, "BASE", "get_mvendorid", "4.5"},
    {SBI_BASE, 5, "BASE", "get_marchid", "4.6"},
    {SBI_BASE, 6, "BASE", "get_mimpid", "4.7"},

    {0, 0, "legacy", "set_timer", "5.1"},
    {1, 0, "legacy", "console_putchar", "5.2"},
    {2, 0, "legacy", "console_getchar", "5.3"},
    {3, 0, "legacy", "clear_ipi", "5.4"},
    {4, 0, "legacy", "send_ipi", "5.5"},
    {5, 0, "legacy", "remote_fence_i", "5.6"},
    {6, 0, "legacy", "remote_sfence_vma", "5.7"},
    {7, 0, "legacy", "remote_sfence_vma_asid", "5.8"},
    {8, 0, "legacy", "shutdown", "5.9"},

    {SBI_TIME, 0, "TIME", "set_timer", "6.1"},
    {SBI_IPI, 0, "IPI", "send_ipi", "7.1"},

    {SBI_RFENCE, 0, "RFENCE", "remote_fence_i", "8.1"},
    {SBI_RFENCE, 1, "RFENCE", "remote_sfence_vma", "8.2"},
    {SBI_RFENCE, 2, "RFENCE", "remote_sfence_vma_asid", "8.3"},
    {SBI_RFENCE, 3, "RFENCE", "remote_hfence_gvma_vmid", "8.4"},
    {SBI_RFENCE, 4, "RFENCE", "remote_hfence_gvma", "8.5"},
    {SBI_RFENCE, 5, "RFENCE", "remote_hfence_vvma_asid", "8.6"},
    {SBI_RFENCE, 6, "RFENCE", "remote_hfence_vvma", "8.7"},

    {SBI_HSM, 0, "HSM", "hart_start", "9.1"},
    {SBI_HSM, 1, "HSM", "hart_stop", "9.2"},
    {SBI_HSM, 2, "HSM", "hart_get_status", "9.3"},
    {SBI_HSM, 3, "HSM", "hart_suspend", "9.4"},

    {SBI_SRST, 0, "SRST", "system_reset", "10.1"},

    {EXT_PMU, 0, "PMU", "num_counters", "11.6"},
    {EXT_PMU, 1, "PMU", "counter_get_info", "11.7"},
    {EXT_PMU, 2, "PMU", "counter_config_matching", "11.8"},
    {EXT_PMU, 3, "PMU", "counter_start", "11.9"},
    {EXT_PMU, 4, "PMU", "counter_stop", "11.10"},
    {EXT_PMU, 5, "PMU", "counter_fw_read", "11.11"},
    {EXT_PMU, 6, "PMU", "counter_fw_read_hi", "11.12"},
    {EXT_PMU, 7, "PMU", "snapshot_set_shmem", "11.13"},
    {EXT_PMU, 8, "PMU", "event_get_info", "11.14"},

    {SBI_DBCN, 0, "DBCN", "console_write", "12.1"},
    {SBI_DBCN, 1, "DBCN", "console_read", "12.2"},
    {SBI_DBCN, 2, "DBCN", "console_write_byte", "12.3"},

    {EXT_SUSP, 0, "SUSP", "system_suspend", "13.1"},

    {EXT_CPPC, 0, "CPPC", "probe", "14.1"},
    {EXT_CPPC, 1, "CPPC", "read", "14.2"},
    {EXT_CPPC, 2, "CPPC", "read_hi", "14.3"},
    {EXT_CPPC, 3, "CPPC", "write", "14.4"},

    {EXT_NACL, 0, "NACL", "probe_feature", "15.5"},
    {EXT_NACL, 1, "NACL", "set_shmem", "15.6"},
    {EXT_NACL, 2, "NACL", "sync_csr", "15.7"},
    {EXT_NACL, 3, "NACL", "sync_hfence", "15.8"},
    {EXT_NACL, 4, "NACL", "sync_sret", "15.9"},

    {EXT_STA, 0, "STA", "set_shmem", "16.1"},

    {EXT_SSE, 0, "SSE", "read_attrs", "17.7"},
    {EXT_SSE, 1, "SSE", "write_attrs", "17.8"},
    {EXT_SSE, 2, "SSE", "register", "17.9"},
    {EXT_SSE, 3, "SSE", "unregister", "17.10"},
    {EXT_SSE, 4, "SSE", "enable", "17.11"},
    {EXT_SSE, 5, "SSE", "disable", "17.12"},
    {EXT_SSE, 6, "SSE", "complete", "17.13"},
    {EXT_SSE, 7, "SSE", "inject", "17.14"},
    {EXT_SSE, 8, "SSE", "hart_unmask", "17.15"},
    {EXT_SSE, 9, "SSE", "hart_mask", "17.16"},

    {EXT_FWFT, 0, "FWFT", "set", "18.1"},
    {EXT_FWFT, 1, "FWFT", "get", "18.2"},

    {EXT_DBTR, 0, "DBTR", "num_triggers", "19.1"},
    {EXT_DBTR, 1, "DBTR", "set_shmem", "19.2"},
    {EXT_DBTR, 2, "DBTR", "read_triggers", "19.3"},
    {EXT_DBTR, 3, "DBTR", "install_triggers", "19.4"},
    {EXT_DBTR, 4, "DBTR", "update_triggers", "19.5"},
    {EXT_DBTR, 5, "DBTR", "uninstall_triggers", "19.6"},
    {EXT_DBTR, 6, "DBTR", "enable_triggers", "19.7"},
    {EXT_DBTR, 7, "DBTR", "disable_triggers", "19.8"},

    {EXT_MPXY, 0, "MPXY", "get_shmem_size", "20.5"},
    {EXT_MPXY, 1, "MPXY", "set_shmem", "20.6"},
    {EXT_MPXY, 2, "MPXY", "get_channel_ids", "20.7"},
    {EXT_MPXY, 3, "MPXY", "read_attributes", "20.8"},
    {EXT_MPXY, 4, "MPXY", "write_attributes", "20.9"},
    {EXT_MPXY, 5, "MPXY", "send_message_with_response", "20.10"},
    {EXT_MPXY, 6, "MPXY", "send_message_without_response", "20.11"},
    {EXT_MPXY, 7, "MPXY", "get_notification_events", "20.12"},
};
const unsigned spec_function_count = ARRAY_LEN(spec_functions);

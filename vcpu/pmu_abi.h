// SPDX-License-Identifier: BSD-2-Clause
// Names of SBI 3.0 "Performance Monitoring Unit", as we offer it to guests and use it of the firmware.
#pragma once

enum {
    PMU_NUM_COUNTERS,
    PMU_GET_INFO,
    PMU_CONFIG_MATCHING,
    PMU_START,
    PMU_STOP,
    PMU_FW_READ,
    PMU_FW_READ_HI,
    PMU_SET_SHMEM,
    PMU_EVENT_INFO
};
enum {
    CONFIG_SKIP_MATCH = 1,
    CONFIG_CLEAR_VALUE = 2,
    CONFIG_AUTO_START = 4,
    CONFIG_SET_VUINH = 8,
    CONFIG_SET_VSINH = 16,
    CONFIG_SET_UINH = 32,
    CONFIG_SET_SINH = 64,
    CONFIG_SET_MINH = 128,
    CONFIG_ALL = 0xFF
};
enum { START_SET_INIT_VALUE = 1, START_INIT_SNAPSHOT = 2, START_ALL = 3 };
enum { STOP_RESET = 1, STOP_TAKE_SNAPSHOT = 2, STOP_ALL = 3 };

enum { EVENT_GENERAL = 0, EVENT_CACHE = 1, EVENT_RAW = 2, EVENT_RAW_V2 = 3, EVENT_FIRMWARE = 15 };
#define EVENT_CYCLES 1u
#define EVENT_INSTRUCTIONS 2u
#define EVENT_TYPE(event) ((event) >> 16)
#define EVENT_CODE(event) ((event) & 0xFFFFu)

#define INFO_FIRMWARE (1ul << 63)
#define INFO_WIDTH_SHIFT 12 /* of the number of bits less one */
#define INFO_WIDTH 0x3Ful
#define INFO_CSR 0xFFFul

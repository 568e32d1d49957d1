// SPDX-License-Identifier: BSD-2-Clause
// The same lives as test_lifecycle, over the real stage 2 and guest_mem: what they take for a VM
// comes back, too.
// units: hyp/vm/vm.c hyp/vm/vm_sched.c hyp/vm/vm_devices.c hyp/vm/vm_watchdog.c vdev/watchdog.c hyp/vm/vm_load.c hyp/vm/lifecycle.c hyp/vm/manager.c
// units: hyp/vm/poweroff.c hyp/vm/layout.c hyp/vm/guest_fdt.c vdev/bus.c vdev/ramdisk.c
// units: hyp/vm/vm_memory.c hyp/vm/vm_relief.c hyp/vm/vm_account.c hyp/vm/vm_from_bundle.c hyp/vm/bundle.c hyp/vm/bundle_net.c hyp/net/net_text.c hyp/vm/fit.c hyp/vm/hash.c hyp/vm/event.c hyp/vm/bundle_memory.c hyp/mem/frame_run.c
// units: hyp/base/state.c hyp/mem/frame.c hyp/mem/frame_boot.c hyp/mem/frame_ref.c stage2/stage2.c stage2/walk.c stage2/map.c
// units: stage2/change.c stage2/dirty.c stage2/flush.c stage2/vmid.c stage2/populate.c stage2/image.c
// units: stage2/guest_mem.c tests/fake/fake_vcpu.c tests/fake/fake_base.c tests/fake/fake_mem.c
// units: tests/fake/fake_xcall.c hyp/sched/fair.c
#include "test_lifecycle.c" // NOLINT(bugprone-suspicious-include)

# SPDX-License-Identifier: BSD-2-Clause
"""What tests/perf makes of what machines print; no machine is started."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "perf"))

import kvm  # noqa: E402

PRINTED = """kvm-host: begin 1
bench guest: native, counted by time, started at 0
bench SBI set_timer 989
bench wake-up from WFI by the timer 7508
bench guest: end
kvm-host: end 1
[   12.000000] something of the host's own
kvm-host: begin 2
bench SBI set_timer 980
bench wake-up from WFI by the timer 9000
kvm-host: end 2
kvm-host: begin 3
bench SBI set_timer 1
"""


def test_the_consoles_of_kvms_guests_are_told_apart():
    texts = kvm.consoles_in(PRINTED)
    assert len(texts) == 2  # the third did not end
    assert "host's own" not in "".join(texts)
    assert kvm.rows_in(texts[0]) == {"SBI set_timer": 989, "wake-up from WFI by the timer": 7508}


def test_the_least_of_each_row_counts():
    runs = [kvm.rows_in(text) for text in kvm.consoles_in(PRINTED)]
    assert kvm.least(runs) == {"SBI set_timer": 980, "wake-up from WFI by the timer": 7508}


def test_a_run_that_lost_a_row_is_no_run():
    with pytest.raises(AssertionError, match="16550"):
        kvm.least([{"SBI set_timer": 1, "16550 LSR read": 2}, {"SBI set_timer": 1}])

# SPDX-License-Identifier: BSD-2-Clause
"""debian-installer's netboot images as a guest: a whole small system with its own kernel."""
import os

import harness
from harness import vm

INSTALLER = os.path.join(harness.BUILD, "installer")
# The kernel of these images has the UART's driver built in, the virtio console's not.
BOOTARGS = "console=ttyS0"


def test_installer_asks_its_first_questions(machine, bundle):
    path = bundle(vm("di", os.path.join(INSTALLER, "linux"), os.path.join(INSTALLER, "initrd.gz"), BOOTARGS,
                     vcpus=2, ram="512M", console="uart"))
    m = machine(bundle=path, harts=2, limit=300)
    m.expect("Select a language", 150)
    m.expect("English", 30)  # the list is drawn; its choice is answered
    m.expect("<Go Back>", 30)
    m.send("\r")
    m.expect("Select your location", 60)

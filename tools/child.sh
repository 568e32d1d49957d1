# SPDX-License-Identifier: BSD-2-Clause
# A command that a signal to this shell ends, too; read by tools/run and tools/debian. `timeout` has a process group of its own,
# so that Ctrl-C reaches the shell alone, which would end and leave it.
child=

child_run() { # COMMAND...: its status
    "$@" </dev/null &
    child=$!
    for child_signal in HUP INT TERM; do
        # shellcheck disable=SC2064  # the signal of now
        trap "child_end $child_signal" $child_signal
    done
    child_status=0
    wait "$child" || child_status=$?
    trap - HUP INT TERM
    return $child_status
}

child_end() { # SIGNAL
    trap - "$1"
    { kill "$child" && wait "$child"; } 2>/dev/null || :
    child_tidy # of who reads this file
    kill -s "$1" $$
}

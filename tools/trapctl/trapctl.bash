# SPDX-License-Identifier: BSD-2-Clause
# bash's completion of trapctl: what could stand there, trapctl itself says; names of VMs come from the machine that runs.

_trapctl() {
    local line=${COMP_LINE:0:COMP_POINT} words word found files=
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[-1]}
    COMPREPLY=()
    while IFS= read -r found; do
        if [[ $found == FILES ]]; then
            files=yes
        elif [[ $word == *=* && $COMP_WORDBREAKS == *=* ]]; then
            COMPREPLY+=("${found#"${word%=*}="}") # readline replaces only what stands behind the =
        else
            COMPREPLY+=("$found")
        fi
    done < <("${words[0]/#\~/$HOME}" __complete "${words[@]:1}" 2>/dev/null)
    if [[ $files ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    elif [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace
    fi
}
complete -F _trapctl trapctl

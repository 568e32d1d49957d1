# SPDX-License-Identifier: BSD-2-Clause
# How to reach Debian's archive, as this machine does; read by tools/setup and tools/debian (they define die).
keys=/usr/share/keyrings/debian-archive-keyring.gpg

packages_of() { # SET, of ci/packages: one name a line
    sed 's/#.*//' ci/packages | while read -r package sets; do
        case " $sets " in *" $1 "*) printf '%s\n' "$package" ;; esac
    done
}

# The first Debian archive in the machine's apt set-up that is not the security archive.
mirror() {
    if [ -n "${TRAPLINE_MIRROR:-}" ]; then
        printf '%s\n' "$TRAPLINE_MIRROR"
        return
    fi
    apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' |
        while read -r site release; do
            case "$site $release" in
            *security*) ;;
            *" bookworm"* | *" trixie"* | *" forky"* | *" sid" | *stable | *testing)
                printf '%s\n' "$site"
                break
                ;;
            esac
        done
}

archive_find() { # sets $site
    site=$(mirror)
    [ -n "$site" ] || die "no Debian archive in this machine's apt sources (set TRAPLINE_MIRROR=url)"
    [ -f $keys ] || die "$keys is missing (package debian-archive-keyring)"
}

# How to reach the archive (proxies and so on) is the machine's own business: to be taken over.
archive_options() {
    apt-config dump Acquire | grep '^Acquire::[^ ]* "..*";' |
        grep -vE '^Acquire::(IndexTargets|Languages|Changelogs|CompressionTypes)' || :
    echo 'Acquire::Languages "none";'
    echo 'Acquire::Retries "3";'
}

# SPDX-License-Identifier: BSD-2-Clause
# trapctl, the host program, for this machine. Goals: trapctl, install, uninstall. With the unit tests comes a
# second one under the sanitizers, build/unit/trapctl, which the system tests feed with bad servers.

TRAPCTL_C := $(wildcard tools/trapctl/*.c)
TRAPCTL_O := $(TRAPCTL_C:tools/%.c=build/tools/%.o)
TRAPCTL_CFLAGS := -std=gnu11 -O2 -g -D_GNU_SOURCE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE \
  -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Werror -Wno-format-truncation
# (Cutting what is too long is what snprintf is there for; compilers differ in what they see of it.)
TRAPCTL_LIBS := -ljansson -ledit -lz
PREFIX ?= /usr/local

.PHONY: trapctl
trapctl: build/trapctl

build/trapctl: $(TRAPCTL_O)
	@echo "LD  $@"
	@$(CC) -pie -Wl,-z,relro,-z,now -o $@ $(TRAPCTL_O) $(TRAPCTL_LIBS)

build/tools/%.o: tools/%.c
	@mkdir -p $(@D)
	@echo "CC  $<"
	@$(CC) $(TRAPCTL_CFLAGS) -MMD -MP -c -o $@ $<

build/unit/trapctl: $(TRAPCTL_C:%.c=build/unit/obj/%.o)
	@$(CC) $(UNIT_CFLAGS) -o $@ $^ $(TRAPCTL_LIBS)

build/unit/obj/tools/%.o: UNIT_CFLAGS += -D_GNU_SOURCE -Itools/trapctl
build/unit/obj/tests/unit/test_trapctl%.o: UNIT_CFLAGS += -D_GNU_SOURCE -Itools/trapctl
build/unit/test_trapctl%: UNIT_LIBS := $(TRAPCTL_LIBS)

-include $(shell find build/tools -name '*.d' 2>/dev/null)

# --- installation ---------------------------------------------------------------------------------

INSTALLED := bin/trapctl bin/trapline-mkbundle share/man/man1/trapctl.1 \
  share/bash-completion/completions/trapctl lib/trapline/trapline.bin

.PHONY: install
install: setup-run ## trapctl, its manual and completion, mkbundle, trapline.bin: PREFIX=/usr/local DESTDIR=
	$(again) trapline trapctl
	@install -D -m 755 build/trapctl "$(DESTDIR)$(PREFIX)/bin/trapctl"
	@install -D -m 755 tools/mkbundle "$(DESTDIR)$(PREFIX)/bin/trapline-mkbundle"
	@install -D -m 644 tools/trapctl/trapctl.1 "$(DESTDIR)$(PREFIX)/share/man/man1/trapctl.1"
	@install -D -m 644 tools/trapctl/trapctl.bash \
	  "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/trapctl"
	@install -D -m 644 $(HYP_OUT)/trapline.bin "$(DESTDIR)$(PREFIX)/lib/trapline/trapline.bin"
	@printf 'installed $(DESTDIR)$(PREFIX)/%s\n' $(INSTALLED)

.PHONY: uninstall
uninstall: ## removes what install put there
	@rm -f $(INSTALLED:%="$(DESTDIR)$(PREFIX)/%")
	@rmdir "$(DESTDIR)$(PREFIX)/lib/trapline" 2>/dev/null || :

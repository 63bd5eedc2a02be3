# Every target brings what it needs: Deno into .tools/ where the one on PATH will not do, Docker by the system's packages.
.DEFAULT_GOAL := help
.PHONY: help run test check bench images build sbom install uninstall clean engine
.DELETE_ON_ERROR:

DENO := .ci/deno
LISTEN ?= 127.0.0.1:8080
# One for each user: what root has made, others cannot use.
DATA_DIR ?= .dev/data-$(shell id -u)
PREFIX ?= /usr/local
# systemd reads units below these two prefixes, and in /etc.
UNITDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),$(PREFIX)/lib,/etc)/systemd/system
UNITS := cless.service cless-freezer.socket cless-freezer@.service

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: engine ## Run cless from source on port 8080 with a sample image (LISTEN=0.0.0.0:8080 for other machines)
	@$(DENO) install --quiet --entrypoint main.ts
	@docker image inspect golang-docker >/dev/null 2>&1 || images/build_images.sh golang
	@mkdir -p -m 1777 .dev
	@exec $(DENO) run --quiet -P --no-prompt main.ts serve --listen $(LISTEN) --data-dir $(DATA_DIR) --log-format text

test: engine check images ## Run every check and every test, with real containers
	CLESS_REQUIRE_DOCKER=1 $(DENO) task test:coverage
	@echo 'make test: everything has passed'

check: ## Check formatting, lint and types
	$(DENO) task check

bench: engine ## Compare the speed of cless with its peers on this machine
	$(DENO) task bench

images: engine ## Build the sample images
	images/build_images.sh

build: ## Make ./cless, one executable
	@.ci/build

sbom: ## Write dist/cless-sbom.cdx.json, which lists all packages (CycloneDX)
	@mkdir -p dist
	@$(DENO) run --quiet --allow-read=. .ci/sbom.ts >dist/cless-sbom.cdx.json
	@echo dist/cless-sbom.cdx.json

cless: main.ts deno.json deno.lock $(shell find src -type f)
	@.ci/build

install: cless ## Install ./cless and its systemd units (PREFIX, DESTDIR)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/cless $(DESTDIR)$(UNITDIR)
	install -m 755 cless $(DESTDIR)$(PREFIX)/bin/cless
	install -m 644 src/docker/freezer/freezer.sh $(DESTDIR)$(PREFIX)/lib/cless/freezer.sh
	@for unit in $(UNITS); do \
	  sed 's|/usr/local/|$(PREFIX)/|' docs/$$unit >$(DESTDIR)$(UNITDIR)/$$unit && chmod 644 $(DESTDIR)$(UNITDIR)/$$unit || exit; \
	done
	@if [ -z '$(DESTDIR)' ] && [ -d /run/systemd/system ]; then \
	  systemctl daemon-reload; \
	  if systemctl is-active --quiet cless; then systemctl start cless-freezer.socket; fi; \
	  printf 'Next:\n  systemctl enable --now cless\n  systemctl status cless\n'; \
	fi

uninstall: ## Remove what `make install` put in place, but no data
	@if [ -z '$(DESTDIR)' ] && [ -e /etc/cless/edge/cless.env ] && [ -x $(PREFIX)/bin/cless ]; then \
	  $(PREFIX)/bin/cless https off; \
	fi
	@if [ -z '$(DESTDIR)' ] && [ -d /run/systemd/system ] && [ -e $(UNITDIR)/cless.service ]; then \
	  systemctl disable --now cless && systemctl clean --what=cache cless; \
	  systemctl stop cless-freezer.socket || true; \
	fi
	rm -rf $(DESTDIR)$(PREFIX)/bin/cless $(DESTDIR)$(PREFIX)/lib/cless $(addprefix $(DESTDIR)$(UNITDIR)/,$(UNITS))
	@if [ -z '$(DESTDIR)' ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	@echo 'Left in place: /var/lib/cless, /var/log/cless, /etc/default/cless'

clean: ## Remove what was built and the development data
	rm -rf cless coverage dist .dev

engine:
	@.ci/engine

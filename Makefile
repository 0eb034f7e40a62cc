# Two commands do everything on a fresh machine: `make image` and `make test`.

PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
VENV := .venv
COMPOSE := $(VENV)/bin/compose
BLUEPRINT ?= blueprints/debian-web-server.yaml

SUDO := $(shell test "$$(id -u)" = 0 || echo sudo)
STAGES := $(filter-out %.json,$(wildcard stages/org.*))
ASSEMBLERS := $(filter-out %.json,$(wildcard assemblers/org.*))

# Packages for building, and further ones for the tests; first Debian's names, then Fedora's.
APT_BUILD := apt bubblewrap curl dosfstools dpkg e2fsprogs gpg gpgv grub-common grub-pc-bin libarchive-tools mount mtools pigz python3-venv qemu-utils tar uidmap xz-utils zstd
APT_TEST := acl attr binutils btrfs-progs bzip2 cpio createrepo-c cryptsetup-bin dnf docker-registry erofs-utils fdisk fish git gnupg libcap2-bin linux-libc-dev lvm2 lzip lzop mmdebstrap openssh-client openssl ovmf passwd patch policycoreutils procps python3-jsonschema qemu-system-x86 rpm skopeo squashfs-tools systemd systemd-boot-efi tmux xfsprogs xorriso zsh
DNF_BUILD := apt bsdtar bubblewrap curl dosfstools dpkg e2fsprogs gnupg2 grub2-pc-modules grub2-tools mtools pigz qemu-img shadow-utils tar util-linux xz zstd
DNF_TEST := acl attr binutils btrfs-progs bzip2 cpio createrepo_c cryptsetup edk2-ovmf erofs-utils fish git kernel-headers libcap lvm2 lzip lzop mmdebstrap openssh-clients openssl patch policycoreutils procps-ng python3-jsonschema qemu-system-x86 rpm-build rpm-sign skopeo squashfs-tools systemd systemd-boot-unsigned tmux util-linux veritysetup xfsprogs xorriso zsh

.PHONY: image test lint types unit integration boot fuzz bench docs system-build system-test clean

image: system-build $(VENV)/.build  ## build the Debian web server into build/
	$(COMPOSE) build $(BLUEPRINT) -o build

test: system-test $(VENV)/.dev lint types  ## linters, type checks and every test, booting included
	$(VENV)/bin/pytest -n auto --dist loadscope --no-loadscope-reorder --durations=10

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

types: $(VENV)/.dev
	$(VENV)/bin/mypy osbuild_compose runner bench tools stages/stagelib $(STAGES)
	$(VENV)/bin/mypy stages/stagelib $(ASSEMBLERS)

unit integration boot fuzz: $(VENV)/.dev  ## one part of the tests
	$(VENV)/bin/pytest tests/$@

system-build:
	@$(call install,$(APT_BUILD),$(DNF_BUILD))

system-test:
	@$(call install,$(APT_BUILD) $(APT_TEST),$(DNF_BUILD) $(DNF_TEST))

# Asks the package manager only when something is missing, so that an installed machine needs no root.
define install
if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null && test -e /etc/debian_version; then \
  missing=$$(for p in $(1); do dpkg-query -W -f '$${db:Status-Status}\n' $$p 2>/dev/null | grep -q '^installed' || echo $$p; done); \
  test -z "$$missing" || { echo "installing:" $$missing; \
    $(SUDO) apt-get -q update && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install $$missing; }; \
elif command -v dnf >/dev/null; then \
  rpm -q $(2) >/dev/null 2>&1 || $(SUDO) dnf -y install $(2); \
else \
  echo "neither apt nor dnf here; needed: $(1)"; \
fi
endef

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.build: pyproject.toml | $(VENV)/bin/pip
	$(VENV)/bin/pip -q install --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/pip
	$(VENV)/bin/pip -q install --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.build

clean:
	rm -rf --one-file-system build dist .mypy_cache .ruff_cache .pytest_cache

docs: $(VENV)/.build  ## write the generated pages of docs/reference/, and the schema for editors
	$(VENV)/bin/python -m tools.docs

bench: system-test $(VENV)/.dev  ## our times beside those of other tools
	$(VENV)/bin/python -m bench

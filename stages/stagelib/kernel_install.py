"""Configuration and plug-ins of kernel-install(8), with which the running system updates its own kernels.

The plug-ins and hooks here provide what distributions lack: ukify (Debian 12), unified kernel images that firmware
starts without a boot loader, and hooks without Debian's condition that systemd-boot is installed.
"""

BLS, UKI = "bls", "uki"
CONFIG = "etc/kernel/install.conf"
CMDLINE = "etc/kernel/cmdline"
ENTRY_NAME = "etc/kernel/entry-token"
PLUGINS = "usr/lib/kernel/install.d"
OWN_PLUGINS = "etc/kernel/install.d"
UKIFY = "60-ukify.install"
OBJCOPY = "89-compose-uki.install"  # after Debian's 85-initrd.install
REMOVABLE = "95-compose-removable.install"

# Sections go behind the stub's own, each at a multiple of its alignment; the kernel is the last one, since it may
# unpack itself over what follows. Addresses as in systemd-stub(7).
OBJCOPY_PLUGIN = """\
#!/bin/sh
# Made by osbuild-compose. A unified kernel image by objcopy(1): this system has no ukify(1).
set -e
uki="$KERNEL_INSTALL_BOOT_ROOT/EFI/Linux/$KERNEL_INSTALL_ENTRY_TOKEN-$2.efi"
case "$1" in
remove) exec rm -f "$uki" ;;
add) test "$KERNEL_INSTALL_LAYOUT" = uki || exit 0 ;;
*) exit 0 ;;
esac
version=$2 kernel=$4 work=$KERNEL_INSTALL_STAGING_AREA
shift 4
for stub in /usr/lib/systemd/boot/efi/linux*.efi.stub; do break; done

align=$(objdump -p "$stub" | sed -n 's/^SectionAlignment[[:space:]]*/0x/p')
test $((align)) -ge 4096 || align=4096 # the stub may have less, but memory is protected by pages
next=0
while read -r _ _ size address _; do
  end=$((0x$address + 0x$size))
  test "$end" -le "$next" || next=$end
done <<END
$(objdump -w -h "$stub" | grep '^ *[0-9]')
END
add() {
  next=$(((next + align - 1) / align * align))
  sections="$sections --add-section $1=$2 --change-section-vma $1=$(printf '0x%x' "$next")"
  next=$((next + $(stat -Lc %s "$2")))
}
printf %s "$version" > "$work/uname"
printf %s "$(cat /etc/kernel/cmdline)" > "$work/cmdline"
: > "$work/all-initrds"
for initrd in "$@" "$work"/initrd*; do
  test ! -f "$initrd" || cat "$initrd" >> "$work/all-initrds"
done
ln -s "$kernel" "$work/linux"
add .osrel /etc/os-release
add .uname "$work/uname"
add .cmdline "$work/cmdline"
test ! -s "$work/all-initrds" || add .initrd "$work/all-initrds"
add .linux "$work/linux"
objcopy --preserve-dates $sections "$stub" "$work/uki.efi"
mkdir -p "${uki%/*}"
cp "$work/uki.efi" "$uki.new"
mv "$uki.new" "$uki"
"""

# Only the newest kernel: firmware starts a single name by default.
REMOVABLE_PLUGIN = """\
#!/bin/sh
# Made by osbuild-compose. Firmware starts the newest kernel's unified image directly, without a boot loader.
set -e
test "$1" = add || exit 0
uki="$KERNEL_INSTALL_BOOT_ROOT/EFI/Linux/$KERNEL_INSTALL_ENTRY_TOKEN-$2.efi"
test -f "$uki" || exit 0
newest=$(ls /usr/lib/modules | sort -V | tail -n 1)
if test "$2" = "$newest"; then
  mkdir -p "$KERNEL_INSTALL_BOOT_ROOT/EFI/BOOT"
  mv "$uki" "$KERNEL_INSTALL_BOOT_ROOT/EFI/BOOT/@NAME@"
else
  rm "$uki"
fi
"""

_HEAD = "#!/bin/sh\n# Made by osbuild-compose. Debian's own hooks do this only where systemd-boot is installed.\n"
# Debian's packages of kernels and initramfs-tools run these: linux-update-symlinks(1), update-initramfs(8).
DEBIAN_HOOKS = {
    "etc/kernel/postinst.d/zz-compose-uki": f'{_HEAD}exec kernel-install add "$1" "$2"\n',
    "etc/kernel/postrm.d/zz-compose-uki": f'{_HEAD}exec kernel-install remove "$1"\n',
    "etc/initramfs/post-update.d/compose-uki": f'{_HEAD}exec kernel-install add "$1" "/boot/vmlinuz-$1" "$2"\n',
}


def configuration(layout: str, boot: str) -> str:
    """The text of install.conf: the type of entries that kernel-install creates, and their file system."""
    generator = "uki_generator=ukify\n" if layout == UKI else ""
    return f"# Made by osbuild-compose.\nlayout={layout}\n{generator}BOOT_ROOT={boot}\n"

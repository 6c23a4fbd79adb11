# vmlinuz-a: one file per slot, as on Flatcar, with the kernel, its initrd and the root hash of its /usr.
#
#   byte 64..128   the dm-verity root hash, 64 hex digits (Flatcar's place for it on amd64)
#   byte 128..144  where the initrd starts, in decimal, padded with spaces
#   the kernel, zeros up to a multiple of 4096, the initrd up to the end
#
# Debian's kernel has its PE header in those bytes. Nothing needs it: the selector starts this file with
# kexec, and firmware and GRUB only ever load the selector's untouched kernel.
. "$RECIPE/lib.sh"

cp "$PACKAGES/boot/vmlinuz-$(kernel_release)" selector.kernel
cp selector.kernel vmlinuz-a
chmod 644 selector.kernel vmlinuz-a
round_up vmlinuz-a 4096
offset=$(stat -c %s vmlinuz-a)
cat slot.initrd >>vmlinuz-a
{ tr -d '\n' <usr.hash; printf '%-16d' "$offset"; } | dd of=vmlinuz-a bs=1 seek=64 conv=notrunc status=none

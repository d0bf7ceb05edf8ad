wait_for_carrier
said_by_boot >units-3 2>&1
cat /proc/cmdline >cmdline-3
seen >gone
$L status >status-3 2>&1

# The same host with entries of the Boot Loader Specification instead of GRUB's menu, as systemd-boot's own program reads them.
cp /boot/vmlinuz-$(uname -r) vmlinuz
mount -t tmpfs none /boot
mkdir -p /boot/loader/entries
touch /boot/vmlinuz
printf 'title lab\nversion %s\nsort-key debian\nlinux /vmlinuz\noptions root=/dev/vda1 ro console=ttyS0 panic=-1\n' $(uname -r) \
	>/boot/loader/entries/6c6f.conf
set_to boot.skew_tick host 1
$L persist >persist-entry 2>&1
# It looks for a FAT file system of its own otherwise.
SYSTEMD_RELAX_ESP_CHECKS=1 bootctl --esp-path=/boot --no-pager list >bootctl 2>&1
echo "bootctl: $?" >>bootctl
mkdir entries
cp /boot/loader/entries/*.conf entries/
$L rollback >rollback-entry 2>&1
ls /boot/loader/entries >entries-left
umount /boot

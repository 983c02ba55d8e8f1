#!/bin/sh
# Runs in the guest's root while the image is made: a Debian that boots by GRUB, names its cards by their MAC and answers SSH.
set -eu
export DEBIAN_FRONTEND=noninteractive
# Drivers that no virtual machine has.
for folder in sound drivers/gpu drivers/media drivers/staging drivers/infiniband drivers/net/wireless drivers/iio drivers/comedi \
    drivers/isdn drivers/input drivers/usb drivers/scsi drivers/hwmon drivers/bluetooth net/bluetooth; do
    rm -rf /lib/modules/*/kernel/$folder
done
depmod "$(ls /lib/modules)"
printf 'MODULES=list\n' > /etc/initramfs-tools/conf.d/modules
printf 'virtio_pci\nvirtio_blk\next4\n' >> /etc/initramfs-tools/modules
update-initramfs -u
printf '/dev/vda1 / ext4 rw,noatime 0 1\n' > /etc/fstab
printf 'guest\n' > /etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 guest\n' > /etc/hosts
: > /etc/resolv.conf
sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf
: > /etc/machine-id
cat > /etc/default/grub <<'G'
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_TERMINAL=serial
GRUB_DISABLE_LINUX_UUID=true
GRUB_DISABLE_OS_PROBER=true
GRUB_DISABLE_RECOVERY=true
GRUB_CMDLINE_LINUX="console=ttyS0"
G
mkdir -p /boot/grub/i386-pc
cp /usr/lib/grub/i386-pc/*.mod /usr/lib/grub/i386-pc/*.lst /boot/grub/i386-pc/
cat > /boot/grub/grub.cfg <<G
linux /boot/$(cd /boot && ls vmlinuz-*) root=/dev/vda1 ro console=ttyS0
initrd /boot/$(cd /boot && ls initrd.img-*)
boot
G
grub-mkimage -O i386-pc -p '(hd0,msdos1)/boot/grub' -o /boot/core.img biosdisk part_msdos ext2 serial normal configfile linux
cp /usr/lib/grub/i386-pc/boot.img /boot/boot.img
# Cards are named by their MAC: the order in which drivers probe them varies.
network() { # NAME MAC ADDRESS
    printf '[Match]\nMACAddress=%s\n[Link]\nName=%s\n' "$2" "$1" > "/etc/systemd/network/10-$1.link"
    printf '[Match]\nName=%s\n[Network]\nAddress=%s\nLinkLocalAddressing=no\n' "$1" "$3" > "/etc/systemd/network/10-$1.network"
}
network mgmt0 52:54:00:00:00:01 198.18.0.2/24
network data0 52:54:00:00:00:02 198.18.1.2/24
systemctl enable systemd-networkd ssh
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
    systemd-timesyncd.service systemd-networkd-wait-online.service systemd-hwdb-update.service getty@tty1.service serial-getty@ttyS0.service
rm -f /etc/ssh/ssh_host_*
rm -rf /usr/share/doc /usr/share/man /usr/share/locale

# What a machine that only lives for a test never needs. Every unit, udev rule and module costs boot time
# on a host without KVM, and every megabyte is read through dm-verity.
. "$RECIPE/lib.sh"

# remove_in DIR PATTERN...: removes what matches below DIR; a pattern without a match is fine.
remove_in() {
  local dir=$1
  shift
  (cd "$dir" && shopt -s nullglob extglob && eval "rm -rf -- $*")
}

# keep_in DIR PATTERN: removes the entries of DIR whose name doesn't match the extended pattern.
keep_in() { remove_in "$1" "!($2)"; }

# Documentation, other languages, and whatever only serves a package manager. The machine has none, as
# Flatcar has none.
remove_in "$USR" games include local src \
  'share/{apport,applications,bash-completion,bug,common-licenses,debconf,dict,doc,doc-base,dpkg,dracut}' \
  'share/{gcc,gdb,groff,i18n,info,initramfs-tools,keyrings,lintian,locale,man,menu,metainfo,mime,nano}' \
  'share/{perl,perl5,pixmaps,polkit-1,reportbug,sysvinit,zsh}' 'share/misc/magic*' \
  'lib/{apt,dpkg,dracut,gcc,init,locale,lsb,perl*,python3*,kexec-tools,firmware}' \
  'lib/x86_64-linux-gnu/{gconv,perl,perl-base,perl5,libapt*,libperl*,libdb-5*,libxen*}' \
  'bin/{apt*,cpan*,deb*conf*,dpkg*,ignition-validate,perl*}' \
  'sbin/{dpkg*,update-rc.d,kexec,coldreboot,kexec-load-kernel,update-ca-certificates}' \
  'lib/systemd/{portable,boot}' 'lib/udev/hwdb.d/*'
find "$USR" -name '*.a' -delete
remove_in "$ETC" 'apt cron* dpkg init.d rc?.d rcS.d runit sv ufw kernel initramfs-tools logrotate.d perl' \
  'update-motd.d default debconf.conf ucf.conf adduser.conf deluser.conf alternatives machine-id resolv.conf' \
  'fstab hostname binfmt.d modules-load.d ssh ssl/private systemd/system/* ld.so.cache'

# Kernel modules: virtio, storage, file systems, network filters and tunnels stay.
modules=$USR/lib/modules/$(kernel_release)
remove_in "$modules/kernel" sound \
  'arch/x86/{crypto,events,kvm,platform}' \
  'crypto/{aegis*,ansi*,anubis*,camellia*,cast*,cryptd*,fcrypt*,khazad*,seed*,serpent*,sm*,streebog*,tea*,twofish*,vmac*,wp512*}' \
  'drivers/{acpi,atm,auxdisplay,bluetooth,comedi,cpufreq,dca,dma,edac,gpio,gpu,hid,hv,hwmon,i2c,idle,iio}' \
  'drivers/{infiniband,input,isdn,leds,macintosh,media,memstick,message,mfd,mmc,mtd,nvdimm,parport,pcmcia}' \
  'drivers/{platform,power,pps,pwm,rtc,staging,target,thermal,tty,uio,usb,vfio,video,xen,char/ipmi}' \
  'drivers/char/hw_random/{amd,intel}*' \
  'drivers/net/{arcnet,fddi,hamradio,hippi,ieee802154,plip,slip,usb,wan,wireless}' \
  'drivers/net/ethernet/{amazon,amd,google,intel,mellanox,microsoft}' \
  'fs/{9p,adfs,affs,afs,befs,bfs,cachefiles,ceph,cifs,coda,cramfs,dlm,ecryptfs,efs,f2fs,freevxfs,fscache}' \
  'fs/{gfs2,hfs,hfsplus,hpfs,jffs2,jfs,lockd,minix,nfs,nfs_common,nfsd,nilfs2,ntfs*,ocfs2,omfs,orangefs}' \
  'fs/{qnx*,quota,reiserfs,romfs,smb*,sysv,ubifs,udf,ufs,vboxsf,zonefs}' \
  'net/{6lowpan,atm,ax25,batman-adv,bluetooth,caif,can,ceph,dccp,dsa,hsr,ieee802154,kcm,l2tp,lapb}' \
  'net/{mac80211,mac802154,mpls,ncsi,netrom,nfc,openvswitch,phonet,rds,rose,rxrpc,sctp,smc,tipc,wireless,x25}'
# depmod wants /lib/modules below its base directory.
mkdir depmod && ln -s "../$USR/lib" depmod/lib
depmod -b depmod "$(kernel_release)"
rm -r depmod

# Units: what Debian starts and Flatcar doesn't have, what a virtual machine has no hardware for, and
# the first-boot work of systemd that /usr being complete makes needless.
remove_in "$UNITS" \
  'alsa* apt-* autovt* bluetooth* bootlogs* bootmisc* check{fs,root}* console-{getty,setup}* container-getty*' \
  'cron* cryptdisks* debug-shell* dev-{hugepages,mqueue}* dpkg-* e2scrub* fstrim* fuse.service getty-static*' \
  'hibernate* hostname.service hwclock* hybrid* initctl* kexec* key{board,map}* killprocs* kmod.service' \
  'logrotate* man-db* motd.service mount*.service networking* nfs* printer* proc-sys-fs* procps.service quota*' \
  'rc-local* rc.service rcS.service rescue-ssh* rmnologin* rpc* runlevel* sendsigs* single.service smartcard*' \
  'soft-reboot* sound* ssh.service ssh.socket ssh@.service sshd.service.d stop-* sudo.service suspend*' \
  'sys-{fs-fuse,kernel}* system-update* udev.service umount*.service urandom* usb-gadget* x11*' \
  'systemd-{ask-password-{console,wall},backlight,binfmt,bless,boot-,exit,firstboot,hibernate,hwdb,hybrid}*' \
  'systemd-{initctl,journal-catalog,journald-audit,kexec,network-generator,pcr,pstore}*' \
  'systemd-{quota,repart,rfkill,suspend,sysusers,time-wait,update-done,update-utmp,vconsole,volatile}*' \
  'remote-{crypt,veri}*'
remove_in "$UNITS" 'systemd-udevd.service.d' 'sysinit.target.wants/{dev-hugepages,dev-mqueue,sys-}*'
find "$UNITS" -xtype l -delete
# systemd would start modprobe@ units for modules that are built in.
find "$UNITS" -maxdepth 1 -type f -name '*.service' -exec sed -i '/^\(Wants\|After\)=modprobe@/d' {} +

keep_in "$USR/lib/systemd/system-generators" 'systemd-fstab-generator|systemd-getty-generator|systemd-debug-generator'
keep_in "$USR/lib/udev/rules.d" \
  '50-udev-default.rules|55-dm.rules|60-block.rules|60-persistent-storage.rules|60-persistent-storage-dm.rules|60-serial.rules|64-btrfs.rules|75-net-description.rules|80-drivers.rules|80-net-setup-link.rules|90-*|95-dm-notify.rules|99-systemd.rules'

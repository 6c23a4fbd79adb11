# Who the image says it is, in Flatcar's files and fields.
. "$RECIPE/lib.sh"

cat >"$USR/lib/os-release" <<EOF
NAME="Flatcar Container Linux (wheeltap reference image)"
ID=flatcar
ID_LIKE=coreos
VERSION=$VERSION
VERSION_ID=$VERSION
BUILD_ID=reference
VARIANT_ID=reference
SYSEXT_LEVEL=1.0
PRETTY_NAME="wheeltap reference image $VERSION (Debian 12 packages, Flatcar's layout)"
ANSI_COLOR="38;5;75"
FLATCAR_BOARD="amd64-usr"
EOF

cat >"$USR/share/flatcar/release" <<EOF
FLATCAR_RELEASE_VERSION=$VERSION
FLATCAR_RELEASE_BOARD="amd64-usr"
FLATCAR_RELEASE_APPID={e96281a6-d1af-4bde-9a0a-97b76e56dc57}
EOF

# The shipped default that /etc/flatcar/update.conf overrides.
cp "$ETC/flatcar/update.conf" "$USR/share/flatcar/update.conf"

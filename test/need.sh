#!/bin/sh
# need.sh NEED...: installs what this machine lacks of cc pkg-config check crypto zmq c++ clang musl multilib
# 32-bit (what runs multilib's programs) valgrind gcovr python3 cmake meson mandoc aarch64 (a cross compiler) qemu (for its
# programs) faketime mingw wine yaml (for Python) pandoc pygments browser (chromium, and Python's selenium, which drives it), and of
# the benchmark's peers glib apr go rust crossbeam (the source of its channels).
#
# Says and does nothing when all is there.  Otherwise it installs, as root or through a sudo that asks nothing;
# where it may not, it prints the command to type and exits with 1.
set -u

compiles()
{
	printf '#include <errno.h>\nint main(void) { return errno; }\n' | "$@" -xc -o /dev/null - 2>/dev/null
}

# The first python3, or that of the system, whose packages the manager installs.
some_python()
{
	modules=$(IFS=,; echo "$*")
	python3 -c "import $modules" 2>/dev/null || /usr/bin/python3 -c "import $modules" 2>/dev/null
}

there()
{
	case $1 in
	cc) compiles ${CC:-cc} ;;
	pkg-config) command -v pkg-config ;;
	check) there pkg-config && pkg-config --exists check ;;
	crypto) there pkg-config && pkg-config --exists libcrypto ;;
	zmq) there pkg-config && pkg-config --exists libzmq ;;
	c++) command -v c++ ;;
	clang) compiles clang -fsanitize=thread ;;
	musl) command -v musl-gcc ;;
	multilib) compiles gcc -m32 -idirafter "/usr/include/$(gcc -print-multiarch)" ;;
	32-bit) sh "${0%/*}/32-bit.sh" ;;
	valgrind | gcovr | python3 | cmake | meson | mandoc | pandoc) command -v "$1" ;;
	yaml) some_python yaml ;;
	aarch64) compiles aarch64-linux-gnu-gcc ;;
	qemu) command -v qemu-aarch64 || command -v qemu-aarch64-static ;;
	mingw) command -v x86_64-w64-mingw32-gcc-posix ;;
	wine) command -v wine64 wine || [ -x /usr/lib/wine/wine64 ] ;;
	faketime) ls /usr/lib*/faketime/libfaketimeMT.so.1 /usr/lib/*/faketime/libfaketimeMT.so.1 2>/dev/null | grep -q . ;;
	glib) there pkg-config && pkg-config --exists glib-2.0 ;;
	apr) there pkg-config && pkg-config --exists apr-1 apr-util-1 ;;
	pygments) some_python pygments ;;
	browser) command -v chromium && command -v chromedriver && some_python selenium ;;
	go) command -v go ;;
	rust) command -v rustc && command -v cargo ;;
	crossbeam) ls -d /usr/share/cargo/registry/crossbeam-channel-* ;;
	*) echo "need.sh: unknown need: $1" >&2; exit 2 ;;
	esac >/dev/null
}

# The packages of a need, by the manager found; nothing where it has none.
packages()
{
	case $manager:$1 in
	apt-get:cc) echo gcc libc6-dev ;;
	apt-get:crypto) echo libssl-dev ;;
	apt-get:zmq) echo libzmq3-dev ;;
	apt-get:c++) echo g++ ;;
	apt-get:clang) echo clang libclang-rt-dev ;;
	apt-get:musl) echo musl-tools ;;
	# Not gcc-multilib, which conflicts with the cross compilers; all it has besides is a link to <asm>.
	apt-get:multilib) echo "gcc-$(gcc -dumpversion | cut -d. -f1)-multilib" ;;
	apt-get:aarch64) echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
	apt-get:qemu | dnf:qemu | pacman:qemu | apt-get:32-bit | dnf:32-bit | pacman:32-bit) echo qemu-user ;;
	apt-get:pygments | dnf:pygments) echo python3-pygments ;;
	apt-get:browser) echo chromium chromium-driver python3-selenium ;;
	dnf:browser) echo chromium chromedriver python3-selenium ;;
	apk:pygments) echo py3-pygments ;;
	apk:browser) echo chromium chromium-chromedriver py3-selenium ;;
	pacman:pygments) echo python-pygments ;;
	pacman:browser) echo chromium python-selenium ;;
	apt-get:faketime) echo faketime libfaketime ;;
	apt-get:mingw) echo gcc-mingw-w64-x86-64-posix ;;
	apt-get:wine) echo wine64 ;;
	apt-get:yaml) echo python3-yaml ;;
	apt-get:glib) echo libglib2.0-dev ;;
	apt-get:apr) echo libapr1-dev libaprutil1-dev ;;
	apt-get:go) echo golang-go ;;
	apt-get:rust) echo rustc cargo ;;
	apt-get:crossbeam) echo librust-crossbeam-channel-dev ;;
	dnf:glib) echo glib2-devel ;;
	dnf:apr) echo apr-devel apr-util-devel ;;
	dnf:go) echo golang ;;
	dnf:rust | apk:rust) echo rust cargo ;;
	dnf:crossbeam) echo rust-crossbeam-channel-devel ;;
	apk:glib) echo glib-dev ;;
	apk:apr) echo apr-dev apr-util-dev ;;
	pacman:glib) echo glib2 ;;
	*:apr) echo apr apr-util ;;
	dnf:cc | pacman:cc | brew:cc) echo gcc ;;
	dnf:pkg-config) echo pkgconf-pkg-config ;;
	dnf:check) echo check-devel ;;
	dnf:crypto) echo openssl-devel ;;
	dnf:zmq) echo zeromq-devel ;;
	dnf:c++) echo gcc-c++ ;;
	dnf:clang | apk:clang | pacman:clang) echo clang compiler-rt ;;
	dnf:musl) echo musl-gcc ;;
	dnf:multilib) echo glibc-devel.i686 libgcc.i686 ;;
	dnf:aarch64) echo gcc-aarch64-linux-gnu ;;
	apk:cc) echo gcc musl-dev ;;
	apk:check) echo check-dev ;;
	apk:crypto) echo openssl-dev ;;
	apk:zmq) echo zeromq-dev ;;
	apk:c++) echo g++ ;;
	apk:32-bit) echo qemu-i386 ;;
	apk:qemu) echo qemu-aarch64 ;;
	pacman:crypto) echo openssl ;;
	pacman:c++ | brew:c++) echo gcc ;;
	pacman:multilib) echo lib32-glibc lib32-gcc-libs ;;
	brew:crypto) echo openssl@3 ;;
	brew:clang) echo llvm ;;
	apk:pkg-config | pacman:pkg-config | brew:pkg-config) echo pkgconf ;;
	pacman:zmq | brew:zmq) echo zeromq ;;
	dnf:yaml) echo python3-pyyaml ;;
	apk:yaml) echo py3-yaml ;;
	pacman:yaml) echo python-yaml ;;
	*:faketime) echo libfaketime ;;
	apk:musl | brew:musl | apk:multilib | brew:multilib | *:aarch64 | *:mingw | *:wine | *:crossbeam | brew:yaml | brew:32-bit | brew:qemu | brew:valgrind | brew:pygments | brew:browser) ;;
	*) echo "$1" ;;
	esac
}

missing=
for need; do
	there "$need" || missing="$missing $need"
done
[ -n "$missing" ] || exit 0

manager=
for manager in apt-get dnf apk pacman brew ''; do
	command -v "$manager" >/dev/null 2>&1 && break
done
if [ -z "$manager" ]; then
	echo "Missing here, and no package manager known to this script:$missing" >&2
	exit 1
fi

wanted=
for need in $missing; do
	wanted="$wanted $(packages "$need")"
done
wanted=$(echo $wanted)
if [ -z "$wanted" ]; then
	echo "Missing here, and no package of $manager:$missing" >&2
	exit 1
fi

case $manager in
apt-get) install="apt-get install -y $wanted" update='apt-get update' ;;
dnf) install="dnf install -y $wanted" update=true ;;
apk) install="apk add $wanted" update='apk update' ;;
pacman) install="pacman -S --needed --noconfirm $wanted" update='pacman -Sy' ;;
brew) install="brew install $wanted" update=true ;;
esac

as_root=
if [ "$manager" != brew ] && [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null 2>&1; then as_root=sudo; else as_root='su -c'; fi
	if [ "$as_root" != sudo ] || ! sudo -n true 2>/dev/null; then
		echo "Missing here:$missing.  To install:" >&2
		case $as_root in
		sudo) echo "    sudo $install" >&2 ;;
		*) echo "    su -c '$install'" >&2 ;;
		esac
		exit 1
	fi
fi

# Through env, because sudo passes no variables on.
quietly()
{
	$as_root ${as_root:+-n} env DEBIAN_FRONTEND=noninteractive "$@" </dev/null >&2
}

echo "Missing here:$missing.  Installing (not with NEED=:, as in make test NEED=:): ${as_root:+sudo }$install" >&2
# The list of packages may be empty or old on a fresh machine: then once more with a new one.
if ! quietly $install && ! { quietly $update && quietly $install; }; then
	echo "That failed.  To install:" >&2
	echo "    ${as_root:+sudo }$install" >&2
	exit 1
fi

for need in $missing; do
	there "$need" || { echo "Still missing after installing $wanted: $need" >&2; exit 1; }
done

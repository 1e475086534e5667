#!/usr/bin/env bash
# Installs what the harness needs: packages of the distribution, a virtual environment with pinned Python packages, the harness.
#
#   tools/setup.sh [run|test|virtual]     run: to run experiments (default) · test: to check the code as well
#                                         virtual: to build the virtual-time kernel as well
#   VENV=DIR        where the virtual environment is (default: .venv in the project)
#   PYTHON=PROGRAM  which Python it is made from (default: the distribution's, /usr/bin/python3; 3.10 or newer)
#
# May be called again at any time. A Python step keeps the hash of its inputs in $VENV/.stamps and is skipped while they
# have not changed; packages of the distribution are skipped when installed. Only apt-get is run as root.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
goal=${1:-run}
venv=$(realpath -m "${VENV:-$project/.venv}")
python=${PYTHON:-/usr/bin/python3}

run_packages=(python3-venv mininet iproute2 nftables iptables iputils-ping tcpdump)
run_commands=(mnexec ip tc nft iptables ping tcpdump) # what those packages are wanted for, where there is no apt
test_packages=(tshark iperf3 procps patch bird2 aria2 transmission-cli ctorrent opentracker mktorrent)
kernel_packages=(build-essential flex bison bc libelf-dev xz-utils patch)

die() {
  { printf 'set-up failed: ' && printf '%s\n' "$@"; } >&2
  exit 3
}

step() { # step TEXT COMMAND...: one line of progress; the command's output is shown only if it fails
  local text=$1 start=$SECONDS log
  shift
  log=$(mktemp)
  printf '  %-58s' "$text ..."
  if "$@" >"$log" 2>&1 </dev/null; then
    printf ' %3d s\n' $((SECONDS - start))
    rm -f "$log"
  else
    printf ' failed\n'
    tail -n 25 "$log" >&2
    rm -f "$log"
    return 1
  fi
}

stamp() { # stamp NAME HASH
  mkdir -p "$venv/.stamps"
  printf '%s\n' "$2" >"$venv/.stamps/$1"
}

stamped() { # stamped NAME HASH COMMAND...: the command is run unless it succeeded before with the same hash
  local name=$1 hash=$2
  shift 2
  [ "$(cat "$venv/.stamps/$name" 2>/dev/null)" = "$hash" ] && return
  "$@"
  stamp "$name" "$hash"
}

hash_of() { { printf '%s\n' "$venv" "$project" && cat "$@"; } | sha256sum | cut -d' ' -f1; }

# --- packages of the distribution

missing_packages() { # missing_packages NAME...: those that are not installed, one a line
  comm -23 <(printf '%s\n' "$@" | sort -u) \
    <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | awk '$1 == "installed" {print $2}' | sort -u)
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "$@"; }

check_without_apt() {
  local command absent=()
  for command in "${run_commands[@]}"; do
    PATH=$PATH:/usr/sbin:/sbin type "$command" >/dev/null 2>&1 || absent+=("$command")
  done
  [ ${#absent[@]} = 0 ] || die "there is no apt-get here, and these programs are missing: ${absent[*]}" \
    "install Mininet 2.3, iproute2, nftables, iptables, ping and tcpdump in your distribution's way, then run this again"
}

newest_kernel_source() { apt-cache pkgnames linux-source- | grep -E '^linux-source-[0-9.]+$' | sort -V | tail -n 1; }

has_kernel_source() { compgen -G '/usr/src/linux-source-*.tar.*' >/dev/null; }

install_packages() {
  local wanted=("$@") missing
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  if [ "$goal" = virtual ] && ! has_kernel_source; then missing+=(linux-source); fi
  [ ${#missing[@]} = 0 ] && return
  if [ "$(id -u)" != 0 ]; then
    type sudo >/dev/null 2>&1 ||
      die "you are not root and there is no sudo; as root: apt-get install --no-install-recommends ${missing[*]}"
    sudo -n true 2>/dev/null || echo "  sudo is asked for these packages: ${missing[*]}"
    sudo -v || die "sudo was refused; let an administrator run: apt-get install --no-install-recommends ${missing[*]}"
  fi
  step "list of packages" apt update || die "apt-get update failed: is the network up, and are the mirrors right?"
  if [ "${missing[-1]}" = linux-source ]; then missing[-1]=$(newest_kernel_source); fi # Debian names it by version only
  step "${#missing[@]} packages: ${missing[*]:0:3}$([ ${#missing[@]} -gt 3 ] && echo ', ...')" \
    apt install --no-install-recommends "${missing[@]}" || die "apt-get could not install: ${missing[*]}"
}

# --- Python

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

make_venv() { # anew when there is none, when it no longer starts, or when another Python is asked for
  local version
  version=$(version_of "$python") || die "$python does not start; name a Python with PYTHON=..."
  case $version in 2.* | 3.[0-9]) die "$python is Python $version; 3.10 or newer is needed, name one with PYTHON=..." ;; esac
  [ "$(version_of "$venv/bin/python")" = "$version" ] && return
  "$python" -c 'import venv, ensurepip' 2>/dev/null || die "$python has no venv module; install python3-venv"
  rm -rf "$venv/.stamps"
  step "virtual environment" "$python" -m venv --clear "$venv" || die "could not make a virtual environment in $venv"
}

pip() { "$venv/bin/python" -m pip --disable-pip-version-check install --quiet --no-input "$@"; }

install_requirements() {
  step "Python packages ($(grep -c == "$1"), pinned)" pip --only-binary=:all: -r "$1" ||
    die "pip could not install $1: is the package index reachable?"
}

# Mininet comes from the distribution. Only that one package is shown to the environment, not all of the system's Python.
link_mininet() {
  local source site
  source=$(/usr/bin/python3 -c 'import importlib.util as u; print(u.find_spec("mininet").submodule_search_locations[0])' 2>/dev/null) ||
    die "the Python package mininet was not found by /usr/bin/python3; install Mininet 2.3"
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  if [ "$(readlink "$site/mininet")" != "$source" ]; then ln -sfn "$source" "$site/mininet"; fi
}

install_harness() {
  step "the harness itself" pip --no-deps --no-build-isolation --editable "$project" || die "the harness could not be installed"
}

case $goal in
  run) packages=("${run_packages[@]}") requirements=requirements.txt ;;
  test) packages=("${run_packages[@]}" "${test_packages[@]}") requirements=requirements-dev.txt ;;
  virtual) packages=("${run_packages[@]}" "${kernel_packages[@]}") requirements=requirements.txt ;;
  *) die "unknown goal '$goal': run, test or virtual" ;;
esac

mkdir -p "$venv" || die "cannot write to $venv"
exec 9>"$venv/.setup.lock" && flock 9 # two set-ups at once take turns
cd "$project"
if type apt-get >/dev/null 2>&1; then install_packages "${packages[@]}"; else check_without_apt; fi
make_venv
stamped "$requirements" "$(hash_of "$requirements" "$venv/pyvenv.cfg")" install_requirements "$requirements"
if [ "$goal" = test ]; then # requirements-dev.txt holds all of requirements.txt, in the same versions
  stamp requirements.txt "$(hash_of requirements.txt "$venv/pyvenv.cfg")"
fi
link_mininet
stamped harness "$(hash_of pyproject.toml)" install_harness

# shellcheck shell=bash
# Sourced by the other scripts: finds Python, keeps .venv up to date, looks after Blender's shared libraries.
# Needs bash and sets `root` (the checkout) and `python` (the interpreter in .venv). Nothing here depends on the
# working directory.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
case ${OSTYPE:-} in
  msys* | cygwin*) python=$venv/Scripts/python.exe ;;
  *) python=$venv/bin/python ;;
esac

say() {
  printf '%s\n' "$*" >&2
}

die() {
  say "$*"
  exit 1
}

may_apt() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1
}

# apt_install PACKAGE…: quietly, and without a question.
apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Prints a Python of 3.11 or newer. 3.11 comes first: PyPI's Blender is built for it and for no other.
find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3.14 python3 python; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "Zordon needs Python 3.11 or newer, and there is none on PATH. Install one (Debian, Ubuntu: apt-get install" \
    "python3 python3-venv), or name it: PYTHON=/path/to/python3.11 $0"
}

make_venv() {
  local base
  base=$(find_python)
  if ! "$base" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    local package
    package=$("$base" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if ! may_apt || ! apt_install "$package"; then
      die "$base cannot make a virtual environment. Install the module venv (Debian, Ubuntu: apt-get install $package)."
    fi
  fi
  say "Making .venv with $("$base" --version) …"
  rm -rf -- "$venv"
  "$base" -m venv "$venv"
}

# prepare [dev]: .venv has Zordon and what it needs; with `dev`, what the tests and checks need too.
prepare() {
  local group=${1:-} stamp state started=$SECONDS
  "$python" -c 'import pip' >/dev/null 2>&1 || make_venv
  # The path is part of it, because a checkout that was moved or copied still points to its old place.
  state="$root $(cksum <"$root/pyproject.toml")"
  for stamp in "$venv/installed-dev" ${group:-"$venv/installed"}; do
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$state" ]; then
      prepare_page
      return
    fi
  done
  say "Installing what Zordon needs into .venv${group:+, and what its tests need} (a minute or two) …"
  export PIP_DISABLE_PIP_VERSION_CHECK=1
  "$python" -m pip install -qq --upgrade 'pip>=25.1'
  (cd -- "$root" && "$python" -m pip install -qq --editable . ${group:+--group "$group"})
  printf '%s' "$state" >"$venv/installed${group:+-$group}"
  "$python" "$root/client/web/build.py" --digest >"$venv/page"
  say "Installed in $((SECONDS - started)) s."
}

# The page is built anew when its sources have changed; where that was tried in vain, it is not tried again before they
# change once more.
prepare_page() {
  local build=$root/client/web/build.py digest
  digest=$("$python" "$build" --digest)
  [ -f "$venv/page" ] && [ "$(cat "$venv/page")" = "$digest" ] && return
  if ! "$python" "$build" --is-current; then
    say "Building the page …"
    (cd -- "$root" && "$python" -m pip install -qq --disable-pip-version-check --no-deps --editable .)
  fi
  printf '%s\n' "$digest" >"$venv/page"
}

# What a Blender from PyPI loads and a small Linux lacks; the names are in app/cli/bpy_install.py.
prepare_libraries() {
  local missing
  missing=$("$python" -c 'from app.cli.bpy_install import missing_libraries; print(*missing_libraries())')
  [ -n "$missing" ] || return 0
  if may_apt; then
    say "Installing the shared libraries of Blender: $missing …"
    # shellcheck disable=SC2086 # a list of names
    apt_install $missing && return
  fi
  say "Blender needs shared libraries that this machine lacks. Install them as root:"
  say "  apt-get install -y --no-install-recommends $missing"
}

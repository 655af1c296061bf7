#!/bin/sh
# Oracle's MySQL server for the tests, into .cache/oracle-mysql, with the libraries that it needs: Debian has it in its unstable
# suite only, so it is taken from there, from the mirror that this machine uses, and nothing on the machine is changed.
# Says why and ends with 1 where that cannot be done; the tests that want it are then skipped.
set -eu
cd "$(dirname "$0")/.."
place=$PWD/.cache/oracle-mysql
[ -x "$place/mysqld" ] && exit 0
no() { echo "Oracle's MySQL is not installed for the tests: $1" >&2; exit 1; }

keys=/usr/share/keyrings/debian-archive-keyring.gpg
command -v apt-get >/dev/null && [ -e "$keys" ] || no "this is no Debian"
mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(COMPONENT)' 'Created-By: Packages' \
    | awk '$2 == "Debian" && $3 == "main" && $1 !~ /security/ { print $1; exit }')
[ -n "$mirror" ] || no "apt-get knows no mirror of Debian"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/sources" "$work/state/lists/partial" "$work/cache/archives/partial" "$work/root"
: > "$work/status"
printf 'Types: deb\nURIs: %s\nSuites: unstable\nComponents: main\nSigned-By: %s\n' "$mirror" "$keys" > "$work/sources/unstable.sources"
unstable() {
    apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/sources" -o Dir::State="$work/state" \
        -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" \
        -o APT::Install-Recommends=false -o Debug::NoLocking=1 "$@" >/dev/null
}
unstable update || no "the mirror does not give its unstable suite"
unstable --yes --download-only install mysql-server-core || no "the unstable suite cannot give mysql-server-core now"
for package in "$work"/cache/archives/*.deb; do
    case $package in
        */perl*|*/libperl*) ;;
        *) dpkg-deb -x "$package" "$work/root" ;;
    esac
done

cat > "$work/root/mysqld" <<'PROGRAM'
#!/bin/sh
# The server with its own libraries, not the machine's.
root=$(cd "$(dirname "$0")" && pwd)
for loader in "$root"/usr/lib/*/ld-linux-*.so.*; do break; done
exec "$loader" --library-path "${loader%/*}:$root/usr/lib/mysql/private" "$root/usr/sbin/mysqld" "$@" \
    --basedir="$root/usr" --lc-messages-dir="$root/usr/share/mysql" --character-sets-dir="$root/usr/share/mysql/charsets"
PROGRAM
chmod +x "$work/root/mysqld"
"$work/root/mysqld" --version >/dev/null || no "the server does not run here"
mkdir -p "$(dirname "$place")"
rm -rf "$place" "$work/root/usr/share/doc" "$work/root/usr/share/locale"
mv "$work/root" "$place"

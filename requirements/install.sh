#!/bin/sh
# Usage: install.sh VENV LOCK. Installs the packages of LOCK into VENV and shows how many are found and installed:
# on a terminal in one line, else in a new line every 10 seconds. pip's errors and its exit code are passed on.
venv=$1 lock=$2 log=$1/pip.log
most=$(grep -c '^[A-Za-z0-9._-]*==' "$lock") # a few are for other platforms

installed() { ls -d "$venv"/lib/python*/site-packages/*.dist-info 2>/dev/null | wc -l; }
before=$(installed)
show() {
    printf "$line" "$(grep -cE '^(Collecting|Requirement already) ' "$log")" "$most" $(($(installed) - before))
}

if [ -t 1 ]; then every=1 line='\r      found %d of at most %d packages, installed %d '; fi
if [ ! -t 1 ]; then every=10 line='      found %d of at most %d packages, installed %d\n'; fi
: >"$log"
(while kill -0 $$ 2>/dev/null; do show && sleep $every >/dev/null 2>&1; done) & # ends with this shell, for example after Ctrl-C
PYTHONUNBUFFERED=1 "$venv/bin/python" -m pip install --disable-pip-version-check --require-hashes -r "$lock" >>"$log"
code=$?
kill $!
show
[ ! -t 1 ] || echo
exit $code

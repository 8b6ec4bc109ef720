#!/bin/sh
# `pulumi` in a shell of `make env`. Pulumi gets a copy of the stack file: what you edit in the file comes into the copy before
# each call, and what `pulumi config set` writes goes into your file after it.
set -uf

# The real one is further along on PATH.
own=$(dirname "$0")
rest=
IFS=:
for each in $PATH; do
    [ "$each" = "$own" ] || rest=${rest:+$rest:}$each
done
unset IFS
PATH=$rest
export PATH

committed=${DABAWEB_STACK_FILE:-}
copy=${PULUMI_OPTION_CONFIG_FILE:-}
if [ "$copy" != "${DABAWEB_STACK_COPY:-none}" ]; then exec pulumi "$@"; fi
if [ ! -f "$committed" ]; then
    echo "$committed is gone; run eval \"\$(make -s env)\" again, for a stack that has a file." >&2
    exit 1
fi

synchronise() {
    "$DABAWEB_CHECKOUT/local/run" "$DABAWEB_CHECKOUT/local/stacks/copy.ts" "$committed" "$copy" >&2
}
if ! cmp -s "$committed" "$copy.seen" || ! cmp -s "$copy" "$copy.made"; then synchronise || exit; fi
# Ctrl-C is for Pulumi, which ends in its own time.
trap : INT TERM
pulumi "$@"
code=$?
cmp -s "$copy" "$copy.made" || synchronise || [ "$code" -ne 0 ] || code=1
exit "$code"

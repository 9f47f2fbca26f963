#!/bin/sh
# Builds test_vec.c and test_vmath.c for every instruction set of this architecture and runs what the
# processor offers. CC, CFLAGS and the number of samples (first argument) may be given.
set -u
cd "$(dirname "$0")" || exit 1
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
case $(uname -m) in
x86_64) sets="SSE2 AVX2 AVX512" ;;
*) sets="NEON" ;;
esac
failed=0
for isa in $sets; do
    for test in test_vec test_vmath; do
        ${CC:-cc} -std=gnu11 -O2 -ffp-contract=off -fno-math-errno -fno-trapping-math -Wall -Wextra \
            ${CFLAGS:-} -DAD_ISA_$isa $test.c -o "$out/$test" -lm || exit 1
        "$out/$test" "$@"
        status=$?
        [ $status = 77 ] && echo "$isa: not offered by this processor"
        [ $status = 0 ] || [ $status = 77 ] || failed=1
    done
done
exit $failed

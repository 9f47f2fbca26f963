#!/bin/sh
# Builds the C tests and runs them: `tests/c/run.sh [pool] [gemm] [rng] [vec] [vmath]`, all when none is named.
# Those of the vector layer are built for every instruction set and run on what the processor offers.
# CC, CFLAGS (for sanitizers) and SAMPLES (how many values test_vmath draws) may be given.
set -u
cd "$(dirname "$0")" || exit 1
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
core=../../csrc
case $(uname -m) in
x86_64) sets="SSE2 AVX2 AVX512" ;;
*) sets="NEON" ;;
esac
failed=0

build() { # program, then sources and options
    program=$1
    shift
    ${CC:-cc} -std=gnu11 -O2 -ffp-contract=off -fno-math-errno -fno-trapping-math -Wall -Wextra \
        -Wno-unused-parameter ${CFLAGS:-} -I$core "$@" -o "$out/$program" -lm -lpthread || exit 1
}

run() { # what it is, then the command
    what=$1
    shift
    "$@"
    status=$?
    [ $status = 77 ] && echo "$what: not offered by this processor"
    [ $status = 0 ] || [ $status = 77 ] || { echo "$what: failed with $status" && failed=1; }
}

for test in ${*:-pool gemm rng vec vmath}; do
    case $test in
    pool)
        build pool test_pool.c $core/pool.c
        run pool "$out/pool"
        ;;
    gemm)
        build gemm test_gemm.c $core/gemm*.c $core/pool.c $core/cpu.c $core/isa/*.c
        run gemm "$out/gemm" 60
        ;;
    rng)
        build rng test_rng.c $core/rng*.c
        run rng "$out/rng"
        ;;
    vec | vmath)
        for isa in $sets; do
            build "$test-$isa" -DAD_ISA_$isa test_$test.c
            run "$test $isa" "$out/$test-$isa" ${SAMPLES:-}
        done
        ;;
    *) echo "$0: no test is called $test" && exit 1 ;;
    esac
done
exit $failed

#!/bin/sh
# Builds the package with a sanitizer into build/<name> and runs the tests on that build:
#   tests/sanitize.sh asan|tsan PYTHON [arguments for pytest]
# CC must be GCC (its runtime is loaded before the interpreter, which is not instrumented itself). What C writes is not
# captured, so that reports are seen.
set -eu
name=$1
python=$2
shift 2
case $python in */*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;; esac
cd "$(dirname "$0")/.."
tree=$PWD/build/$name
cc=${CC:-gcc}
case $name in
asan)
    flags="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
    # Limits of the address space and resident memory mean nothing under ASan, and the C tests are built by
    # themselves below.
    select="-m not(slow) --capture=no --deselect tests/test_c.py --deselect tests/test_memory.py::test_address_space_limit"
    for test in steps_ask_the_system_for_nothing empty_cache_gives_memory_back recording_keeps_no_values; do
        select="$select --deselect tests/test_allocator.py::test_$test"
    done
    export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=3072:abort_on_error=1:handle_abort=1
    export UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc
    ;;
tsan)
    flags="-fsanitize=thread"
    # A child of fork() with several threads is outside of what TSan follows.
    select="tests/test_threads.py tests/test_capture_lanes.py -k not(fork)"
    export TSAN_OPTIONS="exitcode=66 history_size=4 log_path=$tree/report"
    ;;
*) echo "usage: $0 asan|tsan PYTHON [arguments for pytest]" && exit 1 ;;
esac

CC=$cc AUTODIFFC_CFLAGS="$flags -g -O1 -fno-omit-frame-pointer" AUTODIFFC_LDFLAGS="$flags" \
    $python setup.py -q build --build-base "$tree/work" --build-lib "$tree"
rm -rf "$tree/tests"
cp -r tests "$tree/tests"
cp pyproject.toml "$tree"
for folder in csrc examples docs benchmarks; do [ -e "$tree/$folder" ] || ln -s "../../$folder" "$tree/$folder"; done

set -- $select "$@"
cd "$tree"
rm -f report.*
# with C++'s, whose exceptions the sanitizer looks for when it is loaded: packages that the tests import throw them
runtime="$(${cc##* } -print-file-name=lib$name.so) $(${cc##* } -print-file-name=libstdc++.so.6)"
status=0
LD_PRELOAD="$runtime" $python -m pytest -q -p no:cacheprovider "$@" || status=$?
case $name in
asan) CFLAGS="-g -O1 $flags" SAMPLES=5000 sh tests/c/run.sh pool rng || status=$? ;;
tsan) CFLAGS="-g -O1 $flags" sh tests/c/run.sh pool || status=$? ;;
esac
cat "$tree"/report.* 2>/dev/null || true
exit $status

#!/bin/sh
# Runs the Python tests with GCC's address and undefined-behaviour sanitizers in the module and the library.
# The interpreter has none, so LD_PRELOAD loads their runtimes first. PYTHON is an interpreter with
# fastmlp[test] installed. The tests that build other projects and wheels are left out.
set -eu
: "${PYTHON:=python3}"
site=$PWD/build/soak/asan
"$PYTHON" -m pip install -q --no-deps --upgrade --target "$site" \
  --config-settings=cmake.build-type=RelWithDebInfo \
  --config-settings=cmake.define.CMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1 -DNDEBUG" \
  --config-settings=cmake.define.FASTMLP_SANITIZE=address,undefined .
# libstdc++ too: the sanitizers look for its __cxa_throw when they start.
libraries=$(for name in libasan libubsan libstdc++; do g++ -print-file-name="$name.so"; done | tr '\n' ' ')
# Python frees much of its memory only with the process, so leaks are not looked for.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
export PYTHONMALLOC=malloc PYTHONPATH="$site" LD_PRELOAD="$libraries"
exec "$PYTHON" -m pytest -q -p no:cacheprovider --ignore=tests/python/project tests/python "$@"

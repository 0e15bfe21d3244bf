#!/bin/sh
# Measures which lines of C++ and of Python the tests run, and fails if either has under 95 %. PYTHON is one that
# fastmlp[test], coverage and gcovr are installed for. Arguments go to pytest.
#
# Left out are the kernels of AVX-512 and NEON, which need a CPU that has them. Most lines that no test runs are
# what happens when an allocation fails (test_allocations.py) and the libraries of `fastmlp bench` that are not
# installed. The reports are in build/coverage.
set -eu
: "${PYTHON:=python3}"
cd "$(dirname "$0")/.."
build=$PWD/build/coverage site=$PWD/build/coverage/site
flags="-O1 -g1 --coverage -fprofile-update=atomic"
export CMAKE_BUILD_PARALLEL_LEVEL="$(nproc)"

"$PYTHON" -m pip install -q --no-deps --upgrade --target "$site" --config-settings=build-dir="$build/module" \
  --config-settings=cmake.build-type=None --config-settings=cmake.define.CMAKE_CXX_FLAGS="$flags" .
cmake -S . -B "$build/cpp" -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS="$flags" >/dev/null
cmake --build "$build/cpp" -- --quiet
find "$build" -name '*.gcda' -delete
rm -f "$build"/.coverage*

ctest --test-dir "$build/cpp" -j "$(nproc)" --output-on-failure
# Without the test that makes allocations fail: coverage's own would.
export COVERAGE_PROCESS_START="$PWD/tests/coverage.ini" COVERAGE_FILE="$build/.coverage" PYTHONPATH="$site"
"$PYTHON" -m coverage run --rcfile=tests/coverage.ini -m pytest -q -p no:cacheprovider \
  --deselect=tests/python/runtime/test_allocations.py "$@"

"$PYTHON" -m gcovr --root . --filter cpp/ --filter python/bindings/ --exclude '.*(avx512|neon).*' \
  --merge-lines --gcov-ignore-parse-errors --html-details "$build/cpp.html" --txt - \
  --fail-under-line 95 "$build"
"$PYTHON" -m coverage combine -q --rcfile=tests/coverage.ini "$build"
"$PYTHON" -m coverage report --rcfile=tests/coverage.ini

#!/usr/bin/env bash
# Runs clang-tidy and cppcheck over all C++ code. pre-commit installs both and calls this script:
#   pre-commit run static-analysis --all-files --hook-stage manual
# .clang-tidy and cppcheck_suppressions.txt say what is off, and why.
set -euo pipefail
cd "$(dirname "$0")/.."
folders="cpp python/bindings tests/cpp tests/fuzz"

# Clang's own headers have no omp.h; GCC's stand behind all others.
cmake --preset dev -B build/static-analysis -DCMAKE_CXX_COMPILER=clang++ -DFASTMLP_PYTHON=ON \
  -Dpybind11_DIR="$(python -m pybind11 --cmakedir)" -DPython_EXECUTABLE="$(command -v python)" >/dev/null
# shellcheck disable=SC2086  # a list of folders
find $folders -name '*.cpp' ! -name neon.cpp -print0 |
  xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet -p build/static-analysis \
    --extra-arg=-idirafter"$(g++ -print-file-name=include)"
clang-tidy --quiet cpp/src/kernels/neon.cpp -- --target=aarch64-linux-gnu -std=c++17 -Icpp/include -Icpp/src
# shellcheck disable=SC2086
cppcheck --quiet --error-exitcode=1 -j "$(nproc)" --std=c++17 --language=c++ \
  --enable=warning,performance,portability --suppressions-list=tests/cppcheck_suppressions.txt \
  -D FASTMLP_HAS_AVX2 -I cpp/include -I cpp/src -I tests/cpp/helpers -I tests/cpp/kernels $folders
echo "clang-tidy and cppcheck found nothing"

#!/bin/sh
# Fuzzes the two readers of files, alone and side by side (tests/fuzz/README.md), for MINUTES of processor
# time, 20 by default. Needs Clang and `pip install atheris`.
set -eu
: "${PYTHON:=python3}"
minutes=${MINUTES:-20}
root=$PWD build=$PWD/build/soak/fuzz
"$PYTHON" tests/python/helpers/file_corpus.py "$build/seeds"
mkdir -p "$build/corpus" "$build/corpus-both" "$build/run"
cmake -S tests/fuzz -B "$build/sanitized" -DCMAKE_CXX_COMPILER=clang++
cmake --build "$build/sanitized" --target load_fuzzer
cmake -S tests/fuzz -B "$build/plain" -DCMAKE_CXX_COMPILER=clang++ -DFUZZ_FLAGS=-O1
cmake --build "$build/plain" --target reader
cd "$build/run"  # where a failing input is left
options="-dict=$root/tests/fuzz/load_fuzzer.dict -max_len=1000 -max_total_time=$((minutes * 30)) -print_final_stats=1"
# shellcheck disable=SC2086  # a list of options
"$build/sanitized/load_fuzzer" $options -malloc_limit_mb=16 "$build/corpus" "$build/seeds" &
# shellcheck disable=SC2086
FASTMLP_FUZZ_READER=$build/plain/libreader.so "$PYTHON" "$root/tests/fuzz/load_fuzzer.py" \
  $options "$build/corpus-both" "$build/seeds"
wait $!
echo "no fault in $minutes processor minutes"

#!/bin/bash -eu
# Builds the fuzzer with the compiler, the options and the engine that OSS-Fuzz gives, into $OUT.
cmake -S tests/fuzz -B "$WORK/build" -G Ninja -DFUZZ_FLAGS="$CXXFLAGS" -DFUZZ_ENGINE="$LIB_FUZZING_ENGINE"
cmake --build "$WORK/build" --target load_fuzzer
cp "$WORK/build/load_fuzzer" tests/fuzz/load_fuzzer.dict "$OUT/"
python3 tests/python/helpers/file_corpus.py "$WORK/seeds"
zip -jqr "$OUT/load_fuzzer_seed_corpus.zip" "$WORK/seeds"

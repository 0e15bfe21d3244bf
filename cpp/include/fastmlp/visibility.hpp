// FASTMLP_EXPORT: what a shared library shows of itself.
#pragma once

// CMake's target fastmlp::fastmlp defines FASTMLP_SHARED where it is a shared library, and its own
// build FASTMLP_BUILDING besides. In a static library nothing is marked, so that a shared library
// that takes it in does not show it as its own.
#if !defined(FASTMLP_SHARED)
#define FASTMLP_EXPORT
#elif !defined(_WIN32)
#define FASTMLP_EXPORT __attribute__((visibility("default")))
#elif defined(FASTMLP_BUILDING)
#define FASTMLP_EXPORT __declspec(dllexport)
#else
#define FASTMLP_EXPORT __declspec(dllimport)
#endif

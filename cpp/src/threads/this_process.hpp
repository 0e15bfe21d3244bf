// How code notices that fork() has made this process since it looked last. Of the parent's threads
// a child has only the one that called fork().
#pragma once

#include <atomic>
#include <cstdint>

namespace fastmlp::detail {

/// The number of fork() calls between the first process and this one. runtime.cpp counts it.
inline std::atomic<std::uint32_t> fork_generation{0};

/// A number, not 0, that only the calling thread of this process has; a child made by fork() has
/// another one. In runtime.cpp.
std::uint64_t number_of_this_thread();

}  // namespace fastmlp::detail

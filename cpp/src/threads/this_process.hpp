// How code notices that this process is a child made by fork() since it last looked. Only the
// thread that called fork() exists in the child.
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

// How a call asks its ShouldStop, which may call the library itself: a signal handler of Python
// does.
#pragma once

#include <fastmlp/should_stop.hpp>

#include <utility>

namespace fastmlp::detail {

/// Whether this thread is in a should_stop. In runtime.cpp.
bool& is_asking();

/// Returns should_stop().
inline bool ask(const ShouldStop& should_stop) {
  struct Asking {
    bool before = std::exchange(is_asking(), true);
    ~Asking() { is_asking() = before; }
  } asking;
  return should_stop();
}

}  // namespace fastmlp::detail

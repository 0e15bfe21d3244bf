// How a long call is stopped from outside.
#pragma once

#include <fastmlp/visibility.hpp>

#include <functional>
#include <stdexcept>

namespace fastmlp {

/// Asked at most every 20 ms during long calls, on the calling thread; true stops the call, which
/// then throws Stopped. What it throws itself stops the call too, and is passed on.
using ShouldStop = std::function<bool()>;

/// Thrown where a ShouldStop returned true. A network is usable then: every step that was taken was
/// taken whole; its gradients() are unspecified.
class FASTMLP_EXPORT Stopped : public std::runtime_error {
 public:
  Stopped() : std::runtime_error("stopped by should_stop") {}
};

}  // namespace fastmlp

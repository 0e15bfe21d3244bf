// ShouldStop: how a long call of the library is stopped from outside.
#pragma once

#include <fastmlp/visibility.hpp>

#include <functional>
#include <stdexcept>

namespace fastmlp {

/// A function that long calls ask at most every 20 ms, on the calling thread, whether to stop. If
/// it returns true, the call throws Stopped. If it throws, the call stops too and passes that on.
using ShouldStop = std::function<bool()>;

/// A ShouldStop returned true. A network stays usable: it has taken each training step whole or not
/// at all, and its gradients() are unspecified.
class FASTMLP_EXPORT Stopped : public std::runtime_error {
 public:
  Stopped() : std::runtime_error("stopped by should_stop") {}
};

}  // namespace fastmlp

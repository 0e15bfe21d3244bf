// Scope: a context manager for Python that owns something. Leaving the `with` block, or destroying
// the object, releases it.
#pragma once

#include <memory>
#include <utility>

namespace fastmlp::python {

class Scope {
 public:
  Scope() = default;  // owns nothing
  explicit Scope(std::shared_ptr<void> held) : held_(std::move(held)) {}

  /// Any thread may call this, and several at once: one of them releases what is held.
  void end() { std::atomic_exchange(&held_, std::shared_ptr<void>()); }

 private:
  std::shared_ptr<void> held_;
};

}  // namespace fastmlp::python

// Scope: what `with` holds in Python. Its block's end, or the end of the object, ends what it
// holds.
#pragma once

#include <memory>
#include <utility>

namespace fastmlp::python {

class Scope {
 public:
  Scope() = default;  // one that has ended
  explicit Scope(std::shared_ptr<void> held) : held_(std::move(held)) {}

  /// Any thread may call this, and several at once: one of them ends what is held.
  void end() { std::atomic_exchange(&held_, std::shared_ptr<void>()); }

 private:
  std::shared_ptr<void> held_;
};

}  // namespace fastmlp::python

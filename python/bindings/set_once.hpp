// SetOnce: a value that one of any number of threads sets, once, and that all of them may read.
#pragma once

#include <atomic>
#include <utility>

namespace fastmlp::python {

template <class T>
class SetOnce {
 public:
  /// Returns false, and changes nothing, if a value has been set or is being set.
  bool set(T value) {
    int expected = kEmpty;
    if (!state_.compare_exchange_strong(expected, kBeingSet)) return false;
    value_ = std::move(value);
    state_.store(kSet);
    return true;
  }

  /// The value, or null before set().
  const T* get() const { return state_.load() == kSet ? &value_ : nullptr; }

 private:
  static constexpr int kEmpty = 0, kBeingSet = 1, kSet = 2;
  std::atomic<int> state_{kEmpty};
  T value_{};
};

}  // namespace fastmlp::python

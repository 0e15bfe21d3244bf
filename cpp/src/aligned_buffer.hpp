// AlignedBuffer<T>: memory that starts on a 64-byte line (the width of the widest vector).
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <new>

namespace fastmlp::detail {

template <class T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size) { reserve(size); }

  /// Room for at least `size` elements; what was there is lost where it grows.
  void reserve(std::size_t size) {
    if (size <= size_) return;
    if (size > std::numeric_limits<std::ptrdiff_t>::max() / sizeof(T)) throw std::bad_alloc();
    memory_.reset(static_cast<T*>(::operator new(size * sizeof(T), kAlignment)));
    size_ = size;
  }

  T* data() const { return memory_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(T* p) const { ::operator delete(p, kAlignment); }
  };
  std::unique_ptr<T, Free> memory_;
  std::size_t size_ = 0;
};

/// `n` rounded up to a multiple of `unit`.
constexpr std::ptrdiff_t round_up(std::ptrdiff_t n, std::ptrdiff_t unit) {
  return (n + unit - 1) / unit * unit;
}

}  // namespace fastmlp::detail

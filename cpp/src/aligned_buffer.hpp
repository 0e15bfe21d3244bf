// AlignedBuffer<T>: memory that starts on a 64-byte line, the width of the widest vector. Large
// buffers ask the system for huge pages.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace fastmlp::detail {

template <class T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size) { reserve(size); }

  /// Makes room for at least `size` elements. If it has to grow, the old content is lost.
  void reserve(std::size_t size) {
    if (size <= size_) return;
    if (size > std::numeric_limits<std::ptrdiff_t>::max() / sizeof(T)) throw std::bad_alloc();
    const std::size_t bytes = size * sizeof(T);
    const std::align_val_t alignment{bytes >= kHugePage ? kHugePage : kLine};
    memory_ = {static_cast<T*>(::operator new(bytes, alignment)), Free{alignment}};
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    // A walk down a column touches one page per row, and the TLB holds too few ordinary pages for
    // that. This is only advice: nothing changes if the system does not follow it.
    if (bytes >= kHugePage) ::madvise(memory_.get(), bytes, MADV_HUGEPAGE);
#endif
    size_ = size;
  }

  T* data() const { return memory_.get(); }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kLine = 64, kHugePage = std::size_t{2} << 20;
  struct Free {
    std::align_val_t alignment{kLine};
    void operator()(T* p) const { ::operator delete(p, alignment); }
  };
  std::unique_ptr<T, Free> memory_;
  std::size_t size_ = 0;
};

/// `n` rounded up to a multiple of `unit`.
constexpr std::ptrdiff_t round_up(std::ptrdiff_t n, std::ptrdiff_t unit) {
  return (n + unit - 1) / unit * unit;
}

}  // namespace fastmlp::detail

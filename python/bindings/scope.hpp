// Scope: what `with` holds in Python. Its block's end, or the end of the object, ends what it
// holds.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

namespace fastmlp::python {

class Scope {
 public:
  explicit Scope(std::shared_ptr<void> held) : held_(std::move(held)) {}

  void end() { held_.reset(); }

  // If Python makes the object by __new__, pybind11 allocates it at its first use and calls no
  // constructor. All zeros are a scope that has ended.
  static void* operator new(std::size_t size) {
    void* memory = std::calloc(1, size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  static void operator delete(void* memory) { std::free(memory); }

 private:
  std::shared_ptr<void> held_;
};

}  // namespace fastmlp::python

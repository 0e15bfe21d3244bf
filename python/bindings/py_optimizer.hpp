// PyOptimizer: an Optimizer as Python sees it, which may not be constructed yet.
#pragma once

#include <fastmlp/optimizer.hpp>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>

namespace fastmlp::python {

class PyOptimizer {
 public:
  explicit PyOptimizer(const OptimizerOptions& options)
      : optimizer_(std::make_unique<Optimizer>(options)) {}

  // If __init__ was not called, or failed, pybind11 allocates the object when it is first used,
  // without a constructor. optimizer_ is null then, because the memory is all zero.
  static void* operator new(std::size_t size) {
    void* memory = std::calloc(1, size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  static void operator delete(void* memory) { std::free(memory); }

  Optimizer& get() const {
    if (!optimizer_) throw std::runtime_error("Optimizer: __init__ has not been called");
    return *optimizer_;
  }

 private:
  std::unique_ptr<Optimizer> optimizer_;
};

}  // namespace fastmlp::python

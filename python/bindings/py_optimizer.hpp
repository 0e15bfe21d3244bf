// PyOptimizer: an Optimizer as Python sees it, which has none before __init__.
#pragma once

#include "set_once.hpp"

#include <fastmlp/optimizer.hpp>

#include <memory>
#include <stdexcept>

namespace fastmlp::python {

class PyOptimizer {
 public:
  /// \throws std::runtime_error if it has been called before: a thread may be using the optimizer
  void init(const OptimizerOptions& options) {
    if (!optimizer_.set(std::make_unique<Optimizer>(options))) {
      throw std::runtime_error("Optimizer: __init__ has been called before");
    }
  }

  Optimizer& get() const {
    const auto* optimizer = optimizer_.get();
    if (optimizer == nullptr) {
      throw std::runtime_error("Optimizer: __init__ has not been called");
    }
    return **optimizer;
  }

 private:
  SetOnce<std::unique_ptr<Optimizer>> optimizer_;
};

}  // namespace fastmlp::python

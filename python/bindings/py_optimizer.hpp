// PyOptimizer: an Optimizer as Python sees it, which has none before __init__.
#pragma once

#include <fastmlp/optimizer.hpp>

#include <memory>
#include <stdexcept>

namespace fastmlp::python {

class PyOptimizer {
 public:
  /// \throws std::runtime_error if it has been called before: a thread may be using the optimizer
  void init(const OptimizerOptions& options) {
    if (optimizer_) throw std::runtime_error("Optimizer: __init__ has been called before");
    optimizer_ = std::make_unique<Optimizer>(options);
  }

  Optimizer& get() const {
    if (!optimizer_) throw std::runtime_error("Optimizer: __init__ has not been called");
    return *optimizer_;
  }

 private:
  std::unique_ptr<Optimizer> optimizer_;
};

}  // namespace fastmlp::python

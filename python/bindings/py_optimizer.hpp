// PyOptimizer: an Optimizer as Python sees it, which has none before __init__.
#pragma once

#include <fastmlp/optimizer.hpp>

#include <memory>
#include <stdexcept>
#include <utility>

namespace fastmlp::python {

class PyOptimizer {
 public:
  /// \throws std::runtime_error if it has been called before: a thread may be using the optimizer
  void init(const OptimizerOptions& options) { set(std::make_unique<Optimizer>(options)); }

  /// Takes the optimizer of `made`, which has none after it.
  void adopt(PyOptimizer& made) { set(std::move(made.optimizer_)); }

  Optimizer& get() const {
    if (!optimizer_) throw std::runtime_error("Optimizer: __init__ has not been called");
    return *optimizer_;
  }

 private:
  void set(std::unique_ptr<Optimizer> optimizer) {
    if (optimizer_) throw std::runtime_error("Optimizer: __init__ has been called before");
    optimizer_ = std::move(optimizer);
  }

  std::unique_ptr<Optimizer> optimizer_;
};

}  // namespace fastmlp::python

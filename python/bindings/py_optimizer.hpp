// PyOptimizer: an Optimizer as Python sees it, which has none before __init__.
#pragma once

#include "set_once.hpp"

#include <fastmlp/optimizer.hpp>

#include <memory>
#include <stdexcept>
#include <utility>

namespace fastmlp::python {

class PyOptimizer {
 public:
  /// \throws std::runtime_error if it has been called before: a thread may be using the optimizer
  void init(const OptimizerOptions& options) { set(std::make_shared<Optimizer>(options)); }

  /// Takes the optimizer of `made`, which is then dropped.
  void adopt(const PyOptimizer& made) {
    made.get();  // throws if it has none
    set(*made.optimizer_.get());
  }

  Optimizer& get() const {
    const auto* optimizer = optimizer_.get();
    if (optimizer == nullptr) {
      throw std::runtime_error("Optimizer: __init__ has not been called");
    }
    return **optimizer;
  }

 private:
  void set(std::shared_ptr<Optimizer> optimizer) {
    if (!optimizer_.set(std::move(optimizer))) {
      throw std::runtime_error("Optimizer: __init__ has been called before");
    }
  }

  SetOnce<std::shared_ptr<Optimizer>> optimizer_;
};

}  // namespace fastmlp::python

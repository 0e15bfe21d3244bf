// PyNetwork: a network of float or double behind one type, as Python sees it.
#pragma once

#include "arguments.hpp"

#include <fastmlp/network.hpp>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace fastmlp::python {

using AnyNetwork = std::variant<Network<float>, Network<double>>;

inline std::shared_ptr<AnyNetwork> make_network(const std::string& dtype,
                                                std::vector<std::ptrdiff_t> layers,
                                                std::vector<Activation> hidden, Output output) {
  if (dtype == "float32") {
    return std::make_shared<AnyNetwork>(std::in_place_type<Network<float>>, std::move(layers),
                                        std::move(hidden), output);
  }
  if (dtype == "float64") {
    return std::make_shared<AnyNetwork>(std::in_place_type<Network<double>>, std::move(layers),
                                        std::move(hidden), output);
  }
  throw py::value_error("Network: dtype is '" + dtype + "'; allowed: float32, float64");
}

class PyNetwork {
 public:
  PyNetwork(const py::object& layers, const py::object& hidden, const py::object& output,
            const std::string& dtype, std::uint64_t seed)
      : PyNetwork(layers_of(layers), hidden, output, dtype, seed) {}

  // Where __init__ was not called, or failed, pybind11 allocates the object when it is first used,
  // without a constructor. It finds zeros there, and visit() sees that.
  static void* operator new(std::size_t size) {
    void* memory = std::calloc(1, size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  static void operator delete(void* memory) { std::free(memory); }

  /// f(Network<T>&)
  template <class F>
  decltype(auto) visit(F&& f) {
    if (!net_) throw std::runtime_error("Network: __init__ has not been called");
    return std::visit(std::forward<F>(f), *net_);
  }

  std::uint64_t seed() {
    return visit([](auto& net) { return net.seed(); });
  }

  /// What keeps the network's memory alive, as the base of a NumPy view.
  py::capsule memory() const {
    using Owner = std::shared_ptr<AnyNetwork>;
    return py::capsule(new Owner(net_), [](void* owner) { delete static_cast<Owner*>(owner); });
  }

 private:
  PyNetwork(std::vector<std::ptrdiff_t> layers, const py::object& hidden, const py::object& output,
            const std::string& dtype, std::uint64_t seed)
      : net_(make_network(dtype, layers, hidden_of(hidden, layers.size()), output_of(output))) {
    visit([&](auto& net) { net.initialize(seed); });
  }

  std::shared_ptr<AnyNetwork> net_;
};

template <class T>
T element_of(const Network<T>&);  // only its type is used
template <class Net>
using ElementOf = decltype(element_of(std::declval<Net&>()));

}  // namespace fastmlp::python

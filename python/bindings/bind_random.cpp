// The library's random numbers: the words of its generator, and the shuffle of an epoch.
#include "gil.hpp"

#include <fastmlp/random.hpp>

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstdint>

namespace fastmlp::python {

namespace py = pybind11;

namespace {

py::array_t<std::int64_t> epoch_permutation(py::ssize_t n, std::uint64_t seed,
                                            std::uint64_t epoch) {
  py::array_t<std::int64_t> order(n);
  std::int64_t* data = order.mutable_data();
  interruptible(
      [&](const ShouldStop& should_stop) { permutation(data, n, seed, epoch, should_stop); });
  return order;
}

/// An array of `n` numbers, each of them what draw(random) returns.
template <class T, class Draw>
py::array_t<T> stream(std::uint64_t key, const Philox::Counter& counter, py::ssize_t n,
                      const Draw& draw) {
  py::array_t<T> values(n);
  T* data = values.mutable_data();
  without_gil([&] {
    Philox random(key, counter);
    for (py::ssize_t i = 0; i < n; ++i) data[i] = draw(random);
  });
  return values;
}

}  // namespace

void register_random(py::module_& module) {
  module.def(
      "random_raw",
      [](std::uint64_t key, const Philox::Counter& counter, py::ssize_t n) {
        return stream<std::uint64_t>(key, counter, n, [](Philox& random) { return random.next(); });
      },
      py::arg("key"), py::arg("counter"), py::arg("n"),
      "The first n words of ``numpy.random.Philox(key=[key, 0], counter=counter)``, uint64 (n,).");
  module.def(
      "random_uniform",
      [](std::uint64_t key, const Philox::Counter& counter, py::ssize_t n) {
        return stream<double>(key, counter, n, [](Philox& random) { return random.uniform(); });
      },
      py::arg("key"), py::arg("counter"), py::arg("n"),
      "The first n uniform numbers in [0, 1) of the same stream, float64 (n,).");
  module.def("permutation", &epoch_permutation, py::arg("n"), py::arg("seed"), py::arg("epoch"),
             "The shuffle of ``range(n)`` for one epoch, int64 (n,); docs/mathematics.md, Random "
             "numbers.");
}

}  // namespace fastmlp::python

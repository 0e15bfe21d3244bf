// Loads a network and predicts one row at a time, like a server that answers requests:
// predict FILE. Every feature of the row is 0.5. Prints the outputs and the time of a prediction.
#include <fastmlp/io.hpp>
#include <fastmlp/network.hpp>
#include <fastmlp/runtime.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <vector>

int main(int argc, char** argv) try {
  if (argc != 2) throw std::runtime_error("usage: predict FILE");
  const auto net = fastmlp::load<float>(argv[1]);
  fastmlp::set_num_threads(1);  // waking a thread takes longer than one row of a small network

  // Create these once: after the first call, forward allocates nothing.
  std::vector<float> x(static_cast<std::size_t>(net.layers().front()), 0.5F);
  std::vector<float> out(static_cast<std::size_t>(net.layers().back()));
  const fastmlp::RowSource<float> X(
      fastmlp::MatrixView<const float>(x.data(), 1, net.layers().front()));
  const fastmlp::MatrixView<float> Y(out.data(), 1, net.layers().back());

  constexpr int kCalls = 10000;
  std::vector<double> microseconds(kCalls);
  for (double& time : microseconds) {
    const auto start = std::chrono::steady_clock::now();
    net.forward(X, Y);
    time =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
  }
  std::sort(microseconds.begin(), microseconds.end());
  for (const float value : out) std::printf("%.9g\n", value);
  std::printf("one row: median %.2f us, 99th percentile %.2f us\n", microseconds[kCalls / 2],
              microseconds[kCalls * 99 / 100]);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}

// Trains a small network on the four rows of xor, and saves it: xor [FILE].
#include <fastmlp/io.hpp>
#include <fastmlp/network.hpp>

#include <cstdio>
#include <exception>

int main(int argc, char** argv) try {
  const float x[] = {0, 0, 0, 1, 1, 0, 1, 1};
  const float y[] = {0, 1, 1, 0};
  const fastmlp::MatrixView<const float> X(x, 4, 2), Y(y, 4, 1);

  fastmlp::Network<float> net({2, 8, 1}, {fastmlp::Activation::kTanh});  // sigmoid at the end
  net.initialize(/*seed=*/1);
  fastmlp::FitOptions<float> options;
  options.epochs = 500;
  options.batch_size = 4;
  const fastmlp::History history = net.fit(X, Y, fastmlp::AdamOptions{0.05}, options);
  std::printf("loss %.3f, then %.3f\n", history.loss.front(), history.loss.back());

  float out[4];
  net.forward(X, {out, 4, 1});
  for (int i = 0; i < 4; ++i) {
    std::printf("%g xor %g = %.3f\n", x[2 * i], x[2 * i + 1], out[i]);
  }
  if (argc > 1) fastmlp::save(net, argv[1]);  // Python's Network.load reads it
  return history.loss.back() < 0.05 ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}

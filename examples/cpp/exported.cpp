// Runs a network without fastmlp and without a file. `fastmlp export xor.safetensors --cpp
// xor_model.hpp` wrote the header.
#include "xor_model.hpp"

#include <cstdio>
#include <initializer_list>

int main() {
  for (const float a : {0.0F, 1.0F}) {
    for (const float b : {0.0F, 1.0F}) {
      const float x[fastmlp_xor_model::n_inputs] = {a, b};
      float out[fastmlp_xor_model::n_outputs];
      fastmlp_xor_model::forward(x, out);
      std::printf("%g xor %g = %.3f\n", a, b, out[0]);
    }
  }
}

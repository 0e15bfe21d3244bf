// make_table: one KernelTable<T> from the kernels, for one Vec and its tile.
#pragma once

#include "gather.hpp"
#include "gemm_kernel.hpp"
#include "losses.hpp"
#include "gemv.hpp"
#include "optimizers.hpp"
#include "pack.hpp"

namespace fastmlp::detail {
namespace {

/// Elementwise a = g(z).
template <class V, class G>
void activation_forward(const typename V::Scalar* z, typename V::Scalar* a, std::ptrdiff_t n) {
  for_each_vec<V>(n, [&](std::ptrdiff_t i, auto access) {
    access.store(a + i, G::forward(access.template load<V>(z + i)));
  });
}

template <class V, int MR, int NV, class... G>
constexpr void fill_activations(List<G...>, KernelTable<typename V::Scalar>& table) {
  static_assert(sizeof...(G) == kActivationCount);
  std::size_t i = 0;
  ((table.activations[i++] = {activation_forward<V, G>, epilogue_kernels<V, MR, NV, Activate<G>>(),
                              epilogue_kernels<V, MR, NV, typename DerivativeOf<G>::Type>(),
                              G::kNeedsZ}),
   ...);
}

template <class V, class... Out>
constexpr void fill_outputs(List<Out...>, KernelTable<typename V::Scalar>& table) {
  static_assert(sizeof...(Out) == kOutputCount);
  std::size_t i = 0;
  ((table.outputs[i++] = {Out::template forward<V>, Out::template loss<V>}), ...);
}

template <class V, class... R>
constexpr void fill_rules(List<R...>, KernelTable<typename V::Scalar>& table) {
  static_assert(sizeof...(R) == kRuleCount);
  std::size_t i = 0;
  ((table.rules[i++] = optimizer_step<V, R>), ...);
}

template <class V, int MR, int NV>
constexpr KernelTable<typename V::Scalar> make_table(std::ptrdiff_t b_block_bytes) {
  KernelTable<typename V::Scalar> table{};
  table.mr = MR;
  table.nr = NV * V::kWidth;
  table.b_block_bytes = b_block_bytes;
  table.store = epilogue_kernels<V, MR, NV, Store>();
  table.add = epilogue_kernels<V, MR, NV, Add>();
  table.update = epilogue_kernels<V, MR, NV, Update>();
  fill_activations<V, MR, NV>(Activations{}, table);
  fill_outputs<V>(Outputs{}, table);
  fill_rules<V>(Rules{}, table);
  table.pack = pack<V>;
  table.gather = gather<V>;
  table.row_product = row_product<V>;
  table.row_dots = row_dots<V>;
  table.column_dots = column_dots<V>;
  return table;
}

}  // namespace
}  // namespace fastmlp::detail

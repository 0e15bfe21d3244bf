// make_table: builds a KernelTable<T> from the kernels, for one Vec and one size of tile.
#pragma once

#include "gather.hpp"
#include "gemm_kernel.hpp"
#include "gemv.hpp"
#include "losses.hpp"
#include "optimizers.hpp"
#include "pack.hpp"
#include "sparse.hpp"

namespace fastmlp::detail {
namespace {

/// Elementwise a = g(z).
template <class V, class G>
void activation_forward(const typename V::Scalar* z, typename V::Scalar* a, std::ptrdiff_t n) {
  for_each_vec<V>(n, [&](std::ptrdiff_t i, auto access) {
    access.store(a + i, G::forward(access.template load<V>(z + i)));
  });
}

// Arrays with the kernels of each entry of a list, in the order of the list.

template <class V, int MR, int NV, class List>
struct ActivationTable;
template <class V, int MR, int NV, class... G>
struct ActivationTable<V, MR, NV, List<G...>> {
  static constexpr ActivationKernels<typename V::Scalar> kEntries[] = {
      {G::kName, G::kInitialization, G::kNeedsZ, activation_forward<V, G>,
       epilogue_kernels<V, MR, NV, Activate<G>>(),
       epilogue_kernels<V, MR, NV, typename DerivativeOf<G>::Type>()}...};
};

template <class V, class List>
struct OutputTable;
template <class V, class... Out>
struct OutputTable<V, List<Out...>> {
  static constexpr OutputKernels<typename V::Scalar> kEntries[] = {
      {Out::kName, Out::kTargets, Out::kPower, Out::template forward<V>, Out::template backward<V>,
       Out::template loss<V>}...};
};

template <class V, class List>
struct LossTable;
template <class V, class... L>
struct LossTable<V, List<L...>> {
  static constexpr LossKernels<typename V::Scalar> kEntries[] = {
      {L::kName, L::kParameter, L::kPower, SumOfUnits<L>::template loss<V>}...};
};

template <class V, class List>
struct RuleTable;
template <class V, class... R>
struct RuleTable<V, List<R...>> {
  using Step = void (*)(const OptimizerStep<typename V::Scalar>&);
  static constexpr Step kEntries[] = {optimizer_step<V, R>...};
};

template <class V, int MR, int NV>
constexpr KernelTable<typename V::Scalar> make_table(std::ptrdiff_t b_block_bytes) {
  KernelTable<typename V::Scalar> table{};
  table.mr = MR;
  table.nr = NV * V::kWidth;
  table.b_block_bytes = b_block_bytes;
  table.store = epilogue_kernels<V, MR, NV, Store>();
  table.add = epilogue_kernels<V, MR, NV, Add>();
  table.update = epilogue_kernels<V, MR, NV, Update>();
  table.activations = ActivationTable<V, MR, NV, Activations>::kEntries;
  table.n_activations = Activations::kSize;
  table.outputs = OutputTable<V, Outputs>::kEntries;
  table.n_outputs = Outputs::kSize;
  table.losses = LossTable<V, Losses>::kEntries;
  table.n_losses = Losses::kSize;
  table.rules = RuleTable<V, Rules>::kEntries;
  table.pack = pack<V>;
  table.gather = gather<V>;
  table.row_product = row_product<V>;
  table.row_dots = row_dots<V>;
  table.column_dots = column_dots<V>;
  table.sparse_row = sparse_row<V>;
  table.sparse_dot = sparse_dot<V>;
  table.all_finite = all_finite<V>;
  return table;
}

}  // namespace
}  // namespace fastmlp::detail

// See sparse_rows.hpp.
#include "network/sparse_rows.hpp"

#include "check.hpp"

#include <algorithm>
#include <utility>

namespace fastmlp::detail {
namespace {

std::ptrdiff_t row_number(const std::int64_t* order, std::ptrdiff_t first, std::ptrdiff_t i) {
  return order != nullptr ? static_cast<std::ptrdiff_t>(order[i]) : first + i;
}

/// Sorts the entries of one row by column and adds up those of the same column, in their order.
/// Returns their new end.
template <class T>
SparseEntry<T>* merged(SparseEntry<T>* begin, SparseEntry<T>* end) {
  std::stable_sort(begin, end,
                   [](const SparseEntry<T>& a, const SparseEntry<T>& b) { return a.at < b.at; });
  SparseEntry<T>* last = begin;
  for (SparseEntry<T>* entry = begin + 1; entry < end; ++entry) {
    if (entry->at == last->at) {
      last->value += entry->value;
    } else {
      *++last = *entry;
    }
  }
  return last + 1;
}

}  // namespace

template <class T>
void SparseRows<T>::read(const CsrView<T>& matrix, const std::int64_t* order, std::ptrdiff_t first,
                         std::ptrdiff_t count) {
  cols_ = matrix.cols;
  starts_.assign(1, 0);
  entries_.clear();
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    const std::ptrdiff_t row = row_number(order, first, i);
    const auto [begin, end] = check_csr_row(matrix, row);
    const auto mine = static_cast<std::ptrdiff_t>(entries_.size());
    entries_.resize(static_cast<std::size_t>(mine + end - begin));
    SparseEntry<T>* entry = entries_.data() + mine;
    std::ptrdiff_t before = -1;
    bool rises = true;
    for (std::ptrdiff_t p = begin; p < end; ++p, ++entry) {
      entry->at = check_csr_column(matrix.indices[p], cols_, row);
      entry->value = T(0) + matrix.data[p];  // as in a dense row, where -0 is added to a 0
      rises = rises && entry->at > before;
      before = entry->at;
    }
    if (!rises) {
      entries_.resize(
          static_cast<std::size_t>(merged(entries_.data() + mine, entry) - entries_.data()));
    }
    starts_.push_back(static_cast<std::ptrdiff_t>(entries_.size()));
  }
}

// A counting sort by column. It keeps the entries of a column in the order of their rows.
template <class T>
void SparseRows<T>::transpose() {
  // Element c + 1 counts the entries of column c, is then the place of its next one, and in the end
  // the start of column c + 1.
  column_starts_.assign(static_cast<std::size_t>(cols_) + 1, 0);
  std::ptrdiff_t* const next = column_starts_.data() + 1;
  for (const SparseEntry<T>& entry : entries_) ++next[entry.at];
  std::ptrdiff_t sum = 0;
  for (std::ptrdiff_t c = 0; c < cols_; ++c) sum += std::exchange(next[c], sum);
  column_entries_.resize(entries_.size());
  for (std::ptrdiff_t i = 0; i < count(); ++i) {
    for (std::ptrdiff_t p = starts_[static_cast<std::size_t>(i)];
         p < starts_[static_cast<std::size_t>(i) + 1]; ++p) {
      const SparseEntry<T>& entry = entries_[static_cast<std::size_t>(p)];
      column_entries_[static_cast<std::size_t>(next[entry.at]++)] = {i, entry.value};
    }
  }
}

template <class T>
void read_dense(const CsrView<T>& matrix, const std::int64_t* order, std::ptrdiff_t first,
                std::ptrdiff_t count, T* out) {
  std::fill_n(out, count * matrix.cols, T(0));
  for (std::ptrdiff_t i = 0; i < count; ++i, out += matrix.cols) {
    const std::ptrdiff_t row = row_number(order, first, i);
    const auto [begin, end] = check_csr_row(matrix, row);
    for (std::ptrdiff_t p = begin; p < end; ++p) {
      out[check_csr_column(matrix.indices[p], matrix.cols, row)] += matrix.data[p];
    }
  }
}

template class SparseRows<float>;
template class SparseRows<double>;
template void read_dense(const CsrView<float>&, const std::int64_t*, std::ptrdiff_t, std::ptrdiff_t,
                         float*);
template void read_dense(const CsrView<double>&, const std::int64_t*, std::ptrdiff_t,
                         std::ptrdiff_t, double*);

}  // namespace fastmlp::detail

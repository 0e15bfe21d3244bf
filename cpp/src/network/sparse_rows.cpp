// See sparse_rows.hpp.
#include "network/sparse_rows.hpp"

#include "check.hpp"

#include <algorithm>
#include <utility>

namespace fastmlp {
namespace detail {
namespace {

std::ptrdiff_t row_number(const std::int64_t* order, std::ptrdiff_t first, std::ptrdiff_t i) {
  return order != nullptr ? static_cast<std::ptrdiff_t>(order[i]) : first + i;
}

}  // namespace

template <class T>
void SparseRows<T>::read(const CsrView<T>& matrix, const std::int64_t* order, std::ptrdiff_t first,
                         std::ptrdiff_t count) {
  Lines& to = rows_;
  to.cols = matrix.cols;
  to.starts.assign(1, 0);
  to.entries.clear();
  bool rises = true;
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    const std::ptrdiff_t row = row_number(order, first, i);
    const auto [begin, end] = check_csr_row(matrix.indptr, matrix.stored, row);
    std::ptrdiff_t before = -1;
    for (std::ptrdiff_t p = begin; p < end; ++p) {
      const std::ptrdiff_t at = check_csr_column(matrix.indices[p], matrix.cols, row);
      // 0 + x, as in a dense row, where -0 is added to a 0.
      to.entries.push_back({at, T(0) + matrix.data[p]});
      rises = rises && at > before;
      before = at;
    }
    to.starts.push_back(static_cast<std::ptrdiff_t>(to.entries.size()));
  }
  if (!rises) sort();
}

template <class T>
void SparseRows<T>::sort() {
  // A transpose keeps the order of the entries of a column. So two of them sort the rows, and
  // entries of the same column stay in the order in which they are stored.
  transpose();
  transpose(columns_, rows_);
  std::ptrdiff_t last = -1;
  for (std::ptrdiff_t i = 0; i < rows_.count(); ++i) {
    std::ptrdiff_t p = rows_.starts[static_cast<std::size_t>(i)];
    const std::ptrdiff_t end = rows_.starts[static_cast<std::size_t>(i) + 1];
    rows_.starts[static_cast<std::size_t>(i)] = last + 1;
    for (; p < end; ++p) {
      const SparseEntry<T> entry = rows_.entries[static_cast<std::size_t>(p)];
      const bool again = last >= rows_.starts[static_cast<std::size_t>(i)] &&
                         rows_.entries[static_cast<std::size_t>(last)].at == entry.at;
      if (again) {
        rows_.entries[static_cast<std::size_t>(last)].value += entry.value;
      } else {
        rows_.entries[static_cast<std::size_t>(++last)] = entry;
      }
    }
  }
  rows_.starts.back() = last + 1;
  rows_.entries.resize(static_cast<std::size_t>(last) + 1);
}

// A counting sort by column.
template <class T>
void SparseRows<T>::transpose(const Lines& from, Lines& to) {
  to.cols = from.count();
  to.starts.assign(static_cast<std::size_t>(from.cols) + 1, 0);
  to.entries.resize(from.entries.size());
  // next[c] counts the entries of column c, is then the place of its next one, and in the end the
  // start of column c + 1.
  std::ptrdiff_t* const next = to.starts.data() + 1;
  for (const SparseEntry<T>& entry : from.entries) ++next[entry.at];
  std::ptrdiff_t sum = 0;
  for (std::ptrdiff_t c = 0; c < from.cols; ++c) sum += std::exchange(next[c], sum);
  const SparseEntry<T>* const entries = from.entries.data();
  const std::ptrdiff_t* const starts = from.starts.data();
  for (std::ptrdiff_t i = 0; i < to.cols; ++i) {
    for (std::ptrdiff_t p = starts[i]; p < starts[i + 1]; ++p) {
      to.entries[static_cast<std::size_t>(next[entries[p].at]++)] = {i, entries[p].value};
    }
  }
}

template class SparseRows<float>;
template class SparseRows<double>;
}  // namespace detail

template <class T>
void CsrView<T>::read(const std::int64_t* order, std::ptrdiff_t first, std::ptrdiff_t count,
                      T* out) const {
  std::fill_n(out, count * cols, T(0));
  for (std::ptrdiff_t i = 0; i < count; ++i, out += cols) {
    const std::ptrdiff_t row = detail::row_number(order, first, i);
    const auto [begin, end] = detail::check_csr_row(indptr, stored, row);
    for (std::ptrdiff_t p = begin; p < end; ++p) {
      out[detail::check_csr_column(indices[p], cols, row)] += data[p];
    }
  }
}

template void CsrView<float>::read(const std::int64_t*, std::ptrdiff_t, std::ptrdiff_t,
                                   float*) const;
template void CsrView<double>::read(const std::int64_t*, std::ptrdiff_t, std::ptrdiff_t,
                                    double*) const;

}  // namespace fastmlp

// See array_convert.hpp.
#include "array_convert.hpp"

#include "array.hpp"
#include "gil.hpp"
#include "kernels/float_mode.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace fastmlp::python {
namespace {

/// bfloat16: the upper half of a float.
struct Bfloat16 {
  std::uint16_t bits;

  operator float() const {
    const std::uint32_t word = static_cast<std::uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
};

/// IEEE 754 binary16: 1 bit of sign, 5 of exponent, 10 of mantissa.
struct Half {
  std::uint16_t bits;

  operator float() const {
    const std::uint32_t sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 31, m = bits & 0x3FF;
    if (exponent == 0) {  // a denormal or zero: m times 2^-24, which is exact
      const float value = static_cast<float>(m) * 0x1p-24f;
      return sign != 0 ? -value : value;
    }
    const std::uint32_t top = exponent == 31 ? 255 : exponent + (127 - 15);
    const std::uint32_t word = sign | top << 23 | m << 13;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
};

template <class To, class From>
void convert(const char* from, std::ptrdiff_t stride, std::ptrdiff_t n, To* to) {
  for (std::ptrdiff_t i = 0; i < n; ++i, from += stride) {
    From value;
    std::memcpy(&value, from, sizeof value);  // which need not be aligned
    to[i] = static_cast<To>(value);  // NOLINT(bugprone-signed-char-misuse,cert-str34-c): a number
  }
}

template <class To>
auto function_for(char kind, std::ptrdiff_t itemsize) -> decltype(&convert<To, float>) {
  if constexpr (std::is_floating_point_v<To>) {
    if (kind == 'f') {
      switch (itemsize) {
        case 2:
          return convert<To, Half>;
        case 4:
          return convert<To, float>;
        case 8:
          return convert<To, double>;
        case 12:
        case 16:
          return convert<To, long double>;
        default:
          return nullptr;
      }
    }
  }
  const bool is_signed = kind == 'i';
  switch (itemsize) {
    case 1:  // or bool
      return is_signed ? convert<To, std::int8_t> : convert<To, std::uint8_t>;
    case 2:
      return is_signed ? convert<To, std::int16_t> : convert<To, std::uint16_t>;
    case 4:
      return is_signed ? convert<To, std::int32_t> : convert<To, std::uint32_t>;
    case 8:
      return is_signed ? convert<To, std::int64_t> : convert<To, std::uint64_t>;
    default:
      return nullptr;
  }
}

/// The value of each byte in a dtype of one byte, such as float8_e4m3fn or int4 of ml_dtypes.
std::shared_ptr<const std::array<float, 256>> table_of(const py::dtype& dtype) {
  py::array_t<std::uint8_t> bytes(256);
  for (int byte = 0; byte < 256; ++byte) {
    bytes.mutable_at(byte) = static_cast<std::uint8_t>(byte);
  }
  const py::array_t<float> values = bytes.attr("view")(dtype).attr("astype")("float32");
  auto table = std::make_shared<std::array<float, 256>>();
  std::copy_n(values.data(), 256, table->begin());
  return table;
}

}  // namespace

bool is_builtin(const py::dtype& dtype) {
  constexpr int kCount = 24;  // NPY_NTYPES_LEGACY
  return dtype.num() >= 0 && dtype.num() < kCount;
}

template <class To>
Converter<To>::Converter(const py::array& array)
    : convert_(nullptr),
      itemsize_(array.itemsize()),
      swapped_(array.dtype().byteorder() != '=' && array.dtype().byteorder() != '|') {
  if (is_builtin(array.dtype())) {
    convert_ = function_for<To>(array.dtype().kind(), itemsize_);
    if (convert_ == nullptr) throw py::type_error("an array has a dtype of unknown size");
  } else if (itemsize_ == 1) {
    table_ = table_of(array.dtype());
  } else {  // the only other dtype that as_array() lets pass
    convert_ = convert<To, Bfloat16>;
  }
}

template <class To>
void Converter<To>::operator()(const char* from, std::ptrdiff_t stride, std::ptrdiff_t n,
                               To* to) const {
  if (table_ != nullptr) {
    for (std::ptrdiff_t i = 0; i < n; ++i, from += stride) {
      to[i] = static_cast<To>((*table_)[static_cast<unsigned char>(*from)]);
    }
    return;
  }
  if (!swapped_) return convert_(from, stride, n, to);
  for (std::ptrdiff_t i = 0; i < n; ++i, from += stride) {
    char bytes[16];
    std::reverse_copy(from, from + itemsize_, bytes);
    convert_(bytes, 0, 1, to + i);
  }
}

// Converted in 1 to 30 ms.
constexpr py::ssize_t kElementsPerLook = 1000000;

template <class To>
py::array converted(const py::array& array) {
  const Converter<To> convert(array);
  // Copies, because another thread may reshape the array in place.
  const std::vector<py::ssize_t> shape = shape_of(array);
  const std::vector<py::ssize_t> strides(array.strides(), array.strides() + shape.size());
  py::array_t<To> result(shape);
  To* to = result.mutable_data();
  const char* from = static_cast<const char*>(array.data());
  const std::size_t outer = shape.empty() ? 0 : shape.size() - 1;
  const py::ssize_t n = shape.empty() ? 1 : shape.back();
  const py::ssize_t stride = shape.empty() ? 0 : strides.back();
  const auto fill = [&](const ShouldStop& should_stop) {
    const detail::DefaultFloatMode mode;
    std::vector<py::ssize_t> index(outer, 0);
    py::ssize_t done = 0;  // since should_stop was asked
    for (py::ssize_t rows = n > 0 ? result.size() / n : 0; rows > 0; --rows, to += n) {
      for (py::ssize_t i = 0; i < n; i += kBriefElements) {
        const py::ssize_t count = std::min(n - i, kBriefElements);
        convert(from + i * stride, stride, count, to + i);
        done += count;
        if (done < kElementsPerLook || !should_stop) continue;
        done = 0;
        if (should_stop()) throw Stopped();
      }
      for (std::size_t d = outer; d-- > 0;) {  // the next row, as the digits of an odometer
        from += strides[d];
        if (++index[d] < shape[d]) break;
        from -= strides[d] * shape[d];
        index[d] = 0;
      }
    }
  };
  result.size() > kBriefElements ? interruptible(fill) : fill({});
  return result;
}

template class Converter<float>;
template class Converter<double>;
template class Converter<std::int64_t>;
template py::array converted<float>(const py::array&);
template py::array converted<double>(const py::array&);
template py::array converted<std::int64_t>(const py::array&);

}  // namespace fastmlp::python

// The memory that load() and load_tabular() allocate for hostile files. A program of its own,
// because it replaces operator new.
#include <fastmlp/io.hpp>
#include <fastmlp/tabular.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <sstream>
#include <string>

namespace {
std::atomic<std::size_t> live{0}, peak{0};  // bytes
constexpr std::size_t kUnit = alignof(std::max_align_t);
}  // namespace

// The size of an allocation is stored in front of it. Neither function is inlined, or else GCC
// would warn that free() releases what operator new returned.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* p = std::malloc(size + kUnit);
  if (p == nullptr) throw std::bad_alloc();
  *static_cast<std::size_t*>(p) = size;
  peak = std::max<std::size_t>(peak, live += size);
  return static_cast<char*>(p) + kUnit;
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
  if (p == nullptr) return;
  void* const start = static_cast<char*>(p) - kUnit;
  live -= *static_cast<std::size_t*>(start);
  std::free(start);
}
void operator delete(void* p, std::size_t) noexcept { operator delete(p); }

namespace {

std::string repeated(const std::string& text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

/// A header with these settings and no tensors.
std::string with_settings(const std::string& layers, const std::string& hidden) {
  const std::string settings =
      "{\"dtype\":\"float32\",\"epochs_trained\":0,\"format\":1,\"hidden\":[" + hidden +
      "],\"layers\":[" + layers + "],\"output\":\"sigmoid\",\"seed\":0}";
  return "{\"__metadata__\":{\"fastmlp\":" + nlohmann::json(settings).dump() + "}}";
}

/// The header of a checkpoint of `count` vectors, without the tensors.
std::string with_vectors(std::size_t count) {
  fastmlp::io_detail::Settings settings{{1, 1}, {}, fastmlp::Output::kSigmoid, "float32", 0, 0};
  fastmlp::io_detail::Training training;
  training.vectors = count;
  training.optimizer = "Adam";
  training.stopped_by = "epochs";
  const auto tensors = fastmlp::io_detail::tensors_of<float>(settings, training);
  return fastmlp::io_detail::header_of(settings, training, tensors).substr(8);
}

std::string members(const std::string& value, std::size_t count) {
  std::string all = "{";
  for (std::size_t i = 0; i < count; ++i) {
    all += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":" + value;
  }
  return all + "}";
}

/// The header of a tabular model with these columns and networks, without the tensors.
std::string with_model(const std::string& columns, const std::string& networks) {
  const std::string settings =
      "{\"arguments\":{},\"columns\":[" + columns +
      "],\"format\":1,\"labels\":null,\"members\":[{\"best_epoch\":0,\"epochs\":0}],"
      "\"model\":\"TabularRegressor\",\"named\":true,\"networks\":[" +
      networks + "],\"recipe\":{\"clip\":true},\"seed\":0,\"target\":null}";
  return "{\"__metadata__\":{\"fastmlp_tabular\":" + nlohmann::json(settings).dump() + "}}";
}

/// The largest number of bytes allocated at once while a file with this header is read and refused,
/// divided by the file's size. `read` is called with the file and its size.
template <class Read>
double peak_per_byte(const std::string& header, bool is_pipe, const Read& read) {
  const std::uint64_t n = header.size();
  std::string bytes(sizeof n, '\0');
  std::memcpy(bytes.data(), &n, sizeof n);
  bytes += header;
  std::istringstream file(bytes);
  const std::size_t before = live;
  peak = before;
  const std::uint64_t size = is_pipe ? fastmlp::io_detail::kUnknown : bytes.size();
  CHECK_THROWS_AS(read(file, size), fastmlp::FileError);
  return static_cast<double>(peak - before) / static_cast<double>(bytes.size());
}

}  // namespace

TEST_CASE("load allocates a small multiple of a hostile file at most") {
  const std::size_t n = 100'000;
  const std::string many[] = {
      with_settings("1" + repeated(",1", n), "\"elu\"" + repeated(",\"elu\"", n - 2)),
      with_settings("1,4611686018427387904", ""),
      with_settings("1000000000,1", ""),
      with_vectors(n / 10),
      "{\"x\":[{}" + repeated(",{}", n) + "]}",
      "{\"x\":[[]" + repeated(",[]", n) + repeated(" ", 4 * n) + "]}",
      "{\"x\":[1" + repeated(",1", n) + "]}",
      "{\"x\":[\"\"" + repeated(",\"\"", n) + repeated(" ", 4 * n) + "]}",
      "{\"x\":" + repeated("[", n) + repeated("]", n) + "}",
      "{\"x\":\"" + repeated("\\u0000", n) + "\"}",
      "{\"x\":\"" + repeated("\\\"", n),
      members("1", n),
      members("{}", n),
      members("{ }", n) + repeated(" ", 4 * n),
  };
  for (const std::string& header : many) {
    for (const bool is_pipe : {false, true}) {
      CAPTURE(header.substr(0, 40));
      const double multiple = peak_per_byte(header, is_pipe, [](auto& file, auto size) {
        return fastmlp::io_detail::read<float>(file, size);
      });
      if (header.size() > 10'000) CHECK(multiple < 16);
      CHECK(multiple * static_cast<double>(header.size()) < 16e6);
    }
  }
}

TEST_CASE("load_tabular allocates a small multiple of a hostile file at most") {
  const std::size_t n = 100'000;
  const std::string net =
      "{\"dtype\":\"float32\",\"epochs_trained\":0,\"format\":1,\"hidden\":[],\"layers\":[1,1],"
      "\"output\":\"identity\",\"seed\":0}";
  const auto column = [](const std::string& tensors) {
    return "{\"kind\":\"boolean\",\"name\":\"a\",\"settings\":{},\"tensors\":" + tensors + "}";
  };
  std::string large = net;
  large.replace(large.find("[1,1]"), 5, "[1000000000,1000000000]");
  const std::string many[] = {
      with_model(column(members("1", n)), net),
      with_model(column("{\"a\":576460752303423488}"), net),
      with_model(column("{}"), large),
      with_model(column("{}") + repeated("," + column("{}"), n / 20), net),
      with_model(column("{}"), net + repeated("," + net, n / 20)),
      with_model("{}" + repeated(",{}", n), net),
      with_model("[]" + repeated(",[]", n), net),
  };
  for (const std::string& header : many) {
    for (const bool is_pipe : {false, true}) {
      CAPTURE(header.substr(0, 80));
      const double multiple = peak_per_byte(header, is_pipe, [](auto& file, auto size) {
        return fastmlp::io_detail::read_tabular<fastmlp::TabularRegressor>(file, size);
      });
      if (header.size() > 10'000) CHECK(multiple < 20);
      CHECK(multiple * static_cast<double>(header.size()) < 20e6);
    }
  }
}

// fastmlp/io.hpp: files written by C++ and by Python, and damaged files.
#include "files.hpp"
#include "support.hpp"

#include <fastmlp/io.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <locale>
#include <map>
#include <string>
#include <thread>
#include <vector>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/stat.h>
#include <unistd.h>
#endif

using namespace fastmlp;
using namespace fastmlp::testing;
namespace fs = std::filesystem;

namespace {

template <class T>
Network<T> network() {
  Network<T> net({3, 4, 2}, {Activation::kGelu}, Output::kSoftmax);
  net.initialize(std::uint64_t(-1));
  net.set_epochs_trained(7);
  return net;
}

/// The bytes of a file with its header replaced. The size before the header is right, and the
/// tensors stay.
std::string with_header(const std::string& bytes, const std::string& header) {
  std::uint64_t n = 0;
  std::memcpy(&n, bytes.data(), sizeof n);
  const std::uint64_t size = header.size();
  std::string changed(sizeof size, '\0');
  std::memcpy(changed.data(), &size, sizeof size);
  return changed + header + bytes.substr(sizeof n + static_cast<std::size_t>(n));
}

std::string header_of(const std::string& bytes) {
  std::uint64_t n = 0;
  std::memcpy(&n, bytes.data(), sizeof n);
  return bytes.substr(sizeof n, static_cast<std::size_t>(n));
}

std::string replaced(std::string text, const std::string& old, const std::string& by) {
  const std::size_t at = text.find(old);
  REQUIRE_MESSAGE(at != std::string::npos, old);
  return text.replace(at, old.size(), by);
}

void check_refused(const fs::path& path, const std::string& rule) {
  CAPTURE(rule);
  try {
    load<float>(path);
    FAIL("it was loaded");
  } catch (const FileError& error) {
    const std::string message = error.what();
    CAPTURE(message);
    CHECK(message.find("load: " + path.string()) == 0);
    CHECK(message.find(rule) != std::string::npos);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("load gives back the network that save wrote", T, float, double) {
  const Folder folder;
  Network<T> before = network<T>();
  save(before, folder / "model.safetensors");
  Network<T> after = load<T>(folder / "model.safetensors");
  CHECK(after.layers() == before.layers());
  CHECK(after.hidden() == before.hidden());
  CHECK(after.output() == before.output());
  CHECK(after.seed() == before.seed());
  CHECK(after.epochs_trained() == 7);
  const auto n = static_cast<std::size_t>(before.n_parameters());
  const int difference = std::memcmp(after.parameters(), before.parameters(), n * sizeof(T));
  CHECK(difference == 0);
  CHECK(folder.size() == 1);
}

TEST_CASE("a file that Python wrote is read, and written again with the same bytes") {
  const Folder folder;
  const fs::path data = FASTMLP_TEST_DATA;
  const auto again = [&](auto net) {
    save(net, folder / "again");
    return read(folder / "again");
  };
  CHECK(again(load<float>(data / "float32.safetensors")) == read(data / "float32.safetensors"));
  CHECK(again(load<double>(data / "float64.safetensors")) == read(data / "float64.safetensors"));
}

TEST_CASE("every file of the corpus gets the answer that Python's reader gives too") {
  const Folder folder;
  std::map<std::string, std::string> bytes;
  const auto cases = nlohmann::json::parse(read(fs::path(FASTMLP_TEST_DATA) / "files.json"));
  for (const auto& [name, entry] : cases.items()) {
    const auto text = entry["bytes"].get<std::string>();  // UTF-8 of characters up to 255
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      bytes[name] += static_cast<char>(byte < 0x80 ? byte : (byte << 6) | (text[++i] & 0x3f));
    }
  }
  for (const auto& item : cases.items()) {
    const std::string& name = item.key();
    const nlohmann::json& entry = item.value();
    CAPTURE(name);
    write(folder / "model", bytes[name]);
    std::string saved = "refused";
    const auto try_as = [&](auto zero) {
      try {
        save(load<decltype(zero)>(folder / "model"), folder / "again");
        saved = read(folder / "again");
      } catch (const FileError&) {  // NOLINT(bugprone-empty-catch): the other dtype may do
      }
    };
    try_as(0.0f);
    try_as(0.0);
    CHECK(saved == (entry["saved"].is_null() ? "refused" : bytes[entry["saved"]]));
  }
}

#if defined(__unix__) || defined(__APPLE__)
TEST_CASE("a pipe is read to its end, and written to") {
  const Folder folder;
  const fs::path pipe = folder / "pipe", path = folder / "model";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  save(network<float>(), path);
  const std::string bytes = read(path);
  for (const std::string& sent : {bytes, bytes + '\0', bytes.substr(0, bytes.size() - 1)}) {
    std::thread writer([&] { write(pipe, sent); });
    if (sent == bytes) {
      CHECK(load<float>(pipe).epochs_trained() == 7);
    } else {
      check_refused(pipe, sent > bytes ? "more bytes follow" : "the file ends in its tensors");
    }
    writer.join();
  }
  std::string received;
  std::thread reader([&] { received = read(pipe); });
  save(network<float>(), pipe);
  reader.join();
  CHECK(received == bytes);
  CHECK(fs::is_fifo(pipe));
  check_refused("/dev/zero", "does not begin with '{'");
}

TEST_CASE("save refuses a read-only file and a loop of links") {
  const Folder folder;
  fs::create_symlink("loop", folder / "loop");
  CHECK_THROWS_AS(save(network<float>(), folder / "loop"), FileError);
  CHECK(fs::is_symlink(folder / "loop"));
  write(folder / "model", "precious");
  fs::permissions(folder / "model", fs::perms::owner_read | fs::perms::others_read);
  fs::permissions(folder / ".", fs::perms::all);
  const bool is_root = ::geteuid() == 0;
  if (is_root) REQUIRE(::seteuid(65534) == 0);  // permissions do not bind root
  CHECK_THROWS_AS(save(network<float>(), folder / "model"), FileError);
  if (is_root) REQUIRE(::seteuid(0) == 0);
  CHECK(read(folder / "model") == "precious");
  CHECK(folder.size() == 2);
}

TEST_CASE("save removes what a killed save left, and nothing else") {
  const Folder folder;
  const fs::path path = folder / "model";
  const std::string prefix = io_detail::temporary_prefix(path);
  CHECK(prefix == ".fastmlp-b08b665a-");  // in Python too
  for (const std::string& name : {prefix + "0.tmp", prefix + "1.tmp", std::string("other")}) {
    write(folder / name.c_str(), "");
  }
  io_detail::OutputFile running(folder / (prefix + "1.tmp").c_str(), "r+b");
  REQUIRE(running.lock(true));
  save(network<float>(), path);
  CHECK_FALSE(fs::exists(folder / (prefix + "0.tmp").c_str()));
  CHECK(fs::exists(folder / (prefix + "1.tmp").c_str()));
  CHECK(fs::exists(folder / "other"));
}

TEST_CASE("many threads save to one path, and each file is whole") {
  const Folder folder;
  const fs::path path = folder / "model";
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) save(network<float>(), path);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(load<float>(path).epochs_trained() == 7);
  CHECK(folder.size() == 1);
}
#endif

namespace {
/// Numbers as a German locale writes them.
struct German : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};
}  // namespace

TEST_CASE("messages and files do not depend on the locale") {
  const Folder folder;
  const std::locale before = std::locale::global(std::locale(std::locale(), new German));
  Network<float> net({1234, 1});
  net.set_seed(1234567);
  CHECK_THROWS_WITH_AS(net.loss(Matrix<float>(1, 5678).cview(), Matrix<float>(1, 1).cview()),
                       "loss: X has shape (1, 5678); this network takes 1234 features",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      net.step(Matrix<float>(1, 1234).cview(), Matrix<float>(1, 1).cview(), -1234.5f),
      doctest::Contains("is -1234.5;"), std::invalid_argument);
  save(net, folder / "model");
  CHECK(load<float>(folder / "model").seed() == 1234567);
  const std::string bytes = read(folder / "model");
  write(folder / "model", bytes.substr(0, bytes.size() - 1));
  check_refused(folder / "model", "its tensors have 4939 bytes; layers of these sizes have 4940");
  std::locale::global(before);
}

TEST_CASE("load refuses a missing file, a folder and another dtype") {
  const Folder folder;
  check_refused(folder / "none", "No such file");
  fs::create_directory(folder / "inner");
  check_refused(folder / "inner", "a folder");
  save(network<double>(), folder / "double");
  check_refused(folder / "double", "its dtype is 'float64' and a network of float32 was asked for");
}

TEST_CASE("save throws if it cannot write, and leaves an old file untouched") {
  const Folder folder;
  CHECK_THROWS_AS(save(network<float>(), folder / "none" / "model"), FileError);
  write(folder / "model", "precious");
  fs::create_directory(folder / "inner");
  CHECK_THROWS_AS(save(network<float>(), folder / "inner"), FileError);
  CHECK(folder.size() == 2);
  std::error_code no_device;
  if (fs::exists("/dev/full", no_device))
    CHECK_THROWS_AS(save(network<float>(), "/dev/full"), FileError);
}

TEST_CASE("save refuses a path through a folder that does not exist, also if .. leaves it again") {
  const Folder folder;
  for (const char* name : {"new/", "no/../new", "new/."}) {
    CHECK_THROWS_AS(save(network<float>(), folder / name), FileError);
  }
  CHECK(folder.size() == 0);
}

TEST_CASE("save replaces a file through a symbolic link and keeps its permissions") {
  const Folder folder;
  write(folder / "model", "old");
  fs::permissions(folder / "model", fs::perms::owner_read | fs::perms::owner_write);
  std::error_code no_links;
  fs::create_symlink(folder / "model", folder / "link", no_links);
  if (no_links || !fs::is_symlink(folder / "link")) {
    MESSAGE("skipped: this system or standard library has no symbolic links");
    return;
  }
  save(network<float>(), folder / "link");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(load<float>(folder / "model").epochs_trained() == 7);
  CHECK(fs::status(folder / "model").permissions() ==
        (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(folder.size() == 2);
  fs::create_symlink(folder / "target", folder / "dangling");  // save must create its target
  save(network<float>(), folder / "dangling");
  CHECK(fs::is_symlink(folder / "dangling"));
  CHECK(load<float>(folder / "target").epochs_trained() == 7);
}

TEST_CASE("a network of very many layers is saved and loaded") {
  const Folder folder;
  Network<float> deep(std::vector<std::ptrdiff_t>(5000, 1));
  deep.initialize(1);
  save(deep, folder / "deep");
  CHECK(load<float>(folder / "deep").depth() == 4999);
}

TEST_CASE("a wrong header is refused") {
  const Folder folder;
  const fs::path path = folder / "model";
  save(network<float>(), path);
  const std::string bytes = read(path), header = header_of(bytes);
  const auto refused = [&](const std::string& changed, const std::string& rule) {
    write(path, with_header(bytes, changed));
    check_refused(path, rule);
  };
  const auto change = [&](const std::string& old, const std::string& by, const std::string& rule) {
    refused(replaced(header, old, by), rule);
  };
  refused("", "does not begin with '{'");
  refused(" " + header, "does not begin with '{'");
  refused("{", "is not JSON");
  refused("{}", "no '__metadata__'");
  refused(header + std::string(1, '\0') + "x", "is not JSON");
  refused("{\"x\":[" + std::string(1000, '0') + "]}", "is not JSON");
  std::string many = "{\"x\":[{}";
  for (int i = 0; i < 500'000; ++i) many += ",{}";  // a careless reader would take a day
  refused(many + "]}", "more values than a network needs");
  change("\"fastmlp\":\"", "\"other\":3,\"fastmlp\":\"", "the metadata is 3");
  change("[3,4]", "[3.0,4]", "of shape [3.0,4]");
  refused("[]", "does not begin with '{'");
  refused("{\"a\":" + std::string(1'000'000, '['), "nested too deeply");
  refused(header.substr(0, header.rfind('}')), "is not JSON");
  change("\"fastmlp\"", "\"other\"", "not written by fastmlp");
  change("\\\"format\\\": 1", "\\\"format\\\": 2", "format is 2");
  change("\\\"format\\\": 1", "\\\"format\\\": true", "format is true");
  change("[3, 4, 2]", "[3, 4]",
         "layers has 2 entries and hidden has 1; layers must have at least 2");
  change("[3, 4, 2]", "[3, 5, 2]", "its tensors have 104 bytes; layers of these sizes have 128");
  change("[3, 4, 2]", "[3, 4, -2]", "layers is -2");
  change("[3, 4, 2]", "[3, 4, 2.0]", "layers is 2.0");
  change("[3, 4, 2]", "[3, 4611686018427387904, 2]", "its layers are too large for any file");
  change("[3, 4, 2]", "[9223372036854775807, 4, 2]", "its layers are too large for any file");
  change("[3, 4, 2]", "[99999999999999999999, 4, 2]", "layers is");
  change("\\\"gelu\\\"", "\\\"glue\\\"", "unknown activation 'glue'");
  change("\\\"softmax\\\"", "\\\"hardmax\\\"", "unknown output 'hardmax'");
  change("float32", "float16", "its dtype is 'float16'");
  change("18446744073709551615", "18446744073709551616", "seed is");
  change("\\\"seed\\\"", "\\\"sead\\\"", "no 'seed'");
  change("\\\"seed\\\"", "\\\"layers\\\"", "has a name twice");
  change("\"layers.0.bias\"", "\"layers.1.bias\"", "has a name twice");
  change("\"layers.0.bias\"", "\"layers.7.bias\"", "no 'layers.0.bias'");
  change("\"F32\"", "\"I32\"", "by its metadata it must be F32");
  change("[3,4]", "[4,3]", "of shape [4,3]");
  change("[0,16]", "[0,12]", "has 12 bytes");
  change("[0,16]", "[0]", "must be two numbers");
  change("[0,16]", "[16,0]", "data_offsets is 0");
  change("[0,16]", "[16,32]", "overlap or leave a hole");
  change("[0,16]", "[0,16000]", "has 16000 bytes");
  change("\"layers.0.bias\":", "\"extra\":{},\"layers.0.bias\":",
         "the file has 5 tensors; its layers have 4");
}

TEST_CASE("a file that is too short or too long is refused") {
  const Folder folder;
  const fs::path path = folder / "model";
  save(network<float>(), path);
  const std::string bytes = read(path);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    write(path, bytes.substr(0, size));
    CHECK_THROWS_AS(load<float>(path), FileError);
  }
  write(path, bytes + '\0');
  check_refused(path, "its tensors have 105 bytes; layers of these sizes have 104");
  for (const std::uint64_t n : {std::uint64_t(100'000'001), ~std::uint64_t(0), ~std::uint64_t(7)}) {
    std::string huge = bytes;
    std::memcpy(huge.data(), &n, sizeof n);
    write(path, huge);
    check_refused(path, "its first 8 bytes give a header of");
  }
}

TEST_CASE("a file with any one bit changed is refused or loaded, and nothing else happens") {
  const Folder folder;
  const fs::path path = folder / "model";
  save(network<float>(), path);
  const std::string bytes = read(path);
  const std::size_t header = 8 + header_of(bytes).size();
  int loaded = 0, refused = 0;
  for (std::size_t at = 0; at < header; ++at) {
    for (const int flip : {1, 2, 4, 8, 16, 32, 64, 128}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      write(path, changed);
      try {
        loaded += load<float>(path).n_parameters() > 0;
      } catch (const FileError&) {
        ++refused;
      }
    }
  }
  CHECK(loaded > 0);  // with another seed, for example
  CHECK(refused > loaded);
}

// How io.hpp and io_checkpoint.hpp open a file and replace one: readers see the old file or the new
// one. For these headers only. Start at `read_from` and `replace`.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <limits>
#include <locale>
#include <memory>
#include <new>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/file.h>
#include <unistd.h>
#endif

namespace fastmlp {

/// Thrown by the functions that read and write files. The message names the function, the path and
/// the fault.
class FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace io_detail {

template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  std::ostringstream message;
  message.imbue(std::locale::classic());  // the program's own may write 1.234 for 1234
  (message << ... << parts);
  throw FileError(message.str());
}

constexpr std::uint64_t kUnknown = std::numeric_limits<std::uint64_t>::max();

/// Calls read(stream, size) for a file; the size of a pipe or a device is kUnknown. `what` says in
/// messages what the file is not.
template <class Read>
void read_from(const char* function, const std::filesystem::path& path, const char* what,
               const Read& read) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  const int number = errno != 0 ? errno : ENOENT;
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  const bool is_folder = std::filesystem::is_directory(status);  // Windows does not open one
  if (!file || is_folder) {
    refuse(function, ": ", path.string(), ": ",
           is_folder ? "a folder" : std::generic_category().message(number));
  }
  try {
    std::uint64_t size = kUnknown;
    if (std::filesystem::is_regular_file(status)) {
      size = static_cast<std::uint64_t>(file.seekg(0, std::ios::end).tellg());
      file.seekg(0);
    }
    read(file, size);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    refuse(function, ": ", path.string(), " is damaged or not ", what, ": ", error.what());
  }
}

/// A file for writing. It uses C's stdio, because streams do not report every error and cannot be
/// synchronised with the disk.
class OutputFile {
 public:
  OutputFile(const std::filesystem::path& path, const char* mode)
      : file_(std::fopen(path.string().c_str(), mode)) {
    if (!file_) fail();
  }
  void write(const void* data, std::size_t bytes) {
    if (std::fwrite(data, 1, bytes, file_.get()) != bytes) fail();
  }
  /// Makes sure that everything is on the disk.
  void flush() {
    if (std::fflush(file_.get()) != 0) fail();
#if defined(__unix__) || defined(__APPLE__)
    // A pipe or a device cannot be synchronised: EINVAL or ENOTSUP.
    if (::fsync(::fileno(file_.get())) != 0 && errno != EINVAL && errno != ENOTSUP) fail();
#endif
  }
  void close() {
    if (std::fclose(file_.release()) != 0) fail();
  }
  /// Locks the file until it is closed or the process ends. Returns whether it is locked. If `now`,
  /// does not wait for another lock.
  bool lock([[maybe_unused]] bool now) {
#if defined(__unix__) || defined(__APPLE__)
    return ::flock(::fileno(file_.get()), LOCK_EX | (now ? LOCK_NB : 0)) == 0;
#else
    return false;
#endif
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { (void)std::fclose(file); }
  };
  [[noreturn]] static void fail() { throw std::system_error(errno, std::generic_category()); }
  std::unique_ptr<std::FILE, Close> file_;
};

/// How the names of temporary files for `target` begin, in Python too. A hash (FNV-1a) stands for
/// the name of the target, because both names together may be too long.
inline std::string temporary_prefix(const std::filesystem::path& target) {
  std::uint32_t hash = 0x811c9dc5;
  for (const auto byte : target.filename().u8string()) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x01000193;
  }
  char prefix[24];
  (void)std::snprintf(prefix, sizeof prefix, ".fastmlp-%08x-", static_cast<unsigned>(hash));
  return prefix;
}

/// Removes the temporary files that killed processes left: those that nobody has locked.
inline void remove_stale(const std::filesystem::path& target) {
  namespace fs = std::filesystem;
  const std::string prefix = temporary_prefix(target);
  std::error_code error;
  fs::directory_iterator entry(target.parent_path(), error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (entry->path().filename().string().rfind(prefix, 0) != 0) continue;
    std::error_code ignored;
    if (entry->symlink_status(ignored).type() != fs::file_type::regular) continue;
    try {
      OutputFile file(entry->path(), "r+b");
      if (file.lock(true)) fs::remove(entry->path(), ignored);
    } catch (const std::system_error&) {
      continue;  // another save has removed it, or it is somebody else's
    }
  }
}

/// Makes an empty file beside `target` and locks it. Returns it and its path.
inline std::pair<OutputFile, std::filesystem::path> temporary_beside(
    const std::filesystem::path& target) {
  std::random_device random;
  for (;;) {
    char name[24];
    (void)std::snprintf(name, sizeof name, "%08x%08x.tmp", static_cast<unsigned>(random()),
                        static_cast<unsigned>(random()));
    const std::filesystem::path path = target.parent_path() / (temporary_prefix(target) + name);
    OutputFile file(path, "wbx");
    file.lock(false);
    // Before it was locked, another save may have removed it as a leftover.
    if (std::filesystem::exists(path)) return {std::move(file), path};
  }
}

/// Calls write(file) for a file in the same folder, then renames it to `path`: a reader sees the
/// old file or the new one. A symbolic link is followed, and the permissions of the old file stay.
template <class Write>
void replace(const std::filesystem::path& path, const Write& write) {
  namespace fs = std::filesystem;
  const fs::file_status old = fs::status(path);  // throws if links form a loop
  if (fs::exists(old) && !fs::is_regular_file(old)) {
    OutputFile file(path, "wb");  // a device or a pipe is written to; a folder is refused here
    write(file);
    file.flush();
    return file.close();
  }
  if (fs::exists(old)) OutputFile(path, "ab");  // refuses a read-only file, which rename would not
  fs::path link = path;  // the last of a chain of links may point to a file that does not exist
  for (int i = 0; i < 40 && fs::is_symlink(link); ++i) {
    link = link.parent_path() / fs::read_symlink(link);
  }
  // weakly_canonical() would leave out what does not exist: "no/such/../file".
  (void)fs::directory_iterator(link.has_parent_path() ? link.parent_path() : ".");
  const fs::path target = fs::weakly_canonical(link);
  remove_stale(target);
  auto [file, temporary] = temporary_beside(target);
  try {
    write(file);
    file.flush();
#ifdef _WIN32
    file.close();  // Windows cannot rename an open file; elsewhere it stays locked until renamed
#endif
    if (fs::exists(old)) fs::permissions(temporary, old.permissions());
    fs::rename(temporary, target);
  } catch (...) {
    std::error_code ignored;
    {
      const OutputFile closed = std::move(file);
    }
    fs::remove(temporary, ignored);
    throw;
  }
}

/// Replaces a file by the parts that write_parts(write) gives to write(data, bytes).
template <class WriteParts>
void write_to(const char* function, const std::filesystem::path& path,
              const WriteParts& write_parts) {
  try {
    replace(path, [&](OutputFile& file) {
      write_parts([&](const void* data, std::size_t bytes) { file.write(data, bytes); });
    });
  } catch (const std::system_error& error) {
    refuse(function, ": ", path.string(), ": ", error.code().message());
  }
}

}  // namespace io_detail
}  // namespace fastmlp
